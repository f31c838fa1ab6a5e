"""What a look-up before a delivery says (protocol, "REST", Preflight)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.sight import Interaction, Sight, judge_sight
from runner.core.transfer import Event, State, step

HERE, OTHER = "genesys://queue/here", "genesys://queue/other"
OURS = frozenset({"m1", "m2"})


def judged(seen: Interaction, *, preflight: bool = True) -> tuple[Sight, str | None]:
    return judge_sight(seen, destination_uri=HERE, message_ids=OURS, preflight=preflight)


def seen(
    state: str = "active", destination_uri: str | None = OTHER, last: str | None = None
) -> Interaction:
    return Interaction("i", found=True, state=state, destination_uri=destination_uri,
                       last_transfer_id=last)  # fmt: skip


@pytest.mark.parametrize(
    ("interaction", "sight", "reason"),
    [
        (seen("active"), Sight.FIT, None),
        (seen("queued", None), Sight.FIT, None),
        (seen("active", last="foreign"), Sight.FIT, None),
        (seen("completed"), Sight.ENDED, "interaction is completed"),
        (seen("abandoned"), Sight.ENDED, "interaction is abandoned"),
        (seen("completed", HERE), Sight.ENDED, "interaction is completed"),
        (seen("parked"), Sight.STRANGE, "interaction is in the unknown state parked"),
        (seen("active", HERE), Sight.THERE, "already there"),
        (Interaction("i", found=False), Sight.MISSING, "interaction not found"),
        (
            seen("completed", last="m2"),
            Sight.OURS,
            "an earlier delivery was carried out, by its id",
        ),
        (seen("active", HERE, "m1"), Sight.OURS, "an earlier delivery was carried out, by its id"),
    ],
)
def test_preflight(interaction: Interaction, sight: Sight, reason: str | None):
    assert judged(interaction) == (sight, reason)


@given(
    st.sampled_from(["active", "completed", "odd"]),
    st.sampled_from([HERE, OTHER, None]),
    st.sampled_from([None, "foreign"]),
)
def test_without_preflight_only_an_effect_of_ours_counts(
    state: str, destination_uri: str | None, last: str | None
):
    assert judged(seen(state, destination_uri, last), preflight=False) == (Sight.FIT, None)


def test_without_preflight_an_effect_of_ours_is_seen():
    assert judged(seen(last="m1"), preflight=False)[0] is Sight.OURS


def test_what_each_sight_leads_to():
    assert {sight: sight.event for sight in Sight} == {
        Sight.FIT: None,
        Sight.OURS: Event.SEEN,
        Sight.ENDED: Event.EXCLUDED,
        Sight.THERE: Event.EXCLUDED,
        Sight.MISSING: Event.DENIED,
        Sight.STRANGE: Event.DENIED,
    }


def test_a_transfer_that_awaits_its_delivery_can_go_wherever_a_sight_leads():
    events = [sight.event for sight in Sight if sight.event is not None]
    assert [step(State.READY, event) for event in events] == [
        State.TRANSFERRED,
        State.SKIPPED,
        State.SKIPPED,
        State.REJECTED,
        State.REJECTED,
    ]


@pytest.mark.parametrize(
    ("interaction", "sight"),
    [
        (seen("active", HERE), Sight.THERE),
        (seen("active", OTHER), Sight.FIT),
        (seen("completed", OTHER), Sight.FIT),  # as everything else without preflight
        (Interaction("i", found=False, destination_uri=HERE), Sight.FIT),
        (seen("active", HERE, "m1"), Sight.OURS),
    ],
)
def test_without_preflight_what_an_earlier_run_sent_is_not_sent_to_where_it_is(
    interaction: Interaction, sight: Sight
):
    told, _ = judge_sight(
        interaction, destination_uri=HERE, message_ids=OURS, preflight=False, sent_before=True
    )
    assert told is sight
    assert judged(interaction, preflight=False)[0] in {Sight.FIT, Sight.OURS}
