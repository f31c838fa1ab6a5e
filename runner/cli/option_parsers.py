"""Parses option values; the error for a wrong value says what to write."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import typer

from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import parse_age

T = TypeVar("T")


def age(text: str) -> float:
    """Parse an age such as `90d`; in seconds."""
    return _parse(parse_age, text)


def for_command_line(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return a parser whose error names the option that has the wrong value."""
    if parse is JournalLocation:
        return journal  # type: ignore[return-value]  # T is `JournalLocation`
    return partial(_parse, parse)


def journal(text: str) -> JournalLocation:
    """Read where a journal is: a file's path, or a database's URL. Raises `BadParameter`."""
    if not text.strip():
        raise typer.BadParameter("it is empty; name a file, or a database with postgresql://")
    return JournalLocation(text if "://" in text else str(plain_path(text)))


def plain_path(text: str) -> Path:
    """Return a path without `..`, where that leads to the same place: next steps show it."""
    path = Path(text)
    if ".." not in path.parts or "\0" in text:
        return path
    plain = os.path.normpath(path)
    return Path(plain) if os.path.realpath(plain) == os.path.realpath(path) else path


def times(value: str | int) -> int:
    """Parse how often `-v` or `-q` was given; a variable holds the number."""
    try:
        return max(0, int(value))
    except ValueError as error:
        raise typer.BadParameter(
            f"{value!r} is not a number; write 1, or 2 for more, or leave it out"
        ) from error


def _parse(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from error
