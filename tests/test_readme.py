"""The commands in README.md and CONTRIBUTING.md work, and their lists are complete.

Blocks marked `console` are run, line by line; those marked `sh` and `crontab` are examples for
production machines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from runner.cli.app import command_line
from runner.core.exit_code import ExitCode
from tests.e2e.harness import PATIENCE_S

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "demo", "tests", "docs"
)
DRY = {"make test": "make -n test"}  # it would run this very test


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    """Return the commands of a block, without comments."""
    typed = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+# .*", "", line).strip() for line in typed]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project as somebody has it who has just typed `make install`."""
    copy = tmp_path_factory.mktemp("checkout") / "runner"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    programs = copy / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, arguments in (("python", ""), ("runner", " -m runner")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        program.chmod(0o755)
    for stamp in ("run.stamp", "dev.stamp"):
        (copy / ".venv" / stamp).touch()
    return copy


def typed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what a reader types into a shell."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNNER_", "MAKE", "VENV"))}
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{kept['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=kept | {"PATH": path, "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("block", blocks(README, "console"))
def test_the_commands_of_the_readme_work(block: str, checkout: Path) -> None:
    assert commands(block)
    for command in commands(block):
        ended = typed(DRY.get(command, command), checkout)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        if command == "make demo":
            report = checkout / "reports" / "demo" / "latest" / "report.html"
            assert f"report: {report}" in ended.stdout
            assert report.is_file()


def test_a_batch_that_is_applied_again_has_nothing_left_to_do(checkout: Path) -> None:
    there = "mkdir -p twice && cd twice"
    first = typed(f"{there} && runner init && runner apply manifest.yaml", checkout)
    second = typed(f"{there} && runner apply manifest.yaml", checkout)
    assert re.search(r"transferred +3", first.stdout), first
    assert re.search(r"unchanged +3", second.stdout), second
    assert "session opened" not in second.stderr


@pytest.mark.parametrize(
    "target",
    [
        "unit",
        "check",
        "bench",
        "wheel",
        "dist",
        "sbom",
        "release-check",
        "docs",
        "man",
        "requirements",
        "diagram",
        "reach",
        "rules",
        "fuzz",
        "judge",
        "images",
        "chaos",
    ],
)
def test_every_documented_target_exists(target: str, checkout: Path) -> None:
    assert f"make {target}" in CONTRIBUTING + README
    assert typed(f"make -n {target}", checkout).returncode == 0


def test_the_table_of_commands_lists_each_and_no_other() -> None:
    listed = set(re.findall(r"^\| `runner (\w+)", README, re.MULTILINE))
    assert listed == set(get_command(command_line()).commands)  # type: ignore[attr-defined]  # a group


def options_of(command: Any) -> set[str]:
    """Return a command's options, those of its own commands included."""
    options = {option for each in command.params for option in each.opts}
    return options.union(*map(options_of, getattr(command, "commands", {}).values()))


OF_THE_PROJECT = {"--kinds clock", "--kinds failover", "--plant"}
"""Options of the project's scripts, where a document names them alone."""

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_that_is_named_exists(document: Path) -> None:
    """Each stands behind its command; those that stand alone belong to some command."""
    known = {
        name: options_of(command) | {"--help"}
        for name, command in get_command(command_line()).commands.items()  # type: ignore[attr-defined]
    }
    everywhere = set().union(*known.values())
    for code in re.findall(r"`([^`\n]+)`", document.read_text(encoding="utf-8")):
        options = set(re.findall(r"(?<!\S)--[a-z-]+", code))
        found = re.match(r"runner (\w+)", code)
        if re.match(r"(?:\w+=\S+ )*python |make ", code) or code in OF_THE_PROJECT:
            continue  # a script of the project, which has options of its own
        assert options <= (known.get(found[1], everywhere) if found else everywhere), code


def test_the_table_of_exit_codes_is_the_programs() -> None:
    listed = {
        (int(code), name)
        for codes, name in re.findall(r"^\| ([\d, ]+) \| ([\w-]+) \|", README, re.MULTILINE)
        for code in codes.split(",")
    }
    assert listed == {(code.value, code.outcome) for code in ExitCode}
