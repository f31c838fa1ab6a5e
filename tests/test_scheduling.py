"""docs/scheduling.md: each block is accepted by the program that reads it, and by this one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource
from typer.main import get_command

from runner.cli.app import command_line
from runner.core.exit_code import ExitCode

TEXT = Path("docs/scheduling.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
[CRONTAB] = (text for language, text in BLOCKS if language == "crontab")
SERVICE, TIMER = (text for language, text in BLOCKS if language == "ini")
CRONJOB, WORKFLOW = (yaml.safe_load(text) for language, text in BLOCKS if language == "yaml")
CONSUMERS = Path(sys.prefix) / "consumers"
PROGRAM = "/opt/runner/bin/runner"


def needed(found: object, what: str) -> None:
    """Skip a test whose judge is not here, except where all must be."""
    if not found and "RUNNER_REQUIRE_ALL" not in os.environ:
        pytest.skip(f"needs {what}")


def ran(*words: str | Path, text: str | None = None, **variables: str) -> tuple[int, str]:
    """Run a judge; return its exit code and what it said."""
    ended = subprocess.run(
        [*map(str, words)],
        input=text,
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def commands() -> Iterator[list[str]]:
    """Yield the arguments of each command that a block starts."""
    for line in CRONTAB.splitlines():
        if " && runner " in line:
            yield shlex.split(line.partition(" && runner ")[2])
    [started] = re.findall(r"^ExecStart=(.*)$", SERVICE, re.MULTILINE)
    yield shlex.split(started)[1:]
    template = CRONJOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    yield template["containers"][0]["args"]
    yield shlex.split(WORKFLOW["jobs"]["apply"]["steps"][1]["run"])[1:]


@pytest.mark.parametrize("arguments", list(commands()), ids=lambda words: " ".join(words)[:60])
def test_each_command_is_one_of_this_program(arguments: list[str]):
    name, *rest = arguments
    command = get_command(command_line()).commands[name]  # type: ignore[attr-defined]  # a group
    given = command.make_context(name, rest).params
    assert str(given["manifest"]) == "billing.yaml"
    assert given["journal"].text.endswith("/billing.db")


def test_the_table_has_every_exit_code():
    rows = re.findall(r"^\| ([\d, ]+) \| ([\w-]+) \|", TEXT, re.MULTILINE)
    listed = {int(code): name for codes, name in rows for code in codes.split(",")}
    assert listed == {
        int(code): code.outcome.replace("_", "-") for code in ExitCode
    } | dict.fromkeys((129, 130, 143), "interrupted")


def test_a_scheduler_stops_where_the_table_says_that_somebody_has_to_look():
    rules = CRONJOB["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    again = {0, 4, 10, 75}
    assert set(rules[0]["onExitCodes"]["values"]) == {
        int(code) for code in ExitCode if int(code) < 128 and int(code) not in again
    }


def test_crontab_lines_have_five_fields_of_time_and_no_bare_percent_sign():
    lines = [line for line in CRONTAB.splitlines() if line and not line.startswith("#")]
    timed = [line for line in lines if not re.match(r"[A-Z_]+=", line)]
    assert timed
    for line in timed:
        fields = line.split(None, 5)
        assert all(re.fullmatch(r"[\d*/,-]+", field) for field in fields[:5])
        assert re.search(r"(?<!\\)%", fields[5]) is None


def test_cron_accepts_the_table():
    needed(shutil.which("crontab"), "crontab")
    _, usage = ran("crontab", "-h")
    # cronie checks with -T, Debian's with -n, which means something else elsewhere.
    flag = "-T" if "-T" in usage else "-n" if "dry run" in usage else None
    needed(flag, "a crontab that can check")
    code, said = ran("crontab", str(flag), "-", text=CRONTAB)
    assert code == 0, said


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Write both units as they are, but for the path of the program."""
    program = Path(sys.prefix) / "bin" / "runner"
    (tmp_path / "runner-billing.service").write_text(SERVICE.replace(PROGRAM, str(program)))
    (tmp_path / "runner-billing.timer").write_text(TIMER)
    return tmp_path


def test_systemd_accepts_service_and_timer(units: Path):
    needed(shutil.which("systemd-analyze"), "systemd-analyze")
    verify = ("systemd-analyze", "verify", "--recursive-errors=no")
    both = sorted(units.iterdir())
    assert ran(*verify, *both, SYSTEMD_UNIT_PATH=f"{units}:") == (0, "")


def test_the_service_is_hardened(units: Path):
    needed(shutil.which("systemd-analyze"), "systemd-analyze")
    judge = ("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager")
    code, said = ran(*judge, units / "runner-billing.service")
    assert code == 0, said


def test_the_service_hands_over_the_secret_that_the_text_names():
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(SERVICE)
    name, _, path = unit["Service"]["LoadCredential"].partition(":")
    assert f"{{systemd: {name}}}" in TEXT
    assert path.startswith("/")
    assert unit["Service"]["SuccessExitStatus"] == str(int(ExitCode.LOCKED))


def archive(name: str) -> zipfile.ZipFile:
    """Open a package that `make install` fetches for its schemas."""
    found = sorted(CONSUMERS.glob(f"{name}-*.whl"))
    needed(found, "`make install`, which fetches schemas (requirements/consumers.txt)")
    return zipfile.ZipFile(found[-1])


def test_githubs_schema_accepts_the_workflow():
    with archive("check_jsonschema") as package:
        schema = json.loads(
            package.read("check_jsonschema/builtin_schemas/vendor/github-workflows.json")
        )
    document = {("on" if key is True else key): value for key, value in WORKFLOW.items()}
    jsonschema.validate(document, schema, cls=jsonschema.Draft7Validator)


def test_kubernetes_schema_accepts_the_cron_job():
    folder = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict"

    with archive("kubernetes_validate") as package:
        schema, definitions = (
            json.loads(package.read(f"{folder}/{name}.json"))
            for name in ("cronjob-batch-v1", "_definitions")
        )
    registry: Registry[Any] = Registry().with_resource(
        "https://kubernetes.io/api/_definitions.json", Resource.from_contents(definitions)
    )
    validator = jsonschema.Draft202012Validator(schema, registry=registry)
    assert list(validator.iter_errors(CRONJOB)) == []
    wrong = json.loads(json.dumps(CRONJOB).replace('"backoffLimit"', '"backOffLimit"'))
    assert list(validator.iter_errors(wrong))
