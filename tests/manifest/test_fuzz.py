"""A small, repeatable part of what `make fuzz` does for as long as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.diagnostics.problem import Place, Problem
from runner.manifest.secret_lines import hide_secrets
from runner.manifest.yaml.tree import Source
from tests.manifest.cost import cpu_s
from tools.fuzz import SEEDS, hunt, judge


@pytest.mark.parametrize("seed", [1, 2])
def test_no_changed_manifest_breaks_the_loader(seed: int, tmp_path: Path):
    tries = len(SEEDS) + 150
    assert hunt(seed, iter(range(tries)), tmp_path) == tries


def test_the_hunt_would_notice_a_fault(tmp_path: Path):
    (tmp_path / "manifest.yaml").mkdir()  # so that writing it fails
    with pytest.raises(IsADirectoryError):
        judge(b"version: 1", tmp_path)


@pytest.mark.parametrize(
    "line", ["x" * 40_000, "secret" * 8_000, "token:" + " " * 40_000 + "x", "{" * 40_000]
)
def test_looking_for_secrets_takes_time_in_proportion_to_the_line(line: str):
    source = Source("m.yaml", f"{line}\n{line}\n", "")
    found = [Problem("S001", "odd", Place("m.yaml", 2, n + 1), "") for n in range(100)]
    assert cpu_s(lambda: list(hide_secrets(found, source))) < 1.0
