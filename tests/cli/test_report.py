"""`runner report`: any past run in any form, where it is wanted; and two runs compared."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.app.audit import verify_file
from runner.app.compare import as_markdown, compare, write_page
from runner.app.report import read_forms, render_again, stream_again
from runner.console.results.comparison import compared_to_json, render_compared
from runner.core.errors import StorageError, UsageError
from runner.core.records.comparison import ChangeKind, Comparison, changes_of
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event
from runner.staging.run_join import RunJoin
from tests.e2e.harness import Harness, manifest, run, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, Step
from tests.journal.builders import THERE, begun, located, manifest_rows, opened
from tests.report import samples
from tests.report.markdown_page import Page


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


@pytest.fixture
def runs(journal: Path) -> Iterator[tuple[str, str]]:
    """Write two runs, and return their ids.

    k0 is carried out in the first; k1 is refused in both, the second time to another queue; k2 is
    refused, then carried out; k3 waits, then is in doubt; k4 goes, k5 and k6 come.
    """
    store = opened(journal)
    first = begun(store, manifest_rows(5))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    first.go("k1", Event.INTENT, Event.DENIED, reason="closed")
    first.go("k2", Event.INTENT, Event.DENIED, reason="queue_full")
    first_id = store.run_id
    first.finish("failures")
    rows = manifest_rows(7)
    rows[1] = replace(rows[1], destination_uri=THERE)
    second = begun(store, [row for row in rows if row.key != "k4"])
    second.go("k1", Event.INTENT, Event.DENIED, reason="closed")
    second.go("k2", Event.INTENT, Event.ACCEPTED)
    second.go("k3", Event.INTENT, Event.LOST, reason="no reply\x1b[31m")
    second.go("k5", Event.INTENT, Event.ACCEPTED)
    second.go("k6", Event.INTENT, Event.DENIED, reason="<b>|</b>")
    second.finish("failures")
    yield first_id, store.run_id
    store.close()


def changes(compared: Comparison) -> list[tuple[ChangeKind, str | None, str | None, list[str]]]:
    return [(c.kind, c.before, c.after, [e.key for e in c.examples]) for c in compared.changes]


def test_two_runs_differ_transfer_by_transfer(journal: Path, runs: tuple[str, str]):
    compared = compare(*runs, located(journal))
    assert changes(compared) == [
        (ChangeKind.OUTCOME, Outcome.UNATTEMPTED, Outcome.IN_DOUBT, ["k3"]),
        (ChangeKind.TARGET, Outcome.REJECTED, Outcome.REJECTED, ["k1"]),
        (ChangeKind.LISTED, None, Outcome.REJECTED, ["k6"]),
        (ChangeKind.UNLISTED, Outcome.UNATTEMPTED, None, ["k4"]),
        (ChangeKind.OUTCOME, Outcome.REJECTED, Outcome.TRANSFERRED, ["k2"]),
        (ChangeKind.LISTED, None, Outcome.TRANSFERRED, ["k5"]),
        (ChangeKind.OUTCOME, Outcome.TRANSFERRED, Outcome.UNCHANGED, ["k0"]),
    ]
    assert compared.alike == 0
    assert compared.before.summary.total == 5
    assert compared.after.summary.total == 6


def test_a_person_reads_figures_and_changes(journal: Path, runs: tuple[str, str]):
    text = render_compared(compare(*runs, located(journal)))
    assert "  total               5      6    +1\n" in text
    assert "  rejected            2      2\n" in text
    assert "  latency p50     20 ms  20 ms  +0 %\n" in text
    assert "  1 not attempted, now in doubt\n      k3: no reply\\x1b[31m\n" in text
    assert "      k1: i1 to genesys://queue/here, now i1 to genesys://queue/there\n" in text
    assert "  1 newly listed: transferred\n      k5: accepted\n" in text
    assert "  1 no longer listed: not attempted\n      k4: " in text
    assert "  1 transferred, now unchanged, for an earlier run carried them out\n" in text
    assert text.endswith("  0 as before\n")


def test_markdown_shows_the_same_and_no_text_breaks_it(journal: Path, runs: tuple[str, str]):
    page = Page(as_markdown(compare(*runs, located(journal))))
    assert ["total", "5", "6", "+1"] in page.rows
    assert ["1", "not attempted, now in doubt", r"k3: no reply\x1b[31m"] in page.rows
    assert ["1", "newly listed: rejected", "k6: <b>|</b>"] in page.rows
    assert "b" not in page.elements
    assert {len(row) for row in page.rows} == {3, 4}


def test_a_page_shows_the_same_and_no_text_breaks_it(
    journal: Path, runs: tuple[str, str], tmp_path: Path
):
    out = tmp_path / "compared.html"
    write_page(compare(*runs, located(journal)), out)
    page = out.read_text()
    assert "not attempted, now in doubt" in page
    assert "newly listed: rejected" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "<script" not in page
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_comparison_replaces_no_signed_page(journal: Path, runs: tuple[str, str], tmp_path: Path):
    compared, out = compare(*runs, located(journal)), tmp_path / "report.html"
    for _ in range(2):
        write_page(compared, out)
    (tmp_path / "head.json").touch()
    with pytest.raises(UsageError, match="was signed, and would not be"):
        write_page(compared, out)


def test_one_run_is_not_compared_with_itself_nor_with_what_is_not_there(
    journal: Path, runs: tuple[str, str]
):
    with pytest.raises(UsageError, match=r"both are run run-\d+; name two runs"):
        compare("latest", runs[1], located(journal))
    with pytest.raises(UsageError, match="did you mean run-"):
        compare(runs[0], "run", located(journal))


def test_examples_are_few_and_the_rest_is_counted(journal: Path):
    store = opened(journal)
    begun(store, manifest_rows(0)).finish()
    first = store.run_id
    begun(store, manifest_rows(30)).finish()
    compared = compare(first, "latest", located(journal))
    store.close()
    assert [(c.count, len(c.examples)) for c in compared.changes] == [(30, 5)]
    assert "      and 25 more\n" in render_compared(compared)
    assert "and 25 more" in as_markdown(compared)
    assert len(json.loads(compared_to_json(compared))["changes"][0]["examples"]) == 5


def test_runs_of_different_batches_are_compared_with_a_warning(journal: Path):
    store = opened(journal)
    begun(store, manifest_rows(1)).finish()
    first = store.run_id
    begun(store, manifest_rows(1), batch="day")
    compared = compare(first, "latest", located(journal))
    store.close()
    assert "warning: the runs are of different batches, night and day" in render_compared(compared)
    assert "of different batches, night and day" in Page(as_markdown(compared)).text


def test_what_fails_on_the_way_is_a_storage_error():
    with RunJoin() as juxtaposed:
        juxtaposed._connection.execute("DROP TABLE before")
        with pytest.raises(StorageError, match=r"cannot be compared in .*; free space there"):
            juxtaposed.add_before([samples.transfer(1)])


def test_every_form_is_rendered_where_it_is_wanted(
    journal: Path, runs: tuple[str, str], tmp_path: Path
):
    reports, out = tmp_path / "reports", tmp_path / "out"
    forms = read_forms("html, json,junit,csv,md,json")
    assert forms == ("html", "json", "junit", "csv", "md")
    there = render_again("latest", located(journal), reports, forms)
    names = ["report.html", "report.json", "report.junit.xml", "report.csv", "report.md"]
    assert [path for _, path in there.files] == [reports / "night" / runs[1] / n for n in names]
    elsewhere = render_again(runs[1], located(journal), reports, forms, out=out)
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    for (form, path), (_, other) in zip(there.files, elsewhere.files, strict=True):
        assert (path.read_bytes() == other.read_bytes()) is (form not in {"md", "html"}), form
    for page, is_beside in ((there, True), (elsewhere, False)):
        text = dict(page.files)["html"].read_text()
        assert ('href="report.json"' in text) is is_beside
        assert "rendered again at" in text
    assert "](report.html)" in (reports / "night" / runs[1] / "report.md").read_text()
    told = (out / "report.md").read_text()
    assert "](report.html)" not in told
    assert str(reports / "night" / runs[1]) in Page(told).text


def test_a_removed_report_is_brought_back_with_its_audit_log(
    journal: Path, runs: tuple[str, str], tmp_path: Path
):
    reports = tmp_path / "reports"
    render_again(runs[1], located(journal), reports, ("html", "json"))
    night = reports / "night"
    audited = verify_file(night / runs[1])
    assert audited.fault is None
    assert audited.entries > 0
    assert audited.note is None  # the report tells the same end
    assert (night / "latest").readlink() == Path(runs[1])
    render_again(runs[0], located(journal), reports, ("json",))
    assert verify_file(night / runs[0]).fault is None
    assert (night / "latest").readlink() == Path(runs[1])  # never back to an older run


def test_latest_stays_where_a_newer_run_of_another_journal_has_put_it(
    journal: Path, runs: tuple[str, str], tmp_path: Path
):
    night = tmp_path / "night"
    night.mkdir()
    for before, after in (("run-x", "run-x"), ("a-run", runs[1]), (runs[0], runs[1])):
        (night / "latest").unlink(missing_ok=True)
        (night / "latest").symlink_to(before)
        render_again("latest", located(journal), tmp_path, ("json",))
        assert (night / "latest").readlink() == Path(after)


def test_a_report_elsewhere_brings_neither(journal: Path, runs: tuple[str, str], tmp_path: Path):
    render_again(runs[1], located(journal), tmp_path / "reports", ("json",), out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]
    assert not (tmp_path / "reports").exists()


def test_a_single_form_goes_to_a_stream_in_few_pieces(journal: Path, tmp_path: Path):
    store = opened(journal)
    begun(store, manifest_rows(3000)).finish()
    store.close()
    pieces: list[str] = []
    stream_again("latest", located(journal), tmp_path, "csv", pieces.append)
    assert "".join(pieces).count("\r\n") == 3001
    assert len(pieces) == 3


def test_an_unknown_form_is_named():
    with pytest.raises(UsageError, match="no report format 'pdf'; choose of html, json, junit"):
        read_forms("html,pdf")


def test_the_command_renders_compares_and_refuses(gateway: Gateway, harness: Harness):
    one = transfer(key="vip-17")
    gateway.scripts[one["interaction_id"]] = [Step("transfer_rejected", reason="queue_full")]
    first = harness.apply(manifest(gateway, [one, transfer()])).report.run["id"]
    second = harness.apply(manifest(gateway, [one])).report.run["id"]
    told, files, text, md, both, csv, two, pdf, printed, neither = harness.run_together(
        ["report", "--compare", first, "latest", "--output", "json"],
        ["report", first, "--format", "md,csv", "--out", "here", "--output", "json"],
        ["report", "latest", "--format", "junit", "--out", "-"],
        ["report", "--compare", first, second, "--format", "md"],
        ["report", first, "--compare", first, second],
        ["report", "--compare", first, second, "--format", "csv"],
        ["report", first, "--out", "-"],
        ["report", first, "--format", "pdf", "--out", "-"],
        ["report", first, "--format", "html,pdf"],
        ["report"],
    )
    compared = json.loads(told.out)
    assert [compared[name]["run"] for name in ("before", "after")] == [first, second]
    assert json.loads(files.out)["files"] == [
        {"format": "md", "path": "here/report.md"},
        {"format": "csv", "path": "here/report.csv"},
    ]
    assert text.out.startswith('<?xml version="1.0"')
    assert md.out.startswith(f"## <code>{first}</code> and <code>{second}</code>")
    assert [each.code for each in (told, files, text, md)] == [0, 0, 0, 0]
    for each in (both, csv, two, pdf, printed, neither):
        assert (each.code, each.out) == (2, "")
    assert "only one format can go to stdout" in two.err
    assert "PDF is printed by itself: --format pdf" in printed.err
    page = harness.run("report", "--compare", first, second, "--out", "compared.html")
    assert (page.code, page.out) == (0, "compared.html\n")
    unknown = harness.run("report", first[:-1])
    assert unknown.code == 2
    assert f"did you mean {first}?" in unknown.err


def peak_of_comparing(count: int) -> int:
    """Return the most bytes held while so many transfers are compared, half of them differing."""

    def told(reason: str) -> Iterator[TransferRecord]:
        for number in range(count):
            yield MODEL._replace(key=f"{number * 7919 % count:036d}", reason=reason)

    def turned() -> Iterator[TransferRecord]:
        for number, transfer_ in enumerate(told("closed")):
            yield transfer_ if number % 2 else transfer_._replace(outcome=Outcome.FAILED)

    tracemalloc.start()
    try:
        with RunJoin() as juxtaposed:
            juxtaposed.add_before(told("seen"))
            juxtaposed.add_after(turned())
            [change] = changes_of(juxtaposed.differences())
        assert change.count == count // 2
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


MODEL = samples.transfer(1, succeed=True)


def test_memory_does_not_grow_with_what_is_compared():
    peak_of_comparing(2_000)
    assert peak_of_comparing(20_000) - peak_of_comparing(2_000) < 100_000


def test_a_report_is_written_where_the_run_left_it_whatever_the_folder(
    gateway: Gateway, harness: Harness
):
    """Not into a `reports/` of the folder in which somebody happens to be."""
    applied = harness.apply(manifest(gateway, [transfer()]), "--journal", "j.db")
    folder = applied.report.folder
    (folder / "report.html").unlink()
    elsewhere = harness.folder / "elsewhere"
    elsewhere.mkdir()
    again = run("report", "latest", "--journal", "../j.db", cwd=elsewhere)
    assert again.code == 0, again.err
    assert str(folder / "report.html") in again.out
    assert (folder / "report.html").exists()
    verified = run("audit", "verify", "latest", "--journal", "../j.db", cwd=elsewhere)
    assert (verified.code, "there is no" in verified.out) == (0, False)
    assert not list(elsewhere.iterdir())
    shutil.move(harness.folder / "j.db", elsewhere / "j.db")
    harness.folder.rename(moved := harness.folder.with_name("moved"))
    lost = run("report", "latest", "--journal", "j.db", cwd=moved / "elsewhere")
    assert lost.code == 2
    assert "name the folder for its report with --report-dir" in lost.err
    assert not [each for each in (moved / "elsewhere").iterdir() if each.is_dir()]
    moved.rename(harness.folder)


def test_out_is_a_file_of_the_format_that_its_name_ends_with(gateway: Gateway, harness: Harness):
    harness.apply(manifest(gateway, [transfer(key="k0")]))
    for name, begins in (("o.csv", "key,"), ("o.JSON", "{"), ("o.md", "## "), ("o.xml", "<?xml")):
        written = harness.run("report", "latest", "--out", name)
        assert (written.code, written.out) == (0, f"{name}\n"), written.err
        assert (harness.folder / name).read_text("utf-8").startswith(begins)
        assert (harness.folder / name).stat().st_mode & 0o777 == 0o600
    both = harness.run("report", "latest", "--out", "p.csv", "--format", "html")
    assert both.code == 2
    assert "--format says html" in both.err
    for name in ("o.xlsx", "o.docx"):
        other = harness.run("report", "latest", "--out", name)
        assert (other.code, other.out) == (2, "")
        assert "write one of .html, .json, .xml, .csv, .md" in other.err
        assert not (harness.folder / name).exists()
    assert harness.run("report", "latest", "--out", "v1.5").code == 0
    (harness.folder / "dir.csv").mkdir()
    assert harness.run("report", "latest", "--out", "dir.csv").code == 0
    assert (harness.folder / "dir.csv" / "report.html").exists()


def test_out_replaces_an_earlier_report_and_nothing_else(gateway: Gateway, harness: Harness):
    """A row list, a saved plan and a page that somebody else wrote cannot be rendered again."""
    rows = (
        "key,interaction_id,destination_uri\n"
        + "k0,{interaction_id},{destination_uri}\n".format(**transfer())
    )
    page = harness.folder / "page.html"
    page.write_text("<!doctype html>\n<html><body>The rota</body></html>\n")
    (harness.folder / "rows.csv").write_text(rows)
    first = harness.apply(manifest(gateway, [{"from": "rows.csv"}])).report.run["id"]
    assert harness.run("plan", "batch.yaml", "--out", "report.json").code == 0
    plan = (harness.folder / "report.json").read_bytes()
    for arguments, name, form in (
        (("latest", "--out", "rows.csv"), "rows.csv", "csv"),
        (("latest", "--out", "report.json"), "report.json", "json"),
        (("latest", "--out", "."), "report.json", "json"),
        (("latest", "--out", "page.html"), "page.html", "html"),
        (("latest", "--format", "pdf", "--out", "rows.csv"), "rows.csv", "pdf"),
        (("--index", "--journal", ".runner/foreign.db", "--out", "rows.csv"), "rows.csv", "html"),
    ):
        refused = harness.run("report", *arguments)
        assert (refused.code, refused.out) == (2, ""), arguments
        told = f"{name} exists and is not a report as {form}; give --out another name"
        assert told in refused.err
    assert (harness.folder / "rows.csv").read_text() == rows
    assert (harness.folder / "report.json").read_bytes() == plan
    assert "The rota" in page.read_text()
    assert not (harness.folder / "report.html").exists()
    (harness.folder / "o.csv").touch()  # as mktemp makes one
    for name in (*("o.csv", "o.html", "o.json", "o.md", "o.xml") * 2, "copy", "copy"):
        assert harness.run("report", "latest", "--out", name).code == 0, name
    second = harness.apply(manifest(gateway, [transfer()])).report.run["id"]
    for _ in range(2):
        compared = harness.run("report", "--compare", first, second, "--out", "c.html")
        assert compared.code == 0, compared.err
    other = harness.run("report", "--compare", first, second, "--out", "page.html")
    assert (other.code, "page.html exists and is not a report as html" in other.err) == (2, True)


def test_out_does_not_replace_a_report_that_the_manifest_reads(gateway: Gateway, harness: Harness):
    """A report as CSV passes as a list of rows, and its first line does not tell which it is."""
    harness.apply(manifest(gateway, [transfer(key="k0"), transfer(key="k1")]))
    assert harness.run("report", "latest", "--out", "moved.csv").code == 0
    moved = (harness.folder / "moved.csv").read_text("utf-8")
    harness.apply(manifest(gateway, [transfer()], exclude_from="moved.csv"))
    refused = harness.run("report", "latest", "--out", "moved.csv")
    assert (refused.code, refused.out) == (2, "")
    assert "moved.csv is read by" in refused.err
    assert "give --out another name" in refused.err
    assert (harness.folder / "moved.csv").read_text("utf-8") == moved


def test_latest_stays_on_the_run_that_did_something(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer()])
    first = harness.apply(content).report.folder
    idle = harness.apply(content)
    assert (idle.code, idle.report.summary["unchanged"]) == (0, 1)
    assert idle.report.folder != first
    assert harness.newest_report().folder == first
    assert harness.run("report", idle.report.run["id"]).code == 0
    assert harness.newest_report().folder == first
    doubtful = transfer()
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    content["transfers"].append(doubtful)
    gateway.shows_effects = False
    in_doubt = harness.apply(content)
    assert in_doubt.code == 6
    assert harness.newest_report().folder == in_doubt.report.folder


def test_a_first_run_with_nothing_to_do_has_a_latest(gateway: Gateway, harness: Harness):
    """There is no other to look at."""
    idle = harness.apply(manifest(gateway, []))
    assert idle.code == 0
    assert harness.newest_report().folder == idle.report.folder
