"""Stores excerpts of manifests, once for each text however many runs had it."""

from __future__ import annotations

import json
import sqlite3

from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.audit_chain import canonical


def keep_manifest(
    connection: sqlite3.Connection, sha256: str, excerpt: ManifestExcerpt | None
) -> None:
    """Keep an excerpt, if there is one, under the manifest's hash; the last one stays."""
    if excerpt is None:
        return
    text = canonical({"lines": excerpt.lines, "total": excerpt.total})
    connection.execute("INSERT OR REPLACE INTO manifests VALUES (?, ?)", (sha256, text))


def read_manifest(connection: sqlite3.Connection, sha256: str) -> ManifestExcerpt | None:
    """Return what was kept; None: nothing was."""
    found = connection.execute("SELECT excerpt FROM manifests WHERE sha256 = ?", [sha256])
    row = found.fetchone()
    if row is None:
        return None
    kept = json.loads(row[0])
    return ManifestExcerpt(tuple(kept["lines"]), kept["total"])
