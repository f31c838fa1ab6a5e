"""What the command line offers, and that each of it can come from the environment as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from runner.app.run_options import RunOptions
from runner.cli.app import command_line
from runner.cli.options import SharedOptions
from runner.core.batch_options import OPTIONS
from tests.e2e.harness import ROOT, environment, run

COMMANDS = typer.main.get_command(command_line()).commands  # type: ignore[attr-defined]  # a group has them


@pytest.mark.parametrize("command", ["apply", "plan"])
def test_every_option_of_a_batch_is_a_variable_too(command: str):
    variables = {
        option.opts[0].removeprefix("--"): option.envvar
        for option in COMMANDS[command].params
        if option.param_type_name == "option" and option.name != "help"
    }
    assert variables == {name: f"RUNNER_{name.upper().replace('-', '_')}" for name in variables}
    assert {"env", "only", "limit", "rate", "in-flight", "output", "verbose"} <= variables.keys()


@pytest.mark.parametrize("command", ["apply", "plan"])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_offered_as_its_field_declares_it(name: str, command: str):
    [offered] = [each for each in COMMANDS[command].params if each.name == name]
    declared = OPTIONS[name]
    assert (offered.opts, offered.envvar) == ([declared.flag], declared.variable)
    assert offered.help.startswith(declared.help)  # `apply` adds that --env may be repeated


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_loaded_alone_is_what_it_is_among_all(name: str):
    alone, among_all = (
        CliRunner().invoke(made, [name, "--help"]).output
        for made in (command_line([name]), command_line())
    )
    assert alone == among_all
    assert f"Usage: {name}" in alone or f" {name} " in alone


def test_options_reach_the_request():
    options = SharedOptions(only=("vip-*",), limit=0, again=True)
    request = options.request(Path("m.yaml"), validate_only=True)
    expected = RunOptions(Path("m.yaml"), only=("vip-*",), limit=0, again=True, validate_only=True)
    assert request == expected


CHOSEN_BY_HAND = {("resolve", "only"), ("revert", "only")}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_commands_share_is_the_same_variable_everywhere(name: str):
    shared = {option.opts[0]: option.envvar for option in COMMANDS["apply"].params}
    for command in (COMMANDS[name], *getattr(COMMANDS[name], "commands", {}).values()):
        for option in command.params:
            # What `apply` leaves out must not choose what is settled or undone.
            if option.opts[0] in shared and (name, option.name) not in CHOSEN_BY_HAND:
                assert option.envvar == shared[option.opts[0]], (command.name, option.opts)


def test_the_variable_holds_several_globs(tmp_path: Path):
    assert run("init", cwd=tmp_path).code == 0
    result = run(
        *("plan", "manifest.yaml", "--output", "json"),
        cwd=tmp_path,
        env={"RUNNER_ONLY": "vip-* *3301"},
    )
    report = Path(json.loads(result.out)["report"])
    options = json.loads((tmp_path / report / "report.json").read_text())["run"]["options"]
    assert options["only"] == ["vip-*", "*3301"]


def options_of(*path: str) -> set[str]:
    command = COMMANDS[path[0]]
    for name in path[1:]:
        command = command.commands[name]
    return {option.name for option in command.params if option.param_type_name == "option"}


def test_a_plan_takes_what_apply_takes(tmp_path: Path):
    assert options_of("apply") - options_of("plan") == {"validate_only"}
    assert run("init", cwd=tmp_path).code == 0
    words = ("--yes", "--no-progress", "--new-history", "--lock-timeout", "10m")
    ended = run("plan", "manifest.yaml", *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert not (tmp_path / ".runner").exists()


@pytest.mark.parametrize(
    "command", [["status"], ["report"], ["resolve"], ["audit", "verify"], ["doctor"], ["plan"]]
)
def test_commands_that_may_fail_can_log_it(command: list[str]):
    assert {"log_format", "log_file", "verbose", "quiet"} <= options_of(*command)


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "manifest.yaml"],
        ["doctor", "manifest.yaml"],
        ["status"],
        ["revert", "latest", "--out", "undo.yaml"],
        ["audit", "verify", "latest"],
    ],
)
def test_a_second_environment_is_refused_where_the_last_would_count(
    command: list[str], tmp_path: Path
):
    ended = run(*command, "--env", "nope", "--env=demo", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    name = " ".join(word for word in command[:2] if word in {command[0], "verify"})
    assert f"`runner {name}` takes one environment at a time" in ended.err


@pytest.mark.parametrize("output", ["json", "sarif"])
def test_environments_whose_results_are_one_document_are_applied_one_at_a_time(
    output: str, tmp_path: Path
):
    assert run("init", cwd=tmp_path).code == 0
    both = ("--env", "demo", "--env", "production")
    ended = run("apply", "manifest.yaml", *both, "--output", output, cwd=tmp_path)
    assert ended.code == 2
    told = f"--output {output} prints one document, and 2 environments are asked for"
    assert told in ended.out + ended.err
    assert not (tmp_path / "reports").exists()


def test_the_metrics_file_keeps_every_environment_of_a_command(tmp_path: Path):
    (tmp_path / "m.yaml").write_text(
        "version: 1\nname: move\n"
        "environments:\n"
        "  one: {driver: simulator, gateway: edge}\n"
        "  two: {driver: simulator, gateway: edge}\n"
        "gateways: {edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}}\n"
        "media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}\n"
        "transfers:\n"
        "  - {interaction_id: call-1, destination_uri: tel:+441, media: voice}\n"
    )
    both = ("--env", "one", "--env", "two")
    ended = run("apply", "m.yaml", *both, "--metrics-file", "m.prom", cwd=tmp_path)
    assert ended.code == 0, ended.err
    kept = {
        (family.name, sample.labels["environment"]): sample.value
        for family in text_string_to_metric_families((tmp_path / "m.prom").read_text())
        for sample in family.samples
    }
    assert (kept["runner_exit_code", "one"], kept["runner_exit_code", "two"]) == (0, 0)
    text = (tmp_path / "m.prom").read_text()
    assert text.count("# TYPE runner_exit_code") == 1


def test_the_list_of_commands_breaks_no_line_off():
    shown = CliRunner().invoke(command_line(), ["--help"], terminal_width=80).output
    assert "  apply       Check, plan, transfer what is not yet transferred, report.\n" in shown
    assert "..." not in shown.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("arguments", "spelt"),
    [
        (["status", "x\udcff"], r"argument 2, x\xff, is not UTF-8"),
        (["apply", "n\udcff.yaml"], r"argument 2, n\xff.yaml, is not UTF-8"),
        (["plan", "m.yaml", "--only", "ü\udcff\x1b"], r"argument 4, ü\xff\x1b, is not UTF-8"),
    ],
)
def test_an_argument_that_is_not_text_is_named(arguments: list[str], spelt: str, tmp_path: Path):
    ended = run(*arguments, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {spelt}: write it in UTF-8")


def test_a_variable_that_is_not_text_is_named_without_its_value(tmp_path: Path):
    ended = run("status", cwd=tmp_path, env={"RUNNER_ONLY": "secret\udcff", "OTHER": "\udcff"})
    assert (ended.code, ended.out) == (2, "")
    assert "the variable RUNNER_ONLY is not UTF-8" in ended.err
    assert "secret" not in ended.err


@pytest.mark.parametrize("limit", [2**63, 99999999999999999999])
def test_a_limit_is_not_larger_than_a_journal_holds(limit: int, tmp_path: Path):
    assert run("init", cwd=tmp_path).code == 0
    plan = ("plan", "manifest.yaml", "--limit")
    ended = run(*plan, str(limit), cwd=tmp_path)
    assert ended.code == 2
    assert "--limit" in ended.err
    assert "0<=x<=1000000000" in ended.err
    assert run(*plan, "1000000000", cwd=tmp_path).code == 0


@pytest.mark.parametrize("name", ["RUNNER_VERBOSE", "RUNNER_QUIET"])
def test_a_variable_takes_a_number(name: str, tmp_path: Path):
    ended = run("plan", "m.yaml", cwd=tmp_path, env={name: "true"})
    assert ended.code == 2
    assert "'true' is not a number; write 1" in ended.err
    assert run("plan", "m.yaml", "-vvq", cwd=tmp_path, env={name: "2"}).code == 3  # no such file


@pytest.mark.parametrize("arguments", [["status"], ["apply", "m.yaml"], ["init"]])
def test_a_folder_that_is_gone_is_reported_as_such(arguments: list[str], tmp_path: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = subprocess.run(
        ["bash", "-c", 'rmdir "$PWD"; exec "$0" "$@"', sys.executable, "-m", "runner", *arguments],
        cwd=gone,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: the current folder no longer exists; change to another\n"


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_lists_options_in_groups(flag: str):
    shown = CliRunner().invoke(command_line(), ["apply", flag]).output
    headings = [line for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        "Arguments:",
        "Checks and safeguards:",
        "What is sent:",
        "How fast:",
        "Where things are:",
        "Output:",
        "Options:",
    ]
    assert shown.endswith("Options:\n  -h, --help  Show this message and exit.\n")


@pytest.mark.parametrize("name", [*COMMANDS, ""])
def test_every_option_has_a_sentence(name: str):
    command: Any = COMMANDS[name] if name else typer.main.get_command(command_line())
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help, option.opts
            assert option.help[0].isupper(), option.help
            assert option.help.endswith("."), option.help


@pytest.mark.parametrize(
    ("arguments", "help_text"),
    [
        (["validate", "m.yaml"], "`runner apply MANIFEST --validate-only` checks"),
        (["--dry-run"], "`runner apply MANIFEST --validate-only` checks"),
        (["apply", "m.yaml", "--dry-run"], "write --validate-only: it does everything up to"),
        (["apply", "--check", "m.yaml"], "write --validate-only: it does everything up to"),
        (["plan", "m.yaml", "--dry-run"], "leave it out; `runner plan --help` lists the options"),
    ],
)
def test_what_other_programs_call_checking_leads_to_the_option(
    arguments: list[str], help_text: str
):
    ended = CliRunner().invoke(command_line(), arguments, prog_name="runner")
    assert ended.exit_code == 2
    assert f"\nhelp: {help_text}" in ended.output


@pytest.mark.parametrize("arguments", [["aply"], ["apply", "m.yaml", "--repot-dir", "x"]])
def test_other_unknown_words_get_no_such_help(arguments: list[str]):
    assert "help:" not in CliRunner().invoke(command_line(), arguments).output


def test_an_empty_name_of_a_journal_is_a_wrong_option():
    ended = CliRunner().invoke(command_line(), ["status", "--journal", ""])
    assert ended.exit_code == 2
    assert "it is empty" in ended.output
