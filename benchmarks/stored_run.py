"""Measures the rendering of a stored run, beside a bare loop that reads and dumps its rows.

Run it as `python benchmarks/stored_run.py`; it prints rows of the table in docs/performance.md. The
journal is that of one rehearsed transfer, whose rows are multiplied in the database. `STORED` sets
another size. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from table import ENVIRONMENT, Row, middle, print_rows, rounds

STORED = int(os.environ.get("STORED", "1000000"))
MANIFEST = """\
version: 1
name: stored
environment: rehearsal
environments: {rehearsal: {driver: simulator, gateway: edge}}
gateways: {edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
transfers: [{interaction_id: a, destination_uri: "genesys://queue/a", media: voice}]
"""
VARIED = {
    "rows": {
        "n": "x",
        "key": "key || x",
        "interaction_id": "interaction_id || x",
        "destination_uri": "destination_uri || (x % 40)",
        "source": "'rows.csv:' || x",
    },
    "transfers": {
        "id": "id + x",
        "lineage": "lineage + x",
        "n": "x",
        "key": "key || x",
        "interaction_id": "interaction_id || x",
        "interaction": "interaction || x",
        "destination_uri": "destination_uri || (x % 40)",
        "message_id": "message_id || x",
        "latency_ms": "latency_ms + x % 90",
    },
    "deliveries": {
        "transfer": "transfer + x",
        "message_id": "message_id || x",
        "latency_ms": "latency_ms + x % 90",
    },
}
"""What differs from transfer to transfer: expressions of the columns, by table."""

NUMBERS = (
    "CREATE TEMP TABLE numbers AS WITH RECURSIVE n(x) AS"
    " (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) SELECT x FROM n"
)
READ = (
    "SELECT r.*, l.media, t.*, d.* FROM rows r JOIN ladders l ON l.id = r.ladder"
    " LEFT JOIN transfers t ON t.run = r.run AND t.n = r.n"
    " LEFT JOIN deliveries d ON d.transfer = t.id ORDER BY r.n"
)


def make_journal(folder: Path) -> Path:
    """Rehearse one transfer and multiply it; return the journal."""
    journal, manifest = folder / "journal.db", folder / "manifest.yaml"
    manifest.write_text(MANIFEST)
    subprocess.run(
        [sys.executable, "-m", "runner", "apply", str(manifest), "--yes", "-q",
         "--journal", str(journal), "--report-dir", str(folder / "reports")],
        env=ENVIRONMENT | {"XDG_STATE_HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    with closing(sqlite3.connect(journal)) as database:
        database.execute(NUMBERS, [STORED - 1])
        for table, varied in VARIED.items():
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(varied.get(name, name) for name in names)
            database.execute(f"INSERT INTO {table} SELECT {values} FROM {table}, numbers")
        database.commit()
    return journal


def dump(journal: Path) -> None:
    """Read a run's rows and write them as JSON lines."""
    with (
        closing(sqlite3.connect(journal)) as database,
        journal.with_suffix(".out").open("w", encoding="utf-8") as stream,
    ):
        rows = database.execute(READ)
        names = [column[0] for column in rows.description]
        for row in rows:
            stream.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")


def rows(folder: Path) -> Iterator[Row]:
    """Yield the table's rows."""
    journal = make_journal(folder)
    forms = {
        form: ["-m", "runner", "report", "latest", "--journal", str(journal), "--format", form,
               "--report-dir", str(folder / "reports"), "--out", str(folder / "out")]
        for form in ("json", "html")
    }  # fmt: skip
    *ours, dumped = rounds(*forms.values(), [__file__, str(journal)])
    for form, costs in zip(forms, ours, strict=True):
        own, bare = middle(costs, dumped)
        what = f"render a stored run of {STORED:,} transfers as {form.upper()}"
        yield Row(f"{what}: CPU", own.cpu_s, bare.cpu_s, "s", 2)
        yield Row(f"{what}: peak memory", own.peak_mb, None, "MB", 300)


def main() -> int:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as folder:
        return print_rows(rows(Path(folder)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        dump(Path(sys.argv[1]))
    else:
        sys.exit(main())
