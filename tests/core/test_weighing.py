"""What a look-up may be believed to say of a delivery in doubt."""

from __future__ import annotations

import pytest

from runner.core.transfer.doubt_evidence import Baseline, Evidence, weigh
from runner.core.transfer.lookup_verdict import Arrival, Interaction

HERE, BEFORE = "genesys://queue/here", "genesys://queue/before"


def weighed(before: tuple[str, str | None], now: tuple[str, str | None]) -> Evidence:
    """Weigh (destination, last id) as it was and as it is, for a delivery `m1` to `HERE`."""
    seen = Interaction("i1", True, "active", *now)  # noqa: FBT003 - found
    baseline = Baseline("active", *before)
    return weigh(seen, baseline=baseline, destination_uri=HERE, message_ids={"m1"})[0]


@pytest.mark.parametrize(
    ("before", "now", "evidence"),
    [
        ((BEFORE, None), (BEFORE, None), Evidence.UNTOUCHED),
        ((BEFORE, "x"), (BEFORE, "x"), Evidence.UNTOUCHED),
        ((BEFORE, None), (HERE, None), Evidence.CARRIED_OUT),
        ((BEFORE, None), (HERE, "m1"), Evidence.CARRIED_OUT),
        ((BEFORE, None), (HERE, "y"), Evidence.INCONCLUSIVE),
        ((HERE, "x"), (HERE, "x"), Evidence.UNTOUCHED),
        ((HERE, None), (HERE, None), Evidence.INCONCLUSIVE),
    ],
)
def test_only_what_would_show_an_effect_can_show_that_there_was_none(
    before: tuple[str, str | None], now: tuple[str, str | None], evidence: Evidence
):
    """It was at its destination, and look-ups tell no ids: the same sight proves nothing."""
    assert weighed(before, now) is evidence


def test_a_look_up_that_could_not_show_an_effect_proves_nothing():
    """It tells neither a place nor an id: it is the same after a move as before."""
    seen = Interaction("i1", found=True, state="active", shows_effects=False)
    told = weigh(seen, baseline=Baseline.of(seen), destination_uri=HERE, message_ids={"m1"})
    assert told == (
        Evidence.INCONCLUSIVE,
        "the same before the delivery too; an effect would not show",
    )


def arrived(*now: Arrival, before: tuple[Arrival, ...] = (), state: str = "active") -> Evidence:
    """Weigh what moves left, as it was and as it is, for a delivery to `HERE`."""
    seen = Interaction("i1", found=True, state=state, destination_uri=BEFORE, arrivals=now)
    baseline = Baseline("active", BEFORE, None, arrivals=before)
    return weigh(seen, baseline=baseline, destination_uri=HERE, message_ids={"m1"})[0]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (arrived(Arrival("p2", HERE, is_done=True)), Evidence.CARRIED_OUT),
        (arrived(Arrival("p2", HERE, is_done=True), state="completed"), Evidence.CARRIED_OUT),
        (arrived(Arrival("p2", HERE, is_done=False)), Evidence.UNDER_WAY),
        (arrived(Arrival("p2", "genesys://queue/x", is_done=True)), Evidence.INCONCLUSIVE),
        (
            arrived(Arrival("p1", HERE, is_done=True), before=(Arrival("p1", HERE, is_done=True),)),
            Evidence.UNTOUCHED,
        ),
    ],
)
def test_what_arrived_since_shows_a_move_even_when_the_interaction_has_ended(
    evidence: Evidence, expected: Evidence
):
    assert evidence is expected


def test_a_baseline_is_kept_with_what_had_arrived():
    baseline = Baseline("active", BEFORE, None, 7.0, (Arrival("p1", HERE, is_done=False),))
    assert Baseline.from_json(baseline.to_json()) == baseline
    plain = Baseline("active", BEFORE, None, 7.0)
    assert Baseline.from_json(plain.to_json()) == plain


def command(destination_uri: str | None = HERE, *, by_user: bool, is_done: bool = True) -> Arrival:
    return Arrival("t1", destination_uri, is_done, by_user=by_user)


THERE = Arrival("p2", HERE, is_done=True)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (arrived(THERE, command(by_user=True)), Evidence.INCONCLUSIVE),
        (arrived(THERE, command(None, by_user=True)), Evidence.INCONCLUSIVE),
        (arrived(command(by_user=True)), Evidence.INCONCLUSIVE),
        (arrived(THERE, command(by_user=False)), Evidence.CARRIED_OUT),
        (arrived(THERE, command(None, by_user=False), command(by_user=True)), Evidence.CARRIED_OUT),
        (arrived(THERE, command("genesys://user/u", by_user=True)), Evidence.CARRIED_OUT),
        (
            arrived(THERE, command(by_user=True), before=(command(by_user=True),)),
            Evidence.CARRIED_OUT,
        ),
        (arrived(THERE, command(by_user=True, is_done=False)), Evidence.UNDER_WAY),
        (arrived(THERE, command(None, by_user=True, is_done=False)), Evidence.UNDER_WAY),
        (
            arrived(THERE, command(by_user=True, is_done=False), command(by_user=False)),
            Evidence.CARRIED_OUT,
        ),
    ],
)
def test_who_gave_the_command_that_led_there_counts(evidence: Evidence, expected: Evidence):
    assert evidence is expected


def test_what_a_person_moved_is_said_to_have_been_moved_by_somebody_else():
    seen = Interaction("i1", found=True, state="active", destination_uri=HERE,
                       arrivals=(THERE, command(by_user=True)))  # fmt: skip
    told = weigh(
        seen, baseline=Baseline("active", BEFORE, None), destination_uri=HERE, message_ids={"m1"}
    )
    assert told == (Evidence.INCONCLUSIVE, "moved by somebody else")


def test_what_this_client_is_not_shown_settles_no_doubt():
    seen = Interaction("i1", found=True, refusal="not.authorized (403)")
    told = weigh(
        seen, baseline=Baseline("active", BEFORE, None), destination_uri=HERE, message_ids={"m1"}
    )
    assert told == (Evidence.INCONCLUSIVE, "not.authorized (403)")


def test_a_baseline_keeps_who_gave_a_command_and_reads_those_that_do_not():
    baseline = Baseline("active", BEFORE, None, arrivals=(THERE, command(by_user=True)))
    kept = baseline.to_json()
    assert kept["arrivals"] == [["p2", HERE, True], ["t1", HERE, True, True]]
    read = Baseline.from_json(kept).arrivals
    assert [each.by_user for each in read] == [None, True]
