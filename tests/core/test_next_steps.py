"""Every command that is offered repeats what the run was given, and is read back as it was meant."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core import next_steps
from runner.core.batch_options import BatchOptions
from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import Share, parse_rate
from runner.core.next_steps import RunArguments, shell_line
from runner.core.transfer.probe import Probe
from tests.report import samples

GIVEN = RunArguments(
    manifest="the batch.yaml",
    environment="demo",
    report_dir="my reports",
    options=BatchOptions(
        environment="demo",
        journal=JournalLocation("a journal.db"),
        only=("k*", "it's"),
        limit=0,
        rate_per_s=0.5,
        in_flight=3,
        max_failures=Share(0.05),
        again=True,
        new_history=True,
        ignore_window=True,
    ),
)


def test_apply_repeats_everything_but_what_is_decided_for_one_run_alone():
    assert shell_line(next_steps.apply(GIVEN)) == (
        "runner apply 'the batch.yaml' --env demo --only 'k*' --only 'it'\"'\"'s'"
        " --limit 0 --rate 30/min --in-flight 3 --max-failures 5% --journal 'a journal.db'"
        " --ignore-window --report-dir 'my reports'"
    )


@pytest.mark.parametrize(("hours", "option"), [(3.2, ("--wait",)), (200.5, ("--wait", "201h"))])
def test_apply_waits_for_a_window_however_late_it_opens(hours: float, option: tuple[str, ...]):
    given = RunArguments("a.yaml", "demo")
    assert next_steps.apply(given, waits_s=hours * 3600) == ("runner", "apply", "a.yaml", *option)


def test_a_run_that_was_applied_goes_on_by_being_applied_again():
    step = next_steps.go_on(RunArguments("b.yaml", "production"), "{again}, once it is fixed")
    assert step.text == "apply again, once it is fixed"
    assert step.command == "runner apply b.yaml"


def test_the_plan_of_an_undo_lies_beside_that_of_its_batch():
    assert next_steps.plan_name(None) != next_steps.plan_name("run-1")


def test_a_submission_is_ended_by_its_number():
    command = next_steps.cancel("postgresql:///j", 7)
    assert shell_line(command) == "runner cancel 7 --journal postgresql:///j"


def test_what_was_not_given_is_not_written():
    plain = RunArguments("b.yaml", "production")
    assert shell_line(next_steps.apply(plain)) == "runner apply b.yaml"
    assert shell_line(next_steps.doctor(plain)) == "runner doctor b.yaml"


@pytest.mark.parametrize(
    ("manifest", "journal"),
    [
        ("b.yaml", ".runner/production.db"),
        ("a/b.yaml", "a/.runner/production.db"),
        ("/b.yaml", "/.runner/production.db"),
        ("../b.yaml", "../.runner/production.db"),
    ],
)
def test_the_journal_is_named_where_no_manifest_leads_to_it(manifest: str, journal: str):
    given = RunArguments(manifest, "production")
    assert given.journal_path == journal
    assert next_steps.status(given.journal_path) == ("runner", "status", "--journal", journal)


def test_a_run_gives_what_its_record_has():
    run = replace(
        samples.RUN,
        options={"environment": "production", "journal": "j.db", "limit": 3, "folder": "/srv"},
    )
    given = RunArguments.of(run)
    options = BatchOptions(environment="production", journal=JournalLocation("j.db"), limit=3)
    assert (given.options, given.folder) == (options, "/srv")
    plan = RunArguments.of(replace(run, options={"plan": "p.json", "journal": "/srv/j.db"}))
    assert shell_line(next_steps.apply(plan)) == "runner apply p.json --journal /srv/j.db"


def test_a_step_is_shown_as_a_line_and_as_arguments():
    rehearse = next_steps.first_steps("m.yaml")[1]
    assert rehearse.to_json() == {
        "text": "rehearse it",
        "command": "runner apply m.yaml",
        "argv": ["runner", "apply", "m.yaml"],
    }
    assert next_steps.Step("call the gateway's owner").command is None


def test_a_doubt_is_settled_by_one_of_two_words():
    done, not_done = next_steps.settle("j.db", "run-1", "k7")
    assert done.argv[done.argv.index("--as") + 1] == "transferred"
    assert not_done.argv[not_done.argv.index("--as") + 1] == "failed"


def test_a_plan_repeats_again_because_it_moves_nobody():
    assert shell_line(
        next_steps.plan(
            RunArguments(manifest="b.yaml", environment="e", options=BatchOptions(again=True)),
            out="p.json",
        )
    ) == ("runner plan b.yaml --again --out p.json")
    assert shell_line(
        next_steps.plan(RunArguments(manifest="b.yaml", environment="e"), preflight=True)
    ) == ("runner plan b.yaml --preflight")


def test_reports_and_audit_chains_are_asked_of_the_journal_that_has_them():
    given = RunArguments(manifest="b.yaml", environment="e").at("j.db")
    assert shell_line(next_steps.render("j.db", "run-1")) == "runner report run-1 --journal j.db"
    assert shell_line(next_steps.verify_run(given, "run-1")) == (
        "runner audit verify run-1 --journal j.db"
    )
    assert shell_line(next_steps.verify_run(given, "run-1", signers="FILE")) == (
        "runner audit verify run-1 --journal j.db --signers FILE"
    )
    assert shell_line(next_steps.verify_chain("j.db", "run-1")) == (
        "runner audit verify run-1 --journal j.db"
    )
    assert shell_line(next_steps.sign_run(given, "run-1")) == (
        "runner audit sign run-1 --journal j.db --key KEY"
    )
    assert (
        shell_line(next_steps.verify_file("-audit.jsonl")) == "runner audit verify -- -audit.jsonl"
    )


@pytest.mark.parametrize(
    "word", ["a b", "it's", "$(rm -rf)", "-rf", "a\nb", "\x1b[2J", "x\u202ey\\'z", "漢", ""]
)
def test_a_shell_reads_every_word_back(word: str):
    """Bash itself is asked; what does not print stands in no command as it is."""
    command = shell_line(next_steps.resolve("j.db", "run-1", word, "failed"))
    assert command.isprintable()
    script = f"runner() {{ printf '%s\\0' \"$@\"; }}; {command}"
    read = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True)
    words = read.stdout.decode().split("\0")[:-1]
    assert word in words
    assert words[0] == "resolve"
    assert ("--" in words) == word.startswith("-")


@pytest.mark.parametrize("rate_per_s", [25.0, 12.5, 0.5, 5 / 60, 0.123456789, 300 / 60])
def test_a_rate_is_repeated_as_it_was(rate_per_s: float):
    words = next_steps.apply(RunArguments("b.yaml", "e", BatchOptions(rate_per_s=rate_per_s)))
    assert parse_rate(words[words.index("--rate") + 1]) == pytest.approx(rate_per_s)


def test_no_other_place_writes_a_command():
    """A command that is put together elsewhere would forget the journal again."""
    package = Path(next_steps.__file__).parents[1]
    written = re.compile(r"\brunner (apply|plan|status|report|resolve|audit|doctor)\b")
    allowed = {
        "explanations.toml",  # examples, of files that they name themselves
        "first_manifest.yaml",  # what is read in the folder where it lies
        *(path.name for path in (package / "app" / "templates").iterdir()),  # as well
    }
    for path in package.rglob("*"):
        if path.suffix not in {".py", ".j2", ".toml", ".yaml", ".js"} or path.name in allowed:
            continue
        lines = path.read_text("utf-8").splitlines()
        for line in lines:
            text = re.sub(r'^"""`[^`]*`.*', "", line)  # a module's first line, of what it serves
            assert not written.search(text), f"{path}: {line}"
    assert shlex.split(shell_line(("a b",))) == ["a b"]


def test_a_manifest_is_checked_by_an_option_of_apply():
    assert next_steps.validate("b.yaml") == ("runner", "apply", "b.yaml", "--validate-only")


def test_an_undo_is_looked_at_before_it_is_carried_out():
    run = next_steps.RunArguments("undo.yaml", "sim").at("other.db")
    assert [step.command for step in next_steps.carry_back(run)] == [
        "runner plan undo.yaml --journal other.db --preflight",
        "runner apply undo.yaml --journal other.db",
    ]


def test_a_plan_is_signed_by_a_line_that_a_shell_reads_back():
    line = next_steps.sign_plan("it's a plan.json")
    assert shlex.split(line) == [
        *("ssh-keygen", "-Y", "sign", "-n", "runner-plan", "-f", "KEY"),
        *("<", "it's a plan.json", ">", "it's a plan.json.NAME.sig"),
    ]


@pytest.mark.parametrize(
    ("people", "who"), [(1, "one other person"), (2, "2 people")], ids=["one", "two"]
)
def test_a_plan_that_needs_approvals_is_signed_before_it_is_applied(people: int, who: str):
    run = next_steps.RunArguments("m.yaml", "sim", plan="night/plan.json", report_dir="out")
    sign, look, apply = next_steps.approve(run, people)
    assert who in sign.text
    assert sign.argv == ()
    assert sign.to_json()["command"] == sign.command == next_steps.sign_plan("night/plan.json")
    assert look.command == "runner approvals night/plan.json"
    assert apply.command == "runner apply night/plan.json --report-dir out"
    assert (
        next_steps.approve(next_steps.RunArguments("m.yaml", "sim"), 1)[1].argv[-1] == "plan.json"
    )


def test_an_undo_that_needs_approvals_is_planned_and_signed_first():
    run = next_steps.RunArguments("undo.yaml", "sim").at("other.db")
    commands = [step.command for step in next_steps.carry_back(run, approvals=2)]
    assert commands == [
        "runner plan undo.yaml --journal other.db --preflight --out undo-plan.json",
        next_steps.sign_plan("undo-plan.json"),
        "runner approvals undo-plan.json",
        "runner apply undo-plan.json --journal other.db",
    ]


def test_a_command_for_a_run_names_its_journal():
    command = next_steps.control("a journal.db", "continue")
    assert shell_line(command) == "runner control continue --journal 'a journal.db'"
    assert next_steps.ending("a journal.db", "continue") == shell_line(command)
    assert next_steps.ending("a journal.db", None) is None


SUBMITTED = RunArguments(
    manifest="the batch.yaml",
    environment="eu",
    report_dir="/srv/reports",
    options=BatchOptions(
        environment="eu", journal=JournalLocation("postgresql:///j?lane=a"), limit=3, again=True
    ),
    folder="/srv",
    submission=7,
)


def test_the_batch_of_a_submission_goes_on_by_being_submitted_again():
    step = next_steps.go_on(SUBMITTED, "when it may, {again}")
    assert step.text == "when it may, submit the batch.yaml again, in its folder"
    assert step.command == (
        "runner submit 'the batch.yaml' --env eu --limit 3 --journal 'postgresql:///j?lane=a'"
    )
    assert SUBMITTED.commands_folder is None


def test_a_submission_that_was_handed_over_goes_on_by_itself():
    step = next_steps.go_on(replace(SUBMITTED, is_handed_over=True), "{again}")
    assert step.text.startswith("unless submission 7 was cancelled, a worker goes on with it")
    assert step.command == "runner status --fleet --journal 'postgresql:///j?lane=a'"


@pytest.mark.parametrize(
    ("exit_code", "is_handed_over"),
    [(None, True), (143, True), (74, True), (75, True), (130, False), (5, False), (6, False)],
)
def test_death_and_hand_over_leave_a_submission_to_the_workers(
    exit_code: int | None, *, is_handed_over: bool
):
    run = replace(samples.RUN, options={"submission": 7}, exit_code=exit_code)
    assert RunArguments.of(run).is_handed_over is is_handed_over
    assert RunArguments.of(replace(run, options={})).is_handed_over is False


def test_a_probe_is_planned_and_carried_out_by_doctor():
    run = next_steps.RunArguments("m.yaml", "sim", probe=Probe("c-1", "tel:1")).at("other.db")
    probe = "--probe c-1 --probe-to tel:1 --journal other.db"
    assert next_steps.plan_name(None, run.probe) == "probe-plan.json"
    assert shell_line(next_steps.plan(run, out="probe-plan.json")) == (
        f"runner doctor m.yaml {probe} --out probe-plan.json"
    )
    planned = replace(run, plan="probe-plan.json")
    assert shell_line(next_steps.apply(planned)) == f"runner doctor probe-plan.json {probe}"
    assert shell_line(next_steps.apply(run)) == f"runner doctor m.yaml {probe}"
