"""Gates and the waves that name them, as the manifest has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.gates import CommandGate, UrlGate, WaveConditions
from runner.core.manifest.model import Manifest, Secret
from runner.core.manifest.quantity import Share
from runner.manifest.load import load
from runner.staging.rows import Staging
from tests.manifest.builders import HEAD, write

ROW = '  - {key: a, interaction_id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301", destination_uri: "genesys://queue/a"}\n'


def loaded(folder: Path, text: str) -> tuple[Manifest | None, list[tuple[str, str]]]:
    """Load a manifest with these sections; return it, and its problems' codes and messages."""
    path = write(folder, ROW, head=HEAD + text)
    with Staging() as staging:
        found = load(path, environment=None, sink=staging, offline=True)
    return found.manifest, [(each.code, each.message) for each in found.problems]


def test_gates_and_conditions_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CRM_TOKEN", "hush")
    manifest, problems = loaded(
        tmp_path,
        """policy:
  waves: [1, {size: 10%, pause: 5m, gates: [crm, site]}, {size: 100%, confirm: true}]
  answer_timeout: 30m
  control_group: noc
gates:
  crm:
    url: http://127.0.0.1:8080/health
    headers: {Authorization: {env: CRM_TOKEN}, X-Site: ams}
    json: {/queue/depth: "< 100"}
    allow_private: true
    every: 30s
  site: {command: [./check-site, ams], timeout: 3s}
""",
    )
    assert problems == []
    assert manifest is not None
    policy, gates = manifest.policy, manifest.gates
    assert policy.waves == (1, Share(0.1), Share(1.0))
    assert policy.wave_conditions == (
        WaveConditions(),
        WaveConditions(300.0, ("crm", "site")),
        WaveConditions(confirm=True),
    )
    assert policy.answer_timeout_s == 1800
    assert policy.control_group == "noc"
    crm, site = gates["crm"], gates["site"]
    assert isinstance(crm, UrlGate)
    assert isinstance(site, CommandGate)
    assert crm.headers == {"Authorization": Secret("hush"), "X-Site": "ams"}
    assert Secret("hush") in manifest.secrets
    assert crm.bounds["/queue/depth"].holds(99)
    assert (crm.every_s, crm.allow_private, crm.status) == (30.0, True, 200)
    assert (site.command, site.timeout_s, site.every_s) == (("./check-site", "ams"), 3.0, None)


def test_without_them_nothing_changes(tmp_path: Path):
    manifest, _ = loaded(tmp_path, "policy: {waves: [1, 100%]}\n")
    assert manifest is not None
    assert manifest.policy.wave_conditions == ()
    assert manifest.policy.answer_timeout_s == 3600
    assert manifest.gates == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("policy: {waves: [{size: 100%, gates: [crn]}]}\ngates: {crm: {command: [x]}}\n", "R001"),
        ("policy: {waves: [{size: 100%, gates: [crm]}]}\n", "R001"),
        ("policy: {waves: [{pause: 5m}]}\n", "S002"),
        ("policy: {waves: [{size: 100%, pause: 1h}]}\n", "S006"),
        ("policy: {waves: [{size: 100%, pause: 5m}], answer_timeout: 5m}\n", "S006"),
        ("policy: {waves: [{size: 100%, wait: 5m}]}\n", "S001"),
        ("policy: {waves: [10%, {size: 5%}]}\n", "S011"),
        ("gates: {crm: {command: []}}\n", "S007"),
        ("gates: {crm: {url: 'http://crm.example.net/'}}\n", "S009"),
        ("gates: {crm: {url: 'https://crm.example.net/', json: {/a~2: '< 5'}}}\n", "S005"),
        ("gates: {crm: {url: 'https://crm.example.net/', json: {/a: '5'}}}\n", "S005"),
        ("gates: {crm: {queue: Billing, waiting: '< 50'}}\n", "S012"),
        ("policy: {control_group: 'a b'}\n", "S005"),
        ("policy: {windows: [{zone: UTC}]}\n", "S007"),
        ("policy: {windows: [{allow: 'Mon 10:00-12:00'}]}\n", "S002"),
    ],
)
def test_faults_have_their_codes(tmp_path: Path, text: str, code: str):
    _, problems = loaded(tmp_path, text)
    assert [found for found, _ in problems] == [code], problems
