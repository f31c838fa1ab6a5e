"""Every block of docs/operations.md is run in its order, in two terminals, and says what stands there.

A block marked `console first` belongs to the terminal in which the run is started: its lines are what
that run shows next, and the reader goes on in the other terminal meanwhile. `…` stands for any text.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE_S, Process, environment, run, started

DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXIT = re.compile(r"  # exit (\d+)$")
ENV = {"COLUMNS": "200", "RUNNER_LOG_FORMAT": "auto"}
FIRST = "first"


def commands(block: str) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each command line, its exit code, and the lines that it prints."""
    for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, *printed = each.splitlines()
        code = _EXIT.search(line)
        yield _EXIT.sub("", line), int(code[1]) if code else 0, printed


def is_shown(line: str, text: str) -> bool:
    pattern = ".*".join(map(re.escape, line.rstrip().split("…")))
    return re.search(f"^{pattern}", text, re.MULTILINE) is not None


class FirstTerminal:
    """The run that goes on while the reader types into the other terminal."""

    def __init__(self, process: Process, code: int, lines: list[str]) -> None:
        self._process = process
        self._code = code
        self._text = ""
        self._ended = False
        self.expect(lines)

    @property
    def run_id(self) -> str:
        """The run's id, as it logged it."""
        [found] = re.findall(r"planned run=(\S+)", self._text)
        return str(found)

    def expect(self, lines: list[str]) -> None:
        """Read what the run shows next, as far as the last of some lines."""
        for line in lines:
            self._read_to(line)

    def _read_to(self, line: str) -> None:
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        while not is_shown(line, self._text):
            assert not self._ended, f"{line!r} is not in:\n{self._text}"
            if read := self._process.stderr.readline():
                self._text += read
            else:
                self._ended = True  # its result is the last that it prints
                self._text += self._process.stdout.read()
                assert self._process.wait(PATIENCE_S) == self._code, self._text


def sh(text: str, folder: Path) -> None:
    """Run a block of shell lines, each of which must succeed."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def typed(text: str, folder: Path, run_id: str) -> None:
    """Run a block of the reader's terminal; `RUN` is the run that moved people."""
    for line, code, printed in commands(text):
        program, *arguments = (run_id if word == "RUN" else word for word in shlex.split(line))
        assert program == "runner"
        ended = run(*arguments, cwd=folder, env=ENV)
        assert ended.code == code, (line, ended)
        for each in printed:
            assert is_shown(each, ended.out + ended.err), (each, ended)


@pytest.mark.skipif(
    not shutil.which("ssh-keygen") and "RUNNER_REQUIRE_ALL" not in os.environ,
    reason="needs ssh-keygen",
)
def test_the_night(tmp_path: Path):
    # The name is short: the path of a run's socket may have 107 characters.
    with ExitStack() as open_:
        terminal: FirstTerminal | None = None
        for kind, mark, text in _BLOCK.findall(DOCUMENT.read_text("utf-8")):
            if kind in {"yaml", "csv"}:
                (tmp_path / mark).write_text(text, "utf-8")
            elif kind == "sh":
                sh(text, tmp_path)
            elif mark != FIRST:
                typed(text, tmp_path, terminal.run_id if terminal is not None else "")
            elif text.startswith("$ "):
                [(line, code, printed)] = commands(text)
                words = shlex.split(line)[1:]
                process = open_.enter_context(started(*words, cwd=tmp_path, env=ENV))
                terminal = FirstTerminal(process, code, printed)
            else:
                assert terminal is not None
                terminal.expect(text.splitlines())
