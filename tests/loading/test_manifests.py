"""Every manifest of `tests/manifests` loads, or fails with exactly the lines beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.core.problem import Severity
from tests.loading.rendering import load_rows, rendered

MANIFESTS = Path("tests/manifests")
VALID = sorted((MANIFESTS / "valid").glob("*.yaml"))
INVALID = sorted((MANIFESTS / "invalid").glob("*.yaml"))

REWRITE = os.environ.get("REWRITE_EXPECTED") == "1"
"""Set to write the files anew; look at the difference before it is committed."""


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_manifest_loads_without_a_word(path: Path):
    loaded, rows = load_rows(path)
    assert rendered(loaded.problems) == ""
    assert loaded.manifest is not None
    assert loaded.rows == len(rows)


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_manifest_fails_with_the_lines_beside_it(path: Path):
    loaded, _ = load_rows(path)
    expected = path.with_suffix(".expected")
    if REWRITE:
        expected.write_text(rendered(loaded.problems), encoding="utf-8")
    assert rendered(loaded.problems) == expected.read_text(encoding="utf-8")
    failed = any(problem.severity is Severity.ERROR for problem in loaded.problems)
    assert (loaded.manifest is None) == failed
    assert loaded.problems
