"""Lists the files that a manifest names, and that are read with it."""

from __future__ import annotations

from pathlib import Path

from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector


def row_files_of(manifest: Path) -> list[str]:
    """Return the paths of `from` entries, of `exclude_from` and of what a manifest includes.

    What is not valid in a manifest names no file.
    """
    tree, _ = read_tree(manifest, Collector())
    if tree is None or not isinstance(tree.root, dict):
        return []
    items = tree.root.get("transfers")
    rows = items if isinstance(items, list) else []
    written = [item.get("from") for item in rows if isinstance(item, dict)]
    named = [each for each in (*written, tree.root.get("exclude_from")) if isinstance(each, str)]
    named += [str(Path(each.source.name).relative_to(manifest.parent)) for each in tree.included]
    return list(dict.fromkeys(named))
