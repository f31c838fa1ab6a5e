"""Takes the pictures of docs/report.md, from a batch made from a fixed seed.

    python tools/screenshots.py [FOLDER]

RUNNER_CHROMIUM names the browser.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402 - as below

from runner.core.records.run_record import (  # noqa: E402
    Figures,
    ReportSource,
    TimelineEventKind,
    TimelinePoint,
    TransferRecord,
)
from runner.core.transfer.outcome import Outcome  # noqa: E402 - found by the path above
from runner.report.writer import render_format  # noqa: E402
from tests.report import samples  # noqa: E402
from tests.report.measured import happened  # noqa: E402

CHROMIUM = os.environ.get("RUNNER_CHROMIUM", "/usr/bin/chromium")
COUNT, SECONDS = 500, 25
LARGEST_BYTES = 250_000
TROUBLES = {41: 6, 160: 3, 161: 3, 162: 3, 290: 7, 377: 8, 378: 8, 455: 3}
"""By number: which of the samples' kinds it is. Every other one is carried out."""
ALLOWED = {5: 12.5, 6: 12.5, 7: 12.5, 8: 15.0, 9: 17.5, 10: 20.0, 11: 22.5}
"""By second: the rate while it was slowed."""
OUT_OF_SESSION = (15, 16)


@dataclass(frozen=True)
class Picture:
    """A picture of a page: its file, and how the browser stands when it is taken."""

    name: str
    source: ReportSource
    width: int
    height: int
    scheme: str
    at: str = ""


def transfers() -> Iterator[TransferRecord]:
    """Yield a batch that went well but for a few transfers."""
    chance = Random(11)  # noqa: S311 - a picture's
    for number in range(COUNT):
        if (kind := TROUBLES.get(number)) is not None:
            made = samples.transfer(kind)
            identity = samples.transfer(number)
            yield made._replace(
                key=identity.key,
                interaction_id=identity.interaction_id,
                source=identity.source,
                destination_uri="genesys://queue/billing-3",
            )
            continue
        made = samples.transfer(number, succeed=True)
        latency_ms = round(28 + chance.lognormvariate(3.4, 0.8), 1)
        attempt = made.attempts[0]._replace(latency_ms=latency_ms)
        negotiated = samples.OPUS if number % 5 == 0 else made.media_requested
        yield made._replace(latency_ms=latency_ms, attempts=(attempt,), media_negotiated=negotiated)


def figures() -> Figures:
    """Return a session that was slowed once, and lost once for two seconds."""
    chance = Random(5)  # noqa: S311 - a picture's

    def point(t: int) -> TimelinePoint:
        allowed = ALLOWED.get(t, 25.0)
        sent = 0 if t in OUT_OF_SESSION else round(allowed * (0.97 - chance.random() / 12))
        settled = max(0, sent - chance.randrange(2))
        return TimelinePoint(float(t), sent, settled, 0 if not sent else 2 + sent // 6, allowed)

    return Figures(
        rate_limit_per_s=25.0,
        rate_achieved_per_s=20.7,
        peak_in_any_second=25,
        throttled=2,
        sessions_opened=2,
        tls="TLSv1.3",
        token_renewals=1,
        timeline=tuple(map(point, range(SECONDS))),
        story=(
            happened(0.3, TimelineEventKind.OPENED, value=1),
            happened(5.1, TimelineEventKind.SLOWED, value=12.5, reason="rate_limited"),
            happened(5.1, TimelineEventKind.PAUSED, value=0.5, reason="retry_after"),
            happened(12.9, TimelineEventKind.RECOVERED, value=25.0),
            happened(15.0, TimelineEventKind.LOST, code=1012, reason="restarting, be back soon"),
            happened(15.6, TimelineEventKind.RENEWED, value=1),
            happened(17.0, TimelineEventKind.OPENED, value=2),
            happened(24.8, TimelineEventKind.CLOSED, code=1000, reason="session terminated"),
        ),
    )


def run() -> ReportSource:
    """Return the run's report."""
    record = replace(samples.RUN, finished_at="2026-12-01T21:00:25.100000Z")
    made = replace(
        samples.PROGRESS,
        runs=2,
        moved_in_all=492,
        transferred=492,
        failed=4,
        failed_again=1,
        in_doubt=1,
        still_in_doubt=0,
        settled_transferred=0,
    )
    return replace(
        samples.mixed(),
        run=record,
        transfers=transfers,
        figures=figures(),
        progress=lambda: made,
    )


def pictures() -> Iterator[Picture]:
    """Yield what docs/report.md shows."""
    report, doubt = run(), next(t for t in transfers() if t.outcome is Outcome.IN_DOUBT)
    yield Picture("report", report, 1440, 1500, "light")
    yield Picture("report-transfer", report, 1440, 900, "light", f"#t={doubt.key}")
    yield Picture("report-phone", report, 390, 1500, "dark")
    yield Picture("plan", samples.planned(60), 1440, 1150, "light")


def main() -> None:
    """Take all of them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as pages:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for picture in pictures():
            path = Path(pages) / f"{picture.name}.html"
            with path.open("w", encoding="utf-8") as stream:
                render_format(picture.source, "html", stream.write)
            size = {"width": picture.width, "height": picture.height}
            page = browser.new_page(viewport=size, color_scheme=picture.scheme)
            page.goto(path.as_uri() + picture.at)
            page.locator("#found", has_text="page").wait_for()
            taken = folder / f"{picture.name}.png"
            page.screenshot(path=taken)
            if taken.stat().st_size > LARGEST_BYTES:
                raise SystemExit(f"{taken} is larger than {LARGEST_BYTES} bytes; show less in it")
        browser.close()


if __name__ == "__main__":
    main()
