"""Prints a report's page as PDF, by a Chromium that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from runner.core.errors import StorageError, UsageError
from runner.report.html.page import render_html
from runner.report.model import Content

PDF = "report.pdf"

BEGINNING = re.compile(r"%PDF-.*?HeadlessChrome/", re.DOTALL)
"""How each such file begins: the browser names itself as its creator."""

PRINT_TIMEOUT_S = 300.0
"""The most that the browser may take: a page of 100,000 transfers takes seconds."""

_UNPACKING_MS = 60_000  # of the page's own clock, which stands still while the browser is busy
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
VARIABLE = "RUNNER_CHROMIUM"

_LETTER = frozenset(
    ("BO", "CA", "CL", "CO", "CR", "DO", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE")
)
"""Territories whose paper is Letter; everywhere else it is A4 (ISO 216)."""


def find_browser(variables: Mapping[str, str]) -> str:
    """Return the browser's path. Raises `UsageError`, saying what to install."""
    named = variables.get(VARIABLE)
    if named is not None:
        if shutil.which(named) is None:
            raise UsageError(f"{VARIABLE} names {named}, which is not a program")
        return named
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and _MAC.exists():
        found = str(_MAC)
    if found is None:
        raise UsageError(
            "PDF needs Chromium or Chrome, which was not found; install it (`apt install chromium`),"
            f" name it with {VARIABLE}, or print report.html from any browser"
        )
    return found


def write_pdf(content: Content, out: Path, variables: Mapping[str, str]) -> Path:
    """Print a report into the file `out`: whole or not at all, mode 0600.

    Raises `UsageError` if no browser is found, `StorageError` if the file cannot be written.
    """
    browser = find_browser(variables)
    try:
        with tempfile.TemporaryDirectory() as folder:
            page, printed = Path(folder, "report.html"), Path(folder, PDF)
            with page.open("w", encoding="utf-8", errors="replace") as stream:
                render_html(content, stream.write, paper=paper_of(variables))
            _print(browser, page, printed, Path(folder, "profile"))
            _move(printed, out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written ({error.strerror or error})") from error
    return out


def paper_of(variables: Mapping[str, str]) -> str:
    """Return the size of paper, as CSS names it, by the locale's territory (`LC_PAPER`)."""
    locale = next(filter(None, map(variables.get, ("LC_ALL", "LC_PAPER", "LANG"))), "")
    territory = locale.partition(".")[0].partition("@")[0].partition("_")[2]
    return "Letter" if territory in _LETTER else "A4"


def _print(browser: str, page: Path, printed: Path, profile: Path) -> None:
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
        "--no-pdf-header-footer",
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={_UNPACKING_MS}",
        f"--print-to-pdf={printed}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # which Chromium refuses to root
        page.as_uri(),
    ]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=PRINT_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise StorageError(
            f"{browser} did not print the page in {PRINT_TIMEOUT_S:.0f} s"
        ) from error
    if ended.returncode or not printed.exists():
        raise StorageError(
            f"{browser} did not print the page (exit code {ended.returncode}); print report.html"
            " from a browser"
        )


def _move(printed: Path, out: Path) -> None:
    """Put the file in its place in one step, from a copy beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream, printed.open("rb") as source:
            shutil.copyfileobj(source, stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(beside).replace(out)
    finally:
        Path(beside).unlink(missing_ok=True)
