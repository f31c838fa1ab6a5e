"""A gate's command: its verdict, its folder, its environment, and its end."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from runner.core.gates import CommandGate, GateAnswer, Verdict
from runner.gates.command_gate import ask_command


def asked(folder: Path, *command: str, timeout_s: float = 60.0) -> GateAnswer:
    gate = CommandGate(name="site", command=command, timeout_s=timeout_s)
    return asyncio.run(ask_command(gate, folder))


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("exit 0", Verdict.PASS),
        ("exit 1", Verdict.FAIL),
        ("exit 2", Verdict.INCONCLUSIVE),
        ("kill -9 $$", Verdict.INCONCLUSIVE),
    ],
)
def test_0_passes_1_fails_and_everything_else_is_inconclusive(
    tmp_path: Path, script: str, verdict: Verdict
):
    assert asked(tmp_path, "sh", "-c", script).verdict is verdict


def test_a_relative_program_and_its_folder_are_the_manifests(tmp_path: Path):
    program = tmp_path / "check-site"
    program.write_text('#!/bin/sh\npwd > "$1"\n')
    program.chmod(0o755)
    assert asked(tmp_path, "./check-site", "where").verdict is Verdict.PASS
    assert (tmp_path / "where").read_text().strip() == str(tmp_path.resolve())


def test_it_gets_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", "hush")
    monkeypatch.setenv("LC_ALL", "C")
    assert asked(tmp_path, "sh", "-c", "env > env").verdict is Verdict.PASS
    found = (tmp_path / "env").read_text()
    assert "hush" not in found
    assert "LC_ALL=C" in found
    assert "PATH=" in found


@pytest.mark.parametrize("program", ["./missing", "no-such-program-here", "./folder", "\x00"])
def test_a_program_that_cannot_run_is_inconclusive(tmp_path: Path, program: str):
    (tmp_path / "folder").mkdir()
    answer = asked(tmp_path, program)
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "cannot be run" in answer.text


def test_at_its_time_out_the_whole_group_is_killed(tmp_path: Path):
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)  # so that the script's own open never waits
    sleep = shutil.which("sleep") or "sleep"
    script = f"({sleep} 600 > alive) & ({sleep} 600 > alive) & wait"
    answer = asked(tmp_path, "sh", "-c", script, timeout_s=0.5)
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "did not end within 0.5 s" in answer.text
    os.close(writer)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # end of file: all that held it open have ended
    os.close(reader)


def test_a_run_that_ends_kills_it(tmp_path: Path):
    async def main() -> None:
        gate = CommandGate(name="site", command=("sleep", "600"), timeout_s=600)
        asking = asyncio.create_task(ask_command(gate, tmp_path))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(main())
