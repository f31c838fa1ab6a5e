"""Commands whose help lists options in groups, and whose usage errors say what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from runner.core.next_steps import shell_line, validate

CHECKING = frozenset({"validate", "check", "lint", "verify", "test", "dry-run", "dryrun", "noop"})
"""What other programs call a command, or an option, that checks and changes nothing."""

ENVIRONMENT = "--env"

VALIDATE_ONLY = "validate_only"


ALONE = {"--wait": "168h"}
"""The values of options that may stand alone."""

_VALUE = re.compile(r"[0-9]")
"""How the value of such an option begins; a manifest may begin so too, and then comes first."""


class GroupedCommand(TyperCommand):
    """A command of which each option stands below the heading of its group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options; a group stands where its first option is declared."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(_heading(parameter), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments. The error for an option such as `--dry-run` says what to write."""
        try:
            words = list(_completed(args, self._alone()))
            self._check_one_environment(ctx, words)
            return super().parse_args(ctx, words)
        except Exception as error:
            name = getattr(error, "option_name", None)  # of an unknown option alone
            if isinstance(name, str) and _means_checking(name):
                _add_help(error, self._instead(ctx.command_path))
            raise

    def _check_one_environment(self, ctx: Any, words: list[str]) -> None:
        """Refuse a second `--env` of a command that takes one: without this, the last would count."""
        *_, given = self.make_parser(ctx).parse_args(list(words))
        for each in set(given):
            if ENVIRONMENT in each.opts and not each.multiple and given.count(each) > 1:
                text = f"`{ctx.command_path}` takes one environment at a time: run it once for each"
                raise typer.BadParameter(text, ctx=ctx, param=each)

    def _alone(self) -> Mapping[str, str]:
        """Return this command's options that may stand alone, with the values that they then have."""
        valued = {
            name
            for each in self.params
            for name in each.opts
            if not getattr(each, "is_flag", False)
        }
        return {name: value for name, value in ALONE.items() if name in valued}

    def _instead(self, path: str) -> str:
        if any(each.name == VALIDATE_ONLY for each in self.params):
            return "write --validate-only: it does everything up to the plan, and sends nothing"
        return f"leave it out; `{path} --help` lists the options"


class CommandGroup(TyperGroup):
    """The program's commands; an unknown one such as `validate` leads to `--validate-only`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the command; do the same for an unknown one."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            _help_to_check(error, getattr(error, "option_name", None))
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named. The error for an unknown one says what to write."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            _help_to_check(error, args[0])
            raise


def _completed(args: list[str], alone: Mapping[str, str]) -> Iterator[str]:
    """Yield arguments, with a value for each option that stands alone."""
    for word, following in zip_longest(args, args[1:], fillvalue=""):
        yield word
        if word in alone and not _VALUE.match(following):
            yield alone[word]


def _means_checking(word: str) -> bool:
    return word.lstrip("-").lower() in CHECKING


def _help_to_check(error: Exception, word: str | None) -> None:
    if word is not None and _means_checking(word):
        _add_help(error, f"`{shell_line(validate('MANIFEST'))}` checks and sends nothing")


def _heading(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def _add_help(error: Exception, text: str) -> None:
    message = getattr(error, "message", None)
    if isinstance(message, str):
        error.message = f"{message}\nhelp: {text}"  # type: ignore[attr-defined]  # it has one
        if getattr(error, "possibilities", None):
            error.possibilities = None  # type: ignore[attr-defined]  # similar names mislead
