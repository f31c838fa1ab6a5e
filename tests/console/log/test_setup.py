"""The log: one redacted line an event, that never ends a run."""

from __future__ import annotations

import io
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.console.log.redaction import register_secrets
from runner.console.log.setup import EventLog, LogFormat, Logs, configure_logs
from runner.console.output_streams import LossyStream
from runner.core.errors import UsageError
from runner.core.manifest.model import Secret

NOON_S = 1_796_126_400.25  # 2026-12-01T12:00:00.250Z


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


class Unprintable:
    """A value whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def configured(text: io.StringIO, log_format: LogFormat = "json", **options: Any) -> Logs:
    return configure_logs(
        log_format, stream=LossyStream(text), environ={}, wall=lambda: NOON_S, **options
    )


class Lines(io.StringIO):
    """Where JSON lines go, and the log that writes them."""

    log: EventLog


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Yield JSON lines while the log is configured."""
    text = Lines()
    with configured(text) as logs:
        text.log = logs.log
        yield text


def only(text: io.StringIO) -> dict[str, Any]:
    (line,) = text.getvalue().splitlines()
    return dict(json.loads(line))


def test_json_is_one_ascii_line_an_event(lines: Lines):
    lines.log.info("slowed\ndown", key="漢", rate_per_s=12.5, level="x")

    assert lines.getvalue() == (
        '{"timestamp": "2026-12-01T12:00:00.250Z", "level": "info", "event": "slowed\\ndown", '
        '"key": "\\u6f22", "rate_per_s": 12.5}\n'
    )


def test_pretty_is_one_harmless_line_an_event():
    text = io.StringIO()
    with configured(text, "pretty") as logs:
        logs.log.warning("slowed\n\x1b[2Jdown", key="a b", n=3, why="", x=["\u202e"])

    assert text.getvalue() == (
        '12:00:00Z warning slowed\\n\\x1b[2Jdown key="a b" n=3 why="" x=["\\u{202e}"]\n'
    )


def test_auto_is_pretty_on_a_terminal():
    text = Terminal()
    with configured(text, "auto") as logs:
        logs.log.info("hello")

    assert logs.pretty
    assert text.getvalue() == "12:00:00Z info    hello\n"


def test_auto_is_plain_lines_with_dates_where_there_is_no_terminal():
    text = io.StringIO()
    with configured(text, "auto") as logs:
        logs.log.info("hello", key="a b")
        try:
            int("no")
        except ValueError:
            logging.getLogger("runner").exception("an internal error")

    assert logs.pretty
    first, second = text.getvalue().splitlines()
    assert first == '2026-12-01T12:00:00Z info    hello key="a b"'
    assert "Traceback (most recent call last)" in second
    assert "test_setup.py" in second


def test_a_colourful_terminal_gets_colours():
    text = Terminal()
    with configure_logs(
        stream=LossyStream(text), environ={"TERM": "xterm"}, wall=lambda: NOON_S
    ) as logs:
        logs.write(logging.ERROR, "no", {})

    assert text.getvalue() == (
        "\x1b[2m12:00:00Z\x1b[0m \x1b[1;31merror  \x1b[0m \x1b[1mno\x1b[0m\n"
    )


@pytest.mark.parametrize(
    ("verbosity", "levels"),
    [
        (2, "debug info warning error"),
        (1, "debug info warning error"),
        (0, "info warning error"),
        (-1, "warning error"),
        (-2, "error"),
    ],
)
def test_verbosity_sets_the_threshold(verbosity: int, levels: str):
    text = io.StringIO()
    with configured(text, verbosity=verbosity) as logs:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logs.write(level, "x", {})

    assert [json.loads(line)["level"] for line in text.getvalue().splitlines()] == levels.split()


def test_libraries_are_heard_from_warning_on_and_redacted(lines: Lines):
    logging.getLogger("httpx").info("HTTP Request: GET https://u:pw@host/x?token=abc")
    logging.getLogger("websockets.client").warning("> Authorization: Bearer %s", "abc.def-ghi")

    assert only(lines) == {
        "timestamp": "2026-12-01T12:00:00.250Z",
        "level": "warning",
        "event": "> Authorization: [redacted]",
        "logger": "websockets.client",
    }


def test_a_librarys_broken_message_is_logged_as_it_stands():
    record, text = logging.LogRecord("asyncio", 40, "", 0, "%d", ("x",), None), io.StringIO()
    with configured(text):
        logging.getLogger().handlers[-1].handle(record)  # alone: pytest's own would raise

    assert only(text)["event"] == "%d"


def test_an_exception_is_one_line_with_its_redacted_trace(lines: Lines):
    register_secrets([Secret("canary-5b1e")])
    try:
        int("canary-5b1e")
    except ValueError:
        logging.getLogger("runner").exception("a callback failed")

    line = only(lines)
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("with base 10: '[redacted]'")


def test_pretty_shows_of_an_exception_its_last_line():
    text = io.StringIO()
    with configured(text, "pretty") as logs:
        logs.log.warning("no", exc_info=ValueError("bad"))

    assert text.getvalue() == '12:00:00Z warning no exception="ValueError: bad"\n'


def test_values_that_cannot_be_shown_do_not_hurt(lines: Lines):
    circle: list[Any] = []
    circle.append(circle)

    lines.log.info("odd", a=Unprintable(), b=float("nan"), c=circle, d=10**5000)

    line = only(lines)
    assert line["a"] == "<Unprintable that cannot be shown>"
    assert line["b"] == "nan"
    assert line["d"] == "<int that cannot be shown>"


def test_the_log_file_is_private_json_and_keeps_info_when_quiet(tmp_path: Path):
    file, text = tmp_path / "run.log", io.StringIO()
    file.write_text("before\n")
    file.chmod(0o644)
    with configured(text, "auto", file=file, verbosity=-1) as logs:
        logs.log.info("hello")

    assert text.getvalue() == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before, line = file.read_text().splitlines()
    assert (before, json.loads(line)["event"]) == ("before", "hello")


def test_a_log_file_that_cannot_be_opened_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="No such file or directory; name a file that can be"):
        configured(io.StringIO(), file=tmp_path / "none" / "run.log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    ("name", "content"), [("fleet.db", b"SQLite format 3\0..."), ("b.yaml", b"version: 1\n")]
)
def test_no_line_goes_into_a_journal_or_a_manifest(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is a journal or a manifest"):
        configured(io.StringIO(), file=path)
    assert path.read_bytes() == content


def test_a_full_disk_under_the_log_file_ends_nothing():
    text = io.StringIO()
    with configured(text, file=Path("/dev/full")) as logs:
        logs.log.info("one")
        logs.log.info("two")

    assert len(text.getvalue().splitlines()) == 2


def test_closing_gives_the_loggers_back():
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogger("httpx").level)
    configured(io.StringIO()).close()

    assert (list(root.handlers), root.level, logging.getLogger("httpx").level) == before
