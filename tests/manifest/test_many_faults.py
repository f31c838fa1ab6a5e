"""However many faults there are, telling them takes time in proportion, and little of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.cost import cpu_s
from tests.manifest.rendering import load_rows

N = 20_000
MOST_CPU_S = 60.0  # one or two on an idle machine; minutes where each looks at all others
LINES = range(N)
EDGE = "gateways: {edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}}\n"
HEAD = "version: 1\nname: many\nenvironments: {demo: {driver: simulator, gateway: edge}}\n" + EDGE
VOICE = "{audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}"
KEYS = "".join(f"  k{n}: v\n" for n in LINES)

MANIFESTS = {
    "unknown fields": ("".join(f"k{n}: v\n" for n in LINES), "S001"),
    "repeated keys": (f"version: 1\nlabels:\n{KEYS}{KEYS}", "Y007"),
    "wrong drivers": (
        "version: 1\nname: many\nenvironments:\n"
        + "".join(f"  e{n}: {{driver: simulatr, gateway: edge}}\n" for n in LINES)
        + EDGE
        + "transfers: []\n",
        "R001",
    ),
    "unknown names among many": (
        HEAD
        + "media:\n"
        + "".join(f"  m{n}: {VOICE}\n" for n in LINES)
        + "transfers:\n"
        + "".join(
            f"  - {{interaction_id: i{n}, destination_uri: 'tel:+44', media: n{n}}}\n"
            for n in LINES
        ),
        "R001",
    ),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_twenty_thousand_faults_are_counted_in_seconds(kind: str, tmp_path: Path):
    text, code = MANIFESTS[kind]
    path = tmp_path / "many.yaml"
    path.write_text(text)
    results = []
    spent_s = cpu_s(lambda: results.append(load_rows(path)[0]))
    kept = sum(problem.code == code for problem in results[0].problems)
    assert kept + results[0].omitted[code] == N
    assert len(results[0].problems) <= 1000
    assert spent_s < MOST_CPU_S


def test_a_header_of_twenty_thousand_columns_is_understood_in_seconds(tmp_path: Path):
    (tmp_path / "wide.csv").write_text(
        "interaction_id," + ",".join(f"c{n}" for n in LINES) + "\na" + "," * N + "\n"
    )
    path = tmp_path / "m.yaml"
    path.write_text(
        f"{HEAD}media: {{voice: {VOICE}}}\ndefaults: {{media: voice, destination_uri: 'tel:+44'}}\n"
        "transfers: [{from: wide.csv}]\n"
    )
    results = []
    spent_s = cpu_s(lambda: results.append(load_rows(path)))
    (loaded, rows) = results[0]
    assert loaded.problems == ()
    assert [row.interaction_id for row in rows] == ["a"]
    assert spent_s < MOST_CPU_S
