"""Lists the files that a manifest names, and that are read with it."""

from __future__ import annotations

from pathlib import Path

from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector


def row_files_of(manifest: Path) -> list[str]:
    """Return the paths of `from` entries, of `exclude_from` and of what a valid manifest includes."""
    tree, _ = read_tree(manifest, Collector())
    if tree is None:
        return []
    items = tree.root.get("transfers", [])
    named = [item["from"] for item in items if "from" in item]
    if (protected := tree.root.get("exclude_from")) is not None:
        named.append(protected)
    named += [str(Path(each.source.name).relative_to(manifest.parent)) for each in tree.included]
    return list(dict.fromkeys(named))
