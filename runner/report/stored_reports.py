"""Lists the report folders under a root, and removes them.

A folder is a run's report only if its report.json names the run and it contains nothing else: the
folder's name is not enough. All paths are relative to an open folder, and links are not followed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runner.core.errors import StorageError, UsageError
from runner.core.frozen import frozen
from runner.core.records.retention import StoredReport
from runner.core.timestamps import seconds
from runner.report.formats.registry import FORMATS
from runner.report.pdf import PDF
from runner.report.safe_folder import FOLDER_FLAGS, LATEST, REPORT, UNFINISHED, WITNESS
from runner.report.writer import AUDIT, SIGNED_HEAD

HEAD_BYTES = 1 << 20
"""Bytes read of report.json: run and summary come before the transfers."""

_RUN = re.compile(r"(plan-)?[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_OURS = frozenset({*(each.file for each in FORMATS.values()), AUDIT, PDF, WITNESS})
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class ReportFolder:
    """A run's report folder and its size on disk."""

    stored: StoredReport
    size_bytes: int


@frozen
class SkippedEntry:
    """An entry beside reports that is not a report, with the reason."""

    path: Path
    why: str


@frozen
class StoredBatch:
    """A batch's reports; `latest` is the target of the link beside them."""

    name: str
    reports: tuple[ReportFolder, ...]
    latest: str | None
    skipped: tuple[SkippedEntry, ...]


def is_run_name(name: str) -> bool:
    """Return whether a folder is named like a run or a plan."""
    return _RUN.fullmatch(name) is not None


class NotAReport(Exception):
    """A folder is not a report of this program, or contains other files; the text has the reason."""


def stored_batches(root: Path, only: str | None = None) -> Iterator[StoredBatch]:
    """Yield the batches under `root` that have reports, by name.

    Raises `UsageError` if there is no such folder, or no batch `only` in it; `StorageError` if the
    root cannot be read.
    """
    with _opened(root) as descriptor:
        names = [entry.name for entry in _entries(descriptor) if _is_folder(entry)]
        if only is not None and only not in names:
            there = ", ".join(names[:10]) or "none"
            raise UsageError(f"there is no batch {only!r} in {root}; there are: {there}")
        for name in names:
            if only in {None, name}:
                batch = _look(descriptor, root / name)
                skipped_paths = [entry.path for entry in batch.skipped]
                if (
                    batch.reports
                    or root / name in skipped_paths
                    or any(_RUN.fullmatch(p.name) for p in skipped_paths)
                ):
                    yield batch


INDEXED_RUNS = 12
"""Newest runs of a batch that an index shows."""

INDEXED_BATCHES = 200


def newest_heads(root: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each batch and the beginnings of its newest runs' report.json, the newest first.

    Each has `signatures` as well: how many signatures of its record lie beside it, unchecked.
    What is not a run's report is left out. Raises as `stored_batches` does.
    """
    with _opened(root) as descriptor:
        batches = [entry.name for entry in _entries(descriptor) if _is_folder(entry)]
        for name in batches[:INDEXED_BATCHES]:
            heads = []
            with suppress(OSError), _child(descriptor, name) as folder:
                runs = [
                    e.name for e in _entries(folder) if _RUN.fullmatch(e.name) and _is_folder(e)
                ]
                newest = [run for run in reversed(runs) if not run.startswith("plan-")]
                for run in newest[:INDEXED_RUNS]:
                    with (
                        suppress(OSError, ValueError, RecursionError),
                        _child(folder, run) as inside,
                    ):
                        head = _head(_read(inside, REPORT, HEAD_BYTES))
                        if (head["run"]["id"], head["run"]["batch"]) == (run, name):
                            heads.append(head | {"signatures": _signatures(inside)})
            if heads:
                yield name, heads


def _signatures(folder: int) -> int:
    names = [entry.name for entry in _entries(folder)]
    if SIGNED_HEAD not in names:
        return 0
    return sum(name.startswith(f"{SIGNED_HEAD}.") and name.endswith(".sig") for name in names)


def remove_report(root: Path, batch: str, name: str) -> int:
    """Remove a report folder and return the bytes that this frees; 0 if it does not exist.

    report.json is removed last, so that a half-removed folder is still recognised as a report.
    Raises `NotAReport` if it contains other files by now, `OSError`.
    """
    with _opened(root) as descriptor, _child(descriptor, batch) as parent:
        try:
            with _child(parent, name) as folder:
                sizes = _files(folder)
                for file in sorted(sizes, key=lambda file: (file == REPORT, file)):
                    os.unlink(file, dir_fd=folder)
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            return 0
        return sum(sizes.values())


def _look(root: int, path: Path) -> StoredBatch:
    reports, skipped, latest = [], [], None
    try:
        with _child(root, path.name) as descriptor:
            with suppress(OSError):  # it does not exist, or is not a link
                latest = os.readlink(LATEST, dir_fd=descriptor)
            for entry in _entries(descriptor):
                if entry.name == LATEST:
                    continue
                try:
                    reports.append(_report(descriptor, entry, path.name))
                except NotAReport as error:
                    skipped.append(SkippedEntry(path / entry.name, str(error)))
    except OSError as error:
        skipped.append(SkippedEntry(path, f"it cannot be read ({error.strerror})"))
    return StoredBatch(path.name, tuple(reports), latest, tuple(skipped))


def _report(parent: int, entry: os.DirEntry[str], batch: str) -> ReportFolder:
    """Return a report folder's data. Raises `NotAReport`."""
    if not _is_folder(entry):
        raise NotAReport("it is not a folder")
    if not _RUN.fullmatch(entry.name):
        raise NotAReport("its name is not that of a run")
    try:
        with _child(parent, entry.name) as folder:
            sizes = _files(folder)
            if REPORT not in sizes:
                raise NotAReport(
                    f"it has no {REPORT}: its run is running or died;"
                    " `report` with its id and its journal writes one"
                )
            stored = _stored(folder, sizes, entry.name, batch)
    except OSError as error:
        raise NotAReport(f"it cannot be read ({error.strerror})") from error
    return ReportFolder(stored, sum(sizes.values()))


def _files(folder: int) -> dict[str, int]:
    """Return the sizes of a report's files. Raises `NotAReport` for other files."""
    sizes = {}
    for entry in _entries(folder):
        unfinished = UNFINISHED.fullmatch(entry.name)
        name = entry.name if unfinished is None else unfinished[1]
        status = entry.stat(follow_symlinks=False)
        if name not in _OURS or not stat.S_ISREG(status.st_mode):
            raise NotAReport(f"it holds {entry.name!r}, which is not part of a report")
        sizes[entry.name] = status.st_size
    return sizes


def _stored(folder: int, files: dict[str, int], name: str, batch: str) -> StoredReport:
    try:
        head = _head(_read(folder, REPORT, HEAD_BYTES))
        run, summary = head["run"], head["summary"]
        planned = run["outcome"] == "planned"
        if (run["id"], run["batch"], planned) != (name, batch, name.startswith("plan-")):
            raise NotAReport(f"its {REPORT} is of another run")
        started_at = seconds(run["started_at"])
        ended_at = seconds(run["finished_at"] or run["started_at"])
        in_doubt = int(summary["in_doubt"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAReport(f"its {REPORT} cannot be read ({type(error).__name__})") from error
    stored = StoredReport(name, started_at, ended_at, in_doubt, planned)
    return stored if WITNESS not in files else _witnessed(folder, stored)


def _witnessed(folder: int, stored: StoredReport) -> StoredReport:
    try:
        witness = json.loads(_read(folder, WITNESS, HEAD_BYTES))
        environment, at = str(witness["environment"]), float(witness["at"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAReport(f"its {WITNESS} cannot be read ({type(error).__name__})") from error
    return StoredReport(
        stored.name,
        stored.started_at,
        stored.ended_at,
        stored.in_doubt,
        stored.planned,
        environment,
        at,
    )


def _head(text: str) -> dict[str, Any]:
    """Return `run` and `summary` from the beginning of a report. Raises `ValueError`."""
    decode = json.JSONDecoder().raw_decode
    head: dict[str, Any] = {}
    at = _past(text, 0, "{")
    while not {"run", "summary"} <= head.keys():
        name, at = decode(text, at)
        value, at = decode(text, _past(text, at, ":"))
        head[name] = value
        if not {"run", "summary"} <= head.keys():
            at = _past(text, at, ",")
    return head


def _past(text: str, at: int, sign: str) -> int:
    """Return the index after `sign`, which must come next, apart from blanks."""
    found = re.compile(rf"\s*{re.escape(sign)}\s*").match(text, at)
    if found is None:
        raise ValueError(f"{sign} is missing")
    return found.end()


def _read(folder: int, name: str, limit: int) -> str:
    with os.fdopen(os.open(name, _FILE_FLAGS, dir_fd=folder), "rb") as stream:
        return stream.read(limit).decode("utf-8", "replace")


def _entries(folder: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


@contextmanager
def _opened(root: Path) -> Iterator[int]:
    """Open the root; only its path may contain links."""
    try:
        descriptor = os.open(root, FOLDER_FLAGS & ~os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"there is no report folder {root}; name it with --report-dir") from error
    except OSError as error:
        raise StorageError(f"{root} cannot be read ({error.strerror})") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _child(parent: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
