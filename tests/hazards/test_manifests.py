"""Manifests that are traps, through the real command line: told at once, in little memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT
from tests.hazards.cost import Spent

INVALID = ROOT / "tests" / "manifests" / "invalid"
TRAPS = (
    "yaml-alias-bomb",
    "yaml-alias-in-itself",
    "yaml-merge-bomb",
    "yaml-deep",
    "yaml-very-deep",
    "yaml-duplicate-keys",
    "yaml-numbers",
    "yaml-nul",
    "yaml-tags",
    "r006-ids",
)
MOST_CPU_S = 60.0  # one on an idle machine; a trap that works takes minutes
MOST_KB = 200_000
REAL = """\
version: 1
name: million
environment: real
environments:
  real:
    driver: interaction-websocket
    region: us
    credentials: {client_id: {env: FOREIGN_ID}, client_secret: {env: FOREIGN_SECRET}}
    gateway: edge
gateways:
  edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}
media:
  voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}
defaults: {media: voice, destination_uri: "genesys://queue/b"}
transfers: [{from: rows.jsonl}]
"""


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_told_with_its_place_at_once(name: str, tmp_path: Path):
    spent = Spent(tmp_path, "apply", INVALID / f"{name}.yaml")
    assert spent.code == 3, spent.said
    assert re.search(rf"{name}\.yaml:\d+:\d+", spent.said), spent.said
    assert "Traceback" not in spent.said
    assert spent.cpu_s < MOST_CPU_S
    assert spent.kb < MOST_KB
    assert not list(tmp_path.iterdir()), "a journal or a report"


def test_a_manifest_beyond_64_mb_is_refused_with_the_advice(tmp_path: Path):
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.write(b"version: 1\n#")
        stream.truncate(65 * 1024 * 1024)
    spent = Spent(tmp_path, "apply", path)
    assert spent.code == 3, spent.said
    assert "from:" in spent.said
    assert spent.cpu_s < MOST_CPU_S
    assert spent.kb < MOST_KB


def test_fifty_thousand_rows_are_planned_in_little_memory(tmp_path: Path):
    """Rows stream from their file to the plan and its report; nothing leaves this machine."""
    (tmp_path / "batch.yaml").write_text(REAL)
    with (tmp_path / "rows.jsonl").open("w") as rows:
        rows.writelines(f'{{"interaction_id": "i-{n:06}"}}\n' for n in range(50_000))
    spent = Spent(tmp_path, "apply", "batch.yaml", "--validate-only")
    assert spent.code == 0, spent.said
    assert re.search("50,?000", spent.said)
    assert spent.kb < MOST_KB


@pytest.mark.parametrize("link", ["rows.jsonl", "folder/rows.jsonl"])
def test_rows_are_never_read_from_above_the_manifest(tmp_path: Path, link: str):
    """Not by `..`, and not by a link whose end lies elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rows.jsonl").write_text('{"interaction_id": "top-secret"}\n')
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "batch.yaml"
    path.write_text(REAL.replace("rows.jsonl", link))
    if "/" in link:
        (inside / "folder").symlink_to(outside)
    else:
        (inside / link).symlink_to(outside / "rows.jsonl")
    for text in (path.read_text(), REAL.replace("rows.jsonl", "../outside/rows.jsonl")):
        path.write_text(text)
        spent = Spent(inside, "apply", path)
        assert spent.code == 3, spent.said
        assert "R009" in spent.said
        assert "top-secret" not in spent.said
