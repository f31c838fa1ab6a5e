"""The list of a journal's batches: runs that are reported here are linked, the others are listed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from runner.app.journal_index import write_journal_index
from runner.core.transfer.states import Event
from runner.journal.sqlite.store import Store
from tests.journal.builders import ORIGIN, begun, located, manifest_rows


def test_batches_of_a_journal_are_listed_and_linked_where_their_report_is(tmp_path: Path):
    path, root = tmp_path / "j.db", tmp_path / "reports"
    with closing(Store(path, environment="production", origin=ORIGIN)) as store:
        night = begun(store, manifest_rows(2))
        night.go("k0", Event.INTENT, Event.ACCEPTED)
        night.go("k1", Event.INTENT, Event.DENIED)
        night.finish("failures")
        here = store.run_id
        begun(store, manifest_rows(1), batch="<b>day").go("k0", Event.INTENT)  # and died
        elsewhere = store.run_id
    (root / "night" / here).mkdir(parents=True)
    (root / "night" / here / "report.html").touch()
    page = write_journal_index(located(path), root).read_text()
    assert page.count(f'href="night/{here}/report.html"') == 2
    assert elsewhere not in page
    assert "UTC, failures: 1 rejected, 1 transferred" in page
    assert "&lt;b&gt;day" in page
    assert "UTC, died: 1 in doubt" in page
    assert f"Read from the journal <bdi>{path}</bdi>" in page
    out = write_journal_index(located(path), root, tmp_path / "fleet.html")
    assert out == tmp_path / "fleet.html"
    assert f'href="{root.as_uri()}/night/{here}/report.html"' in out.read_text()
