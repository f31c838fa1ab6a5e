"""Every manifest of `tests/manifests` loads, or fails with exactly the lines beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from runner.core.diagnostics.codes import CODES
from runner.core.diagnostics.problem import Severity
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import validator
from runner.manifest.yaml.source import read_source
from runner.manifest.yaml.tree_builder import build
from runner.schemas_lookup import schema
from tests.manifest.libyaml import named
from tests.manifest.rendering import load_rows, rendered

MANIFESTS = Path("tests/manifests")
VALID = sorted((MANIFESTS / "valid").glob("*.yaml"))
INVALID = sorted((MANIFESTS / "invalid").glob("*.yaml"))

REWRITE = os.environ.get("REWRITE_EXPECTED") == "1"
"""Set to rewrite the files; review the difference before it is committed."""


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_manifest_loads_without_a_word(path: Path):
    loaded, rows = load_rows(path)
    assert rendered(loaded.problems) == ""
    assert loaded.manifest is not None
    assert loaded.rows == len(rows)


@pytest.mark.parametrize("name", named([path.stem for path in INVALID]))
def test_an_invalid_manifest_fails_with_the_lines_beside_it(name: str):
    path = MANIFESTS / "invalid" / f"{name}.yaml"
    loaded, _ = load_rows(path)
    expected = path.with_suffix(".expected")
    if REWRITE:
        expected.write_text(rendered(loaded.problems), encoding="utf-8")
    assert rendered(loaded.problems) == expected.read_text(encoding="utf-8")
    failed = any(problem.severity is Severity.ERROR for problem in loaded.problems)
    assert (loaded.manifest is None) == failed
    assert loaded.problems


TOLD_ELSEWHERE = {"Y001", "Y002", "P001", "P002", "P003"}
"""Not about a manifest's text: `test_source`, `tests/cli/test_plan_file` and `test_approvals` have them."""


def test_every_code_has_its_message_in_a_file():
    result = {
        code
        for path in INVALID
        for code in re.findall(
            r"(?:error|warning)\[(\w+)\]", path.with_suffix(".expected").read_text("utf-8")
        )
    }
    assert result == CODES.keys() - TOLD_ELSEWHERE


def keywords(part: Any) -> set[str]:
    """Return the keywords of a schema that can refuse something."""
    found: set[str] = set()
    for keyword, inner in part.items() if isinstance(part, dict) else ():
        if keyword in ("properties", "$defs"):
            found = found.union(*map(keywords, inner.values()))
        elif keyword not in ("examples", "default", "const", "enum"):
            found |= keywords(inner)
        found.add(keyword)
    return found


SILENT = {"$schema", "$id", "$ref", "$defs", "title", "description", "examples", "default"}
SILENT |= {"properties", "items", "if", "then", "else"}


def test_every_keyword_of_the_schema_has_its_message_in_a_file():
    refused: set[str] = set()
    for path in INVALID:
        source = read_source(path, Collector())
        tree = build(source, Collector()) if source is not None else None
        if tree is not None:
            refused |= {error.kind.name for error in validator().iter_errors(tree.root)}
    assert {"const" if name == "constant" else name for name in refused} == (
        keywords(schema("manifest.v1")) - SILENT
    )
