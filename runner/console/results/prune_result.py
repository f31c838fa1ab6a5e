"""Renders the result of `reports prune`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.frozen import frozen
from runner.core.number_text import counted, duration, figure
from runner.core.records.retention import KeepReason

DAY_S = 86_400.0
MOST_SHOWN = 50
"""Most folders of a kind that the text lists; JSON has all."""


@frozen
class RemovedReport:
    """A report folder that was removed, or that would be."""

    batch: str
    run: str
    path: str
    size_bytes: int


@frozen
class FolderNote:
    """A folder that was skipped or could not be removed, with the reason."""

    path: str
    why: str


@frozen
class PruneResult:
    """The result of pruning; with `dry_run`, `removed` are the reports that would be removed."""

    root: str
    keep: int
    older_than_s: float
    dry_run: bool
    removed: Sequence[RemovedReport]
    kept: Mapping[KeepReason, int]
    left: Sequence[FolderNote]
    failed: Sequence[FolderNote]

    @property
    def freed_bytes(self) -> int:
        """Bytes that were freed, or would be."""
        return sum(each.size_bytes for each in self.removed)


KEPT = MappingProxyType(
    {
        KeepReason.NEWEST: "among the newest of their batch",
        KeepReason.LATEST: "`latest` points to them",
        KeepReason.YOUNG: "not old enough",
        KeepReason.IN_DOUBT: "with transfers in doubt; once these are settled, render the report"
        " again",
        KeepReason.WITNESS: "needed by the next apply to check the journal",
    }
)
"""Reasons for keeping folders, as text."""


def prune_to_json(pruned: PruneResult) -> str:
    """Return the result as one JSON document, in ASCII."""
    fields = {
        "reports": pruned.root,
        "keep": pruned.keep,
        "older_than_s": pruned.older_than_s,
        "dry_run": pruned.dry_run,
        "removed": [asdict(each) for each in pruned.removed],
        "freed_bytes": pruned.freed_bytes,
        "kept": {reason.value: pruned.kept.get(reason, 0) for reason in KeepReason},
        "left": [asdict(each) for each in pruned.left],
        "failed": [asdict(each) for each in pruned.failed],
    }
    return document("prune", fields)


def render_prune(pruned: PruneResult, *, color: bool = False) -> str:
    """Return the result as text."""
    paint = Paint(color)
    reports = counted(len(pruned.removed), "report")
    if pruned.dry_run:
        verdict = f"{paint.green('dry run')}: would remove {reports} and free {_size(pruned)}"
    elif pruned.failed:
        verdict = f"{paint.red('storage')}: removed {reports}, freed {_size(pruned)}; not all"
    else:
        verdict = f"{paint.green('ok')}: removed {reports}, freed {_size(pruned)}"
    bounds = f"{counted(pruned.keep, 'run')} of each batch, and what is younger than {_age(pruned)}"
    lines = [verdict, f"  {paint.faint(f'in {visible(pruned.root)}, keeping {bounds}')}"]
    lines += [f"  {each.path}" for each in pruned.removed[:MOST_SHOWN]]
    lines += _more(len(pruned.removed))
    lines += [f"  kept {n:,} {KEPT[reason]}" for reason, n in pruned.kept.items()]
    for title, remarks in (("left alone", pruned.left), ("could not be removed", pruned.failed)):
        lines += _remarks(title, remarks, paint)
    return "\n".join(lines) + "\n"


def _remarks(title: str, remarks: Sequence[FolderNote], paint: Paint) -> Iterator[str]:
    if remarks:
        yield paint.bold(title)
    for remark in remarks[:MOST_SHOWN]:
        yield f"  {visible(remark.path)}: {visible(remark.why)}"
    yield from _more(len(remarks))


def _more(number: int) -> Iterator[str]:
    if number > MOST_SHOWN:
        yield f"  and {number - MOST_SHOWN:,} more: --output json lists them all"


def _age(pruned: PruneResult) -> str:
    days, rest = divmod(pruned.older_than_s, DAY_S)
    return duration(pruned.older_than_s) if rest or not days else counted(int(days), "day")


def _size(pruned: PruneResult) -> str:
    size, units = float(pruned.freed_bytes), ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:  # noqa: PLR2004 - a unit's step
        size, units = size / 1000, units[1:]
    return f"{figure(size)} {units[0]}"
