"""What a look-up before a delivery says (protocol, "REST", Preflight)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.lookup_verdict import FoundAt, Interaction, Sight, judge_sight
from runner.core.transfer.states import Event, State, step

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
        Sight.ELSEWHERE: Event.EXCLUDED,
        Sight.MISSING: Event.DENIED,
        Sight.HIDDEN: Event.DENIED,
        Sight.STRANGE: Event.DENIED,
    }


def test_a_transfer_that_awaits_its_delivery_can_go_wherever_a_sight_leads():
    events = [sight.event for sight in Sight if sight.event is not None]
    assert [step(State.READY, event) for event in events] == [
        State.TRANSFERRED,
        State.SKIPPED,
        State.SKIPPED,
        State.SKIPPED,
        State.REJECTED,
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


WAITED = FoundAt(OTHER, "Billing EU")
SERVED = FoundAt(OTHER, "Billing EU", "p-1")


@pytest.mark.parametrize("preflight", [True, False])
@pytest.mark.parametrize(
    ("interaction", "found_at", "sight", "reason"),
    [
        (seen("queued", OTHER), WAITED, Sight.FIT, None),
        (seen("queued", OTHER.upper()), WAITED, Sight.FIT, None),
        (seen("active", "genesys://user/u"), WAITED, Sight.ELSEWHERE, "no longer waiting in Billing EU"),
        (seen("queued", "genesys://queue/third"), WAITED, Sight.ELSEWHERE, "no longer waiting in Billing EU"),
        (seen("active", None), WAITED, Sight.ELSEWHERE, "no longer waiting in Billing EU"),
        (
            Interaction("i", found=True, state="active", handles={"participant_id": "p-1"}),
            SERVED,
            Sight.FIT,
            None,
        ),
        (
            Interaction("i", found=True, state="active", handles={"participant_id": "p-2"}),
            SERVED,
            Sight.ELSEWHERE,
            "no longer with the agent who served it in Billing EU",
        ),
        (
            seen("queued", OTHER),
            SERVED,
            Sight.ELSEWHERE,
            "no longer with the agent who served it in Billing EU",
        ),
    ],
)  # fmt: skip
def test_what_a_selection_found_is_fit_only_where_it_was_found(
    interaction: Interaction,
    found_at: FoundAt,
    sight: Sight,
    reason: str | None,
    *,
    preflight: bool,
):
    told = judge_sight(
        interaction,
        destination_uri=HERE,
        message_ids=OURS,
        preflight=preflight,
        found_at=found_at,
    )
    assert told == (sight, reason)


def test_what_has_ended_or_is_there_already_is_said_to_be_so_though_it_left_where_it_was_found():
    for interaction, sight in (
        (seen("completed"), Sight.ENDED),
        (seen("active", HERE), Sight.THERE),
    ):
        told, _ = judge_sight(
            interaction, destination_uri=HERE, message_ids=OURS, preflight=True, found_at=WAITED
        )
        assert told is sight


@pytest.mark.parametrize("preflight", [True, False])
def test_what_this_client_is_not_shown_is_rejected_with_the_gateways_words(*, preflight: bool):
    hidden = Interaction("i", found=True, refusal="not.authorized (403)")
    assert judged(hidden, preflight=preflight) == (Sight.HIDDEN, "not.authorized (403)")
