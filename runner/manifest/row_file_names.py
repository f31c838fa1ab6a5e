"""Lists the row files that a manifest names."""

from __future__ import annotations

from pathlib import Path

from runner.manifest.problem_collector import Collector
from runner.manifest.yaml.source import read_source
from runner.manifest.yaml.tree_builder import build


def row_files_of(manifest: Path) -> list[str]:
    """Return the paths of `from` entries and of `exclude_from`, as a valid manifest writes them."""
    problems = Collector()
    source = read_source(manifest, problems)
    tree = build(source, problems) if source is not None else None
    if tree is None:
        return []
    items = tree.root.get("transfers", [])
    named = [item["from"] for item in items if "from" in item]
    if (protected := tree.root.get("exclude_from")) is not None:
        named.append(protected)
    return list(dict.fromkeys(named))
