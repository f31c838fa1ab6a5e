"""Measures loading and dry runs, each beside a bare program that does the least of the same.

Run it as `python benchmarks/loading.py`; it prints rows of the table in docs/performance.md. Every
measurement is a process of its own, ours and the bare one by turns, and CPU seconds and peak memory are
compared, so that other work on the machine matters little. `ROWS`, `CSV_ROWS` and `ROUNDS` set other
sizes. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from table import Row, by_turns, print_rows

ROWS = int(os.environ.get("ROWS", "100000"))
CSV_ROWS = int(os.environ.get("CSV_ROWS", "1000000"))
HEAD = """\
version: 1
name: large
environments: {rehearsal: {driver: simulator, gateway: edge}}
gateways: {edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voice}
transfers:
"""


def ours(path: Path) -> None:
    """Load as `--validate-only` does, and return the first problem's place."""
    from runner.manifest.load import load  # noqa: PLC0415
    from runner.staging.rows import Staging  # noqa: PLC0415 - the baseline does without

    with Staging() as staging:
        loaded = load(path, environment=None, sink=staging, offline=True)
        for problem in loaded.problems:
            print(f"{problem.place.line}:{problem.place.column} {problem.code}")


def in_yaml(path: Path) -> None:
    """Load with PyYAML's fastest loader and check with jsonschema, as most programs do."""
    import yaml  # noqa: PLC0415 - ours does without
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    from runner.schemas_lookup import schema  # noqa: PLC0415

    document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    validator = Draft202012Validator(schema("manifest.v1"), registry=Registry())
    for error in validator.iter_errors(document):
        print(error.message)


def in_csv(path: Path) -> None:
    """Read rows of a CSV file, and list them."""
    import csv  # noqa: PLC0415 - of this loop alone

    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        next(rows)
        _listed(rows, path)


def in_jsonl(path: Path) -> None:
    """Read rows of a file of JSON lines, and list them."""
    with path.with_suffix(".jsonl").open(encoding="utf-8") as stream:
        found = map(json.loads, stream)
        _listed(((row["interaction_id"], row["destination_uri"]) for row in found), path)


def _listed(rows: Iterable[Sequence[str]], path: Path) -> None:
    """Put rows into a table that refuses repeats, and write them as JSON lines."""
    with closing(sqlite3.connect(path.with_suffix(".db"), isolation_level=None)) as database:
        database.executescript(_BARE_TABLE)
        database.executemany("INSERT INTO rows(id, uri) VALUES (?, ?)", rows)
        with path.with_suffix(".out").open("w", encoding="utf-8") as stream:
            for n, interaction, uri in database.execute("SELECT * FROM rows ORDER BY n"):
                row = {"n": n, "interaction_id": interaction, "destination_uri": uri}
                stream.write(json.dumps(row) + "\n")
    path.with_suffix(".db").unlink()


_BARE_TABLE = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
CREATE TABLE rows(n INTEGER PRIMARY KEY, id TEXT UNIQUE, uri TEXT); BEGIN;
"""

TYPER = """
import typer
app = typer.Typer()
@app.callback(invoke_without_command=True)
def main(version: bool = typer.Option(False, "--version")):
    print("0")
app()
"""


def inline(path: Path, rows: int, fault: int | None = None) -> Path:
    """Write a manifest that holds all its transfers; row `fault` has a number for an id."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEAD)
        for n in range(rows):
            name = n if n == fault else f"3f2504e0-4f89-41d3-9a0c-{n:012d}"
            stream.write(f"  - interaction_id: {name}\n    destination_uri: genesys://queue/q\n")
    return path


def from_file(path: Path, form: str, rows: int) -> Path:
    """Write a manifest and the file that its transfers come from."""
    with path.with_suffix(f".{form}").open("w", encoding="utf-8") as stream:
        if form == "csv":
            stream.write("interaction_id,destination_uri\n")
        for n in range(rows):
            interaction, uri = f"3f2504e0-4f89-41d3-9a0c-{n:012d}", f"genesys://queue/q{n % 50}"
            if form == "csv":
                stream.write(f"{interaction},{uri}\n")
            else:
                row = {"interaction_id": interaction, "destination_uri": uri}
                stream.write(json.dumps(row) + "\n")
    path.write_text(f"{HEAD}  - from: {path.stem}.{form}\n", encoding="utf-8")
    return path


def dry_run(path: Path) -> list[str]:
    """Return the arguments of a whole dry run, its start and its report included."""
    reports = str(path.parent / "reports")
    return ["-m", "runner", "apply", str(path), "--validate-only", "--report-dir", reports]


def here(kind: str, path: Path) -> list[str]:
    """Return the arguments of one of this file's measured functions."""
    return [__file__, kind, str(path)]


def rows(folder: Path) -> Iterator[Row]:
    """Yield the table's rows."""
    whole = inline(folder / "whole.yaml", ROWS)
    own, bare = by_turns(here("ours", whole), here("in_yaml", whole))
    what = f"load {ROWS:,} transfers inline in YAML"
    yield Row(f"{what}: CPU", own.cpu_s, bare.cpu_s, "s", 0.25)
    yield Row(f"{what}: peak memory", own.peak_mb, bare.peak_mb, "MB", 0.3)

    fault = ROWS * 7 // 9
    faulty, sound = by_turns(
        here("ours", inline(folder / "faulty.yaml", ROWS, fault)), here("ours", whole)
    )
    line = HEAD.count("\n") + 1 + 2 * fault
    assert faulty.said == f"{line}:21 S003", faulty.said
    yield Row("the same with one fault: CPU", faulty.cpu_s, sound.cpu_s, "s", 1.3)

    tenth, one = by_turns(
        here("ours", inline(folder / "tenth.yaml", ROWS // 10)),
        here("ours", inline(folder / "one.yaml", 1)),
    )
    tenfold_s = (tenth.cpu_s - one.cpu_s) * 10
    what = f"the same over ten times {ROWS // 10:,}, without the start: CPU"
    yield Row(what, sound.cpu_s - one.cpu_s, tenfold_s, "s", 1.3)

    for form in ("csv", "jsonl"):
        path = from_file(folder / f"{form}.yaml", form, CSV_ROWS)
        own, bare = by_turns(dry_run(path), here(f"in_{form}", path))
        what = f"dry run of {CSV_ROWS:,} rows of {form.upper()}"
        yield Row(f"{what}: CPU", own.cpu_s, bare.cpu_s, "s", 2)
        yield Row(f"{what}: peak memory", own.peak_mb, None, "MB", 120)

    version, minimal = by_turns(["-m", "runner", "--version"], ["-c", TYPER])
    yield Row("print the version: CPU", version.cpu_s, minimal.cpu_s, "s", 1.2)
    small, _ = by_turns(dry_run(folder / "one.yaml"), ["-c", TYPER])
    yield Row("dry run of one transfer: CPU", small.cpu_s, None, "s", 0.2)


def main() -> int:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as folder:
        return print_rows(rows(Path(folder)))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measured = {"ours": ours, "in_yaml": in_yaml, "in_csv": in_csv, "in_jsonl": in_jsonl}
        measured[sys.argv[1]](Path(sys.argv[2]))
    else:
        sys.exit(main())
