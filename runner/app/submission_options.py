"""The options of `apply` that travel with a submission, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, replace
from typing import Any

from runner.app.run_options import RunOptions
from runner.core.batch_options import MOST_ROWS, OPTIONS, BatchOptions, to_json
from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.manifest.model import Manifest
from runner.core.next_steps import RunArguments
from runner.manifest.load import Overrides
from runner.manifest.own_sections import OwnSections

TRAVELLING = ("only", "limit", "again", "rate_per_s", "in_flight", "max_failures")
"""What chooses rows, and what lowers limits. Not what waives a check: that is for a person, on the spot."""


def travelling(options: BatchOptions) -> dict[str, Any]:
    """Return the options that were given in their JSON form.

    Raises `UsageError` for one that does not travel.
    """
    given = options.given()
    left = set(given) - {*TRAVELLING, "environment", "journal"}
    if left:
        flag = OPTIONS[min(left)].flag
        raise UsageError(
            f"{flag} is not for submissions, which a worker carries by its own configuration; leave"
            " it out, or use `apply`"
        )
    return {name: to_json(given[name]) for name in TRAVELLING if name in given}


def options_from(submitted: Mapping[str, Any]) -> BatchOptions:
    """Return the options of a submission, which comes from outside. Raises `UsageError`."""
    for name, value in submitted.items():
        if name not in TRAVELLING or not _is_sound(name, value):
            raise UsageError(f"the submission's option {name[:40]!r} is not one that may be given")
    try:
        return BatchOptions.from_json(submitted)
    except ValueError as error:
        raise UsageError(f"the submission's options are not valid: {error}") from error


def _is_sound(name: str, value: Any) -> bool:
    option = OPTIONS[name]
    match name:
        case "only":
            return isinstance(value, list) and all(map(_is_text, value))
        case "again":
            return value is True
        case "max_failures":
            return _is_text(value) or _is_between(0, value, MOST_ROWS)
        case "rate_per_s":
            is_number = isinstance(value, float) and 0 < value <= MOST_ROWS
            return is_number or _is_between(1, value, MOST_ROWS)
        case _:
            return _is_between(option.least or 0, value, option.most or MOST_ROWS)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value


def _is_between(least: int, value: Any, most: int) -> bool:
    """Return whether it is a whole number, and not more than any journal, or sum, can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


_NOT_SHOWN = frozenset({"own", "manifest", "submitted_as"})
"""What a report of a submission's run does not list as an option, or shows elsewhere."""


@frozen
class SubmittedRun(RunOptions):
    """What a worker runs for a submission: environments and callbacks are the worker's own."""

    own: OwnSections | None = None
    _: KW_ONLY
    submission: int
    submitted_as: str  # the manifest's name; its path is gone when the run has ended
    submitted_by: str  # the database's role
    submitted_from: str | None  # account and host, as who submitted said

    @property
    def overrides(self) -> Overrides:
        """How the options, and the worker, change the manifest while it is loaded."""
        return replace(RunOptions(manifest=self.manifest, **self.given()).overrides, own=self.own)

    def arguments(self, manifest: Manifest) -> RunArguments:
        """Return what the commands of next steps repeat."""
        arguments = RunOptions.arguments(self, manifest)
        return replace(arguments, manifest=self.submitted_as, submission=self.submission)

    def to_json(self) -> dict[str, Any]:
        """Return the options as the report shows them."""
        return {k: v for k, v in RunOptions.to_json(self).items() if k not in _NOT_SHOWN}
