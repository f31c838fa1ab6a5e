"""Finds the journal that a command reads."""

from __future__ import annotations

from pathlib import Path

from runner.core.errors import ManifestInvalid, UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.journals import (
    default_journal,
    journal_at,
    journals_beside,
    only_journal,
    resolve_location,
)
from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import check_schema
from runner.manifest.sections.environment import choose_environment


@frozen
class JournalOptions:
    """A command's options that name its journal; None if not given."""

    journal: JournalLocation | None = None
    manifest: Path | None = None
    environment: str | None = None


def find_journal(options: JournalOptions) -> JournalLocation:
    """Return the journal's location: as given, beside the manifest, or in the current folder.

    Raises `UsageError` if there is none or more than one, `ManifestInvalid` if the manifest does not
    name its environment.
    """
    if options.journal is not None:
        return resolve_location(options.journal)
    environment = options.environment
    if options.manifest is not None:
        environment = _environment(options.manifest, options.environment)
    if environment is not None:
        return _journal_of(options.manifest, environment)
    return only_journal()


def _journal_of(manifest: Path | None, environment: str) -> JournalLocation:
    """Return an environment's journal. Where others alone lie there, `apply` was given another `--env`."""
    journal = default_journal(manifest, environment)
    others = [Path(other.text).stem for other in journals_beside(manifest)]
    if others and not journal_at(journal).exists():
        raise UsageError(
            f"environment {environment} has no journal yet ({journal}): nothing was applied in it;"
            f" for what was applied in another, add --env {' or --env '.join(others)}"
        )
    return journal


def _environment(manifest: Path, wanted: str | None) -> str:
    """Return the environment that a manifest chooses, without reading its transfers."""
    problems = Collector()
    tree, _ = read_tree(manifest, problems)
    document = check_schema(tree, problems) if tree is not None else None
    chosen = choose_environment(document, wanted, problems) if document is not None else None
    if chosen is None:
        raise ManifestInvalid(problems.sorted(str(manifest)), dict(problems.omitted))
    return chosen
