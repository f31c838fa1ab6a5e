"""What a release consists of: the same bytes each time, installable, with nothing that it need not do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import sbom

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EPOCH = {"SOURCE_DATE_EPOCH": "1767225600"}
SOURCES = ("runner", "schemas", "manifests", "docs")


def copied(to: Path) -> Path:
    """Return a checkout in another folder, with other times of its files."""
    for name in SOURCES:
        shutil.copytree(ROOT / name, to / name, copy_function=shutil.copyfile)
    (to / "requirements").mkdir()
    for path in (
        *ROOT.glob("*.md"),
        *map(ROOT.joinpath, ("LICENSE", "pyproject.toml", ".gitignore")),
    ):
        shutil.copyfile(path, to / path.name)
    shutil.copyfile(ROOT / "requirements" / "run.txt", to / "requirements" / "run.txt")
    return to


def built(source: Path, *targets: str) -> Path:
    pytest.importorskip("hatchling", reason="what builds is pinned in requirements/dev.txt")
    flags = [flag for target in targets for flag in ("-t", target)]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *flags],
        cwd=source,
        env=os.environ | EPOCH,
        check=True,
        capture_output=True,
    )
    return source / "dist"


def digests(folder: Path) -> dict[str, str]:
    return {each.name: sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(copied(tmp_path_factory.mktemp("one")), "sdist", "wheel")


def test_two_builds_are_the_same_bytes(dist: Path, tmp_path: Path):
    """The second is built from the first's sdist: it holds all that the wheel needs."""
    [archive] = dist.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    again = built(unpacked, "sdist", "wheel")
    assert len(digests(dist)) == 2
    assert digests(again) == digests(dist)


def test_the_wheel_runs_from_an_environment_of_its_own(dist: Path, tmp_path: Path):
    """Installed as pipx and `uv tool` do; its dependencies are those that these tests run with."""
    [wheel] = dist.glob("*.whl")
    place = tmp_path / "venv"
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel)]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *install],
        check=True,
        capture_output=True,
    )
    [packages] = place.glob("lib/*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNNER_", "PYTHON"))}

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [place / "bin" / "runner", *arguments],
            cwd=tmp_path,
            env=kept,
            check=True,
            capture_output=True,
            text=True,
        )
        return ended.stdout

    where = subprocess.run(
        [python, "-c", "import runner; print(runner.__file__)"],
        cwd=tmp_path,
        env=kept,
        check=True,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(place))
    assert re.fullmatch(r"runner \d+\.\d+\.\d+\n", run("--version"))
    assert '"$schema"' in run("schema")
    run("init", "--driver", "simulator", "batch")
    assert "transferred" in run("apply", "batch/manifest.yaml")
    with subprocess.Popen(
        [place / "bin" / "runner", "simulate"],
        cwd=tmp_path,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as served:
        assert served.stdout is not None
        assert "127.0.0.1" in served.stdout.readline()
        served.send_signal(signal.SIGTERM)
        served.communicate()


def test_the_bill_of_materials_names_what_is_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH["SOURCE_DATE_EPOCH"])
    bill = sbom.document()
    pinned = re.findall(r"^([\w.-]+)==", sbom.PINS.read_text("utf-8"), re.MULTILINE)
    assert [each["name"] for each in bill["components"]] == pinned
    assert all(each["externalReferences"] for each in bill["components"]), "each has its hashes"
    needed = {each for line in bill["dependencies"] for each in line["dependsOn"]}
    assert needed == {each["bom-ref"] for each in bill["components"]}
    assert bill["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"
    assert sbom.document() == bill


def test_the_image_runs_as_nobody_in_particular_and_writes_nothing_to_its_root():
    text = (ROOT / "Containerfile").read_text("utf-8")
    final = text.rpartition("FROM ")[2]
    user = re.findall(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert user
    assert "0" not in user[0]
    assert "RUN " not in final, "what is built is copied"
    assert "PYTHONDONTWRITEBYTECODE=1" in final
    assert "--require-hashes" in text
    assert "--read-only" in text
    assert not re.search(r"^(ADD|VOLUME|EXPOSE) ", text, re.MULTILINE)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_the_least_permissions(path: Path):
    """`make release-check` lets zizmor judge them too."""
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) <= {"contents", "id-token", "attestations"}
        assert job["permissions"].get("contents", "read") == "read"
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "a value from outside would be run"
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_help_names_every_target():
    named = set(re.findall(r"^# make ([\w-]+)", MAKEFILE, re.MULTILINE))
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    targets = set(phony[1].replace("\\", " ").split())
    assert targets - {"help"} == named
    assert targets == set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.MULTILINE))
