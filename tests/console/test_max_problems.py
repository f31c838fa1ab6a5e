"""`--max-problems` and RUNNER_MAX_PROBLEMS bound what people are shown, and no count."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from runner.cli.app import command_line

MANIFEST = "tests/manifests/invalid/r006-destinations.yaml"


@pytest.mark.parametrize("command", [["apply", MANIFEST, "--validate-only"], ["plan", MANIFEST]])
@pytest.mark.parametrize("by_variable", [False, True])
def test_so_many_are_shown_and_all_are_counted(command: list[str], *, by_variable: bool):
    option = [] if by_variable else ["--max-problems", "3"]
    variables = {"RUNNER_MAX_PROBLEMS": "3"} if by_variable else {}
    ended = CliRunner().invoke(command_line(), [*command, *option], env=variables)
    assert ended.exit_code == 3
    assert ended.stderr.count("error[R006]") == 3
    assert "… and 19 more: 19 R006\n" in ended.stderr
    assert "22 errors in tests/manifests/invalid/r006-destinations.yaml\n" in ended.stderr
