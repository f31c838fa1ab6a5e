"""Which report folders of a batch may go: two conditions must hold, and nothing forbid it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from runner.core.frozen import frozen


class KeepReason(StrEnum):
    """Why a folder stays."""

    NEWEST = "newest"  # among as many as are to be kept
    LATEST = "latest"  # the link `latest` points to it
    YOUNG = "young"
    IN_DOUBT = "in_doubt"  # its run's report has transfers in doubt
    WITNESS = "witness"  # the next apply checks the journal against it


@frozen
class StoredReport:
    """A run's report folder as it lies there; times are seconds since the epoch."""

    name: str
    started_at: float
    ended_at: float  # the start's where there is no end
    in_doubt: int
    planned: bool = False  # a dry run's
    environment: str | None = None  # of what it saw of the journal; None: it saw none
    witnessed_at: float = 0.0


@frozen
class Retention:
    """What is kept: the newest runs of a batch, and all runs younger than `older_than_s`."""

    keep: int
    older_than_s: float


def reasons_to_keep(
    folders: Sequence[StoredReport], retention: Retention, *, latest: str | None, now: float
) -> Mapping[str, KeepReason | None]:
    """Return why each folder of one batch stays, by name; None: it may go.

    Of runs the newest stays whatever `retention` says; plans go by their age alone.
    """
    runs = sorted((f for f in folders if not f.planned), key=_age_order, reverse=True)
    newest = {folder.name for folder in runs[: max(1, retention.keep)]}
    witnesses = _witnesses(folders)
    kept = {}
    for folder in folders:
        reasons = (
            (folder.in_doubt > 0 and not folder.planned, KeepReason.IN_DOUBT),
            (folder.name == latest, KeepReason.LATEST),
            (folder.name in witnesses, KeepReason.WITNESS),
            (folder.name in newest, KeepReason.NEWEST),
            (now - folder.ended_at <= retention.older_than_s, KeepReason.YOUNG),
        )
        kept[folder.name] = next((reason for holds, reason in reasons if holds), None)
    return kept


def _age_order(folder: StoredReport) -> tuple[float, str]:
    return folder.started_at, folder.name


def _witnesses(folders: Iterable[StoredReport]) -> set[str]:
    """Return the folders that saw the journal last, one or more for each environment."""
    last: dict[str, float] = {}
    for folder in folders:
        if folder.environment is not None:
            before = last.get(folder.environment, folder.witnessed_at)
            last[folder.environment] = max(before, folder.witnessed_at)
    return {
        folder.name
        for folder in folders
        if folder.environment is not None and folder.witnessed_at == last[folder.environment]
    }
