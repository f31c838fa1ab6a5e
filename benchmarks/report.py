"""Measures a report's rendering: size, time and peak memory of each format, and the page's opening.

    python benchmarks/report.py

It prints rows of the table in docs/performance.md. Every measurement is a process of its own; one in a
hundred transfers is rejected. `PAGE` (100,000) and `WRITTEN` (1,000,000) set other sizes. How long the page
takes to open is left out where there is no Chromium (RUNNER_CHROMIUM).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from table import Cost, Row, cost, print_rows

from runner.core.records.run_record import (
    AttemptRecord,
    CallbackRecord,
    Figures,
    ReportSource,
    RunRecord,
    TransferRecord,
)
from runner.core.timestamps import timestamp
from runner.core.transfer.outcome import Outcome
from runner.report.writer import render_format

CHROMIUM = Path(os.environ.get("RUNNER_CHROMIUM", "/usr/bin/chromium"))
START_S = 1_796_158_800.0
OPUS = {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}}
MB = 1_000_000
PAGE = int(os.environ.get("PAGE", "100000"))
WRITTEN = int(os.environ.get("WRITTEN", "1000000"))
TRIES = 3


def transfers(count: int) -> Iterator[TransferRecord]:
    """Yield as many transfers as real ones are: ids by chance, forty destinations."""
    chance = Random(7)
    for number in range(count):
        interaction_id, message_id = (
            str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(2)
        )
        refused = number % 100 == 0
        status = "destination_unreachable" if refused else "codec_negotiated"
        latency_ms = round(20 + chance.expovariate(1 / 60), 3)
        sent_s = START_S + number / 25
        attempt = AttemptRecord(
            1,
            message_id,
            sent_s,
            0,
            sent_s + latency_ms / 1000,
            latency_ms,
            status,
            status,
        )
        yield TransferRecord(
            interaction_id,
            f"billing.csv:{number + 2}",
            interaction_id,
            f"genesys://queue/billing-{number % 40}",
            None,
            Outcome.REJECTED if refused else Outcome.TRANSFERRED,
            status if refused else None,
            status if refused else None,
            message_id,
            OPUS,
            None if refused else OPUS,
            latency_ms,
            (attempt,),
            (CallbackRecord("crm", f"msg_{number}", status, "delivered", 1),),
        )


def source(count: int) -> ReportSource:
    """Return the report of a run of `count` transfers."""
    run = RunRecord(
        id="20261201T210000Z-7f3a",
        batch="billing",
        environment="production",
        driver="interaction-websocket",
        gateway="edge-ams",
        started_at=timestamp(START_S),
        finished_at=timestamp(START_S + count / 25),
        outcome="failures",
        exit_code=1,
        runner_version="0",
        host="bench",
        user="bench",
        labels={},
        manifest_path="billing.yaml",
        manifest_sha256="5e" * 32,
        options={},
    )
    return ReportSource(run, lambda: transfers(count), Figures())


def write(form: str, count: int, path: Path) -> None:
    """Render one form into a file; what a measured process does."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        render_format(source(count), form, stream.write)


def measured(form: str, count: int, path: Path) -> Cost:
    """Return what a process takes that renders a form."""
    return cost([__file__, "--write", form, "--count", str(count), str(path)])


def opened(path: Path) -> str:
    """Return how many seconds Chromium takes until the list is there; empty: no browser."""
    return subprocess.run(
        _self("--open", str(path)), capture_output=True, text=True, check=True
    ).stdout.strip()


def open_page(path: Path) -> None:
    """Print the best of some tries; what a process does that `opened` starts."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may be absent
    except ImportError:
        return
    if not CHROMIUM.exists():
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        best = float("inf")
        for _ in range(TRIES):
            page.goto(path.as_uri())
            page.locator("#found", has_text="page").wait_for()
            best = min(best, page.evaluate("performance.now()"))
        browser.close()
    print(f"{best / 1000:.2f}")


def _self(*arguments: str) -> list[str]:
    return [sys.executable, __file__, *arguments]


def rows(folder: Path) -> Iterator[Row]:
    """Yield the table's rows."""
    page = folder / "report.html"
    measured("html", PAGE, page)
    yield Row(f"the page of {PAGE:,} transfers: size", page.stat().st_size / MB, None, "MB", 25)
    if shown := opened(page):
        yield Row(f"the page of {PAGE:,} transfers: opening", float(shown), None, "s", 2)
    for form in ("json", "csv"):
        taken = measured(form, WRITTEN, folder / f"report.{form}")
        what = f"write {WRITTEN:,} transfers as {form.upper()}: peak memory"
        yield Row(what, taken.peak_mb, None, "MB", 300)


def main() -> int:
    """Print the rows; or be one of the measured processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", help="of a measured process: the form to write to PATH")
    parser.add_argument("--count", type=int, help="of the same: how many transfers")
    parser.add_argument("--open", action="store_true", help="of another: open PATH")
    parser.add_argument("path", nargs="?", type=Path)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, asked.count, asked.path)
    elif asked.open:
        open_page(asked.path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            return print_rows(rows(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
