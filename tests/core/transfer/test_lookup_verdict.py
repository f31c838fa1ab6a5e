"""What a look-up before a delivery says (protocol, "REST", Preflight)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.lookup_verdict import FoundAt, Interaction, LookupVerdict, judge_lookup
from runner.core.transfer.states import Event, State, step

HERE, OTHER = "genesys://queue/here", "genesys://queue/other"
OURS = frozenset({"m1", "m2"})


def judged(seen: Interaction, *, preflight: bool = True) -> tuple[LookupVerdict, str | None]:
    return judge_lookup(seen, destination_uri=HERE, message_ids=OURS, preflight=preflight)


def seen(
    state: str = "active", destination_uri: str | None = OTHER, last: str | None = None
) -> Interaction:
    return Interaction("i", found=True, state=state, destination_uri=destination_uri,
                       last_transfer_id=last)  # fmt: skip


@pytest.mark.parametrize(
    ("interaction", "sight", "reason"),
    [
        (seen("active"), LookupVerdict.TRANSFERABLE, None),
        (seen("queued", None), LookupVerdict.TRANSFERABLE, None),
        (seen("active", last="foreign"), LookupVerdict.TRANSFERABLE, None),
        (seen("completed"), LookupVerdict.ENDED, "interaction is completed"),
        (seen("abandoned"), LookupVerdict.ENDED, "interaction is abandoned"),
        (seen("completed", HERE), LookupVerdict.ENDED, "interaction is completed"),
        (seen("parked"), LookupVerdict.STATE_UNKNOWN, "interaction is in the unknown state parked"),
        (seen("active", HERE), LookupVerdict.ALREADY_THERE, "already there"),
        (Interaction("i", found=False), LookupVerdict.MISSING, "interaction not found"),
        (
            seen("completed", last="m2"),
            LookupVerdict.CARRIED_OUT,
            "an earlier delivery was carried out, by its id",
        ),
        (
            seen("active", HERE, "m1"),
            LookupVerdict.CARRIED_OUT,
            "an earlier delivery was carried out, by its id",
        ),
    ],
)
def test_preflight(interaction: Interaction, sight: LookupVerdict, reason: str | None):
    assert judged(interaction) == (sight, reason)


@given(
    st.sampled_from(["active", "completed", "odd"]),
    st.sampled_from([HERE, OTHER, None]),
    st.sampled_from([None, "foreign"]),
)
def test_without_preflight_only_an_effect_of_ours_counts(
    state: str, destination_uri: str | None, last: str | None
):
    assert judged(seen(state, destination_uri, last), preflight=False) == (
        LookupVerdict.TRANSFERABLE,
        None,
    )


def test_without_preflight_an_effect_of_ours_is_seen():
    assert judged(seen(last="m1"), preflight=False)[0] is LookupVerdict.CARRIED_OUT


def test_what_each_sight_leads_to():
    assert {sight: sight.event for sight in LookupVerdict} == {
        LookupVerdict.TRANSFERABLE: None,
        LookupVerdict.CARRIED_OUT: Event.SEEN,
        LookupVerdict.ENDED: Event.EXCLUDED,
        LookupVerdict.ALREADY_THERE: Event.EXCLUDED,
        LookupVerdict.NO_LONGER_WAITING: Event.EXCLUDED,
        LookupVerdict.MOVED_ON: Event.EXCLUDED,
        LookupVerdict.BEING_SERVED: Event.EXCLUDED,
        LookupVerdict.DESTINATION_UNSEEN: Event.DENIED,
        LookupVerdict.MISSING: Event.DENIED,
        LookupVerdict.HIDDEN: Event.DENIED,
        LookupVerdict.STATE_UNKNOWN: Event.DENIED,
    }


def test_a_transfer_that_awaits_its_delivery_can_go_wherever_a_sight_leads():
    events = [sight.event for sight in LookupVerdict if sight.event is not None]
    assert [step(State.READY, event) for event in events] == [
        State.TRANSFERRED,
        State.SKIPPED,
        State.SKIPPED,
        State.SKIPPED,
        State.SKIPPED,
        State.SKIPPED,
        State.REJECTED,
        State.REJECTED,
        State.REJECTED,
        State.REJECTED,
    ]


@pytest.mark.parametrize(
    ("interaction", "sight"),
    [
        (seen("active", HERE), LookupVerdict.ALREADY_THERE),
        (seen("active", OTHER), LookupVerdict.TRANSFERABLE),
        (
            seen("completed", OTHER),
            LookupVerdict.TRANSFERABLE,
        ),  # as everything else without preflight
        (Interaction("i", found=False, destination_uri=HERE), LookupVerdict.TRANSFERABLE),
        (seen("active", HERE, "m1"), LookupVerdict.CARRIED_OUT),
    ],
)
def test_without_preflight_what_an_earlier_run_sent_is_not_sent_to_where_it_is(
    interaction: Interaction, sight: LookupVerdict
):
    told, _ = judge_lookup(
        interaction, destination_uri=HERE, message_ids=OURS, preflight=False, sent_before=True
    )
    assert told is sight
    assert judged(interaction, preflight=False)[0] in {
        LookupVerdict.TRANSFERABLE,
        LookupVerdict.CARRIED_OUT,
    }


WAITED = FoundAt(OTHER, "Billing EU")
SERVED = FoundAt(OTHER, "Billing EU", "p-1")
HELD = FoundAt("genesys://user/ada", "Ada", "p-1")


@pytest.mark.parametrize("preflight", [True, False])
@pytest.mark.parametrize(
    ("interaction", "found_at", "sight", "reason"),
    [
        (seen("queued", OTHER), WAITED, LookupVerdict.TRANSFERABLE, None),
        (seen("queued", OTHER.upper()), WAITED, LookupVerdict.TRANSFERABLE, None),
        (seen("active", "genesys://user/u"), WAITED, LookupVerdict.NO_LONGER_WAITING, "no longer waiting in Billing EU"),
        (seen("queued", "genesys://queue/third"), WAITED, LookupVerdict.NO_LONGER_WAITING, "no longer waiting in Billing EU"),
        (seen("active", None), WAITED, LookupVerdict.NO_LONGER_WAITING, "no longer waiting in Billing EU"),
        (
            Interaction("i", found=True, state="active", handles={"participant_id": "p-1"}),
            SERVED,
            LookupVerdict.TRANSFERABLE,
            None,
        ),
        (
            Interaction("i", found=True, state="active", handles={"participant_id": "p-2"}),
            SERVED,
            LookupVerdict.NO_LONGER_WAITING,
            "no longer with the agent who served it in Billing EU",
        ),
        (
            seen("active", "genesys://user/bob"),
            HELD,
            LookupVerdict.NO_LONGER_WAITING,
            "no longer with Ada",
        ),
        (
            seen("queued", OTHER),
            SERVED,
            LookupVerdict.NO_LONGER_WAITING,
            "no longer with the agent who served it in Billing EU",
        ),
    ],
)  # fmt: skip
def test_what_a_selection_found_is_fit_only_where_it_was_found(
    interaction: Interaction,
    found_at: FoundAt,
    sight: LookupVerdict,
    reason: str | None,
    *,
    preflight: bool,
):
    told = judge_lookup(
        interaction,
        destination_uri=HERE,
        message_ids=OURS,
        preflight=preflight,
        found_at=found_at,
    )
    assert told == (sight, reason)


def test_what_has_ended_or_is_there_already_is_said_to_be_so_though_it_left_where_it_was_found():
    for interaction, sight in (
        (seen("completed"), LookupVerdict.ENDED),
        (seen("active", HERE), LookupVerdict.ALREADY_THERE),
    ):
        told, _ = judge_lookup(
            interaction, destination_uri=HERE, message_ids=OURS, preflight=True, found_at=WAITED
        )
        assert told is sight


@pytest.mark.parametrize("preflight", [True, False])
def test_what_this_client_is_not_shown_is_rejected_with_the_gateways_words(*, preflight: bool):
    hidden = Interaction("i", found=True, refusal="not.authorized (403)")
    assert judged(hidden, preflight=preflight) == (LookupVerdict.HIDDEN, "not.authorized (403)")


@pytest.mark.parametrize("verdict", LookupVerdict)
def test_what_keeps_a_transfer_from_its_delivery_has_a_cause(verdict: LookupVerdict):
    is_fit = verdict is LookupVerdict.TRANSFERABLE
    assert (verdict.code is None) == (verdict.event is None) == is_fit


def expected(at: Interaction, *, preflight: bool = False) -> tuple[LookupVerdict, str | None]:
    return judge_lookup(
        at,
        destination_uri=HERE,
        message_ids=OURS,
        preflight=preflight,
        expected_destination_uri=OTHER,
    )


ELSEWHERE = "genesys://queue/elsewhere"


@pytest.mark.parametrize("preflight", [False, True])
@pytest.mark.parametrize(
    ("interaction", "verdict", "reason"),
    [
        (seen("queued", OTHER), LookupVerdict.TRANSFERABLE, None),
        (seen("queued", "genesys://queue/%6Fther"), LookupVerdict.TRANSFERABLE, None),
        (seen("active", OTHER), LookupVerdict.BEING_SERVED, "being served"),
        (
            seen("queued", ELSEWHERE),
            LookupVerdict.MOVED_ON,
            f"moved on: it is at {ELSEWHERE}",
        ),
        (
            seen("active", ELSEWHERE),
            LookupVerdict.MOVED_ON,
            f"moved on: it is at {ELSEWHERE}",
        ),
        (
            seen("queued", None),
            LookupVerdict.DESTINATION_UNSEEN,
            "the gateway shows no destination to compare with the expected one",
        ),
        (seen("active", HERE), LookupVerdict.ALREADY_THERE, "already there"),
        (seen("completed", OTHER), LookupVerdict.ENDED, "interaction is completed"),
        (Interaction("i", found=False), LookupVerdict.MISSING, "interaction not found"),
        (
            seen("queued", OTHER, "m1"),
            LookupVerdict.CARRIED_OUT,
            "an earlier delivery was carried out, by its id",
        ),
    ],
)
def test_an_expected_interaction_is_moved_only_while_it_waits_there(
    interaction: Interaction,
    verdict: LookupVerdict,
    reason: str | None,
    preflight: bool,  # noqa: FBT001 - a parameter
):
    assert expected(interaction, preflight=preflight) == (verdict, reason)


def test_what_is_not_where_it_is_expected_is_skipped_and_what_shows_nothing_is_rejected():
    skips = {LookupVerdict.MOVED_ON, LookupVerdict.BEING_SERVED}
    assert {step(State.READY, verdict.event) for verdict in skips if verdict.event} == {
        State.SKIPPED
    }
    assert LookupVerdict.DESTINATION_UNSEEN.event is Event.DENIED
