"""Measures the cost of loading, compared with YAML's own loader and jsonschema.

Run it as `python benchmarks/loading.py`. Every measurement is a process of its own. It compares CPU
seconds and peak memory, so that other work on the machine matters little. Bounds in seconds are for a
machine that counts to ten million in a quarter of a second; a reference loop beside each measurement
measures how much slower this machine is. `ROWS` and `CSV_ROWS` set smaller sizes. Exit code 1 if a
bound is exceeded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROWS = int(os.environ.get("ROWS", "100000"))
CSV_ROWS = int(os.environ.get("CSV_ROWS", "1000000"))
ROOT = Path(__file__).parents[1]
YARDSTICK_S = 0.25
COMPILED = Path(tempfile.gettempdir()) / f"runner-benchmark-{os.getuid()}"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(ROOT),
    "PYTHONPYCACHEPREFIX": str(COMPILED),  # as an installed program is: compiled once
}
HEAD = """\
version: 1
name: large
environments: {rehearsal: {driver: simulator, gateway: edge}}
gateways: {edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voice}
transfers:
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    said: str

    def __str__(self) -> str:
        return f"{self.cpu_s:7.2f} s CPU  {self.wall_s:7.2f} s wall  {self.peak_mb:6.0f} MB"


def ours(path: Path) -> None:
    """Load as `--validate-only` does, and return the first problem's place."""
    from runner.manifest.load import load  # noqa: PLC0415
    from runner.staging.rows import Staging  # noqa: PLC0415 - the baseline does without

    with Staging() as staging:
        loaded = load(path, environment=None, sink=staging, offline=True)
        for problem in loaded.problems:
            print(f"{problem.place.line}:{problem.place.column} {problem.code}")


def baseline(path: Path) -> None:
    """Load with PyYAML's fastest loader and check with jsonschema, as most programs do."""
    import yaml  # noqa: PLC0415 - ours does without
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    from runner.schemas_lookup import schema  # noqa: PLC0415

    document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    validator = Draft202012Validator(schema("manifest.v1"), registry=Registry())
    for error in validator.iter_errors(document):
        print(error.message)


def inline(path: Path, rows: int, fault: int | None = None) -> Path:
    """Write a manifest that holds all its transfers; row `fault` has a number for an id."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEAD)
        for n in range(rows):
            name = n if n == fault else f"3f2504e0-4f89-41d3-9a0c-{n:012d}"
            stream.write(f"  - interaction_id: {name}\n    destination_uri: genesys://queue/q\n")
    return path


def from_file(path: Path, rows: int) -> Path:
    """Write a manifest and the CSV file that its transfers come from."""
    with path.with_suffix(".csv").open("w", encoding="utf-8") as stream:
        stream.write("interaction_id,destination_uri\n")
        for n in range(rows):
            stream.write(f"3f2504e0-4f89-41d3-9a0c-{n:012d},genesys://queue/q{n % 50}\n")
    path.write_text(f"{HEAD}  - from: {path.with_suffix('.csv').name}\n", encoding="utf-8")
    return path


def measured(*arguments: str) -> Cost:
    """Run this Python with `arguments` and return what it took."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=output,
            cwd=ROOT,
            env=ENVIRONMENT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {said}")
    wall_s = time.perf_counter() - begin
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024, said.strip())


def loaded(kind: str, path: Path) -> Cost:
    """Return what loading `path` costs; the better of two, for the first may warm the disk."""
    return min((measured(__file__, kind, str(path)) for _ in range(2)), key=lambda cost: cost.cpu_s)


def slowness() -> float:
    """Return how many times slower than the machine that bounds are meant for this one is."""
    counting = "for _ in range(10**7): pass"
    return max(measured("-c", f"def count():\n {counting}\ncount()").cpu_s / YARDSTICK_S, 1.0)


def dry_run(path: Path) -> Cost:
    """Return what the whole command costs, its start and its report included."""
    reports = str(path.parent / "reports")
    return measured("-m", "runner", "apply", str(path), "--validate-only", "--report-dir", reports)


def bounds(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Yield what is measured, its figure and its bound."""
    whole = inline(folder / "whole.yaml", ROWS)
    other, own = loaded("baseline", whole), loaded("ours", whole)
    print(f"{'CSafeLoader and jsonschema':34}{other}\n{f'load, {ROWS:,} transfers':34}{own}")
    yield "CPU time, of the baseline's", own.cpu_s / other.cpu_s, 0.3
    yield "peak memory, of the baseline's", own.peak_mb / other.peak_mb, 0.5

    fault = ROWS * 7 // 9
    faulty = loaded("ours", inline(folder / "faulty.yaml", ROWS, fault))
    line = HEAD.count("\n") + 1 + 2 * fault
    assert faulty.said == f"{line}:21 S003", faulty.said
    print(f"{f'one fault at row {fault:,}':34}{faulty}")
    yield "a fault's CPU time, of none's", faulty.cpu_s / own.cpu_s, 1.3

    nothing = loaded("ours", inline(folder / "one.yaml", 1))
    tenth = loaded("ours", inline(folder / "tenth.yaml", ROWS // 10))
    print(f"{'one transfer':34}{nothing}\n{f'{ROWS // 10:,} transfers':34}{tenth}")
    each = (own.cpu_s - nothing.cpu_s) / ROWS
    yield "CPU time a row, of a tenth's", each / ((tenth.cpu_s - nothing.cpu_s) * 10 / ROWS), 1.3

    times = slowness()
    print(f"this machine, now: {times:.1f} times slower than the bounds' one")
    dry_run(folder / "one.yaml")  # compiles
    small, large = dry_run(folder / "one.yaml"), dry_run(from_file(folder / "file.yaml", CSV_ROWS))
    print(
        f"{'whole dry run, one transfer':34}{small}\n{f'whole dry run, {CSV_ROWS:,} rows':34}{large}"
    )
    yield "a small dry run, seconds", small.cpu_s / times, 0.3
    yield "a large one, seconds", large.cpu_s / times, 20 * CSV_ROWS / 1_000_000
    yield "a large one, MB", large.peak_mb, 250


def main() -> int:
    """Print every figure beside its bound."""
    with tempfile.TemporaryDirectory() as folder:
        passed = True
        for what, figure, bound in bounds(Path(folder)):
            passed &= figure <= bound
            print(
                f"  {what:32}{figure:8.2f}  (at most {bound:g}){'' if figure <= bound else '  TOO MUCH'}"
            )
    return 0 if passed else 1


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"ours": ours, "baseline": baseline}[sys.argv[1]](Path(sys.argv[2]))
    else:
        sys.exit(main())
