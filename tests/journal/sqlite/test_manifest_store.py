"""What the journal keeps of manifests, so that a report can show them again."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.store import Store
from tests.journal.builders import AT, RUN

LINES = ManifestExcerpt(("version: 1", "name: é"), 2)


def opened(path: Path) -> Store:
    return Store(path, environment="demo", origin="simulator")


def shown(path: Path) -> ManifestExcerpt | None:
    reader = Reader(path)
    try:
        return reader.report_source(reader.run_number("latest")).manifest
    finally:
        reader.close()


def test_a_manifest_is_kept_once_however_often_it_is_applied(tmp_path: Path):
    path = tmp_path / "demo.db"
    store = opened(path)
    for run in ("run-1", "run-2"):
        store.begin_run(run, asdict(replace(RUN, id=run)), at=AT, manifest=LINES)
    other = asdict(replace(RUN, id="run-3", manifest_sha256="77" * 32))
    store.begin_run("run-3", other, at=AT, manifest=ManifestExcerpt(("version: 1",), 9_000))
    store.close()
    assert shown(path) == ManifestExcerpt(("version: 1",), 9_000)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM manifests").fetchone() == (2,)
    connection.close()


def test_a_run_without_its_manifest_shows_none(tmp_path: Path):
    path = tmp_path / "demo.db"
    store = opened(path)
    store.begin_run("run-1", asdict(RUN), at=AT)
    store.close()
    assert shown(path) is None
