"""Output may be lost; the program goes on."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.console.output_streams import LossyStream, can_redraw, follows_links, wants_color

PROGRAM = """
import os, sys
from runner.console.output_streams import standard_streams
out, err = standard_streams()
opened = os.open("/dev/null", os.O_RDONLY)
out.write("h\\u00e9llo \\ud800\\n" * 3)
err.write("err\\n")
sys.exit(7 if opened > 2 else 8)
"""


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def run(shell: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program with redirections that a shell writes."""
    return subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {shell}', sys.executable, PROGRAM],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path), **environ},
    )


def test_output_is_utf8_in_a_c_locale():
    done = run("", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    assert done.stdout == b"h\xc3\xa9llo \\ud800\n" * 3
    assert (done.returncode, done.stderr) == (7, b"err\n")


@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_descriptors_are_filled_and_lose_output_only(shell: str):
    assert run(shell).returncode == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_loses_output_quietly():
    done = run(">/dev/full")

    assert (done.returncode, done.stderr) == (7, b"err\n")


def test_a_closed_pipe_loses_output_quietly():
    done = run('| true; exit "$?"')  # the reader is gone before or while we write

    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_a_closed_stream_is_remembered_as_lost():
    text = io.StringIO()
    stream = LossyStream(text)
    text.close()

    assert stream.write("x") == 1
    assert isinstance(stream.lost, ValueError)
    assert not stream.isatty()


def test_no_stream_at_all_takes_everything():
    stream = LossyStream(None)

    stream.write("x")
    stream.flush()
    stream.close()

    assert (stream.lost, stream.isatty()) == (None, False)
    with pytest.raises(OSError, match="no descriptor"):
        stream.fileno()


def test_a_diverted_stream_writes_elsewhere_until_it_is_not():
    above: list[str] = []
    text = io.StringIO()
    stream = LossyStream(text)

    stream.divert(above.append)
    stream.write("a")
    stream.direct.write("b")
    stream.divert(None)
    stream.write("c")

    assert (above, text.getvalue()) == (["a"], "bc")


@pytest.mark.parametrize(
    ("environ", "color", "redraw"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "CI": "true"}, True, False),
        ({"TERM": "xterm", "CI": "false"}, True, True),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
    ],
)
def test_a_terminal_is_coloured_and_redrawn_as_its_surroundings_allow(
    environ: dict[str, str], *, color: bool, redraw: bool
):
    terminal, file = LossyStream(Terminal()), LossyStream(io.StringIO())

    assert (wants_color(terminal, environ), can_redraw(terminal, environ)) == (color, redraw)
    assert (wants_color(file, environ), can_redraw(file, environ)) == (False, False)


def test_a_pipe_that_is_full_for_a_moment_loses_one_text_only():
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if text == "one":
                raise BlockingIOError
            return super().write(text)

    full = Full()
    stream = LossyStream(full)
    for text in ("one", "two"):
        stream.write(text)

    assert (full.getvalue(), stream.lost) == ("two", None)


@pytest.mark.parametrize(
    ("environ", "follows"),
    [
        ({"TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"VTE_VERSION": "7006"}, True),
        ({"VTE_VERSION": "5000"}, False),
        ({"WT_SESSION": "1"}, True),
        ({"TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.4"}, True),
        ({"TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "next-3.3", "WT_SESSION": "1"}, False),
        ({"FORCE_HYPERLINK": "1"}, True),
        ({}, False),
        ({"WT_SESSION": "1", "FORCE_HYPERLINK": "0"}, False),
        ({"WT_SESSION": "1", "NO_COLOR": "1"}, False),
        ({"WT_SESSION": "1", "TERM": "dumb"}, False),
        ({"WT_SESSION": "1", "CI": "true"}, False),
        ({"WT_SESSION": "1", "SSH_CONNECTION": "1"}, False),
    ],
)
def test_paths_are_links_only_on_terminals_that_follow_them(
    *, environ: dict[str, str], follows: bool
):
    environ = {"TERM": "xterm-256color", **environ}
    assert follows_links(LossyStream(Terminal()), environ) is follows
    assert not follows_links(LossyStream(io.StringIO()), environ)
