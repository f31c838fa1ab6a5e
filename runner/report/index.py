"""Writes index.html: every batch of a report folder, its newest runs and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.report.formats.registry import FORMATS
from runner.report.html.index_page import render_index
from runner.report.replaceable import check_replaceable
from runner.report.safe_folder import open_folder
from runner.report.stored_reports import newest_heads

INDEX = "index.html"
HTML = FORMATS["html"].file


def write_index(root: Path) -> Path:
    """Write the report folder's list of batches and runs, and return its path.

    Raises `UsageError` if there is no such folder, `StorageError` if it cannot be read or written.
    """
    heads = list(newest_heads(root))
    with open_folder(root) as folder, folder.writing(INDEX) as stream:
        render_index(heads, stream.write)
        return folder.path / INDEX


def write_index_of(
    batches: Sequence[tuple[str, Sequence[Mapping[str, Any]]]],
    root: Path,
    *,
    source: str,
    out: Path | None = None,
) -> Path:
    """Write the list of what a journal, `source`, holds, and return its path; see `render_index`.

    Runs whose reports are below `root` are linked. Raises `UsageError` for a file `out` that is not
    an earlier page, `StorageError`.
    """

    def address(batch: str, run: str) -> str | None:
        if not (root / batch / run / HTML).is_file():
            return None
        place = f"{quote(batch)}/{quote(run)}/{HTML}"
        return place if out is None else f"{root.resolve().as_uri()}/{place}"

    path = root / INDEX if out is None else out / INDEX if out.is_dir() else out
    if out is not None:
        check_replaceable(path, FORMATS["html"].name, FORMATS["html"].beginning)
    with open_folder(path.parent) as folder, folder.writing(path.name) as stream:
        render_index(batches, stream.write, source=source, address_of=address)
        return folder.path / path.name
