"""How the values of options are read; what is none is a wrong argument, and says what to write."""

from __future__ import annotations

import typer

from runner.core.quantity import Amount, parse_age, parse_amount, parse_duration, parse_rate


def rate(text: str) -> float:
    """Read `25/s`, as so many a second."""
    try:
        return parse_rate(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from error


def duration(text: str) -> float:
    """Read `10m`, in seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from error


def amount(text: str) -> Amount:
    """Read `20` or `5%`."""
    try:
        return parse_amount(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from error


def age(text: str) -> float:
    """Read `90d`, in seconds."""
    try:
        return parse_age(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from error


def times(told: str | int) -> int:
    """Read how often `-v` or `-q` was given; a variable tells it as a number."""
    try:
        return max(0, int(told))
    except ValueError as error:
        raise typer.BadParameter(
            f"{told!r} is no number of times; write 1, or 2 for twice as much, or leave it out"
        ) from error
