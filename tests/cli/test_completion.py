"""What shells complete: commands, options, choices, environments, runs, keys."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runner.app.completion import LARGEST_MANIFEST, MOST_KEYS, MOST_ROWS
from runner.app.init import templates
from runner.cli.app import COMMANDS, GROUPS
from runner.cli.completion import SCRIPTS, candidates
from runner.core.transfer.states import Event
from tests.e2e.harness import environment, run
from tests.journal.builders import begun, manifest_rows, opened

MANIFEST = "version: 1\nenvironments: {production: {}, proof: {}, demo: {}}\n"


def offered(*words: str) -> list[str]:
    return [each.value for each in candidates(words)]


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return str(path)


def test_every_command_is_offered():
    top = {name for name, listed in COMMANDS.items() if listed.group is None}
    assert set(offered("")) == top | GROUPS.keys()
    assert offered("audit", "") == ["verify", "sign"]
    assert offered("pl") == ["plan"]


def test_options_and_their_choices_are_offered():
    assert offered("apply", "m.yaml", "--valid") == ["--validate-only"]
    assert {"--env", "--only", "--help"} <= set(offered("plan", "--"))
    assert "json" in offered("status", "--output", "")
    assert offered("status", "--output=j") == ["--output=json"]
    assert offered("init", "--driver", "") == list(templates())
    assert offered("apply", "--", "--") == []


def test_environments_of_the_manifest_on_the_line_are_offered(manifest: str):
    assert offered("apply", manifest, "--env", "pro") == ["production", "proof"]
    assert offered("apply", manifest, "--env=d") == ["--env=demo"]
    assert offered("apply", manifest, "--env", "=", "d") == ["demo"], "as bash splits it"
    assert offered("status", "--manifest", manifest, "--env", "=") == [
        "production",
        "proof",
        "demo",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("apply", ""),
        ("apply", "no-such.yaml", "--env", ""),
        ("status", "--journal", "no-such.db", ""),
        ("no-such-command", ""),
        ("apply", "m.yaml", "another", ""),
    ],
)
def test_where_nothing_is_known_the_shell_is_left_to_offer_files(words: tuple[str, ...]):
    assert offered(*words) == []


def test_a_manifest_that_is_being_written_still_has_environments(tmp_path: Path):
    path = tmp_path / "m.yaml"
    path.write_text("version: 9\nenvironments:\n  one:\n  two:\n")
    assert offered("plan", str(path), "--env", "") == ["one", "two"]
    path.write_text("environments: [\n")
    assert offered("plan", str(path), "--env", "") == []


BATCH = """\
transfers:
  - {interaction_id: ada, key: vip-1}
  - {interaction_id: vip-2}
  - {from: rows.csv, delimiter: ";", columns: {key: name}}
  - {from: rows.jsonl}
  - {from: lacking.csv}
  - {from: ../outside.csv}
  - {from: damaged.jsonl}
  - {select: {queue: Billing}}
  - {interaction_id: "vip-[x]"}
  - {interaction_id: other}
"""


def test_keys_of_the_manifest_and_of_its_files_are_offered(tmp_path: Path):
    folder = tmp_path / "batch"
    folder.mkdir()
    path = folder / "m.yaml"
    path.write_text(BATCH)
    (folder / "rows.csv").write_text("name;interaction_id\nvip-3;x\n;vip-4\nother;y\n")
    (folder / "rows.jsonl").write_text('{"interaction_id": "vip-5"}\n\n[1]\n{"key": 7}\n')
    (folder / "damaged.jsonl").write_text('{"key": "vip-6"}\n{"key": ')
    (tmp_path / "outside.csv").write_text("key\nvip-no\n")
    found = ["vip-1", "vip-2", "vip-3", "vip-4", "vip-5", "vip-6", "vip-[[]x]"]
    assert offered("apply", str(path), "--only", "vip") == found
    assert offered("plan", str(path), "--exclude=vip-3") == ["--exclude=vip-3"]
    path.write_text(MANIFEST)
    assert offered("apply", str(path), "--only", "") == []


def test_the_time_for_keys_of_large_batches_is_bounded(tmp_path: Path):
    path = tmp_path / "m.yaml"
    path.write_text("transfers: [{from: rows.csv}, {interaction_id: last}]\n")
    rows = "".join(f"k{n}\n" for n in range(MOST_ROWS))
    (tmp_path / "rows.csv").write_text(f"key\n{rows}")
    assert offered("apply", str(path), "--only", "k") == [f"k{n}" for n in range(MOST_KEYS)]
    assert offered("apply", str(path), "--only", "last") == []
    path.write_text(f"transfers: [{{interaction_id: ada}}]\n#{'x' * LARGEST_MANIFEST}\n")
    assert offered("apply", str(path), "--only", "") == []


def test_runs_and_keys_in_doubt_are_offered(tmp_path: Path):
    journal = tmp_path / "production.db"
    store = opened(journal)
    written = begun(store, manifest_rows(2))
    written.go("k0", Event.INTENT, Event.LOST, reason="no reply within 10 s")
    written.go("k1", Event.INTENT, Event.ACCEPTED)
    given = ("--journal", str(journal))
    assert offered("report", *given, "") == ["latest", store.run_id]
    assert offered("audit", "verify", *given, store.run_id[:8]) == [store.run_id]
    assert offered("resolve", *given, store.run_id, "") == ["k0"]
    store.close()


def test_a_shell_gets_its_script(tmp_path: Path):
    ended = run("completion", "fish", cwd=tmp_path)
    assert (ended.code, ended.out) == (0, SCRIPTS["fish"])


def test_bash_completes_by_its_script(manifest: str, tmp_path: Path):
    program = tmp_path / "runner"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    program.chmod(0o755)
    typed = f'COMP_WORDS=({program} apply "{manifest}" --env pro); COMP_CWORD=4; _runner_complete'
    ended = subprocess.run(
        ["bash", "--norc", "-c", f'{SCRIPTS["bash"]}\n{typed}; echo "${{COMPREPLY[@]}}"'],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "production proof\n", ended


@pytest.mark.parametrize("driver", templates())
def test_the_template_of_each_driver_is_valid_without_its_secrets(driver: str, tmp_path: Path):
    made = run("init", "--driver", driver, cwd=tmp_path)
    assert made.code == 0, made.err
    arguments = ("apply", "manifest.yaml", "--validate-only", "--without-secrets")
    production = ("--env", "production") if driver != "simulator" else ()
    checked = run(*arguments, *production, cwd=tmp_path)
    assert (checked.code, "warning" in checked.err) == (0, False), checked.err


@pytest.mark.parametrize("driver", templates())
def test_a_template_rehearses_unless_an_environment_is_named(driver: str, tmp_path: Path):
    made = run("init", "--driver", driver, cwd=tmp_path)
    [rehearsal] = [line for line in made.out.splitlines() if line.startswith("rehearse it:")]
    ended = run(*shlex.split(rehearsal.partition("runner ")[2]), cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ", gateway simulator" in run("status", cwd=tmp_path).out
