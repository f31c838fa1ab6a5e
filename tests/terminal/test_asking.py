"""`apply` asks at the terminal before it sends, wherever its output goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.terminal.window import Window


@contextmanager
def asked(harness: Harness, path: Path, *options: str, **changes: Any) -> Iterator[Window]:
    """Apply at a terminal, with standard output and error in files, as `>out 2>err` does."""
    with (harness.folder / "out").open("wb") as out, (harness.folder / "err").open("wb") as err:
        streams = {"stdout": out.fileno(), "stderr": err.fileno()} | changes
        arguments = command("apply", path, *options)
        with Window(arguments, cwd=harness.folder, env=environment(), **streams) as shown:
            yield shown


@pytest.mark.parametrize("stream", ["both", "stderr", "none"])
def test_it_asks_though_output_is_redirected(gateway: Gateway, harness: Harness, stream: str):
    """The question names environment, gateway, number and that there is no history."""
    path = harness.write(manifest(gateway, [transfer(), transfer()]))
    changes = {"both": {}, "stderr": {"stdout": None}, "none": {"stdout": None, "stderr": None}}
    with asked(harness, path, **changes[stream]) as shown:
        shown.wait_for("[y/N]")
        result = " ".join(shown.screen.text.split())
        assert not gateway.effects
        for part in ("Move 2 live", "environment foreign", "gateway edge, ", "NO HISTORY"):
            assert part in result
        assert "foreign.db is new" in "".join(shown.screen.text.split("\n")).replace("  ", " ")
        shown.type(b"n\n")
        assert shown.ended() == 130
    assert not gateway.effects
    with asked(harness, path, **changes[stream]) as shown:  # the journal is there by now
        shown.wait_for("[y/N]")
        assert "NO HISTORY" in shown.screen.text
        shown.type(b"perhaps\n")
        shown.wait_for(lambda screen: screen.text.count("[y/N]") == 2)
        shown.type(b"yes\n")
        assert shown.ended() == 0
    assert len(gateway.effects) == 2


def test_a_journal_with_history_is_not_called_new(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer()])
    assert harness.run("apply", harness.write(content)).code == 0, (
        "without a terminal it never asks"
    )
    content["transfers"].append(transfer())
    with asked(harness, harness.write(content)) as shown:
        shown.wait_for("[y/N]")
        assert "NO HISTORY" not in shown.screen.text
        assert "1 unchanged" in shown.screen.text
        shown.type(b"\n")
        assert shown.ended() == 130
    assert len(gateway.effects) == 1


def test_yes_and_the_simulator_are_not_asked(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer()])
    with asked(harness, harness.write(content), "--yes") as shown:
        assert shown.ended() == 0
    assert len(gateway.effects) == 1
    content["environments"]["demo"] = {"driver": "simulator", "gateway": "edge"}
    with asked(harness, harness.write(content), "--env", "demo") as shown:
        assert shown.ended() == 0


def test_an_end_of_input_is_a_no(gateway: Gateway, harness: Harness):
    with asked(harness, harness.write(manifest(gateway, [transfer()]))) as shown:
        shown.wait_for("[y/N]")
        shown.type(b"\x04")
        assert shown.ended() == 130
    assert not gateway.effects


def test_ctrl_c_at_the_question_sends_nothing(gateway: Gateway, harness: Harness):
    """It ends the run as a no does: a run without an end would be shown as one that died."""
    with asked(harness, harness.write(manifest(gateway, [transfer()]))) as shown:
        shown.wait_for("[y/N]")
        shown.type(b"\x03")
        assert shown.ended() == 130
    assert not gateway.effects
    report = harness.newest_report()
    report.check(130)
    assert report.run["outcome"] == "interrupted"
    assert "interrupted  batch batch" in harness.run("status", "latest").out


NO_STDIN = "os.dup2(os.open(os.devnull, os.O_RDONLY), 0)"


def test_it_asks_though_input_is_redirected(gateway: Gateway, harness: Harness):
    """As in a loop that reads a file, `while read …; do runner apply …; done <file`."""
    path = harness.write(manifest(gateway, [transfer()]))
    with asked(harness, path, before=NO_STDIN, stderr=None) as shown:
        shown.wait_for("[y/N]")
        shown.type(b"n\n")
        assert shown.ended() == 130
    assert not gateway.effects


def test_in_the_background_without_input_it_does_not_ask(gateway: Gateway, harness: Harness):
    """As `nohup` starts it: reading from the terminal would stop the process."""
    in_background = "os.fork() and (os.wait(), os._exit(0)); os.setpgid(0, 0)"
    path = harness.write(manifest(gateway, [transfer()]))
    with asked(harness, path, before=f"{NO_STDIN};{in_background}", stderr=None) as shown:
        assert shown.ended() == 0
        assert "[y/N]" not in shown.screen.text
    assert len(gateway.effects) == 1


def test_in_the_background_a_wave_that_waits_does_not_stop_the_process(
    gateway: Gateway, harness: Harness
):
    """As `runner apply … &` in a shell: a stopped process would answer no command."""
    in_background = "os.fork() and (os.wait(), os._exit(0)); os.setpgid(0, 0)"
    content = manifest(gateway, [transfer() for _ in range(3)])
    content["policy"]["waves"] = [1, {"size": "100%", "confirm": True}]
    path = harness.write(content)
    with asked(harness, path, "--yes", before=in_background, stderr=None) as shown:
        shown.wait_for("waits to be confirmed")
        assert harness.run("control", "continue", "--manifest", path).code == 0
        assert shown.ended() == 0
        assert "Begin wave" not in shown.screen.text
    assert len(gateway.effects) == 3


@pytest.mark.parametrize(("typed", "code", "moved"), [(b"y\n", 0, 3), (b"n\n", 5, 1)])
def test_a_wave_is_confirmed_at_the_terminal_beside_the_live_view(
    gateway: Gateway, harness: Harness, typed: bytes, code: int, moved: int
):
    content = manifest(gateway, [transfer() for _ in range(3)])
    content["policy"]["waves"] = [1, {"size": "100%", "confirm": True}]
    with asked(harness, harness.write(content)) as shown:
        shown.wait_for("[y/N]")
        shown.type(b"yes\n")
        shown.wait_for("Begin wave 2 of 2 (2 transfers)?")
        shown.wait_for("runner control")  # the whole of it may be longer than a line
        assert len(gateway.effects) == 1
        shown.type(typed)
        assert shown.ended() == code
    assert len(gateway.effects) == moved


ANSWERED_AT_ONCE = """
import asyncio, select, sys
from runner.cli.confirmation import ask_beside_run

def show(text):
    print(text, flush=True)
    select.select([sys.stdin], [], [])  # goes on once the answer is there

sys.exit(0 if asyncio.run(ask_beside_run("Begin?", show, elsewhere="another way")) else 1)
"""


def test_an_answer_counts_from_the_moment_the_question_is_shown(tmp_path: Path):
    arguments = [sys.executable, "-c", ANSWERED_AT_ONCE]
    with Window(arguments, cwd=tmp_path, env=environment()) as shown:
        shown.wait_for("[y/N]")
        shown.type(b"y\n")
        assert shown.ended() == 0


ASKED_IN_BACKGROUND = """
import asyncio, os, signal, sys
from runner.cli.confirmation import ask_beside_run

asker = os.fork()
if not asker:
    os.setpgid(0, 0)
    print("in the background", flush=True)
    answer = asyncio.run(ask_beside_run("Begin?", None, elsewhere="another way"))
    os._exit(0 if answer else 1)
assert sys.stdin.readline() == "not for the run\\n"
os.tcsetpgrp(0, asker)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(asker, 0)[1]))
"""


def test_a_question_in_the_background_is_asked_in_the_foreground(tmp_path: Path):
    arguments = [sys.executable, "-c", ASKED_IN_BACKGROUND]
    with Window(arguments, cwd=tmp_path, env=environment()) as shown:
        shown.wait_for("in the background")
        assert "[y/N]" not in shown.screen.text
        shown.type(b"not for the run\n")
        shown.wait_for("[y/N]")
        shown.type(b"y\n")
        assert shown.ended() == 0
