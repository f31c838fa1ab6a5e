"""Writes index.html: every batch of a report folder, its newest runs and how they ended."""

from __future__ import annotations

from pathlib import Path

from runner.report.html.index_page import render_index
from runner.report.safe_folder import open_folder
from runner.report.stored_reports import newest_heads

INDEX = "index.html"


def write_index(root: Path) -> Path:
    """Write the report folder's list of batches and runs, and return its path.

    Raises `UsageError` if there is no such folder, `StorageError` if it cannot be read or written.
    """
    heads = list(newest_heads(root))
    with open_folder(root) as folder, folder.writing(INDEX) as stream:
        render_index(heads, stream.write)
        return folder.path / INDEX
