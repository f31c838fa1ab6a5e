"""Holds a run to its plan file: what the plan does not send is not sent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from shlex import quote
from typing import Any

from runner.app.approvals import command_digests, requirements_of
from runner.app.author import acting_accounts
from runner.app.name_resolution import NOTHING_ASKED, DirectoryAnswers
from runner.app.plan_file import (
    ApprovalBasis,
    PlanFile,
    SeenHistory,
    plan_problem,
    read_plan,
    replan_help,
    row_digest,
)
from runner.app.run_options import RunOptions
from runner.core import next_steps
from runner.core.approval.ssh_signature import PLAN_NAMESPACE
from runner.core.batch_options import FIXED_BY_PLAN, IN_PLAN, OPTIONS, BatchOptions, Option
from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import ManifestInvalid, UsageError
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Manifest
from runner.core.next_steps import RunArguments
from runner.core.records.run_record import RunRecord
from runner.core.transfer.canonical_form import canonical_interaction, same_destination
from runner.core.transfer.plan_decision import NOT_SELECTED, SENDS, Action, Decision
from runner.core.transfer.reasons import Code
from runner.core.transfer.rows import PlannedRow
from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector
from runner.manifest.signers_file import read_signers
from runner.manifest.suggestions import nearest
from runner.ports.history import LATEST, History, RunMoves
from runner.ports.journal_access import JournalAccess
from runner.staging.rows import Staging

MOST_NAMED = 50
"""Rows that a refusal names; the rest are counted."""

MOST_COMPARED = 500
"""Keys that a pattern which matches nothing is compared with."""

MOST_SHOWN = 3
"""Keys that are shown of them."""

_Moves = Mapping[str, RunMoves]
"""By interaction, in its canonical form."""


def as_planned(request: RunOptions) -> RunOptions:
    """Return the request that a plan file stands for, where one was given instead of a manifest.

    Raises `ManifestInvalid` if the plan cannot be used, or options ask for something else.
    """
    plan = read_plan(request.manifest)
    if plan is None:
        return request
    if problems := list(_other_options(request, plan)):
        raise ManifestInvalid(problems)
    return replace(
        request,
        plan=plan,
        manifest=plan.manifest,
        environment=plan.environment,
        journal=request.journal or plan.history.location,
        **{name: _chosen(request, plan, name) for name in IN_PLAN},
    )


def _chosen(request: RunOptions, plan: PlanFile, name: str) -> Any:
    """Return the option of the request, if it was given, else that of the plan."""
    return request.given().get(name, getattr(plan.options, name))


def check_only(request: RunOptions, staging: Staging) -> None:
    """Refuse an `--only` that matches no key: a run that sends nothing must not look well.

    Nor one of `--exclude`: a misspelt one would let a run move what it is to spare.

    Nothing is refused before the rows of selections are known, or where they are none, nor with
    a plan, whose rows are compared with the manifest's. Raises `UsageError`.
    """
    is_unknown = bool(staging.selections) or (staging.has_selected and not staging.count)
    if request.plan is not None or is_unknown:
        return
    for flag, patterns in (("--only", request.only), ("--exclude", request.exclude)):
        if unmatched := staging.unmatched(patterns):
            wrong = " and ".join(f"{flag} {quote(pattern)}" for pattern in unmatched)
            verb = "matches" if len(unmatched) == 1 else "match"
            raise UsageError(f"{wrong} {verb} no transfer; {_only_help(unmatched[0], staging)}")
    if request.exclude and not staging.selects_any(request.only, request.exclude):
        raise UsageError("--exclude leaves no transfer to send; check --only and --exclude")


def _only_help(pattern: str, staging: Staging) -> str:
    keys = staging.keys(MOST_COMPARED)
    if not keys:
        return "the manifest has no transfers"
    folded = pattern.casefold()
    alike = next((key for key in keys if fnmatchcase(key.casefold(), folded)), None)
    if alike is not None and alike.casefold() != folded:
        return f"upper and lower case differ: it would match `{alike}`"
    if (near := nearest(pattern, keys)) is not None:
        return f"did you mean `{near}`?"
    some = ", ".join(f"`{key}`" for key in keys[:MOST_SHOWN])
    return f"it is compared with whole keys, such as {some}; `*` stands for any characters"


def with_run_named(request: RunOptions, manifest: Manifest) -> RunOptions:
    """Return the request with the run of `--of latest` by its id.

    A plan file, the report and the next steps repeat the option. By the time that one of them is
    used, `latest` is this very run, and what it left unsent would never be chosen again. Raises
    `UsageError` for a journal without runs, `StorageError` if it cannot be read.
    """
    if request.of != LATEST:
        return request
    journal = request.journal_access(manifest)
    if not journal.exists():
        return request
    with journal.open_history() as history:
        return replace(request, of=history.run(LATEST).record.id)


def plan_rows(
    request: RunOptions, manifest: Manifest, staging: Staging, journal: JournalAccess
) -> None:
    """Give every row its decision, by the journal's history; hold them to the plan, if any.

    Raises `ManifestInvalid`, naming what changed since the plan, if it no longer holds, and for a
    manifest that reverts a run which the journal does not know.
    """
    check_only(request, staging)
    _check_probe(request)
    selection = replace(request.selection, reverts=manifest.reverts)
    if request.plan is not None:  # its rows say themselves which of them `--limit` left out
        selection = replace(selection, limit=None)
    with journal.open_history() if journal.exists() else nullcontext() as history:
        if manifest.reverts is not None:
            _check_reverted(manifest, manifest.reverts, history)
        if request.only_outcome is not None:
            selection = replace(selection, interactions=_ended_so(request, history))
        staging.plan(history, selection)
    if request.plan is not None:
        again = replan_help(request.plan, request.report_dir)
        _check_against(request.plan, manifest, staging, journal, again)


def _check_probe(request: RunOptions) -> None:
    """Refuse a plan that is not of what is asked for: people signed it for a batch, or one probe."""
    plan = request.plan
    if plan is None or plan.probe == request.probe:
        return
    if plan.probe is None:
        message = "it is not the plan of a probe, but of a batch"
        named = RunArguments(str(plan.manifest), plan.environment, probe=request.probe)
        argv = next_steps.plan(named, out=next_steps.PROBE_PLAN_NAME)
        help_text = f"make a plan of the probe:\n{next_steps.shell_line(argv)}"
    else:
        message = "the plan is of a probe, and of no batch"
        if request.probe is not None:
            message = "the plan is of another probe, with other values of --probe and --probe-to"
        named = RunArguments(
            str(plan.manifest), plan.environment, plan=str(plan.path), probe=plan.probe
        )
        help_text = f"carry it out:\n{next_steps.shell_line(next_steps.apply(named))}"
    raise ManifestInvalid([plan_problem(plan.path, message, help_text)])


def _check_reverted(manifest: Manifest, run: str, history: History | None) -> None:
    """Refuse a `reverts` that is not the id of a run of the journal.

    `latest` is none: the newest run is another one by the time that the manifest is applied.
    """
    message = f"`reverts` needs the id of a run, and `{run}` is none" if run == LATEST else None
    if message is None:
        try:
            if history is not None:
                history.run_number(run)
                return
            message = f"`reverts`: no run {run}; there is no journal yet"
        except UsageError:
            message = f"`reverts`: no run {run} in this journal"
    tree, _ = read_tree(Path(manifest.path), Collector())
    place = Place(manifest.path, 1, 1) if tree is None else tree.value(tree.root, "reverts")
    help_text = "write the id as `status` lists it, or have `revert` write the manifest"
    raise ManifestInvalid([Problem("R001", message, place, help_text)])


def _ended_so(request: RunOptions, history: History | None) -> Iterator[str]:
    """Return the interactions that ended in the run of --of as --only-outcome says."""
    if history is None:
        raise UsageError(f"--of {request.of}: there is no journal yet, and so no run")
    run_no = history.run_number(request.of or LATEST)
    outcomes = set((request.only_outcome or "").split(","))
    return (
        canonical_interaction(each.interaction_id)
        for each in history.report_source(run_no).transfers()
        if each.outcome in outcomes
    )


def plan_file_of(
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    record: RunRecord,
    out: Path,
    *,
    found: DirectoryAnswers = NOTHING_ASKED,
) -> PlanFile:
    """Return the plan file, to be written to `out`, of rows that have their decisions."""
    return PlanFile(
        path=out,
        id=record.id,
        created_at=record.started_at,
        batch=manifest.name,
        manifest=request.manifest.absolute(),
        manifest_sha256=manifest.sha256,
        environment=manifest.environment.name,
        options=BatchOptions.from_json(request.in_plan()),
        history=_history(request.journal_access(manifest)),
        rows={row.key: (decision.action, row_digest(row)) for row, decision in staging.planned()},
        failed_as={
            row.key: decision.failed_as
            for row, decision in staging.planned()
            if decision.failed_as is not None and decision.action in SENDS
        },
        found=found,
        author=acting_accounts(),
        approval_basis=_approval_basis(request, manifest),
        probe=request.probe,
    )


def _approval_basis(request: RunOptions, manifest: Manifest) -> ApprovalBasis | None:
    requirements = requirements_of(manifest, os.environ)
    if not requirements:
        return None
    policy = manifest.policy.approvals
    sha256 = None if policy is None else read_signers(Path(policy.signers), PLAN_NAMESPACE)[1]
    return ApprovalBasis(sha256, command_digests(manifest), request.new_history)


def _history(journal: JournalAccess) -> SeenHistory:
    location = JournalLocation(journal.address)
    if not journal.exists():
        return SeenHistory(location)
    with journal.open_history() as history:
        seq, head = history.last_event()
        return SeenHistory(location, history.lineage_id, seq, head, history.last_transfer_id())


def _other_options(request: RunOptions, plan: PlanFile) -> Iterator[Problem]:
    """Yield what options ask for against the plan: it was made with its own."""
    given, planned = request.given(), {**plan.options.given(), "environment": plan.environment}
    for name in ("environment", *FIXED_BY_PLAN):
        if name in given and given[name] != planned.get(name):
            option = OPTIONS[name]
            message = (
                f"{_option_text(option, given[name])} is not what the plan was made with"
                f" ({_option_text(option, planned.get(name))})"
            )
            again = replan_help(plan, request.report_dir)
            help_text = f"leave {option.flag} (and its variable) out, or {again}"
            yield plan_problem(plan.path, message, help_text)


def _option_text(option: Option, value: Any) -> str:
    """Return an option with its value as it is typed; None: it was not given."""
    if value is None:
        return f"without {option.flag}"
    return next_steps.shell_line(tuple(option.words(value)))


def _check_against(
    plan: PlanFile, manifest: Manifest, staging: Staging, journal: JournalAccess, again: str
) -> None:
    problems = list(manifest_faults(plan, manifest, again))
    lost, moved = _history_since(plan, journal, again)
    if lost:  # by another history every row would seem to have changed
        raise ManifestInvalid([*problems, *lost])
    amended: list[tuple[int, Decision]] = []
    differing, found = 0, 0
    in_order: Iterator[str] | None = iter(plan.rows)  # who goes first; None: that was told
    for row, decision in staging.planned():
        planned = plan.rows.get(row.key)
        if planned is not None and in_order is not None and row.key not in in_order:
            problems.append(_of_row(row, "its place among the rows is not the plan's", again))
            in_order = None
        found += planned is not None
        held, why = _decision_under_plan(
            row, decision, planned, moved.get(canonical_interaction(row.interaction_id))
        )
        if why is not None:
            differing += 1
            if differing <= MOST_NAMED:
                problems.append(_of_row(row, why, again))
        elif held is not decision:
            amended.append((row.n, held))
    problems += _missing_rows(plan, staging, found, again)
    if differing > MOST_NAMED:
        problems.append(
            plan_problem(plan.path, f"{differing - MOST_NAMED:,} more rows have changed", again)
        )
    if problems:
        raise ManifestInvalid(problems)
    staging.amend(amended)


def manifest_faults(plan: PlanFile, manifest: Manifest, again: str) -> Iterator[Problem]:
    """Yield a problem if the manifest, or what it includes, is not the one that was planned."""
    if manifest.sha256 != plan.manifest_sha256:
        message = f"the manifest has changed since the plan of {plan.created_at}"
        yield Problem("P002", message, Place(manifest.path, 1, 1), again)


def _decision_under_plan(
    row: PlannedRow,
    decision: Decision,
    planned: tuple[Action, str] | None,
    moved: RunMoves | None,
) -> tuple[Decision, str | None]:
    """Return a row's decision under the plan, or why the plan no longer holds for it.

    What the plan sends and is not to be sent any more, since it was carried out or is in doubt,
    is no difference: the plan's own run may have ended halfway.
    """
    if planned is None:
        return decision, "it is not in the plan"
    action, digest = planned
    if digest != row_digest(row):
        return decision, "its interaction, destination, media or callbacks are not the plan's"
    if decision.action not in SENDS:
        return decision, None
    if action is Action.NOT_SELECTED:
        return Decision(Action.NOT_SELECTED, NOT_SELECTED, code=Code.NOT_SELECTED), None
    return _decision_of_sent(row, decision, action, moved)


def _decision_of_sent(
    row: PlannedRow, decision: Decision, action: Action, moved: RunMoves | None
) -> tuple[Decision, str | None]:
    """Return the same for a row that would be sent."""
    if moved is not None and same_destination(
        moved.destination_uri, row.destination_uri
    ):  # with --again, once is enough
        reason = f"transferred since the plan, by run {moved.run}"
        return Decision(
            Action.UNCHANGED, reason, moved.transfer_id, code=Code.TRANSFERRED_BEFORE
        ), None
    if moved is not None:
        return decision, f"run {moved.run} moved its interaction to {moved.destination_uri} since"
    if decision.action is not action:
        return (
            decision,
            f"the plan says `{action}`, and by its history now it is `{decision.action}`",
        )
    return decision, None


def _of_row(row: PlannedRow, why: str, again: str) -> Problem:
    file, _, line = row.source.rpartition(":")
    message = f"`{row.key}` has changed since the plan: {why}"
    return Problem("P002", message, Place(file, int(line), 1), again)


def _missing_rows(plan: PlanFile, staging: Staging, found: int, again: str) -> Iterator[Problem]:
    """Yield a problem for rows of the plan that the manifest no longer has."""
    if found == len(plan.rows):
        return
    there = {row.key for row, _ in staging.planned()}
    gone = [key for key in plan.rows if key not in there]
    named = ", ".join(f"`{key}`" for key in gone[:5])
    more = f" and {len(gone) - 5:,} more" if len(gone) > 5 else ""  # noqa: PLR2004 - as above
    yield Problem(
        "P002", f"the manifest no longer has {named}{more}", Place(str(plan.path), 1, 1), again
    )


def _history_since(
    plan: PlanFile, journal: JournalAccess, again: str
) -> tuple[list[Problem], _Moves]:
    """Return what is wrong with the journal, and what was moved since the plan."""
    seen = plan.history
    if not journal.exists():
        if seen.lineage is None:
            return [], {}
        if journal.address == str(seen.location):
            return [_other_journal(plan, seen.location, "is gone", again)], {}
        message = f"the journal {journal.location} does not exist, and is not the plan's"
        help_text = f"leave --journal (and its variable) out: the plan's journal is {seen.location}"
        return [Problem("P002", message, Place(str(plan.path), 1, 1), help_text)], {}
    here = journal.location
    with journal.open_history() as history:
        if seen.lineage is not None and history.lineage_id != seen.lineage:
            return [_other_journal(plan, here, "is another one than the plan's", again)], {}
        if seen.head is not None and not history.has_event(seen.seq, seen.head):
            return [_other_journal(plan, here, "is older than the plan: a copy?", again)], {}
        return [], history.moved_since(seen.last_transfer_id)


def _other_journal(plan: PlanFile, journal: JournalLocation, what: str, again: str) -> Problem:
    help_text = f"bring the right one back, or name it with --journal; or {again}"
    return Problem("P002", f"the journal {journal} {what}", Place(str(plan.path), 1, 1), help_text)
