"""How the values of options are read; what is none is a wrong argument, and says what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import (
    Amount,
    parse_age,
    parse_amount,
    parse_duration,
    parse_rate,
)

T = TypeVar("T")


def rate(text: str) -> float:
    """Read `25/s`, as so many a second."""
    return _read(parse_rate, text)


def duration(text: str) -> float:
    """Read `10m`, in seconds."""
    return _read(parse_duration, text)


def amount(text: str) -> Amount:
    """Read `20` or `5%`."""
    return _read(parse_amount, text)


def age(text: str) -> float:
    """Read `90d`, in seconds."""
    return _read(parse_age, text)


def journal(text: str) -> JournalLocation:
    """Read where a journal is: a file's path, or a database's URL."""
    return JournalLocation(text if "://" in text else str(Path(text)))


def times(told: str | int) -> int:
    """Read how often `-v` or `-q` was given; a variable tells it as a number."""
    try:
        return max(0, int(told))
    except ValueError as error:
        raise typer.BadParameter(
            f"{told!r} is no number of times; write 1, or 2 for twice as much, or leave it out"
        ) from error


def _read(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from error
