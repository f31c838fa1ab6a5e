"""The way of one transfer: what is sent, in which order it is durable, what it comes to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Callback, Limits, Policy, RetryPolicy
from runner.core.transfer.doubt_evidence import VISIBLE_S
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import NOTE_LIMIT
from runner.core.transfer.states import State, classify
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, FakeGateway, Frame
from runner.testing.journal import FakeJournal
from runner.testing.loop_clock import WALL_S
from tests.engine.builders import HD, HERE, NARROW, past, rows
from tests.engine.harness import Run, after, run_batch

PREFLIGHT = Policy(preflight=True, retry=RetryPolicy(4, 1, 30))


def error(kind: type[GatewayError] = GatewayError, what: str = "503 for ever") -> GatewayError:
    return kind(environment="test", url="https://gw.example.net", what=what, check="wait")


def seen(state: str = "active", destination_uri: str | None = None) -> Interaction:
    return Interaction("i0", found=True, state=state, destination_uri=destination_uri)


# The plain way


def test_every_row_is_moved_once_and_the_run_ends_well():
    run = run_batch(7)
    assert run.states() == {f"k{n}": "transferred" for n in range(7)}
    assert sorted(f.interaction_id for f in run.gateway.moves) == [f"i{n}" for n in range(7)]
    assert (run.ending.halted, run.ending.error, run.gateway.closed) == (None, None, 1)
    assert run.commits == 7
    assert run.journal.events("k3") == ["intent", "accepted"]


def test_intent_is_durable_before_the_frame_and_the_frame_is_its_very_text():
    run = run_batch(5)
    for kind, frame in run.gateway.log:
        if kind == "frame":
            before = run.gateway.log[: run.gateway.log.index((kind, frame))]
            texts = [e.intent.text for k, e in before if k == "entry" and e.intent is not None]
            assert frame.text in texts


def test_a_message_says_what_the_row_wants_and_when_it_was_built():
    run = run_batch(1)
    (frame,) = run.frames
    assert frame.body["interaction_id"] == "i0"
    assert frame.body["destination_uri"] == HERE
    assert frame.body["media_matrix"] == HD.to_json()
    assert frame.body["timestamp"].startswith("2027-01-15T08:00:00.")
    intent, accepted = run.journal.entries
    assert intent.at - WALL_S == pytest.approx(frame.at, abs=0.01)
    assert accepted.sent_at == pytest.approx(WALL_S + frame.at, abs=1e-6)
    assert accepted.latency_ms == pytest.approx(20, abs=0.01)


def test_what_was_negotiated_is_recorded():
    media = {"audio": {"codec": "g722"}}
    run = run_batch(1, Answer("codec_negotiated", media=media, reason="fine"))
    assert run.journal.entries[-1].media == media
    assert (run.reason(), run.journal.entries[-1].status) == ("fine", "codec_negotiated")


def test_latency_runs_to_the_reply_not_to_the_commit():
    run = run_batch(1, Answer("transfer_initiated", 0.125), journal=FakeJournal(commit_s=0.5))
    assert run.journal.entries[-1].latency_ms == pytest.approx(125, abs=0.01)


def test_a_plan_longer_than_a_page_is_read_to_its_end():
    run = run_batch(1234)
    assert len(run.gateway.moves) == 1234


# Definite answers


@pytest.mark.parametrize(
    "status",
    [
        "interaction_not_found",
        "interaction_terminated",
        "destination_unreachable",
        "destination_invalid",
        "format_invalid",
        "bandwidth_exceeded",
        "not_authorized",
        "transfer_rejected",
    ],
)
def test_a_definite_no_is_rejected_with_the_gateways_reason(status: str):
    run = run_batch(1, Answer(status, reason="because"))
    assert run.states() == {"k0": "rejected"}
    assert (len(run.frames), run.reason()) == (1, "because")


def test_the_ladder_of_media_is_climbed_with_new_ids():
    run = run_batch(rows(1, media=(HD, NARROW)), "codec_unsupported", CARRIED_OUT)
    assert [f.body["media_matrix"] for f in run.frames] == [HD.to_json(), NARROW.to_json()]
    assert run.journal.events("k0") == ["intent", "unsuited", "intent", "accepted"]
    assert len({f.message_id for f in run.frames}) == 2


def test_a_ladder_that_ends_is_rejected():
    run = run_batch(rows(1, media=(HD, NARROW)), "codec_unsupported")
    assert run.journal.events("k0") == ["intent", "unsuited", "intent", "unsuited", "denied"]
    assert (run.states(), run.reason()) == ({"k0": "rejected"}, "codec_unsupported")


def test_retries_are_counted_for_each_matrix():
    policy = Policy(preflight=False, retry=RetryPolicy(2, 1, 30))
    run = run_batch(
        rows(1, media=(HD, NARROW)),
        "rate_limited", "codec_unsupported", "rate_limited", "transfer_initiated",
        policy=policy,
    )  # fmt: skip
    assert run.states() == {"k0": "transferred"}
    assert len(run.frames) == 4


def test_too_fast_is_waited_out_as_told_and_sent_anew():
    run = run_batch(1, Answer("rate_limited", retry_after_s=7), CARRIED_OUT)
    first, second = run.frames
    assert 7.02 <= second.at - first.at < 7.2
    assert first.message_id != second.message_id
    assert run.ending.figures.throttled == 1


def test_429_without_a_status_is_too_fast():
    run = run_batch(1, Answer(code=429, retry_after_s=1), CARRIED_OUT)
    assert run.journal.events("k0") == ["intent", "limited", "intent", "accepted"]
    limited = run.journal.entries[1]
    assert (limited.status, limited.reason) == ("429", "code 429")


def test_without_retry_after_the_wait_doubles_with_jitter():
    run = run_batch(1, "rate_limited")
    gaps = [b - a - 0.02 for a, b in zip(run.times, run.times[1:], strict=False)]
    assert gaps == [
        pytest.approx(expected, abs=1.2)  # half the way from 1 s to 2, 4, 8, and its turn
        for expected in (1.5, 2.5, 4.5)
    ]


def test_attempts_used_up_are_failed():
    run = run_batch(1, "rate_limited")
    assert (len(run.frames), run.states()) == (4, {"k0": "failed"})
    assert run.journal.events("k0") == ["intent", "limited"] * 4 + ["exhausted"]
    assert run.ending.halted is None


def test_a_retry_after_beyond_three_minutes_ends_the_run():
    run = run_batch(30, Answer("rate_limited", retry_after_s=181), limits=None)
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation is not None
    assert "181 s" in run.ending.explanation
    assert set(run.states().values()) == {"ready"}
    assert len(run.frames) == 30  # all in flight at once, none again


def test_three_minutes_are_waited_out():
    run = run_batch(1, Answer("rate_limited", retry_after_s=180), CARRIED_OUT)
    assert run.states() == {"k0": "transferred"}
    assert run.took_s > 180


# Doubt


def test_silence_is_in_doubt_and_never_sent_again():
    run = run_batch(1, SILENCE)
    assert run.journal.events("k0") == ["intent", "lost"]
    assert (run.states(), run.reason()) == ({"k0": "unknown"}, "no reply within 10 s")
    assert len(run.frames) == 1


@pytest.mark.parametrize("answer", [Answer("pending"), Answer("duplicate"), Answer(code=500)])
def test_an_unlisted_answer_is_in_doubt(answer: Answer):
    run = run_batch(1, answer)
    assert run.states() == {"k0": "unknown"}
    assert run.reason() in {"pending", "duplicate", "code 500"}
    assert len(run.frames) == 1


def test_a_lost_session_puts_in_doubt_what_was_in_flight_and_the_rest_goes_on():
    gateway = FakeGateway(script=lambda f: [] if f.generation == 1 else [CARRIED_OUT])
    run = run_batch(
        70, gateway=gateway, meanwhile=lambda r: after(1, lambda: r.gateway.lose(1011, "boom"))
    )
    states = list(run.states().values())
    assert (states.count("unknown"), states.count("transferred")) == (64, 6)
    assert run.reason("k0") == "the session ended (close 1011: boom) before a reply came"
    assert [(c.code, c.reason) for c in run.ending.figures.session_closes] == [
        (1011, "boom"),
        (1000, "session terminated"),
    ]
    assert run.ending.figures.sessions_opened == 2
    assert [n["generation"] for n in run.noted("session opened")] == [1, 2]


def test_a_normal_close_is_no_better():
    run = run_batch(1, SILENCE, meanwhile=lambda r: after(1, lambda: r.gateway.lose(1000)))
    assert run.states() == {"k0": "unknown"}
    assert run.took_s < 5


def test_a_write_that_breaks_is_unknown_not_unsent():
    """Once the write has been entered, every way out without a reply is unknown."""
    run = run_batch(1, SILENCE, gateway=FakeGateway(breaks=error()))
    assert run.journal.state("k0") is State.SENDING  # in doubt, whoever reads it
    assert run.ending.halted is ExitCode.BUG
    assert len(run.frames) == 1


# Replies that nobody waits for any more


def silent_about(*interactions: str) -> FakeGateway:
    """Return a gateway whose look-ups never show an effect on these."""
    return FakeGateway(sights={i: Interaction(i, found=True, state="active") for i in interactions})


def late(frame: Frame, status: str = "transfer_initiated") -> list[Answer]:
    """Answer the first interaction late, and keep the run going with the others."""
    if frame.interaction_id == "i0":
        return [Answer(status, 12)]
    return [Answer("rate_limited", retry_after_s=15) if frame.nth == 1 else CARRIED_OUT]


def test_a_late_positive_reply_settles_the_doubt():
    run = run_batch(2, script=late, gateway=silent_about("i0"))
    assert run.states() == {"k0": "transferred", "k1": "transferred"}
    assert run.journal.events("k0") == ["intent", "lost", "accepted"]
    assert run.reason("k0") == "transfer_initiated"
    settled = [entry for entry in run.journal.entries if entry.row.key == "k0"][-1]
    assert settled.latency_ms == pytest.approx(12_000, abs=5)
    assert run.observer.progress[-1].outcomes == {"transferred": 2}


def test_a_late_reply_in_the_gateways_own_words_settles_too():
    gateway = silent_about("i0")
    gateway.meaning = partial(classify, carried_out=frozenset({"accepted"}))
    run = run_batch(2, script=lambda f: late(f, "accepted"), gateway=gateway)
    assert run.states() == {"k0": "transferred", "k1": "transferred"}


def test_a_gateways_own_statuses_are_obeyed():
    gateway = FakeGateway(
        lambda f: [Answer("busy" if f.interaction_id == "i0" else "accepted")],
        meaning=partial(
            classify, carried_out=frozenset({"accepted"}), not_carried_out=frozenset({"busy"})
        ),
    )
    run = run_batch(2, gateway=gateway)
    assert run.states() == {"k0": "rejected", "k1": "transferred"}


def test_a_late_negative_reply_settles_nothing():
    run = run_batch(2, script=lambda f: late(f, "transfer_rejected"), gateway=silent_about("i0"))
    assert run.states() == {"k0": "unknown", "k1": "transferred"}
    text = '{"message_id": "m1", "status": "transfer_rejected"}'
    assert run.noted("unclaimed reply") == [
        {"message_id": "m1", "status": "transfer_rejected", "text": text}
    ]


def test_an_unclaimed_replys_note_has_its_text_cut():
    said = Answer("pending", reason="ä" * 600).reply_to("stranger")
    run = run_batch(
        1, Answer("transfer_initiated", 1),
        meanwhile=lambda r: after(0.5, lambda: r.gateway.listener.replied(said)),
    )  # fmt: skip
    (note,) = run.noted("unclaimed reply")
    assert note["text"].startswith('{"message_id": "stranger", "status": "pending", "reason": "ää')
    assert len(note["text"]) == NOTE_LIMIT


def test_a_positive_reply_cancels_a_retry_that_waits():
    """The first delivery is answered twice: too fast, then carried out."""
    run = run_batch(1, script=lambda _: [Answer("rate_limited"), Answer("transfer_initiated", 0.5)])
    assert run.states() == {"k0": "transferred"}
    assert len(run.frames) == 1
    assert run.journal.events("k0") == ["intent", "limited", "accepted"]


@pytest.mark.parametrize(
    "second", ["rate_limited", "transfer_rejected", "codec_unsupported", "pending", None]
)
def test_a_positive_reply_to_the_first_delivery_holds_whatever_the_second_is_told(
    second: str | None,
):
    policy = Policy(preflight=False, retry=RetryPolicy(2, 1, 1))
    run = run_batch(
        1,
        script=lambda f: (
            [Answer("rate_limited", retry_after_s=1), Answer("transfer_initiated", 1.6)]
            if f.nth == 1
            else [Answer(second, 2, effect=False)]
        ),
        policy=policy,
        gateway=silent_about("i0"),
    )
    assert len(run.frames) == 2
    assert run.states() == {"k0": "transferred"}
    assert run.ending.halted is None
    assert run.ending.figures.throttled in {1, 2}


def test_a_no_that_is_contradicted_by_a_doubled_yes_is_transferred_once():
    """The journal's compare-and-set must not be tried by both."""
    yes = Answer("transfer_initiated", 0.5)
    run = run_batch(
        2,
        script=lambda f: (
            [Answer("transfer_rejected"), yes, yes, yes]
            if f.interaction_id == "i0"
            else [Answer("transfer_initiated", 2)]
        ),
    )
    assert run.states() == {"k0": "transferred", "k1": "transferred"}
    assert run.journal.events("k0") == ["intent", "denied", "accepted"]
    assert run.ending.halted is None
    assert run.observer.progress[-1].outcomes == {"transferred": 2}


def test_a_positive_reply_for_an_earlier_run_settles_its_transfer():
    old = rows(9)[8]
    journal = FakeJournal(past=past("old", State.UNKNOWN, old))
    run = run_batch(
        1,
        Answer("transfer_initiated", 2),
        journal=journal,
        meanwhile=lambda r: after(
            1, lambda: r.gateway.listener.replied(Answer("codec_negotiated").reply_to("old"))
        ),
    )
    (late,) = [e for e in run.journal.entries if e.row.key == "k8"]
    assert (late.event, late.state, late.version) == ("accepted", "transferred", 3)
    assert run.observer.progress[-1].outcomes == {"transferred": 1}, "it is none of this run's"


def test_a_positive_reply_for_an_earlier_delivery_stops_the_next_one_of_its_lineage():
    """The same interaction, taken up again after a no, must not be moved a second time."""
    row = rows(1, lineage=40)[0]
    journal = FakeJournal(past=past("old", State.REJECTED, row))
    gateway = FakeGateway(stalled=True)

    async def meanwhile(_run: Run) -> None:
        await after(
            0.2, lambda: gateway.listener.replied(Answer("transfer_initiated").reply_to("old"))
        )
        gateway.stalled = False

    run = run_batch([row], gateway=gateway, journal=journal, meanwhile=meanwhile)
    assert run.frames == []
    assert run.states() == {"k0": "transferred"}


def test_positive_replies_settle_however_many_strangers_came_before():
    old = rows(9)[8]
    journal = FakeJournal(past=past("old", State.UNKNOWN, old))

    def flood(run: Run) -> None:
        for n in range(1500):
            run.gateway.listener.replied(Answer("pending").reply_to(f"stranger-{n}"))
        run.gateway.listener.replied(Answer("transfer_initiated").reply_to("old"))

    run = run_batch(
        1,
        Answer("transfer_initiated", 2),
        journal=journal,
        meanwhile=lambda r: after(1, lambda: flood(r)),
    )
    assert run.journal.events("k8") == ["accepted"]
    assert len(run.noted("unclaimed reply")) == 1000
    assert run.noted("unclaimed replies") == [{"count": 1501}]
    assert run.noted("stray frames") == []


# Look-ups before a delivery


def test_without_preflight_a_first_delivery_is_not_looked_up_and_a_second_is():
    run = run_batch(1, Answer("rate_limited", retry_after_s=1), CARRIED_OUT)
    assert len(run.gateway.look_ups) == 1
    assert run.times[0] < run.gateway.look_ups[0][0] < run.times[1]


def test_a_retry_whose_first_delivery_had_an_effect_after_all_is_not_sent():
    """Answered "too fast", yet carried out: the look-up finds our id."""
    run = run_batch(1, Answer("rate_limited", retry_after_s=1, effect=True))
    assert len(run.frames) == 1
    assert run.states() == {"k0": "transferred"}
    assert run.journal.events("k0") == ["intent", "limited", "seen"]
    assert run.journal.entries[-1].message_id == run.frames[0].message_id


@pytest.mark.parametrize("problem", [LookUpFailed, GatewayError])
def test_what_an_earlier_run_sent_is_not_sent_again_unseen(problem: type[GatewayError]):
    """Perhaps a person called it failed; the others, which nobody sent before, go on."""
    row = rows(2)[1]
    plan = [rows(1)[0], replace(row, lineage=40)]
    gateway = FakeGateway(sights={"i1": error(problem)})
    journal = FakeJournal(past=past("old", State.FAILED, plan[1]))
    run = run_batch(plan, gateway=gateway, journal=journal)
    assert run.states() == {"k0": "transferred", "k1": "failed"}
    assert run.reason("k1") == "the look-up failed: 503 for ever"
    assert run.ending.halted is None


def test_what_was_refused_in_this_run_is_sent_again_though_look_ups_are_forbidden():
    run = run_batch(
        1,
        Answer("rate_limited", retry_after_s=1),
        CARRIED_OUT,
        gateway=FakeGateway(sights={"i0": error(GatewayError)}),
    )
    assert run.states() == {"k0": "transferred"}
    assert len(run.frames) == 2


def test_an_effect_of_an_earlier_run_is_seen_by_its_id():
    row = rows(1, lineage=40)[0]
    gateway = FakeGateway(
        sights={"i0": Interaction("i0", found=True, state="active", last_transfer_id="old")}
    )
    run = run_batch(
        [row], gateway=gateway, journal=FakeJournal(past=past("old", State.FAILED, row))
    )
    assert (run.frames, run.states()) == ([], {"k0": "transferred"})
    assert run.journal.entries[0].lineage == 40
    told = {"key": "k0", "interaction_id": "i0", "message_id": "old"}
    assert ("an earlier run's delivery was carried out after all", told) in run.observer.warnings


@pytest.mark.parametrize(
    ("sight", "state", "reason"),
    [
        (seen("completed"), "skipped", "interaction is completed"),
        (seen("abandoned"), "skipped", "interaction is abandoned"),
        (seen("active", HERE), "skipped", "already there"),
        (seen("parked"), "rejected", "interaction is in the unknown state parked"),
        (Interaction("i0", found=False), "rejected", "interaction not found"),
        (error(LookUpFailed), "failed", "the look-up failed: 503 for ever"),
    ],
)
def test_preflight_settles_without_a_frame(sight: Interaction | Exception, state: str, reason: str):
    run = run_batch(1, gateway=FakeGateway(sights={"i0": sight}), policy=PREFLIGHT)
    assert (run.frames, run.states(), run.reason()) == ([], {"k0": state}, reason)
    assert run.ending.halted is None


class LaggingGateway(FakeGateway):
    """Shows once more where the interaction was before it was moved elsewhere."""

    async def look_up(self, interaction_id: str) -> Interaction:
        seen_now = await super().look_up(interaction_id)
        return seen("active", HERE) if len(self.look_ups) == 1 else seen_now


def test_what_history_says_is_elsewhere_is_believed_to_be_there_at_a_second_look_alone():
    (row,) = rows(1, was_elsewhere=True)
    run = run_batch([row], gateway=LaggingGateway(), policy=PREFLIGHT)
    assert (len(run.frames), run.states()) == (1, {"k0": "transferred"})
    moved_back = FakeGateway(sights={"i0": seen("active", HERE)})
    run = run_batch([row], gateway=moved_back, policy=PREFLIGHT)
    assert (run.frames, run.states(), len(moved_back.look_ups)) == ([], {"k0": "skipped"}, 2)
    assert moved_back.look_ups[1][0] - moved_back.look_ups[0][0] >= VISIBLE_S


def test_preflight_lets_through_what_is_fit():
    run = run_batch(3, policy=PREFLIGHT)
    assert set(run.states().values()) == {"transferred"}
    assert sorted(i for _, i in run.gateway.look_ups) == ["i0", "i1", "i2"]


def test_a_look_up_that_is_old_when_its_turn_comes_is_made_again():
    run = run_batch(
        2, Answer("transfer_initiated", 8), policy=PREFLIGHT, gateway=FakeGateway(),
        limits=Limits(in_flight=1),
    )  # fmt: skip
    looked = [at for at, interaction in run.gateway.look_ups if interaction == "i1"]
    assert run.times[1] - max(looked) <= 5


def test_without_preflight_a_failed_look_up_stops_no_retry():
    """Every delivery so far was answered with a definite no."""
    gateway = FakeGateway(sights={"i0": error(LookUpFailed)})
    run = run_batch(1, Answer("rate_limited", retry_after_s=1), CARRIED_OUT, gateway=gateway)
    assert (len(run.frames), run.states()) == (2, {"k0": "transferred"})


def test_look_ups_that_cannot_succeed_end_the_run_before_the_first_frame():
    run = run_batch(9, gateway=FakeGateway(sights={"i0": error()}), policy=PREFLIGHT)
    assert run.ending.halted in {ExitCode.STOPPED, ExitCode.UNREACHABLE}
    assert isinstance(run.ending.error, GatewayError)
    assert run.journal.state("k0") is State.READY


# Callbacks


def test_an_outcome_is_told_in_the_same_transaction():
    hook = Callback("crm", "https://crm.example.net")
    run = run_batch(rows(1, callbacks=("crm", "gone")), Answer("transfer_rejected", reason="no"),
                callbacks={"crm": hook})  # fmt: skip
    (told,) = run.journal.entries[-1].notifications
    assert (told.callback, told.outcome, told.webhook_id) == ("crm", "rejected", "msg_1")
    assert json.loads(told.body) == {
        "interaction_id": "i0",
        "key": "k0",
        "outcome": "rejected",
        "reason": "no",
        "latency_ms": pytest.approx(20, abs=0.01),
        "run": "run-1",
        "batch": "night",
    }
    assert not run.journal.entries[0].notifications


def test_only_wanted_outcomes_are_told():
    hook = Callback("crm", "https://crm.example.net", on=frozenset({"in_doubt"}))
    run = run_batch(rows(1, callbacks=("crm",)), callbacks={"crm": hook})
    assert [e.notifications for e in run.journal.entries] == [(), ()]


def test_settling_a_doubt_later_tells_again():
    hook = Callback("crm", "https://crm.example.net")

    run = run_batch(
        rows(2, callbacks=("crm",)), script=late, gateway=silent_about("i0"),
        callbacks={"crm": hook},
    )  # fmt: skip
    noted = [n.outcome for note in run.journal.notes for n in note.notifications]
    told = [n.outcome for e in run.journal.entries if e.row.key == "k0" for n in e.notifications]
    assert (noted, told) == (["in_doubt"], ["transferred"])


def test_a_session_that_is_refused_for_good_after_the_last_reply_spoils_nothing():
    """All is done: that the gateway wants nobody any more is no early end."""

    async def refused(run: Run) -> None:
        await asyncio.sleep(2)
        run.gateway.listener.gave_up(error(what="the session was closed (4403)"))

    run = run_batch(2, Answer("transfer_initiated", after_s=2), meanwhile=refused)
    assert (run.ending.halted, run.ending.error) == (None, None)
    early = run_batch(2, Answer("transfer_initiated", after_s=3), meanwhile=refused)
    assert early.ending.halted is None  # what is in flight settles, and then all is done too
    part = run_batch(2, SILENCE, meanwhile=refused)
    assert part.ending.halted is ExitCode.STOPPED
