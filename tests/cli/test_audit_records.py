"""A run's record that somebody edited: `audit verify` finds it, and nothing is made of it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.harness import Harness, Report, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.postgres_server import fresh_database


@dataclass(frozen=True, slots=True)
class Journalled:
    """A journal with two runs, reached past the program's own code."""

    harness: Harness
    first: Report
    last: Report
    options: tuple[str, ...]
    tables: str  # what names of tables begin with
    ask: Callable[[str], list[tuple[Any, ...]]]

    def run(self, *arguments: str) -> Any:
        return self.harness.run(*arguments, *self.options)

    def verify(self, report: Report) -> list[str]:
        """Verify a run; return the faults, of itself and of the whole journal."""
        ended = self.run("audit", "verify", report.run["id"], "--output", "json")
        told = json.loads(ended.out)
        assert ended.code == (0 if told["ok"] else 1), ended
        return [str(each["fault"] or "") for each in told["verified"]]

    def edit(self, column: str, value: str, report: Report) -> None:
        """Set a column of a run by an expression of SQL."""
        id_ = report.run["id"]
        self.ask(f"UPDATE {self.tables}runs SET {column} = {value} WHERE id = '{id_}'")

    @contextmanager
    def edited(self, column: str, value: str, report: Report) -> Iterator[None]:
        """Set a column of a run, and then set it back."""
        id_ = report.run["id"]
        ((before,),) = self.ask(f"SELECT {column} FROM {self.tables}runs WHERE id = '{id_}'")
        self.edit(column, value, report)
        yield
        self.edit(column, "'" + before.replace("'", "''") + "'", report)


def file_journal(harness: Harness) -> tuple[tuple[str, ...], str, Callable[[str], Any]]:
    path = harness.folder / "j.db"

    def ask(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(query).fetchall()

    return ("--journal", str(path)), "", ask


def database_journal(_: Harness) -> tuple[tuple[str, ...], str, Callable[[str], Any]]:
    url = fresh_database()

    def ask(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    return ("--journal", url), "runner.", ask


@pytest.fixture(params=[file_journal, database_journal], ids=["sqlite", "postgresql"])
def journalled(request: pytest.FixtureRequest, harness: Harness, gateway: Gateway) -> Journalled:
    options, tables, ask = request.param(harness)
    gateway.scripts["one"] = [Step("transfer_rejected", reason="closed")]
    content = manifest(gateway, [transfer(each) for each in ("zero", "one", "two")])
    content["policy"] = {"preflight": False}
    reports = list[Report]()
    for labels in ({"n": "1"}, {"n": "2"}):
        gateway.scripts["one"] = [Step("transfer_rejected", reason="closed")]
        applied = harness.apply(content | {"labels": labels}, *options, "--in-flight", "1")
        reports.append(applied.report)
    first, last = reports
    return Journalled(harness, first, last, options, tables, ask)


EDITS = {
    "user": 'replace(record, \'"user":\', \'"user":"mallory","was":\')',
    "outcome": 'replace(record, \'"outcome":"failures"\', \'"outcome":"ok"\')',
    "exit_code": "replace(record, '\"exit_code\":1', '\"exit_code\":0')",
    "id": "(SELECT max(other.record) FROM {runs} other WHERE other.id <> {runs}.id)",
    "approvals": 'replace(record, \'"batch":\', \'"approvals":[],"batch":\')',
    "spelling": "record || ' '",
}


def test_a_record_that_was_edited_is_found_and_no_report_is_made_of_it(journalled: Journalled):
    last = journalled.last
    for value in EDITS.values():
        with journalled.edited("record", value.format(runs=f"{journalled.tables}runs"), last):
            own, others = journalled.verify(last)
            assert own.startswith("its record: ")
            assert "No report of this run can be trusted" in own
            assert others == ""
    journalled.edit("record", EDITS["exit_code"], last)
    own, _ = journalled.verify(last)
    assert "exit_code is 0, and 1 in the chain" in own
    own, others = journalled.verify(journalled.first)
    assert own == ""
    assert f"the record of run {last.run['id']}: " in others
    refused = journalled.run("report", last.run["id"], "--format", "json", "--out", "-")
    assert (refused.code, refused.out) == (74, ""), refused
    assert f"the record of run {last.run['id']}" in refused.err
    assert "cannot be trusted" in refused.err
    for listing in ((), (last.run["id"],)):
        shown = journalled.run("status", *listing)
        assert "its record was changed, and this cannot be trusted" in shown.out


COLUMNS = [
    ("figures", "replace(figures, '\"throttled\":0', '\"throttled\":9')", "its figures"),
    ("figures", "NULL", "its figures"),
    ("finished_at", "NULL", "finished_at is null"),
    ("started_at", "'2020-01-01T00:00:00Z'", "started_at is"),
    ("batch", "'another'", 'batch is "another"'),
]


def test_the_columns_beside_the_record_are_compared_too(journalled: Journalled):
    for column, value, told in COLUMNS:
        with journalled.edited(column, value, journalled.last):
            assert told in journalled.verify(journalled.last)[0]


def test_a_run_made_unfinished_again_is_found(journalled: Journalled):
    ((body,),) = journalled.ask(
        f"SELECT body FROM {journalled.tables}events"
        f" WHERE body LIKE '%run begun%' AND body LIKE '%{journalled.last.run['id']}%'"
    )
    begun = json.dumps(json.loads(body)["record"], sort_keys=True, separators=(",", ":"))
    journalled.edit("record", f"'{begun}', figures = NULL, finished_at = NULL", journalled.last)
    assert (
        'outcome is "unfinished", and "failures" in the chain'
        in journalled.verify(journalled.last)[0]
    )


def test_a_record_that_was_removed_is_missed(journalled: Journalled):
    gone = journalled.first.run["id"]
    journalled.ask(f"DELETE FROM {journalled.tables}runs WHERE id = '{gone}'")
    _, others = journalled.verify(journalled.last)
    assert f"the record of run {gone}: the journal has no record of it" in others
    own, _ = journalled.verify(journalled.first)
    assert "the journal has no record of it" in own


def test_a_stranger_s_verifier_finds_the_record_in_the_chain(journalled: Journalled):
    """None of the program's code: hashes, and then records by their runs."""
    head, records = "0" * 64, dict[str, Any]()
    tables = journalled.tables
    for body, told in journalled.ask(f"SELECT body, hash FROM {tables}events ORDER BY seq"):
        head = hashlib.sha256((head + body).encode()).hexdigest()
        assert head == told
        event = json.loads(body)
        if event["event"] in {"run begun", "run ended"}:
            records[event["run"]] = event["record"]
            digest = event.get("figures_sha256")
    stored = journalled.ask(f"SELECT id, record, figures FROM {tables}runs ORDER BY no")
    assert {id_: json.loads(record) for id_, record, _ in stored} == records
    assert hashlib.sha256(stored[-1][2].encode()).hexdigest() == digest
    assert records[journalled.last.run["id"]]["user"] == journalled.last.run["user"]


def lie_about_the_user(document: dict[str, Any]) -> None:
    document["run"]["user"] = "mallory"


def lie_about_a_count(document: dict[str, Any]) -> None:
    document["summary"]["rejected"] = 0


def lie_about_an_outcome(document: dict[str, Any]) -> None:
    (row,) = (each for each in document["transfers"] if each["outcome"] == "rejected")
    row["outcome"] = "failed"
    document["summary"] |= {"rejected": 0, "failed": 1}


def lie_about_a_destination(document: dict[str, Any]) -> None:
    document["transfers"][0]["destination_uri"] = "genesys://queue/elsewhere"


def leave_a_transfer_out(document: dict[str, Any]) -> None:
    document["summary"][document["transfers"].pop()["outcome"]] -= 1


def forget_the_summary(document: dict[str, Any]) -> None:
    del document["summary"]


LIES = [
    (lie_about_the_user, 'its run.user is "mallory"', True),
    (lie_about_a_count, "its summary has 0 rejected, and its list of transfers 1", True),
    (lie_about_an_outcome, "is failed, and rejected by its events", True),
    (lie_about_a_destination, "has another destination_uri than the journal", False),
    (leave_a_transfer_out, "it lacks the transfer", False),
    (forget_the_summary, "it is not what a run writes (KeyError)", True),
]


def test_a_report_that_disagrees_with_its_run_is_reported(journalled: Journalled):
    path = journalled.first.folder / "report.json"
    written = path.read_text("utf-8")
    for lie, told, shows_in_log in LIES:
        document = json.loads(written)
        lie(document)
        path.write_text(json.dumps(document), "utf-8")
        own, others = journalled.verify(journalled.first)
        assert told in own
        assert str(Path("batch", journalled.first.run["id"], "report.json")) in own
        assert others == ""
        alone = journalled.harness.run("audit", "verify", str(journalled.first.folder))
        assert (alone.code, told in alone.out) == ((1, True) if shows_in_log else (0, False))


def test_a_page_of_another_run_is_reported(journalled: Journalled):
    page = journalled.first.folder / "report.html"
    page.write_bytes((journalled.last.folder / "report.html").read_bytes())
    own, _ = journalled.verify(journalled.first)
    assert f"{page.name} does not show the end of this chain" in own


def test_what_was_settled_after_the_report_is_no_lie_of_it(harness: Harness, gateway: Gateway):
    gateway.scripts["doubt"] = [Step(mute=True, effect=False)]
    content = manifest(gateway, [transfer("doubt")])
    content["policy"] = {"preflight": False, "negotiation_timeout": "200ms"}
    report = harness.apply(content).report
    assert report.summary["in_doubt"] == 1
    key = report.json["transfers"][0]["key"]
    run = report.run["id"]
    settled = harness.run("resolve", run, key, "--as", "transferred", "--reason", "seen")
    assert settled.code == 0, settled
    verified = harness.run("audit", "verify", run)
    assert verified.code == 0, verified
    assert harness.run("report", run, "--format", "json").code == 0
    assert harness.run("audit", "verify", run).code == 0
    assert harness.run("audit", "verify", str(report.folder)).code == 0
