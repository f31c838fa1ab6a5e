"""Completes the last word of a command line, for the scripts of `runner completion`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from typer.main import get_command

from runner.app.completion import environments_of, held_keys, manifest_keys, run_ids
from runner.app.find_journal import JournalOptions
from runner.app.init import templates
from runner.cli.app import command_line
from runner.cli.command_classes import ALONE
from runner.core.errors import RunnerError
from runner.core.journal_location import JournalLocation

SCRIPTS: Mapping[str, str] = {
    "bash": """\
_runner_complete() {
    local IFS=$'\\n' line words
    # `:` and `=` do not end a word for this program.
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$(printf '%q' "${line%%$'\\t'*}")")
    done < <("${COMP_WORDS[0]}" completion words -- "${words[@]}" 2>/dev/null)
}
complete -o bashdefault -o default -F _runner_complete runner
""",
    "zsh": """\
#compdef runner
_runner() {
    local line value
    local -a found
    while IFS= read -r line; do
        value=${${line%%$'\\t'*}//:/\\\\:}
        found+=("$value:${line#*$'\\t'}")
    done < <("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then _describe -V runner found; else _files; fi
}
compdef _runner runner
""",
    "fish": """\
function __runner_complete
    set -l typed (commandline -opc)
    set -l program $typed[1]
    set -e typed[1]
    set -l found ($program completion words -- $typed (commandline -ct) 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c runner -f -a '(__runner_complete)'
""",
}
"""The script of each shell; all ask `runner completion words`."""


class Candidate(NamedTuple):
    """What may stand for the last word, and what it means; neither has a tab or a line's end."""

    value: str
    meaning: str = ""


@dataclass
class _Line:
    """The words before the last one, as far as they say what is asked for."""

    operands: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)  # of options, by their first spelling
    expected: Any = None  # the option whose value the last word is
    options_ended: bool = False
    typed: str = ""  # of the last word, or of its part after `=`

    def journal(self) -> JournalOptions:
        """Return which journal the line, or the environment, names."""
        given = {
            name: self.values.get(f"--{name}") or os.environ.get(f"RUNNER_{name.upper()}")
            for name in ("journal", "manifest", "env")
        }
        return JournalOptions(
            JournalLocation(given["journal"]) if given["journal"] else None,
            Path(given["manifest"]) if given["manifest"] else None,
            given["env"],
        )


def candidates(words: Sequence[str]) -> list[Candidate]:
    """Return what may stand for the last of `words`, which follow the program's name.

    Nothing if a file is expected, or what would be offered cannot be read.
    """
    # Bash makes three words of `--env=demo`; what it replaces is the third alone.
    *before, last = ["" if word == "=" else word for word in words]
    before = [word for word in before if word]
    command = get_command(command_line(before))
    while before and hasattr(command, "commands"):
        word = before.pop(0)
        if word not in command.commands:
            return []
        command = command.commands[word]
    if hasattr(command, "commands") and not last.startswith("-"):
        offered: Iterable[Candidate] = _commands(command)
    else:
        offered = _of_command(command, before, last)
    try:
        found = [each for each in offered if each.value.startswith(last)]
    except (RunnerError, OSError):
        return []
    return [Candidate(_one_line(each.value), _one_line(each.meaning)) for each in found]


def _commands(group: Any) -> Iterator[Candidate]:
    for name, command in group.commands.items():
        if not command.hidden:
            yield Candidate(name, command.get_short_help_str(limit=80))


def _of_command(command: Any, before: Sequence[str], last: str) -> Iterator[Candidate]:
    options = {
        spelling: each
        for each in command.params
        if each.param_type_name == "option"
        for spelling in (*each.opts, *each.secondary_opts)
    }
    line = _read(before, options)
    name, equals, value = last.partition("=")
    line.typed = last if line.expected is not None else value
    if line.expected is not None:
        yield from _values(line.expected, line)
    elif last.startswith("-") and not line.options_ended:
        if equals and name in options:
            for each in _values(options[name], line):
                yield Candidate(f"{name}={each.value}", each.meaning)
            return
        for spelling, option in options.items():
            if spelling.startswith("--") and not option.hidden:
                yield Candidate(spelling, option.help or "")
        yield Candidate("--help", "Show what the command does, and its options.")
    else:
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        if arguments:
            position = min(len(line.operands), len(arguments) - 1)
            if position == len(line.operands) or arguments[position].nargs == -1:
                yield from _operands(arguments[position], line)


def _read(before: Sequence[str], options: Mapping[str, Any]) -> _Line:
    line = _Line()
    for word, following in zip_longest(before, before[1:]):
        option, line.expected = line.expected, None
        if option is not None:
            line.values[option.opts[0]] = word
        elif line.options_ended or not word.startswith("-"):
            line.operands.append(word)
        elif word == "--":
            line.options_ended = True
        elif "=" in word:
            name, _, value = word.partition("=")
            line.values[name] = value
        else:
            given = options.get(word)
            takes_value = given is not None and not (given.is_flag or given.count)
            if takes_value and not (word in ALONE and following is None):
                line.expected = given
    return line


def _values(option: Any, line: _Line) -> Iterator[Candidate]:
    """Yield what an option may be given: its choices, environments, or keys."""
    for choice in getattr(option.type, "choices", ()):
        yield Candidate(str(getattr(choice, "value", choice)))
    if "--driver" in option.opts:
        yield from map(Candidate, templates())
    manifest = line.values.get("--manifest") or next(iter(line.operands), None)
    if manifest is not None and "--env" in option.opts:
        yield from (Candidate(name, "environment") for name in environments_of(Path(manifest)))
    if manifest is not None and {"--only", "--exclude"} & set(option.opts):
        for key in manifest_keys(Path(manifest), line.typed):
            yield Candidate(glob.escape(key), "key")
    if "--compare" in option.opts:
        yield from _runs(line)


def _operands(argument: Any, line: _Line) -> Iterator[Candidate]:
    """Yield what an argument may be: its choices, runs, or keys in doubt."""
    for choice in getattr(argument.type, "choices", ()):
        yield Candidate(str(getattr(choice, "value", choice)))
    wanted = (argument.metavar or argument.name).upper().strip("[].")
    if "RUN" in wanted.replace("]", " ").replace("|", " ").split():
        yield from _runs(line)
    elif wanted == "KEY" and line.operands:
        for key, reason in held_keys(line.journal(), line.operands[0]):
            yield Candidate(key, reason)


def _runs(line: _Line) -> Iterator[Candidate]:
    yield Candidate("latest", "the newest run")
    for run, meaning in run_ids(line.journal()):
        yield Candidate(run, meaning)


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split(" "))
