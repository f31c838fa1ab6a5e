"""A driver of another distribution is found, checked, planned with, applied and reported."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runner.core.manifest.model import Endpoints, Environment, GatewayConstraints, Policy
from runner.drivers import Connection
from runner.testing.contract import DriverContract, Stage
from runner.testing.loop_clock import LoopClock
from tests.e2e.harness import Ended, run

SOURCE = Path(__file__).parent / "third_party_driver"
sys.path.insert(0, str(SOURCE))

from runner_acme import SPEC  # noqa: E402

MANIFEST = """\
version: 1
name: acme-batch
environments:
  moon:
    driver: acme
    gateway: edge
    region: moon
    options: {{file: {file}}}
gateways:
  edge: {{max_bandwidth_kbps: 512, supported_codecs: [opus], max_fps: 30}}
media:
  voice: {{audio: {{codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}}
transfers:
  - {{interaction_id: i-1, destination_uri: "tel:+31205550100", media: voice}}
  - {{interaction_id: i-2, destination_uri: "tel:+31205550101", media: voice}}
"""


class TestContract(DriverContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        environment = Environment(
            "moon",
            SPEC,
            "edge",
            endpoints=Endpoints("", "https://moon.acme.example"),
            options={"file": str(self.folder / "acme.jsonl")},
        )
        connection = Connection(
            environment=environment,
            policy=Policy(),
            clock=LoopClock(),
            jitter=random.random,
            constraints=GatewayConstraints("edge", 512, ("opus",), 30),
        )
        yield Stage(SPEC, connection, "i-1", "tel:+31205550100", unknown="nobody")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the distribution was installed into."""
    folder = tmp_path_factory.mktemp("acme")
    source, target = folder / "source", folder / "target"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    options = ["--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([*command, *options, str(source)], check=True, cwd=folder)
    return target


class Acme:
    def __init__(self, folder: Path, installed: Path) -> None:
        self.folder = folder
        self.moves = folder / "moves.jsonl"
        self.manifest = folder / "batch.yaml"
        self.manifest.write_text(MANIFEST.format(file=self.moves))
        self._env = {"PYTHONPATH": str(installed), "XDG_STATE_HOME": str(folder / "state")}

    def run(self, *arguments: str | Path) -> Ended:
        return run(*arguments, cwd=self.folder, env=self._env)

    def edit(self, before: str, after: str) -> None:
        text = self.manifest.read_text()
        assert before in text
        self.manifest.write_text(text.replace(before, after))


@pytest.fixture
def acme(tmp_path: Path, installed: Path) -> Acme:
    return Acme(tmp_path, installed)


def test_it_is_planned_applied_reported_and_not_moved_twice(acme: Acme):
    planned = acme.run("plan", acme.manifest)
    assert planned.code == 0, planned.err
    assert "acme moves interactions at once" in planned.out
    assert not acme.moves.exists()
    applied = acme.run("apply", acme.manifest, "--output", "json", "--report-dir", "report")
    assert applied.code == 0, applied.err
    assert [json.loads(line)["moved"] for line in acme.moves.read_text().splitlines()] == [
        "i-1",
        "i-2",
    ]
    report = json.loads(next((acme.folder / "report").rglob("report.json")).read_text())
    assert report["run"]["driver"] == "acme"
    assert {each["outcome"] for each in report["transfers"]} == {"transferred"}
    assert acme.run("apply", acme.manifest).code == 0
    assert len(acme.moves.read_text().splitlines()) == 2


def test_doctor_opens_a_session(acme: Acme):
    examined = acme.run("doctor", acme.manifest)
    assert examined.code == 0, examined.err
    assert "session" in examined.out


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("driver: acme", "driver: acm", "unknown driver `acm`"),
        ("region: moon", "region: mon", "unknown region `mon`"),
        ("file:", "fil:", "the driver `acme` refuses these `options`"),
        ("max_fps: 30", "max_fps: 30, delivery: {dedupes: 1h}", "cannot promise `dedupes`"),
    ],
)
def test_what_its_specification_refuses_is_a_problem(
    acme: Acme, before: str, after: str, said: str
):
    acme.edit(before, after)
    planned = acme.run("plan", acme.manifest)
    assert planned.code == 3
    assert said in planned.err


def test_where_it_is_not_installed_its_name_is_unknown(acme: Acme):
    planned = run("plan", acme.manifest, cwd=acme.folder)
    assert planned.code == 3
    assert "unknown driver `acme`" in planned.err
    assert "install the distribution that has it" in planned.err
