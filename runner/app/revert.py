"""`revert`: writes the manifest that carries back what a run moved (recovery.md, "Claims")."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import yaml

from runner.app.approvals import required_people
from runner.app.status import holder_runs
from runner.core import next_steps
from runner.core.errors import ManifestInvalid, StorageError, UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.key_patterns import matcher_of
from runner.core.manifest.media import MediaMatrix
from runner.core.next_steps import RunArguments
from runner.core.records.run_record import RunRecord
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import Claim, last_carried
from runner.core.transfer.reversal import Irreversible, way_back
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event
from runner.journals import default_journal, journal_at
from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import check_schema
from runner.ports.history import History, JournalledRun
from runner.ports.journal_access import JournalAccess
from runner.report.safe_folder import open_folder

RUNS_LOOKED_AT = 20
"""Runs among which the newest one that moved something is looked for."""

PAGE = 1000
"""Rows of the plan that are read at once."""

ROWS_SUFFIX = ".jsonl"
LONGEST_NAME = 200

_OWN = frozenset({"version", "name", "description", "reverts", "environment"})
"""Sections that an undo has its own of."""

_WITHOUT = frozenset({"transfers", "defaults", "media"})
"""Sections that describe the batch's rows; an undo's rows say all themselves."""

_WINDOWS = frozenset({"window", "windows"})


@frozen
class Undo:
    """An undo that was written."""

    run: str
    batch: str
    environment: str
    manifest: Path
    rows: Path
    reverted: int  # rows that carry an interaction back
    left_out: Mapping[Irreversible, int]  # how many of what it moved, or may have, stay
    earlier_runs: Sequence[str]  # that sent what is left out as `SENT_BEFORE`
    is_changed: bool  # the run's manifest has changed since
    journal: JournalLocation | None  # to be named in commands; None: it is found by default
    approvals: int = 0  # people who must sign the undo's plan before it is applied
    submission: int | None = None  # that the run carried


def revert(
    location: JournalLocation, run: str, out: Path, *, only: Sequence[str], manifest: Path | None
) -> Undo:
    """Write `out`, and its rows beside it, to carry back what `run` moved.

    `manifest` is where the run's manifest is now; None: where it was. Raises `UsageError` for a
    run, a pattern or a place that cannot be used, `ManifestInvalid` for a manifest that cannot be
    read, `StorageError`.
    """
    journal = journal_at(location)
    rows_path = out.with_suffix(ROWS_SUFFIX)
    with journal.open_history() as history:
        seen = history.run(run)
        record = seen.record
        _check_ended(journal, seen)
        source = manifest or _manifest_of(record)
        _check_place(out, rows_path, source)
        sections, sha256 = _sections(source, record.environment)
        rows = ReturnRows(history, record.id, seen.no, only)
        _write(rows_path, rows.lines(_moved_nothing(history, seen)))
    try:
        _write(out, [_text(record, sections, rows.media, rows_path.name)])
    except BaseException:
        rows_path.unlink(missing_ok=True)
        raise
    default = journal_at(default_journal(out, record.environment))
    is_default = default.real_address == journal.real_address
    return Undo(
        record.id,
        record.batch,
        record.environment,
        out,
        rows_path,
        rows.reverted,
        dict(rows.left_out),
        tuple(rows.earlier_runs),
        is_changed=sha256 != record.manifest_sha256,
        journal=None if is_default else location,
        approvals=required_people(sections.get("policy", {}), record.environment, os.environ),
        submission=RunArguments.of(record).submission,
    )


class ReturnRows:
    """The rows of an undo, with the media that they name and the number of what they leave out."""

    def __init__(self, history: History, run_id: str, run_no: int, only: Sequence[str]) -> None:
        self.media: dict[MediaMatrix, str] = {}
        self.reverted = 0
        self.left_out: Counter[Irreversible] = Counter()
        self.earlier_runs: dict[str, None] = {}  # in the rows' order
        self._history = history
        self._run_id = run_id
        self._run_no = run_no
        self._only = {pattern: matcher_of([pattern]) for pattern in only}
        self._matched: set[str] = set()

    def lines(self, moved_nothing: Callable[[], UsageError] | None = None) -> Iterator[str]:
        """Yield each row that carries an interaction back, as a line of JSON.

        Raises `UsageError` at the end for a pattern that matched no key, and `moved_nothing` for a run
        that neither moved anybody nor may have.
        """
        for row, back_to in self.moves():
            yield json.dumps(self._row(row, back_to), ensure_ascii=False) + "\n"
        self._check_only()
        if moved_nothing is not None and not self.reverted and not self.left_out:
            raise moved_nothing()

    def moves(self) -> Iterator[tuple[PlannedRow, str]]:
        """Yield the run's rows that are carried back, and where to; count what is left out."""
        origins = _origins(self._history, self._run_no)
        for row, claims in self._moved():
            own = next((c for c in reversed(claims) if c.run_id == self._run_id), None)
            seen = origins.get(own.transfer_id, ()) if own is not None else ()
            way = way_back(claims, self._run_id, seen)
            if isinstance(way, Irreversible):
                self.left_out[way] += 1
            elif way is not None:
                self.reverted += 1
                yield row, way
        self._count_sent_before()

    def _count_sent_before(self) -> None:
        """Count what the run's report shows as transferred, and an earlier run sent."""
        settled = (
            (each.earlier.run, canonical_interaction(each.interaction_id))
            for each in self._history.report_source(self._run_no).transfers()
            if each.outcome is Outcome.TRANSFERRED and each.earlier and self._is_chosen(each.key)
        )
        for run, claims in self._history.claims(settled):
            last = last_carried(claims)
            if last is not None and last.run_id == run:
                self.left_out[Irreversible.SENT_BEFORE] += 1
                self.earlier_runs[run] = None

    def _check_only(self) -> None:
        unmatched = [pattern for pattern in self._only if pattern not in self._matched]
        if unmatched:
            wrong = " and ".join(f"--only {quote(pattern)}" for pattern in unmatched)
            raise UsageError(
                f"{wrong}: run {self._run_id} sent nothing with such a key; it is compared with whole"
                " keys, and `*` stands for any characters"
            )

    def _row(self, row: PlannedRow, back_to: str) -> dict[str, Any]:
        asked, *fallback = (self._name_of(matrix) for matrix in row.media)
        written = {
            "key": row.key,
            "interaction_id": row.interaction_id,
            "destination_uri": back_to,
            "expected_destination_uri": row.destination_uri,
            "media": asked,
            "fallback": fallback,
            "callbacks": list(row.callbacks),
        }
        return {name: value for name, value in written.items() if value != []}

    def _name_of(self, matrix: MediaMatrix) -> str:
        return self.media.setdefault(matrix, f"as-moved-{len(self.media) + 1}")

    def _moved(self) -> Iterator[tuple[PlannedRow, Sequence[Claim]]]:
        """Yield the rows that the run was to send, with their interactions' history."""
        for failed_before in (False, True):
            after = -1
            while page := self._history.pending(
                self._run_no, after, PAGE, failed_before=failed_before
            ):
                after = page[-1].n
                chosen = [row for row in page if self._is_chosen(row.key)]
                wanted = [(row, canonical_interaction(row.interaction_id)) for row in chosen]
                yield from self._history.claims(wanted)

    def _is_chosen(self, key: str) -> bool:
        matching = [pattern for pattern, matches in self._only.items() if matches(key)]
        self._matched.update(matching)
        return bool(matching) or not self._only


def _check_ended(journal: JournalAccess, seen: JournalledRun) -> None:
    """Refuse a run that goes on. Whom it moves after this is not in the undo."""
    if not seen.finished and holder_runs(journal.holder(), seen.record):
        stop = next_steps.shell_line(next_steps.control(str(journal.location), "stop"))
        raise UsageError(
            f"run {seen.record.id} goes on, and an undo would lack whom it moves from now on: stop it"
            f" with `{stop}`, or wait for its end; then write the undo"
        )


def _moved_nothing(history: History, seen: JournalledRun) -> Callable[[], UsageError]:
    """Return what makes the error for a run that moved nothing: it names the newest that did.

    That run is what `latest` was meant to be: an `apply` that found nothing to do came after it.
    """

    def error() -> UsageError:
        message = f"run {seen.record.id} moved nothing, so there is nothing to carry back"
        for run in history.runs(RUNS_LOOKED_AT):
            rows = ReturnRows(history, run.record.id, run.no, ())
            if run.no < seen.no and (any(rows.lines()) or rows.left_out):
                when = run.record.started_at[:16].replace("T", " ")
                return UsageError(
                    f"{message}; the newest run before it that moved somebody is {run.record.id}"
                    f" (batch {run.record.batch}, {when} UTC): name that one instead"
                )
        return UsageError(f"{message}; name another run, as `status` lists them")

    return error


def _origins(history: History, run_no: int) -> Mapping[int, tuple[str, ...]]:
    """Return where look-ups before a run's deliveries showed each transfer, newest first."""
    found: dict[int, tuple[str, ...]] = {}
    audit = history.report_source(run_no).audit
    for entry in () if audit is None else audit():
        body = json.loads(entry.body)
        seen = (body.get("baseline") or {}).get("destination_uri")
        if body["event"] == Event.INTENT and isinstance(seen, str):
            seen, known = sys.intern(seen), found.get(body["transfer"], ())
            if known[:1] != (seen,):
                found[body["transfer"]] = (seen, *known)
    return found


def _manifest_of(record: RunRecord) -> Path:
    given = RunArguments.of(record)
    if given.submission is not None:
        raise UsageError(
            f"run {record.id} carried submission {given.submission}, and its manifest,"
            f" {given.manifest}, belongs to the person who submitted it: say with --manifest where it is now,"
            " and write --out beside it"
        )
    return Path(given.folder or "", record.manifest_path)


def _check_place(out: Path, rows: Path, manifest: Path) -> None:
    """Refuse a place from which the manifest's paths and its journal would not be found."""
    if out.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"--out {out} is not the name of a manifest; write such as undo.yaml")
    if out.parent.resolve() != manifest.parent.resolve():
        raise UsageError(
            f"{out} would not be beside the run's manifest, {manifest}: its journal and the files that"
            f" it names are found from there; write --out {quote(str(manifest.with_name(out.name)))},"
            " or say with --manifest where the run's manifest is now"
        )
    for path in (out, rows):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists; give --out another name")


def _sections(manifest: Path, environment: str) -> tuple[dict[str, Any], str]:
    """Return the sections of the run's manifest that its undo needs, and its digest."""
    problems = Collector()
    tree, _ = read_tree(manifest, problems)
    document = check_schema(tree, problems) if tree is not None else None
    if document is None or problems.failed:
        raise ManifestInvalid(problems.sorted(str(manifest)), dict(problems.omitted))
    root = document.tree.root
    if environment not in root["environments"]:
        raise UsageError(
            f"{manifest} no longer has the environment {environment}, in which the run was made; name a"
            " copy of the run's manifest with --manifest"
        )
    kept = {name: value for name, value in root.items() if name not in _OWN | _WITHOUT}
    if "policy" in kept:
        policy = {name: value for name, value in kept["policy"].items() if name not in _WINDOWS}
        kept["policy"] = policy
    plain: dict[str, Any] = json.loads(json.dumps(kept))
    return plain, document.tree.source.sha256


def _text(
    record: RunRecord, kept: Mapping[str, Any], media: Mapping[MediaMatrix, str], rows: str
) -> str:
    """Return the manifest of an undo."""
    sections = {
        "version": 1,
        "name": f"{record.batch[: LONGEST_NAME - len('-undo')]}-undo",
        "description": f"Carries back what run {record.id} of {record.batch} moved.",
        "reverts": record.id,
        "environment": record.environment,
        **kept,
        **({"media": {name: matrix.to_json() for matrix, name in media.items()}} if media else {}),
        "transfers": [{"from": rows, "allow_empty": True}],
    }
    written = yaml.dump(
        sections, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize
    )
    return _HEAD + str(written)


_HEAD = """\
# Written by `runner revert`. See what it would move (`plan --preflight`) before you `apply` it.
# An interaction is moved only while it waits where the run left it. The windows of the run's
# manifest are left out. The time that somebody waited, and the place in a queue, do not come back.
"""


class _Dumper(yaml.SafeDumper):
    """Quotes each text that is not a plain word: what YAML 1.1 and 1.2 read differently."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's method
        """Return that nothing is written as an alias."""
        return True


_WORD = re.compile(r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[a-z][a-z_-]*", re.IGNORECASE)


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _WORD.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represented)


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write a file whole or not at all, mode 0600. Raises `StorageError`."""
    try:
        with open_folder(path.parent) as folder, folder.writing(path.name) as stream:
            stream.writelines(lines)
    except StorageError as error:
        why = error.__cause__ or error
        raise StorageError(f"{path} cannot be written ({why}); give --out another") from error
