"""Workers carry what is submitted by their own configuration, hand over, and follow orders."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import yaml

from runner.app.health import serving
from runner.app.journal_adopt import adopt_database
from runner.app.run_options import RunOptions
from runner.app.submit import (
    cancel_submission,
    drain_worker,
    fleet_state,
    moment_of,
    submit_manifest,
    waiting,
)
from runner.app.worker import Worker
from runner.app.worker_config import read_config
from runner.app.worker_metrics import WorkerMetrics
from runner.core.errors import ManifestInvalid, Unfit, UsageError
from runner.core.journal_location import JournalLocation
from runner.journals import fleet_at, fleet_worker_at
from runner.ports.fleet import NewSubmission, Submission, SubmissionState
from runner.testing.observer import RecordingObserver
from tests.e2e.harness import manifest, transfer
from tests.foreign.gateway import CLIENT_ID, CLIENT_SECRET, Gateway
from tests.foreign.script import Step
from tests.postgres_server import connect, execute, fresh_database

PATIENCE_S = 120.0
TTL_S = 60.0  # nothing here waits for the end of a lease
SHARED = ("environments", "gateways", "callbacks")


@dataclass
class Site:
    """A gateway, a journal, and workers in threads of this process."""

    folder: Path
    gateway: Gateway
    journal: JournalLocation
    open: ExitStack
    workers: list[tuple[Worker, threading.Thread]] = field(default_factory=list)
    observers: list[RecordingObserver] = field(default_factory=list)

    def manifest(self, n: int, **fields: Any) -> dict[str, Any]:
        rows = [transfer(f"i-{k}") for k in range(n)]
        return manifest(self.gateway, rows, **{"limits": {"rate": "100/s"}, **fields})

    def write(self, content: Mapping[str, Any], name: str = "batch.yaml") -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(dict(content), sort_keys=False))
        return path

    def start(
        self, content: Mapping[str, Any], name: str = "w1", *, ttl_s: float = TTL_S
    ) -> Worker:
        """Start a worker whose own sections are the manifest's."""
        keys = {"worker": name, "journal": str(self.journal), "report_dir": str(self.folder / name)}
        own = {key: content[key] for key in SHARED if key in content}
        config = read_config(self.write(keys | own, f"{name}.yaml"), None)
        fleet = fleet_worker_at(self.journal, name, ttl_s=ttl_s)
        observer = RecordingObserver()
        worker = Worker(config, fleet, lambda _: observer, process=name)
        self.observers.append(observer)
        thread = threading.Thread(target=worker.run)
        thread.start()
        self.workers.append((worker, thread))
        self.open.callback(fleet.close)
        self.open.callback(thread.join, PATIENCE_S)
        self.open.callback(worker.stop)
        return worker

    def submit(self, content: Mapping[str, Any], **options: Any) -> int:
        request = RunOptions(manifest=self.write(content), **options)
        return submit_manifest([request], self.journal, None).ids[0]

    def smuggle(self, text: str, files: Mapping[str, bytes] | None = None, **fields: Any) -> int:
        """Submit past the command, as who writes to the database directly."""
        with closing(fleet_at(self.journal)) as fleet:
            held = {"batch.yaml": text.encode(), **(files or {})}
            opened = {name: partial(BytesIO, content) for name, content in held.items()}
            given = {"environment": "foreign", "manifest": "batch.yaml", **fields}
            [number] = fleet.submit(
                [NewSubmission(batch="b", files=opened, submitted_from="x", **given)]
            )
            return number

    def look(self, number: int) -> Submission:
        with closing(fleet_at(self.journal)) as fleet:
            return fleet.submission(number)

    def ended(self, number: int) -> Submission:
        return self.once(lambda: (found := self.look(number)).state.is_over and found)

    def once(self, is_there: Callable[[], Any]) -> Any:
        until = time.monotonic() + PATIENCE_S
        while not (found := is_there()):
            assert time.monotonic() < until
            threading.Event().wait(0.05)
        return found

    def moved(self) -> Counter[str]:
        return Counter(effect.interaction_id for effect in self.gateway.effects)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("FOREIGN_ID", CLIENT_ID)
    monkeypatch.setenv("FOREIGN_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Gateway() as gateway, ExitStack() as stack:
        yield Site(tmp_path, gateway, JournalLocation(fresh_database()), stack)


def test_a_submission_is_carried_and_ends_as_apply_would(site: Site):
    content = site.manifest(5)
    (site.folder / "rows.csv").write_text(
        "interaction_id,destination_uri\nfile-1,genesys://queue/a\nfile-2,genesys://queue/a\n"
    )
    content["transfers"].append({"from": "rows.csv"})
    site.gateway.scripts["i-3"] = [Step("transfer_rejected")]
    site.start(content)
    ended = site.ended(site.submit(content))
    assert (ended.state, ended.exit_code, ended.worker) == (SubmissionState.ENDED, 1, "w1")
    assert site.moved() == Counter(["i-0", "i-1", "i-2", "i-4", "file-1", "file-2"])
    [run] = execute(str(site.journal), "SELECT id FROM runner.runs")
    assert run == (ended.run,)


def test_no_secret_is_in_the_database(site: Site):
    content = site.manifest(3)
    site.start(content)
    site.ended(site.submit(content))
    for (table,) in execute(
        str(site.journal),
        "SELECT table_name FROM information_schema.tables WHERE table_schema='runner'",
    ):
        rows = execute(str(site.journal), f"SELECT t::text FROM runner.{table} t")
        assert CLIENT_SECRET not in str(rows)
        assert CLIENT_SECRET.encode().hex() not in str(rows)


def test_submissions_of_a_lane_wait_their_turn(site: Site):
    content = site.manifest(6)
    numbers = [site.submit(content | {"name": f"b{n}"}) for n in range(3)]
    site.start(content, "w1")
    site.start(content, "w2")
    assert [site.ended(number).exit_code for number in numbers] == [0, 0, 0]
    assert set(site.moved().values()) == {1}
    order = execute(str(site.journal), "SELECT batch FROM runner.runs ORDER BY no")
    assert order == [("b0",), ("b1",), ("b2",)]


def test_who_submits_the_same_at_the_same_time_moves_nobody_twice(site: Site):
    content = site.manifest(6)
    request = RunOptions(manifest=site.write(content))
    at_once = threading.Barrier(4)

    def submitted(_: int) -> int:
        at_once.wait()
        return submit_manifest([request], site.journal, None).ids[0]

    with ThreadPoolExecutor(at_once.parties) as people:
        numbers = list(people.map(submitted, range(at_once.parties)))
    assert len(set(numbers)) == at_once.parties
    site.start(content, "w1")
    site.start(content, "w2")
    assert {site.ended(number).exit_code for number in numbers} == {0}
    assert site.moved() == Counter(f"i-{k}" for k in range(6))


def test_a_worker_that_is_stopped_hands_over_and_another_finishes_the_chosen_rows(site: Site):
    content = site.manifest(60, limits={"rate": "20/s", "in_flight": 4})
    first = site.start(content, "w1")
    number = site.submit(content, limit=40)
    site.once(lambda: len(site.gateway.effects) >= 10)
    first.stop()
    site.once(lambda: not site.workers[0][1].is_alive())
    between = site.look(number)
    assert (between.state, between.is_begun) == (SubmissionState.WAITING, True)
    site.start(content, "w2")
    ended = site.ended(number)
    assert (ended.exit_code, ended.worker) == (0, "w2")
    assert site.moved() == Counter(f"i-{k}" for k in range(40))


def test_again_moves_again_only_what_was_moved_before_the_submission(site: Site):
    content = site.manifest(30, limits={"rate": "20/s", "in_flight": 4})
    first = site.start(content, "w1")
    site.ended(site.submit(content))
    number = site.submit(content | {"name": "again"}, again=True)
    site.once(lambda: len(site.gateway.effects) >= 40)
    first.stop()
    site.once(lambda: not site.workers[0][1].is_alive())
    site.start(content, "w2")
    assert site.ended(number).exit_code == 0
    # What the first run had touched is looked at before it is sent again, and may be there already.
    assert max(site.moved().values()) == 2
    assert len(site.gateway.effects) > 40


def test_what_is_cancelled_ends_and_sends_nothing_more(site: Site):
    content = site.manifest(1000, limits={"rate": "20/s", "in_flight": 4})
    number = site.submit(content)
    behind = site.submit(content)
    cancel_submission(site.journal, behind)
    site.start(content)
    site.once(lambda: len(site.gateway.effects) >= 5)
    cancel_submission(site.journal, number)
    assert site.ended(number).state is SubmissionState.CANCELLED
    assert site.ended(behind).state is SubmissionState.CANCELLED
    assert len(site.gateway.effects) < 1000  # of 50 s
    assert site.look(behind).run is None


@pytest.mark.parametrize("state", [SubmissionState.WAITING, SubmissionState.RUNNING])
def test_a_cancelled_one_that_no_worker_can_read_any_more_keeps_its_lane_from_nobody(
    site: Site, state: SubmissionState
):
    """Its last run handed it over, or died."""
    content = site.manifest(60, limits={"rate": "20/s", "in_flight": 4})
    first = site.start(content, "w1")
    number = site.submit(content)
    site.once(lambda: len(site.gateway.effects) >= 5)
    first.stop()
    site.once(lambda: not site.workers[0][1].is_alive())
    execute(str(site.journal), f"UPDATE runner.submissions SET state = '{state}', worker = 'w1'")
    sent = len(site.gateway.effects)
    changed = json.loads(json.dumps(content))
    changed["gateways"]["edge"]["delivery"] = {"dedupes": "1h"}
    site.start(changed, "w2")
    assert "its gateway differs" in site.once(lambda: site.look(number).explanation)
    behind = site.submit(changed | {"name": "behind"}, only=("i-59",))
    cancel_submission(site.journal, number)
    assert site.ended(number).state is SubmissionState.CANCELLED
    assert site.ended(behind).exit_code == 0
    assert len(site.gateway.effects) == sent + 1


def test_a_drained_worker_hands_over_and_takes_nothing_more(site: Site):
    content = site.manifest(60, limits={"rate": "20/s", "in_flight": 4})
    drained = site.start(content, "w1")
    number = site.submit(content)
    site.once(lambda: len(site.gateway.effects) >= 5)
    drain_worker(site.journal, "w1")
    site.once(lambda: site.look(number).state is SubmissionState.WAITING)
    assert drained.figures.is_drained
    site.start(content, "w2")
    assert site.ended(number).worker == "w2"
    assert set(site.moved().values()) == {1}
    state = fleet_state(site.journal)
    assert [each.name for each in state.workers if each.is_drained] == ["w1"]
    with pytest.raises(UsageError, match="known: w1, w2"):
        drain_worker(site.journal, "w9")


def test_what_begins_later_keeps_nobody_waiting(site: Site):
    content = site.manifest(3)
    path = site.write(content)
    [later] = submit_manifest([RunOptions(manifest=path)], site.journal, time.time() + 3600).ids
    now = site.submit(content)
    site.start(content)
    assert site.ended(now).exit_code == 0
    assert site.look(later).state is SubmissionState.WAITING


def gated(content: dict[str, Any], gate: Mapping[str, Any]) -> None:
    content["gates"] = {"check": dict(gate)}
    content["policy"]["waves"] = [1, {"size": "100%", "gates": ["check"]}]


HOSTILE = {
    "another origin": lambda c: c["environments"]["foreign"]["endpoints"].update(
        api_url="http://127.0.0.1:9"
    ),
    "another token server": lambda c: c["environments"]["foreign"]["endpoints"].update(
        token_url="http://127.0.0.1:9/token"
    ),
    "another promise": lambda c: c["gateways"]["edge"].update(delivery={"dedupes": "1h"}),
    "a callback of its own": lambda c: c.update(
        callbacks={"crm": {"url": "http://127.0.0.1:9/x"}},
        defaults={"media": "voice", "callbacks": ["crm"]},
    ),
    "a gate that calls an address": lambda c: gated(c, {"url": "http://127.0.0.1:9/x"}),
    "a gate that runs a command": lambda c: gated(c, {"command": ["./check"]}),
    "a file outside": lambda c: c.update(transfers=[{"from": "../../../etc/passwd"}]),
    "an absolute file": lambda c: c.update(transfers=[{"from": "/etc/passwd"}]),
    "a file that is not there": lambda c: c.update(transfers=[{"from": "rows.csv"}]),
}


def test_hostile_submissions_are_refused_and_nothing_is_sent(site: Site):
    content = site.manifest(2)
    numbers = {}
    for what, change in HOSTILE.items():
        bad = json.loads(json.dumps(content))
        change(bad)
        numbers[what] = site.smuggle(yaml.safe_dump(bad))
    good = yaml.safe_dump(content)
    numbers["not YAML"] = site.smuggle("{")
    numbers["an include"] = site.smuggle(good.replace("name: batch", "name: !include /etc/passwd"))
    numbers["a file above"] = site.smuggle(good, {"../x": b""})
    numbers["an absolute name"] = site.smuggle(good, {"/tmp/x": b""})
    numbers["its manifest elsewhere"] = site.smuggle(good, manifest="../batch.yaml")
    for option in ({"new_history": True}, {"ignore_window": True}, {"limit": "1"}, {"only": "x"}):
        numbers[str(option)] = site.smuggle(good, options=option)
    site.start(content)
    for what, number in numbers.items():
        ended = site.ended(number)
        assert ended.exit_code in {2, 3}, what
        assert ended.explanation, what
    assert not site.gateway.frames
    assert not site.gateway.effects
    assert execute(str(site.journal), "SELECT 1 FROM runner.runs") == []


def test_gates_are_refused_before_they_are_stored(site: Site):
    content = site.manifest(2)
    gated(content, {"url": "http://127.0.0.1:9/x", "allow_private": True})
    with pytest.raises(UsageError, match="a worker asks no gate"):
        site.submit(content)
    assert execute(str(site.journal), "SELECT 1 FROM runner.submissions") == []


def test_what_is_protected_stays_protected_on_a_worker(site: Site):
    content = site.manifest(3)
    content["exclude_from"] = "protected.csv"
    (site.folder / "protected.csv").write_text("interaction_id\ni-1\n")
    site.start(content)
    ended = site.ended(site.submit(content))
    assert ended.exit_code == 0
    assert site.moved() == Counter(["i-0", "i-2"])


def test_a_command_that_is_submitted_does_not_run_on_a_worker(site: Site):
    content = site.manifest(2)
    mark = site.folder / "ran"
    bad = json.loads(json.dumps(content))
    for name in ("client_id", "client_secret"):
        bad["environments"]["foreign"]["credentials"][name] = {"command": ["touch", str(mark)]}
    number = site.smuggle(yaml.safe_dump(bad))
    site.start(content)
    # Its own credentials stand in the place of the submission's, which are not even read.
    assert site.ended(number).exit_code == 0
    assert not mark.exists()
    assert site.moved() == Counter(["i-0", "i-1"])


def test_more_than_a_submission_may_hold_is_refused_by_command_and_worker(site: Site):
    content = site.manifest(1)
    execute(  # past the command: each piece is well below, all together are not
        str(site.journal),
        "WITH s AS (INSERT INTO runner.submissions(environment, batch, manifest, options)"
        " VALUES ('foreign', 'b', 'batch.yaml', '{}') RETURNING id)"
        " INSERT INTO runner.submission_files(submission, name, part, content)"
        " SELECT id, 'rows.csv', part, decode(repeat('00', 1000000), 'hex')"
        " FROM s, generate_series(1, 129) AS part",
    )
    [(number,)] = execute(str(site.journal), "SELECT id FROM runner.submissions")
    site.start(content)
    ended = site.ended(number)
    assert ended.exit_code == 2
    assert "at most 128 MB" in str(ended.explanation)


UNREADABLE_OPTIONS = {
    "no JSON": "{",
    "deep": "[" * 200_000,
    "deep and whole": '{"only": ' + "[" * 200_000 + "]" * 200_000 + "}",
    "a list": "[1]",
    "a number": "1",
    "not a number": '{"rate_per_s": NaN}',
    "beyond numbers": '{"rate_per_s": 1e999}',
    "too many digits": '{"in_flight": 1' + "0" * 10_000 + "}",
    "more than a sum holds": '{"limit": 1' + "0" * 400 + "}",
    "more than a float holds": '{"rate_per_s": 1' + "0" * 400 + "}",
    "failures without end": '{"max_failures": 1' + "0" * 400 + "}",
    "a text for a number": '{"limit": "1"}',
    "a number for a text": '{"only": [1]}',
    "half a character": '{"only": ["\\ud800"]}',
    "NUL": '{"only": ["\\u0000"]}',
    "of the future": '{"no_such_option": 1}',
    "enormous": '{"only": ["' + "x" * 2_000_000 + '"]}',
}
UNREADABLE_TIMES = ("infinity", "-infinity", "20000-01-01 00:00Z", "10000-01-01 00:00Z")
UNREADABLE_NAMES = ("x" * 300, "/".join(["x" * 200] * 12), "a/../b", "/")


def add_row(site: Site, options: str = "{}", at: str | None = None, name: str | None = None) -> int:
    """Add a submission, and its files, as a submitter can whose program is another one."""
    with connect(str(site.journal)) as connection, connection.transaction():
        columns = "environment, batch, manifest, options, not_before"
        added = connection.execute(
            f"INSERT INTO runner.submissions({columns})"
            " VALUES ('foreign', 'b', 'batch.yaml', %s, %s) RETURNING id".encode(),
            (options, at),
        ).fetchone()
        assert added is not None
        for each in ["batch.yaml", *([] if name is None else [name])]:
            connection.execute(
                b"INSERT INTO runner.submission_files(submission, name, content)"
                b" VALUES (%s, %s, 'version: 1')",
                (added[0], each),
            )
    return int(added[0])


def told(site: Site, number: int) -> str:
    return str(site.look(number).explanation)


def test_a_row_that_cannot_be_read_is_refused_by_itself_and_all_else_goes_on(site: Site):
    rows = {what: add_row(site, options=text) for what, text in UNREADABLE_OPTIONS.items()}
    rows |= {at: add_row(site, at=at) for at in UNREADABLE_TIMES}
    rows |= {name: add_row(site, name=name) for name in UNREADABLE_NAMES}
    execute(
        str(site.journal),
        "INSERT INTO runner.workers(name, process, environments, running, seen_at)"
        f" VALUES ('odd', '', '{'[' * 200_000}', '{{', 'infinity')",
    )
    cancelled = add_row(site, options="{", at="infinity")
    cancel_submission(site.journal, cancelled)
    assert len(fleet_state(site.journal).submissions) == len(rows) + 1
    content = site.manifest(2)
    site.start(content)
    assert site.ended(site.submit(content)).exit_code == 0
    for what, number in rows.items():
        [*_, ended] = waiting(site.journal, number, lambda _: None, 0.0)
        assert ended.exit_code == 2, (what, ended)
        assert ended.explanation, what
    assert site.ended(cancelled).state is SubmissionState.CANCELLED
    assert f"the options of submission {rows['no JSON']} cannot" in told(site, rows["no JSON"])
    assert f"submission {rows['infinity']} cannot be read" in told(site, rows["infinity"])
    assert site.moved() == Counter(["i-0", "i-1"])


def test_the_last_second_of_the_calendar_is_read_wherever_the_database_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGTZ", "Pacific/Kiritimati")  # 14 hours before UTC
    path = site.write(site.manifest(1))
    last = "9999-12-31T23:59:59Z"
    [number] = submit_manifest([RunOptions(manifest=path)], site.journal, moment_of(last)).ids
    found = site.look(number)
    assert (found.not_before, found.fault, found.is_due) == (last, None, False)
    assert [each.id for each in fleet_state(site.journal).submissions] == [number]


def test_who_submitted_and_who_cancelled_is_in_the_record(site: Site):
    content = site.manifest(1000, limits={"rate": "20/s", "in_flight": 4})
    number = site.submit(content)
    site.start(content)
    site.once(lambda: len(site.gateway.effects) >= 2)
    execute(
        str(site.journal),
        f"INSERT INTO runner.orders(submission, given_by) VALUES ({number}, 'x')",
    )
    ended = site.ended(number)
    assert (ended.submitted_by, ended.cancelled_by) == ("postgres", "postgres")
    [(record,)] = execute(str(site.journal), "SELECT record FROM runner.runs")
    held = json.loads(record)
    assert held["options"]["submitted_by"] == "postgres"
    assert "@" in held["options"]["submitted_from"]
    assert held["explanation"] == "cancelled by database role postgres"


def test_who_drained_a_worker_is_in_the_record(site: Site):
    content = site.manifest(1000, limits={"rate": "20/s", "in_flight": 4})
    number = site.submit(content)
    site.start(content)
    site.once(lambda: len(site.gateway.effects) >= 2)
    drain_worker(site.journal, "w1")
    site.once(lambda: site.look(number).state is SubmissionState.WAITING)
    [(record,)] = execute(str(site.journal), "SELECT record FROM runner.runs")
    assert "drained by database role postgres" in json.loads(record)["explanation"]
    [worker] = fleet_state(site.journal).workers
    assert worker.drained_by == "postgres"


def test_what_keeps_a_submission_from_going_on_is_shown(site: Site):
    content = site.manifest(2)
    site.start(content)
    site.ended(site.submit(content))
    # Another journal lacks this gateway's history: whoever was moved would be moved again.
    site.journal = JournalLocation(fresh_database())
    site.start(content, "w2")
    number = site.submit(content)
    shown = site.once(lambda: site.look(number).explanation)
    assert shown.startswith("w2: ")
    assert "--new-history" in shown or "another journal" in shown, shown
    assert site.look(number).state is not SubmissionState.ENDED
    assert set(site.moved().values()) == {1}


def test_options_that_waive_checks_do_not_travel(site: Site):
    path = site.write(site.manifest(1))
    with pytest.raises(UsageError, match="--new-history is not for submissions"):
        submit_manifest([RunOptions(manifest=path, new_history=True)], site.journal, None)


def test_an_invalid_manifest_is_refused_before_it_is_stored(site: Site):
    path = site.write({"version": 1})
    with pytest.raises(ManifestInvalid):
        submit_manifest([RunOptions(manifest=path)], site.journal, None)


def test_a_worker_without_the_environment_leaves_it_to_others(site: Site):
    content = site.manifest(1)
    other = json.loads(json.dumps(content))
    other["environments"]["mine"] = other["environments"].pop("foreign")
    number = site.submit(content)
    worker = site.start(other)
    site.once(lambda: worker.figures.looked_at > 0)
    assert site.look(number).state is SubmissionState.WAITING


def test_a_manifest_may_lower_the_workers_limits_and_not_raise_them(site: Site):
    content = site.manifest(1, limits={"rate": "50/s", "in_flight": 4, "burst": 2})
    config = read_config(
        site.write({k: content[k] for k in SHARED if k in content}, "w.yaml"), site.journal
    )
    own = config.own.environment("foreign").limits
    for asked, rate, in_flight in (
        ({"rate": "9/s", "in_flight": 99}, 9.0, 4),
        ({"rate": "99/s"}, 50.0, 4),
    ):
        path = site.write(site.manifest(1, limits=asked))
        from runner.app.plan import read_manifest  # noqa: PLC0415
        from runner.app.submission_options import SubmittedRun  # noqa: PLC0415
        from runner.staging.rows import Staging  # noqa: PLC0415

        with Staging() as staging:
            run = SubmittedRun(
                manifest=path, own=config.own, submission=1, submitted_as=path.name,
                submitted_by="ann", submitted_from=None,
            )  # fmt: skip
            loaded, _ = read_manifest(run, staging)
        limits = loaded.environment.limits
        assert (limits.rate_per_s, limits.in_flight, limits.burst) == (rate, in_flight, own.burst)


def test_the_figures_are_in_prometheus_format(site: Site):
    content = site.manifest(2)
    worker = site.start(content)
    site.ended(site.submit(content))
    site.once(lambda: worker.figures.ended)
    text = WorkerMetrics(worker.figures, time.monotonic).text()
    assert 'runner_worker_runs_total{code="0"} 1' in text


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_beyond_the_calendar_in_utc_is_a_clear_error(text: str):
    with pytest.raises(
        UsageError, match=f"--at: '{re.escape(text)}' is outside the years 1 to 9999"
    ):
        moment_of(text)


@pytest.mark.parametrize("text", ["2026-12-01", "2026-12-01+01:00", "2026-12-01T02:00", "20261201"])
def test_the_example_for_a_time_without_zone_is_accepted(text: str):
    with pytest.raises(UsageError, match="which time zone") as refused:
        moment_of(text)
    example = re.search(r"such as (\S+),", str(refused.value))
    assert example is not None
    assert moment_of(example[1]) >= moment_of("2026-12-01T00:00:00+01:00")


LOCKS = {
    "the workers' rows": "SELECT 1 FROM runner.workers FOR UPDATE",
    "the workers": "LOCK TABLE runner.workers",
    "the submission": "SELECT 1 FROM runner.submissions FOR UPDATE",
}


def ordered(site: Site, number: int, order: str) -> None:
    match order:
        case "stop":
            site.workers[0][0].stop()
        case "cancel":
            cancel_submission(site.journal, number)
        case _:
            drain_worker(site.journal, "w1")


@pytest.mark.parametrize(
    ("what", "order"),
    [
        *((what, "stop") for what in LOCKS),
        ("the workers' rows", "cancel"),
        ("the workers", "cancel"),
        ("the submission", "cancel"),
        ("the submission", "drain"),
    ],
)
def test_orders_are_followed_though_others_hold_locks(site: Site, what: str, order: str):
    content = site.manifest(4000, limits={"rate": "50/s", "in_flight": 4})
    site.start(content, ttl_s=3.0)
    number = site.submit(content)
    site.once(lambda: len(site.gateway.effects) >= 5)
    with connect(str(site.journal)) as others, others.transaction():
        others.execute(LOCKS[what].encode())
        at = len(site.gateway.effects)
        site.once(lambda: len(site.gateway.effects) >= at + 50)  # it waits for no lock to send
        ordered(site, number, order)
        site.once(lambda: site.workers[0][0].figures.running == 0)
        sent = len(site.gateway.effects)
        assert sent < 1500  # of 80 s
        if order == "stop":
            site.once(lambda: not site.workers[0][1].is_alive())
        assert len(site.gateway.effects) == sent
    assert set(site.moved().values()) == {1}


def test_a_worker_that_starts_while_the_database_is_away_waits_and_ends_at_an_order(
    site: Site, tmp_path: Path
):
    site.journal = JournalLocation(f"postgresql:///x?host={tmp_path}")
    worker = site.start(site.manifest(1))
    site.once(lambda: worker.figures.looked_at > 0)
    assert worker.figures.reached_at < 0
    [(message, fields)] = site.observers[0].warnings
    assert message.startswith("the journal does not answer")
    assert str(tmp_path) in fields["why"]
    with serving(("127.0.0.1", 0), worker.figures) as port:
        address = f"http://127.0.0.1:{port}"
        with urlopen(f"{address}/healthz") as well:
            assert well.status == HTTPStatus.OK
        with pytest.raises(HTTPError, match="503") as unready, urlopen(f"{address}/readyz"):
            pass
        unready.value.close()
    worker.stop()
    site.once(lambda: not site.workers[0][1].is_alive())


def test_a_worker_carries_on_once_the_database_is_up(site: Site, tmp_path: Path):
    url, _, there = str(site.journal).partition("&host=")
    site.journal = JournalLocation(f"{url}&host={tmp_path}/socket")
    content = site.manifest(2)
    worker = site.start(content)
    site.once(lambda: worker.figures.looked_at > 0)
    (tmp_path / "socket").symlink_to(there)
    assert site.ended(site.submit(content)).exit_code == 0
    assert site.moved() == Counter(["i-0", "i-1"])


def test_a_worker_that_finds_no_connection_left_waits_for_one(site: Site):
    role = "crowd"
    if not execute("postgres", f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"):
        execute("postgres", f"CREATE ROLE {role} LOGIN IN ROLE pg_read_all_data, pg_write_all_data")
    execute("postgres", f"ALTER ROLE {role} CONNECTION LIMIT 0")
    site.journal = JournalLocation(str(site.journal).replace("user=postgres", f"user={role}"))
    worker = site.start(site.manifest(2))
    site.once(lambda: worker.figures.looked_at > 0)
    [(_, fields)] = site.observers[0].warnings
    assert "too many connections" in fields["why"]
    execute("postgres", f"ALTER ROLE {role} CONNECTION LIMIT -1")
    site.once(lambda: worker.figures.reached_at > 0)


def test_what_a_restored_dump_may_lack_is_put_off_until_a_person_accepts_it(site: Site):
    content = site.manifest(3)
    site.start(content)
    site.ended(site.submit(content, limit=1))
    site.open.close()
    original = urlsplit(str(site.journal)).path[1:]
    site.journal = JournalLocation(fresh_database(like=str(site.journal)))
    # While that is there, the other is a copy of it, and refused whoever adopts it.
    execute("postgres", f"DROP DATABASE {original} WITH (FORCE)")
    number = site.submit(content | {"name": "later"})
    site.start(content, "w2")
    shown = site.once(lambda: site.look(number).explanation)
    assert shown.startswith("w2: the database of the journal")
    assert "runner journal adopt" in shown
    adopt_database(site.journal, "seen to", None)
    assert site.ended(number).exit_code == 0
    assert site.moved() == Counter(["i-0", "i-1", "i-2"])


def test_a_worker_whom_the_server_does_not_let_in_ends_and_says_why(site: Site):
    site.journal = JournalLocation(str(site.journal).replace("/test_", "/nowhere_"))
    keys = {"worker": "w1", "journal": str(site.journal), "report_dir": str(site.folder / "w1")}
    own = {key: site.manifest(1)[key] for key in SHARED if key in site.manifest(1)}
    config = read_config(site.write(keys | own, "w1.yaml"), None)
    with closing(fleet_worker_at(site.journal, "w1", ttl_s=TTL_S)) as fleet:
        worker = Worker(config, fleet, lambda _: RecordingObserver(), process="w1")
        with pytest.raises(Unfit, match="nowhere_"):
            worker.run()
