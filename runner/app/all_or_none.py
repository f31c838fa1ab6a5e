"""Checks a command's every environment before the first of them is begun or stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from runner.app.approvals import check_approvals
from runner.app.plan import plan_offline, read_manifest
from runner.app.plan_check import as_planned, with_run_named
from runner.app.run_options import RunOptions
from runner.core.errors import ManifestInvalid, RunnerError, StorageError, UsageError
from runner.staging.rows import Staging

T = TypeVar("T")

Refusal = UsageError | StorageError


def check_each(requests: Sequence[RunOptions], check: Callable[[RunOptions], T]) -> list[T]:
    """Return what `check` returns for each request.

    If one fails, all are checked nonetheless, and the error names every problem once: it raises
    `ManifestInvalid`, whose `also` holds the other errors; or else `UsageError` or `StorageError`.
    """
    found: list[T] = []
    invalid: list[ManifestInvalid] = []
    refusals: list[tuple[str, Refusal]] = []
    for request in requests:
        try:
            found.append(check(request))
        except ManifestInvalid as error:
            invalid.append(error)
        except (UsageError, StorageError) as error:
            refusals.append((str(request.environment), error))
    also = _told_once(refusals, of=len(requests))
    if invalid:
        raise _joined(invalid, also)
    if also:
        kind = StorageError if any(isinstance(each, StorageError) for each in also) else UsageError
        raise kind("\n".join(map(str, also)))
    return found


def check_run(request: RunOptions) -> None:
    """Check all that can be checked before a run without the gateway, and change nothing.

    Raises `ManifestInvalid`, `UsageError`, `StorageError`.
    """
    request = as_planned(request)
    with Staging() as staging:
        manifest, _ = read_manifest(request, staging)
        request = with_run_named(request, manifest)
        check_approvals(request, manifest, os.environ)
        if request.plan is None:  # a plan is compared with the journal once its ids are looked up
            plan_offline(request, manifest, staging)


def _told_once(refusals: Sequence[tuple[str, Refusal]], *, of: int) -> tuple[Refusal, ...]:
    """Return the errors, those of the same text once, with their environments unless all have it."""
    names: dict[str, list[str]] = {}
    kinds: dict[str, type[Refusal]] = {}
    for name, error in refusals:
        names.setdefault(str(error), []).append(name)
        kinds[str(error)] = StorageError if isinstance(error, StorageError) else UsageError
    return tuple(
        kinds[text](text if len(who) == of else f"{', '.join(who)}: {text}")
        for text, who in names.items()
    )


def _joined(invalid: Sequence[ManifestInvalid], also: Sequence[RunnerError]) -> ManifestInvalid:
    """Return one error with the problems of all; what several environments have is in it once."""
    problems = dict.fromkeys(problem for error in invalid for problem in error.problems)
    omitted: dict[str, int] = {}
    for error in invalid:
        for code, count in error.omitted.items():
            omitted[code] = max(omitted.get(code, 0), count)
    return ManifestInvalid(tuple(problems), omitted, also)
