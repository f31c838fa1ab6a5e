"""Weighs evidence on a delivery in doubt; decides when it may be sent again (recovery.md, "In doubt")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from typing import Any, NamedTuple

from runner.core.frozen import frozen
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.lookup_verdict import ENDED_STATES, Arrival, Interaction
from runner.core.transfer.reasons import Code

CLOCK_MARGIN_S = 2.0
"""Default tolerance for clocks that differ and have whole seconds."""

VISIBLE_S = 2.0
"""Default time until an effect shows in look-ups."""

DEDUPE_SHARE = 0.9
"""The share of a `dedupes` promise that is used."""


@frozen
class Dedupes:
    """For `kept_s`, a repeated id is carried out once, and answered like the first."""

    kept_s: float


@frozen
class Expires:
    """A message is never carried out later than `expires_s` after its timestamp.

    An effect shows in look-ups within another `visible_s`.
    """

    expires_s: float
    visible_s: float = VISIBLE_S
    skew_s: float = CLOCK_MARGIN_S  # largest difference between the clocks of the gateway's nodes

    @property
    def fence_s(self) -> float:
        """Seconds after a message's timestamp from which a look-up is conclusive."""
        return self.expires_s + self.visible_s + self.skew_s


Promise = Dedupes | Expires | None
"""A gateway's promise about its deliveries, or None."""


@frozen
class Baseline:
    """What a look-up saw before a delivery; `date_s` is the gateway's clock at that time."""

    state: str | None
    destination_uri: str | None
    last_transfer_id: str | None
    date_s: float | None = None
    arrivals: tuple[Arrival, ...] = ()

    @classmethod
    def of(cls, seen: Interaction) -> Baseline:
        """Return the baseline of a look-up."""
        return cls(
            seen.state, seen.destination_uri, seen.last_transfer_id, seen.date_s, seen.arrivals
        )

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Baseline:
        """Return the value that `to_json` encoded."""
        arrivals = tuple(Arrival(*arrival) for arrival in kept.get("arrivals", ()))
        return cls(**{**kept, "arrivals": arrivals})

    def to_json(self) -> dict[str, Any]:
        """Return the form for the journal."""
        arrivals = [
            [each.id, each.destination_uri, each.is_done]
            + ([] if each.by_user is None else [each.by_user])
            for each in self.arrivals
        ]
        return {
            "state": self.state,
            "destination_uri": self.destination_uri,
            "last_transfer_id": self.last_transfer_id,
            "date_s": self.date_s,
            **({"arrivals": arrivals} if arrivals else {}),
        }


class Evidence(Enum):
    """Evidence of a look-up on a delivery in doubt."""

    CARRIED_OUT = auto()
    UNTOUCHED = auto()  # equals the baseline: conclusive only after the fence
    UNDER_WAY = auto()  # a move has begun and may still fail: look again
    INCONCLUSIVE = auto()

    @property
    def code(self) -> Code:
        """The cause of the outcome."""
        return _CODES[self]


_CODES = {
    Evidence.CARRIED_OUT: Code.FOUND_CARRIED_OUT,
    Evidence.UNTOUCHED: Code.FOUND_UNTOUCHED,
    Evidence.UNDER_WAY: Code.MOVE_UNDER_WAY,
    Evidence.INCONCLUSIVE: Code.INCONCLUSIVE,
}


def weigh(
    seen: Interaction,
    *,
    baseline: Baseline | None,
    destination_uri: str,
    message_ids: AbstractSet[str],
) -> tuple[Evidence, str]:
    """Return a look-up's evidence on a transfer with deliveries `message_ids`, and the reason."""
    if seen.last_transfer_id is not None and seen.last_transfer_id in message_ids:
        return Evidence.CARRIED_OUT, "seen by its id"
    if baseline is not None and has_arrived(seen, baseline, destination_uri):
        return Evidence.CARRIED_OUT, "seen by its arrival"
    if not seen.found or seen.refusal is not None:
        return Evidence.INCONCLUSIVE, seen.refusal or "the interaction is not found any more"
    if seen.state in ENDED_STATES:
        return Evidence.INCONCLUSIVE, f"ended; by whom is not known ({seen.state})"
    if baseline is None:
        return Evidence.INCONCLUSIVE, "nothing is known of it before the delivery"
    return _compare(seen, baseline, destination_uri)


def has_arrived(seen: Interaction, baseline: Baseline, destination_uri: str) -> bool:
    """Return whether an arrival after the baseline shows that a delivery of ours was carried out.

    If a person's command led there, or may still, and no client's command did, it was the person's.
    """
    before = {each.id for each in baseline.arrivals if each.is_done}
    new = [each for each in seen.arrivals if each.id not in before]
    there = [each for each in new if same_destination(each.destination_uri, destination_uri)]
    commands = [*there, *(each for each in new if each.destination_uri is None)]
    by_a_client = any(each.by_user is False and each.is_done for each in commands)
    if any(each.by_user for each in commands) and not by_a_client:
        return False  # it may not be done yet: the platform shows the leg earlier
    return any(each.is_done and not each.by_user for each in there)


MOVED_BY_OTHERS = "moved by somebody else"
"""The reason if a person's command was carried out since the baseline."""


def was_moved_by_others(seen: Interaction, baseline: Baseline) -> bool:
    """Return whether a person's command was carried out since the baseline."""
    before = {each.id for each in baseline.arrivals if each.is_done}
    return any(each.is_done and each.by_user and each.id not in before for each in seen.arrivals)


def _compare(seen: Interaction, baseline: Baseline, destination_uri: str) -> tuple[Evidence, str]:
    if new := set(seen.arrivals) - set(baseline.arrivals):
        return _changed(new, is_by_others=was_moved_by_others(seen, baseline))
    same_id = seen.last_transfer_id == baseline.last_transfer_id
    is_ours = same_destination(seen.destination_uri, destination_uri)
    same_place = same_destination(seen.destination_uri, baseline.destination_uri)
    if is_ours and not same_place and (same_id or seen.last_transfer_id is None):
        return Evidence.CARRIED_OUT, "seen by destination"
    if same_id and same_place and seen.state == baseline.state:
        is_there = is_ours and seen.last_transfer_id is None
        if is_there or not seen.shows_effects:
            before = "there" if is_there else "the same"
            reason = f"{before} before the delivery too; an effect would not show"
            return Evidence.INCONCLUSIVE, reason
        return Evidence.UNTOUCHED, "as it was before the delivery"
    return Evidence.INCONCLUSIVE, "it changed since, and not by us: somebody else acted"


def _changed(new: AbstractSet[Arrival], *, is_by_others: bool) -> tuple[Evidence, str]:
    if is_by_others:
        return Evidence.INCONCLUSIVE, MOVED_BY_OTHERS
    if not all(arrival.is_done for arrival in new):
        return Evidence.UNDER_WAY, "a move is under way"
    return Evidence.INCONCLUSIVE, "it changed since, and not to where we sent it"


class SendClocks(NamedTuple):
    """When a delivery was handed over, by every clock that may be used later.

    `uptime_s` includes time in suspend, and is comparable only within the same `boot`.
    """

    timestamp_s: float  # the message's own, seconds since the epoch
    boot: str | None
    uptime_s: float | None
    gateway_date_s: float | None  # the gateway's clock, shortly before

    def to_json(self) -> dict[str, Any]:
        """Return the form for the journal."""
        return {
            "timestamp_s": self.timestamp_s,
            "boot": self.boot,
            "uptime_s": self.uptime_s,
            "gateway_date_s": self.gateway_date_s,
        }


def fence_is_over(
    promise: Expires, hand_over: SendClocks, *, gateway_date_s: float | None, passed_s: float
) -> bool:
    """Return whether a look-up answered at `gateway_date_s` is conclusive for a delivery.

    `passed_s` is local time since the hand-over or, after a restart, since the process began.
    """
    if gateway_date_s is None or passed_s < promise.fence_s:
        return False
    return gateway_date_s > hand_over.timestamp_s + promise.fence_s


def repeatable_for_s(
    promise: Dedupes,
    hand_over: SendClocks,
    *,
    boot: str | None,
    uptime_s: float,
    gateway_date_s: float | None,
) -> float:
    """Return for how long the gateway certainly still knows a delivery's id; negative: no longer.

    The delivery's age is measured by the gateway's clock and, within the same boot, by this machine's
    too; the larger one counts, because a paused virtual machine misses the pause. An unknown clock,
    or one that ran backwards, counts as too late.
    """
    if gateway_date_s is None:
        return -math.inf
    ages_s = []
    if boot is not None and boot == hand_over.boot and hand_over.uptime_s is not None:
        # Without a recent look-up, the message's own timestamp is used.
        began_s = hand_over.gateway_date_s
        began_s = hand_over.timestamp_s if began_s is None else began_s
        ages_s.append(uptime_s - hand_over.uptime_s)
        ages_s.append(gateway_date_s - began_s + CLOCK_MARGIN_S)
    elif hand_over.gateway_date_s is not None:
        ages_s.append(gateway_date_s - hand_over.gateway_date_s)
    if not ages_s or min(ages_s) < 0:
        return -math.inf
    return promise.kept_s * DEDUPE_SHARE - max(ages_s)
