"""A history that is imported into a database, and a database that is restored from a backup."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.postgres_server import execute, fresh_database


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_half_is_applied_with_a_file_and_the_rest_after_its_import(
    gateway: Gateway, harness: Harness
):
    rows = [transfer(f"i-{n}") for n in range(8)]
    gateway.scripts["i-1"] = [Step(mute=True, effect=False)]
    content = manifest(gateway, rows) | {
        "policy": {"preflight": False, "negotiation_timeout": "500ms"}
    }
    half = harness.apply(content, "--limit", "4")
    assert half.code == 6, half.ended.err

    url, file = fresh_database(), ".runner/foreign.db"
    shutil.copy(harness.folder / file, harness.folder / "copy.db")
    imported = harness.run("journal", "import", file, url, "--manifest", "batch.yaml")
    assert imported.code == 0, imported.err
    named = shlex.split(imported.out.splitlines()[-1].rpartition("with ")[2])
    assert named[0] == "--journal"
    assert named[1].startswith(url)

    for command in (("apply", "batch.yaml"), ("status",)):
        refused = harness.run(*command)
        assert refused.code == 74, refused
        assert shlex.join(named) in refused.err.replace("\n", " ")

    rest = harness.run("apply", "batch.yaml", "--journal", url)
    assert rest.code == 6, rest.err
    copy = harness.run("apply", "batch.yaml", "--journal", "copy.db")
    assert copy.code == 74, copy
    assert "is a copy of" in copy.err
    moved = [effect.interaction_id for effect in gateway.effects]
    assert sorted(moved) == sorted(f"i-{n}" for n in range(8) if n != 1)
    verified = harness.run("audit", "verify", "latest", "--journal", url)
    assert verified.code == 0, verified.out + verified.err
    runs = json.loads(harness.run("status", "--output", "json", *named).out)["runs"]
    assert len(runs) == 2
    first = harness.run("report", runs[1]["id"], "--report-dir", "again", *named)
    assert first.code == 0, first.err

    again = harness.run("journal", "import", file, named[1])
    assert again.code == 0, again.err
    assert "imported before" in again.out
    elsewhere = harness.run("journal", "import", file, f"{fresh_database()}&lane=edge")
    assert elsewhere.code == 2, elsewhere
    assert "only that one can be finished" in elsewhere.err.replace("\n", " ")


def test_a_restored_database_is_refused_until_a_person_adopts_it(
    gateway: Gateway, harness: Harness
):
    url = fresh_database()
    content = manifest(gateway, [transfer(f"i-{n}") for n in range(4)])
    assert harness.apply(content, "--limit", "2", "--journal", url).code == 0
    backup = fresh_database(like=url)
    whole = harness.apply(content, "--journal", url)
    assert whole.code == 0
    assert "caveats" not in whole.report.run

    restore(url, backup)
    refused = harness.run("apply", "batch.yaml", "--journal", url)
    assert refused.code == 74, refused
    offered = re.search(r"runner (journal adopt .* --reason) TEXT", refused.err)
    assert offered is not None, refused.err
    adopted = harness.run(*shlex.split(offered[1]), "i-2 and i-3 were moved back by hand")
    assert adopted.code == 0, adopted.err
    assert "adopted by event" in adopted.out

    again = harness.apply(content, "--journal", url)
    assert again.code == 0, again.ended.err
    assert "moved back by hand" in again.report.run["caveats"][0]
    assert [effect.interaction_id for effect in gateway.effects][4:] == ["i-2", "i-3"]

    restore(url, backup)
    refused = harness.run("apply", "batch.yaml", "--journal", url)
    assert refused.code == 74, refused
    assert len(gateway.effects) == 6


def restore(url: str, backup: str) -> None:
    """Put a copy of a backup in the place of a database."""
    name, copied = (urlsplit(each).path[1:] for each in (url, backup))
    execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")
    execute("postgres", f"CREATE DATABASE {name} TEMPLATE {copied}")
