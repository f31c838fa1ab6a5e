"""What the command line offers, and that each of it can come from the environment as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from runner.cli.main import app
from tests.e2e.bench import ROOT, environment

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has them


@pytest.mark.parametrize("command", ["apply", "plan"])
def test_every_option_of_a_batch_is_a_variable_too(command: str):
    variables = {
        option.opts[0].removeprefix("--"): option.envvar
        for option in COMMANDS[command].params
        if option.param_type_name == "option" and option.name != "help"
    }
    assert variables == {name: f"RUNNER_{name.upper().replace('-', '_')}" for name in variables}
    assert {"env", "only", "limit", "rate", "in-flight", "output", "verbose"} <= variables.keys()


def test_the_list_of_commands_breaks_no_line_off():
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80).output
    assert "  apply     Check, plan, transfer what is not yet transferred, report.\n" in shown
    assert "..." not in shown.partition("Commands:")[2]


@pytest.mark.parametrize("arguments", [["status"], ["apply", "m.yaml"], ["init"]])
def test_a_folder_that_is_gone_is_told_as_such(arguments: list[str], tmp_path: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = subprocess.run(
        ["bash", "-c", 'rmdir "$PWD"; exec "$0" "$@"', sys.executable, "-m", "runner", *arguments],
        cwd=gone,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: the folder of this command is gone; change to another\n"
