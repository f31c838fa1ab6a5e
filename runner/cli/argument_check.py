"""Rejects arguments and variables that are not valid UTF-8, before any command reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from runner.console.terminal_text import visible
from runner.core.errors import UsageError


def check_arguments(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raise `UsageError` if an argument, or the value of a RUNNER_ variable, is not UTF-8.

    Python keeps such bytes as lone surrogates, which no journal, report or terminal accepts: the
    first of them would end the command halfway.
    """
    for position, argument in enumerate(arguments, 1):
        if not _is_text(argument):
            raise UsageError(
                f"argument {position}, {_escaped(argument)}, is not UTF-8: write it in UTF-8,"
                " and rename the file if it names one"
            )
    for name, value in environment.items():
        if name.startswith("RUNNER_") and not _is_text(value):  # may be a secret: not shown
            raise UsageError(
                f"the value of the variable {_escaped(name)} is not UTF-8: set it in UTF-8,"
                " or unset it, and rename the file if it names one"
            )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(value: str) -> str:
    r"""Return the value with `\xff` for each byte that does not belong to a character."""
    return visible(os.fsencode(value).decode("utf-8", "backslashreplace"))
