"""Where the history lies that a command is to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import ManifestInvalid, UsageError
from runner.journal.filesystem import real
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import check_schema
from runner.manifest.sections.environment import choose
from runner.manifest.yaml.source import read_source
from runner.manifest.yaml.tree_builder import build

FOLDER = ".runner"


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """What a command was told about the journal; None where nothing was said."""

    journal: Path | None = None
    manifest: Path | None = None
    environment: str | None = None


def find_journal(told: JournalOptions) -> Path:
    """Return the path of the journal: named itself, or beside the manifest, or in this folder.

    Raises `UsageError` where that leaves a choice or nothing, `ManifestInvalid` if the manifest
    does not tell its environment.
    """
    if told.journal is not None:
        return real(told.journal)
    folder = real(told.manifest).parent if told.manifest is not None else Path()
    environment = told.environment
    if told.manifest is not None:
        environment = _environment(told.manifest, told.environment)
    if environment is not None:
        return real(folder / FOLDER / f"{environment}.db")
    return _only_one(folder / FOLDER)


def _environment(manifest: Path, wanted: str | None) -> str:
    """Return the environment that a manifest chooses; its transfers are not read."""
    problems = Collector()
    source = read_source(manifest, problems)
    tree = build(source, problems) if source is not None else None
    document = check_schema(tree, problems) if tree is not None else None
    chosen = choose(document, wanted, problems) if document is not None else None
    if chosen is None:
        raise ManifestInvalid(problems.sorted(str(manifest)), dict(problems.omitted))
    return chosen


def _only_one(folder: Path) -> Path:
    found = sorted(folder.glob("*.db"))
    if len(found) == 1:
        return real(found[0])
    if not found:
        raise UsageError(
            f"there is no journal in {folder.absolute()}; name it with --journal FILE,"
            " or the manifest that it belongs to with --manifest FILE"
        )
    names = ", ".join(path.stem for path in found)
    raise UsageError(f"{folder} holds several journals; choose with --env, of: {names}")
