"""Builds every command that this program offers (cli.md, "Next steps").

People paste them at night, perhaps into another terminal. So each command is complete: it repeats
the run's options, given on the command line or by variables, and is quoted for a shell. It works in
the folder in which the run was started.

`--again`, `--new-history` and `--yes` are never repeated: each is a decision for one run. A pasted
command must neither move anyone a second time nor begin another journal.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from runner.core.approval.ssh_signature import PLAN_NAMESPACE
from runner.core.batch_options import NO_OPTIONS, BatchOptions
from runner.core.exit_code import HANDED_OVER
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.records.run_record import RunRecord
from runner.core.transfer.probe import Probe

PROGRAM = "runner"
REPORT_DIR = "reports"
WAIT = "--wait"
WAITS_ALONE_S = 168 * 3600.0
"""How long `--wait` waits where it stands alone."""

PLAN_NAME = "plan.json"
"""The plan file's name in offered commands."""

UNDO_PLAN_NAME = "undo-plan.json"
"""The name of an undo's plan file: that of the batch lies beside it, with its signatures."""

PROBE_PLAN_NAME = "probe-plan.json"
"""The name of a probe's plan file: no batch is applied by it."""

SEEN = {
    "transferred": "looked up at the gateway: it was carried out",
    "failed": "looked up at the gateway: it was not carried out",
}
"""Example reasons for `resolve`, by its verdict; a person writes better ones."""


@frozen
class Step:
    """One next step, and the arguments of its command; none: no command.

    `line` is a command that arguments alone cannot express: it redirects, and has words to fill in.
    """

    text: str
    argv: tuple[str, ...] = ()
    line: str | None = None

    @property
    def command(self) -> str | None:
        """The command, ready to be pasted into a shell."""
        return shell_line(self.argv) if self.argv else self.line

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the text, the command as a shell line and as arguments."""
        return {"text": self.text, "command": self.command, "argv": list(self.argv)}


@frozen
class RunArguments:
    """What a run was started with; paths are relative to `folder`.

    The manifest of a submission is not there: it is in a folder of the person who submitted it.
    """

    manifest: str
    environment: str  # the one that was chosen, by `--env` or by the manifest
    options: BatchOptions = NO_OPTIONS
    report_dir: str = REPORT_DIR
    plan: str | None = None  # the plan file that is applied instead of the manifest
    folder: str | None = None  # in which the run was started; None: an earlier version's record
    submission: int | None = None  # that a worker carried; None: somebody applied the manifest
    is_handed_over: bool = False  # a worker goes on with the submission by itself
    probe: Probe | None = None  # which `doctor` makes; None: it is a batch

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """Return the arguments in a run's record."""
        recorded: Mapping[str, Any] = run.options
        submission = recorded.get("submission")
        has_died = run.exit_code is None
        return cls(
            manifest=run.manifest_path,
            environment=run.environment,
            options=BatchOptions.from_json(recorded),
            report_dir=recorded.get("report_dir", REPORT_DIR),
            plan=recorded.get("plan") or recorded.get("out"),
            folder=recorded.get("folder"),
            submission=submission,
            is_handed_over=submission is not None and (has_died or run.exit_code in HANDED_OVER),
        )

    @property
    def journal_path(self) -> str:
        """The journal's path, given or by default."""
        journal = self.options.journal
        return journal_beside(self.manifest, self.environment) if journal is None else journal.text

    @property
    def commands_folder(self) -> str | None:
        """The folder that offered commands are for; None: unknown, or they say so themselves."""
        return self.folder if self.submission is None else None

    def at(self, journal: str) -> Self:
        """Return a copy with the journal at `journal`."""
        return replace(self, options=replace(self.options, journal=JournalLocation(journal)))


def journal_beside(manifest: str, environment: str) -> str:
    """Return the default path of a manifest's journal."""
    folder, slash, _ = manifest.rpartition("/")
    return f"{folder}{slash}.runner/{environment}.db"


def shell_line(argv: Sequence[str]) -> str:
    """Return a command as a shell line, with words quoted where a shell needs it."""
    return " ".join(map(_quoted, argv))


def apply(run: RunArguments, *, waits_s: float | None = None) -> tuple[str, ...]:
    """Return the command that applies again with the options of a run.

    That of a submission submits its manifest again: environment and secrets are a worker's. `waits_s`
    is how long it has to wait for a window; None: not at all.
    """
    if run.submission is not None:
        return _command(("submit",), (run.manifest,), run.options.in_next_steps())
    if run.probe is not None:
        options = (*run.probe.words(), *_of_batch(run))
        return _command(("doctor",), (run.plan or run.manifest,), options)
    wait: tuple[str, ...] = ()
    if waits_s is not None:
        wait = (WAIT,) if waits_s < WAITS_ALONE_S else (WAIT, f"{math.ceil(waits_s / 3600)}h")
    return _command(("apply",), (run.plan or run.manifest,), (*_of_batch(run), *wait))


def go_on(run: RunArguments, sentence: str) -> Step:
    """Return how the batch of a run that has ended goes on.

    `sentence` says when and how, with `{again}` where it tells a person to apply again.
    """
    if run.is_handed_over:
        return Step(
            f"unless submission {run.submission} was cancelled, a worker goes on with it by itself,"
            " and looks up first what is in doubt; see where it stands",
            fleet(run.journal_path),
        )
    again = "apply again"
    if run.submission is not None:
        again = f"submit {run.manifest} again, in its folder"
    return Step(sentence.replace("{again}", again), apply(run))


def plan(run: RunArguments, *, out: str | None = None, preflight: bool = False) -> tuple[str, ...]:
    """Return the command that plans; `--again` is safe here, because a plan moves no one."""
    if run.probe is not None:
        options = (*run.probe.words(), *_of_batch(run), *_options(("--out", out)))
        return _command(("doctor",), (run.manifest,), options)
    flags = [*(["--again"] if run.options.again else []), *(["--preflight"] if preflight else [])]
    options = (*_of_batch(run), *flags, *_options(("--out", out)))
    return _command(("plan",), (run.manifest,), options)


def plan_name(reverts: str | None, probe: Probe | None = None) -> str:
    """Return the plan file's name for a manifest, which may revert a run, or for a probe."""
    if probe is not None:
        return PROBE_PLAN_NAME
    return PLAN_NAME if reverts is None else UNDO_PLAN_NAME


def sign_plan(path: str) -> str:
    """Return the shell line by which a person approves a plan: KEY and NAME are theirs to fill in."""
    sign = ("ssh-keygen", "-Y", "sign", "-n", PLAN_NAMESPACE, "-f", "KEY")
    return f"{shell_line(sign)} < {_quoted(path)} > {_quoted(f'{path}.NAME.sig')}"


def approve(run: RunArguments, people: int, *, waits_s: float | None = None) -> tuple[Step, ...]:
    """Return how the plan file `run.plan`, which `people` must sign, is approved and applied.

    `waits_s` is how long `apply` has to wait for a window; None: not at all.
    """
    path = run.plan or PLAN_NAME
    each = "one other person" if people == 1 else f"{people:,} people"
    return (
        Step(
            f"have {each} read the plan and sign it, with an SSH key of their own (KEY, NAME)",
            line=sign_plan(path),
        ),
        Step("see who has approved it, and what is missing", _command(("approvals",), (path,), ())),
        Step("carry it out", apply(run, waits_s=waits_s)),
    )


def validate(manifest: str) -> tuple[str, ...]:
    """Return the command that checks a manifest and sends nothing."""
    return _command(("apply",), (manifest,), ("--validate-only",))


def doctor(run: RunArguments) -> tuple[str, ...]:
    """Return the command that connects as a run would, read-only."""
    return _command(("doctor",), (run.manifest,), _options(("--env", run.options.environment)))


def status(journal: str | None = None, run: str | None = None) -> tuple[str, ...]:
    """Return the command that shows a journal's runs, or one run with what is in doubt."""
    return _command(("status",), () if run is None else (run,), _options(("--journal", journal)))


def fleet(journal: str) -> tuple[str, ...]:
    """Return the command that shows a fleet's submissions, and who carries them."""
    return _command(("status",), (), ("--fleet", *_options(("--journal", journal))))


def cancel(journal: str, submission: int) -> tuple[str, ...]:
    """Return the command that ends a submission."""
    return _command(("cancel",), (str(submission),), _options(("--journal", journal)))


def control(journal: str | None, command: str) -> tuple[str, ...]:
    """Return the command that gives `command` to the run that is going on with a journal.

    None: the journal is found by default.
    """
    return _command(("control",), (command,), _options(("--journal", journal)))


def ending(journal: str | None, command: str | None) -> str | None:
    """Return as a shell line how a person ends what holds a run; None: no command does."""
    return None if command is None else shell_line(control(journal, command))


def resolve(journal: str, run: str, key: str, word: str) -> tuple[str, ...]:
    """Return the command that settles a doubt by a person's `word`: transferred or failed."""
    options = _options(("--journal", journal), ("--as", word), ("--reason", SEEN[word]))
    return _command(("resolve",), (run, key), options)


def render(journal: str, run: str, report_dir: str | None = None) -> tuple[str, ...]:
    """Return the command that renders a run's report again; None: where the run left it."""
    options = _options(("--journal", journal), ("--report-dir", report_dir))
    return _command(("report",), (run,), options)


def verify_run(arguments: RunArguments, run: str, signers: str | None = None) -> tuple[str, ...]:
    """Return the command that checks a run's audit chain in the journal.

    With a file of signers it also checks the reports, and who signed them.
    """
    report_dir = ("--report-dir", _other(arguments.report_dir))
    options = _options(("--journal", arguments.journal_path), report_dir, ("--signers", signers))
    return _command(("audit", "verify"), (run,), options)


def verify_chain(journal: str, run: str) -> tuple[str, ...]:
    """Return the command that checks a run's audit chain in a journal, wherever its reports are."""
    return _command(("audit", "verify"), (run,), _options(("--journal", journal)))


def sign_run(arguments: RunArguments, run: str) -> tuple[str, ...]:
    """Return the command that signs a run's record; `KEY` in it is to be filled in."""
    report_dir = ("--report-dir", _other(arguments.report_dir))
    options = _options(("--journal", arguments.journal_path), report_dir, ("--key", "KEY"))
    return _command(("audit", "sign"), (run,), options)


def verify_file(path: str) -> tuple[str, ...]:
    """Return the command that checks a file's audit chain."""
    return _command(("audit", "verify"), (path,), ())


def first_steps(manifest: str) -> tuple[Step, ...]:
    """Return what to do with a manifest that was just written, and rehearses by default."""
    return (
        Step("check it", validate(manifest)),
        Step("rehearse it", _command(("apply",), (manifest,), ())),
    )


def carry_back(run: RunArguments, *, approvals: int = 0) -> tuple[Step, ...]:
    """Return what to do with an undo that was just written, and that `approvals` people must sign."""
    if approvals:
        planned = replace(run, plan=UNDO_PLAN_NAME)
        return (
            Step(
                "see what it would move, and save that for others to approve",
                plan(run, out=planned.plan, preflight=True),
            ),
            *approve(planned, approvals),
        )
    # Who submits a batch may well be where the worker's secrets are not.
    where = "" if run.submission is None else ", where the gateway's secrets are"
    return (
        Step(f"see what it would move{where}", plan(run, preflight=True)),
        Step("carry it out", apply(run)),
    )


def settle(journal: str, run: str, key: str, *, elsewhere: bool = False) -> tuple[Step, ...]:
    """Return how a person settles a doubt: one step for each thing that they may have seen.

    `elsewhere`: in doubt is a move to another destination than the run's row has.
    """
    to = ", to the destination that its reason names" if elsewhere else ""
    return (
        Step(f"it was carried out{to}", resolve(journal, run, key, "transferred")),
        Step("it was not carried out", resolve(journal, run, key, "failed")),
    )


def _of_batch(run: RunArguments) -> tuple[str, ...]:
    report_dir = _options(("--report-dir", _other(run.report_dir)))
    return (*run.options.in_next_steps(), *report_dir)


def _options(*options: tuple[str, str | int | None]) -> tuple[str, ...]:
    """Return options with their values; what was not given is left out."""
    return tuple(
        word for name, value in options if value is not None for word in (name, str(value))
    )


def _other(report_dir: str) -> str | None:
    return None if report_dir == REPORT_DIR else report_dir


def _command(
    name: tuple[str, ...], operands: tuple[str, ...], options: tuple[str, ...]
) -> tuple[str, ...]:
    """Build a command; an operand that begins like an option goes after `--`."""
    if any(word.startswith("-") for word in operands):
        return (PROGRAM, *name, *options, "--", *operands)
    return (PROGRAM, *name, *operands, *options)


def _quoted(word: str) -> str:
    r"""Return a word as a shell reads it back; what does not print as `$'\x1b'`.

    Such a character would move the terminal's cursor, or end the line in the middle of a command.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
