"""Runs a gate's command: in the manifest's folder, without secrets, ended with its whole group."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from runner.core.gates import CommandGate, GateAnswer, Verdict, judge_exit

_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR"})


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a command gets: only those that certainly hold no secret."""
    return {
        name: value
        for name, value in variables.items()
        if name in _PASSED_ON or name.startswith("LC_")
    }


async def ask_command(gate: CommandGate, folder: Path) -> GateAnswer:
    """Return the verdict of a command; at its time-out its process group is killed."""
    program = gate.command[0]
    if "/" in program:
        program = str((folder / program).absolute())
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *gate.command[1:],
            cwd=folder,
            env=without_secrets(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is not a path"
        return GateAnswer(Verdict.INCONCLUSIVE, f"{gate.command[0]} cannot be run ({why})")
    try:
        async with asyncio.timeout(gate.timeout_s):
            return judge_exit(await process.wait())
    except TimeoutError:
        return GateAnswer(
            Verdict.INCONCLUSIVE, f"{gate.command[0]} did not end within {gate.timeout_s:g} s"
        )
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await asyncio.shield(process.wait())
