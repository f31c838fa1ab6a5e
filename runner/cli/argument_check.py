"""What was typed, before any command reads it: words that are no text lead nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from runner.core.errors import UsageError


def check_words(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raise `UsageError` if an argument, or the value of a RUNNER_ variable, is not UTF-8.

    Python carries such bytes along as halves of characters, which neither journal nor report,
    database nor terminal takes: the first that met them would end the command.
    """
    for place, word in enumerate(arguments, 1):
        if not _is_text(word):
            raise UsageError(
                f"argument {place}, {_spelt(word)}, is not UTF-8: write it in UTF-8,"
                " and rename the file if it is the name of one"
            )
    for name, value in environment.items():
        if name.startswith("RUNNER_") and not _is_text(value):  # which may be a secret: not shown
            raise UsageError(
                f"the value of the variable {_spelt(name)} is not UTF-8: set it anew, in UTF-8,"
                " or unset it, and rename the file if it is the name of one"
            )


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spelt(word: str) -> str:
    r"""Return the word with `\xff` for each byte that is no part of a character."""
    from runner.console.text import visible  # noqa: PLC0415 - commands start without it

    return visible(os.fsencode(word).decode("utf-8", "backslashreplace"))
