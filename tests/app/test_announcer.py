"""Messages tell of a run's events, once, without delaying or changing anything."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from runner.app.announcer import Announcer
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import (
    Environment,
    GatewayConstraints,
    Manifest,
    Notification,
    Policy,
    Secret,
)
from runner.core.records.run_record import Figures, NotificationRecord
from runner.core.records.summary import Summary, summarize
from runner.gateways.interaction_transfer.spec import SPEC
from runner.notify.apprise_delivery import SUPPRESSED, deliver
from runner.notify.messenger import MOST_WAITING, Message, Messenger
from runner.ports import Note, Progress
from runner.testing.observer import RecordingObserver
from tests.foreign.receiver import Receiver
from tests.foreign.wire import WebResponse

URL = Secret("json://pager.example.net/canary-token")


@dataclass
class Post:
    """Stands in for the services: keeps messages, and answers each with `why`."""

    why: str | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, url: str, title: str, body: str, *, simulated: bool) -> str | None:
        assert url == URL.reveal()
        assert simulated is False
        self.gate.wait(60)
        self.seen.append((title, body))
        return self.why


def manifest(*on: str) -> Manifest:
    target = Notification("notify[0]", URL, frozenset(on)) if on else Notification("notify[0]", URL)
    return Manifest(
        path="m.yaml",
        sha256="a" * 64,
        name="night",
        environment=Environment("production", SPEC, "edge"),
        gateway=GatewayConstraints("edge", 1000, ("opus",), 30),
        callbacks={},
        policy=Policy(),
        notify=(target,),
    )


def announcer(
    post: Post, *on: str, clock: list[float] | None = None
) -> tuple[Announcer, RecordingObserver]:
    told, observer = manifest(*on), RecordingObserver()
    now = clock or [0.0]
    messenger = Messenger(told.notify, simulated=False, deliver=post)
    return Announcer(told, observer, lambda: now[0], messenger), observer


def progress(doubts: int = 0) -> Progress:
    return Progress(9, 0, {"in_doubt": doubts}, in_flight=0, sent=0, rate_per_s=None)


def summary() -> Summary:
    return summarize(iter(()), Figures())


def titles(post: Post) -> Counter[str]:
    return Counter(title.removeprefix("night (production) ") for title, _ in post.seen)


def test_a_run_is_told_of_from_begin_to_end():
    post = Post()
    told, _ = announcer(post)
    told.noticed("planned", run="run-1")
    told.progressed(progress())
    told.noticed(Note.WAVE_HELD, wave=2, by="pause")
    told.noticed("control: pause", by="alice", why="the CRM is down")
    told.warned(Note.CIRCUIT_OPEN)
    told.progressed(progress())
    record = told.ended(ExitCode.STOPPED, summary(), "the window closed", early=True)
    assert titles(post) == {"began": 1, "waits": 3, "ended early": 1}
    assert record == NotificationRecord(sent=5, suppressed=0, failed=0)
    assert "stopped (exit code 5)" in post.seen[-1][1]
    assert "the window closed" in post.seen[-1][1]
    assert all("run run-1 on " in body for _, body in post.seen)


def test_only_what_an_address_asks_for_is_sent_to_it():
    post = Post()
    told, _ = announcer(post, "stopped")
    told.progressed(progress(1))
    told.ended(ExitCode.OK, summary(), None, early=False)
    assert post.seen == []
    told, _ = announcer(post, "stopped")
    told.ended(ExitCode.UNREACHABLE, summary(), None, early=True)
    assert titles(post) == {"ended early": 1}


def test_a_run_that_was_stopped_and_has_doubts_is_told_of_as_both():
    """A doubt makes the exit code 6, whatever stopped the run."""
    for event in ("stopped", "in_doubt"):
        post = Post()
        told, _ = announcer(post, event)
        told.ended(ExitCode.IN_DOUBT, summary(), "the window closed", early=True)
        assert titles(post) == {"ended early": 1}
        assert "in-doubt (exit code 6)" in post.seen[-1][1]


def test_doubts_are_told_of_once_a_minute():
    post, clock = Post(), [0.0]
    told, _ = announcer(post, "in_doubt", clock=clock)
    for now, doubts in ((0.0, 1), (1.0, 2), (59.0, 3), (60.0, 4), (200.0, 4)):
        clock[0] = now
        told.progressed(progress(doubts))
    told.ended(ExitCode.IN_DOUBT, summary(), None, early=False)
    assert [body.split()[0] for title, body in post.seen if "doubts" in title] == ["1", "4"]
    assert titles(post)["ended"] == 1


def test_a_run_with_nothing_to_do_is_not_told_of():
    post = Post()
    told, _ = announcer(post)
    told.noticed("planned", run="run-1")
    told.ended(ExitCode.OK, summary(), None, early=False)
    assert post.seen == []


def test_a_failure_is_warned_of_and_recorded_without_the_address():
    post = Post("the service did not accept it, or could not be reached")
    told, observer = announcer(post, "finished")
    told.progressed(progress())
    record = told.ended(ExitCode.OK, summary(), None, early=False)
    assert record is not None
    [failure] = record.failures
    assert (failure.event, failure.to) == ("finished", "notify[0]")
    assert "canary" not in repr((record, observer))


def test_an_address_that_hangs_delays_no_event_and_the_end_by_its_limit():
    post = Post()
    post.gate.clear()
    [target] = manifest().notify
    messenger = Messenger([target], simulated=False, deliver=post)
    message = Message(frozenset({"held"}), "t", "b")
    for _ in range(MOST_WAITING + 10):
        messenger.send(message)
    messenger.close(0.0)
    record = messenger.record()
    assert {each.why for each in record.failures} == {
        "too many messages wait for this address",
        "no answer within 0 s of the run's end",
    }
    post.gate.set()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library's own imports
def test_apprise_delivers_to_a_webhook_and_reports_a_refusal():
    with Receiver() as receiver:
        url = receiver.url.replace("http://", "json://")
        assert deliver(url, "title", "body", simulated=True) is None
        assert b'"title"' in receiver.requests[0].body
        receiver.answer = WebResponse(500)
        why = deliver(url, "title", "body", simulated=False)
        assert why == "the service did not accept it, or could not be reached"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_rehearsal_calls_nothing_but_loopback():
    for url in ("json://192.0.2.1/canary", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"):
        assert deliver(url, "t", "b", simulated=True) == SUPPRESSED
    unknown = "its address is not one that Apprise knows"
    assert deliver("bogus://canary", "t", "b", simulated=False) == unknown
