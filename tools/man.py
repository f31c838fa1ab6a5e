"""Writes `runner.1`, the manual page, from the commands' own help: `make man`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from runner import __version__
from runner.cli.app import command_line
from runner.core.exit_code import ExitCode

PAGE = Path(__file__).parents[1] / "build" / "man" / "runner.1"


def page() -> str:
    """Return the page; the same program gives the same bytes."""
    group: Any = get_command(command_line())
    lines = [
        f'.TH RUNNER 1 "" "runner {__version__}" "User Commands"',
        ".SH NAME",
        f"runner \\- {roff(group.help.rstrip('.').lower())}",
        ".SH SYNOPSIS",
        ".B runner",
        ".I COMMAND",
        "[OPTION]...",
        ".SH DESCRIPTION",
        roff(group.help),
        ".PP",
        "Each option that names a variable can be set by it instead.",
        ".SH COMMANDS",
    ]
    for name, command in _commands(group):
        lines += _command(name, command)
    lines += [".SH EXIT STATUS"]
    for code in ExitCode:
        lines += [".TP", f".B {code.value}", roff(code.outcome)]
    lines += [
        ".SH FILES",
        ".TP",
        ".I .runner/ENVIRONMENT.db",
        "The journal, beside the manifest. It keeps an interaction from being moved twice.",
        ".TP",
        ".I reports/BATCH/RUN/",
        "report.html, report.json and audit.jsonl of a run.",
    ]
    return "\n".join(lines) + "\n"


def roff(text: str) -> str:
    """Return text as roff shows it: no character of it is a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def _commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join(_metavar(each) for each in arguments)
    yield f".SS {roff(f'runner {name} {usage}'.strip())}"
    yield roff(" ".join((command.help or "").split()))
    for each in command.params:
        if getattr(each, "hidden", False):
            continue
        yield ".TP"
        if each in arguments:
            yield f".I {roff(_metavar(each))}"
        else:
            spellings = ", ".join(map(roff, (*each.opts, *each.secondary_opts)))
            value = "" if each.is_flag or each.count else f" {roff(_metavar(each))}"
            yield f".B {spellings}{value}"
        variable = f" Variable: {each.envvar}." if isinstance(each.envvar, str) else ""
        yield roff(f"{' '.join((each.help or '').split())}{variable}".strip() or "Required.")


def _metavar(parameter: Any) -> str:
    choices = getattr(parameter.type, "choices", None)
    if parameter.metavar:
        return str(parameter.metavar)
    if choices:
        return "|".join(str(getattr(each, "value", each)) for each in choices)
    return str(parameter.name or "").upper()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
    print(target)  # noqa: T201 - what this tool is for
