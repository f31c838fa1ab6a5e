"""Reads and writes plan files: what `plan --out` decided, and `apply plan.json` does or refuses."""

from __future__ import annotations

import hashlib
import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from runner import __version__
from runner.app.author import author_of
from runner.app.name_resolution import NOTHING_ASKED, DirectoryAnswers
from runner.core import next_steps
from runner.core.approval.decision import Author
from runner.core.approval.ssh_signature import HASHES
from runner.core.batch_options import BatchOptions
from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import ManifestInvalid, StorageError, UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.media import MediaMatrix
from runner.core.next_steps import RunArguments
from runner.core.records.row_codec import ROW
from runner.core.records.run_record import PlanFigures
from runner.core.transfer.plan_decision import Action
from runner.core.transfer.probe import Probe
from runner.core.transfer.rows import PlannedRow
from runner.manifest.regular_file import open_regular
from runner.report.safe_folder import open_folder
from runner.schemas_lookup import schema

KIND = "runner-plan"
VERSION = 1
LARGEST_BYTES = 1 << 30
DIGEST_LENGTH = (
    40  # of a row's, in hexadecimal digits: who makes a plan must not find two rows for one
)

REPLAN = "plan anew, with `plan --out`"
"""The help for a plan file that does not say what it was made of."""


@frozen
class SeenHistory:
    """The journal as the plan saw it; `lineage` None: there was none."""

    location: JournalLocation  # absolute
    lineage: str | None = None
    seq: int = 0  # the chain's last event, and its hash
    head: str | None = None
    last_transfer_id: int = 0


@frozen
class ApprovalBasis:
    """What approvers rely on beside the manifest, the rows and the journal."""

    signers_sha256: str | None  # of the manifest's file of signers
    commands: Mapping[str, str]  # SHA-256 of the files of gates' commands, by path as written
    new_history: bool = False  # made with --new-history


@frozen
class PlanFile:
    """The content of a plan file."""

    path: Path
    id: str
    created_at: str
    batch: str
    manifest: Path  # absolute
    manifest_sha256: str
    environment: str
    options: BatchOptions  # of which a plan holds some
    history: SeenHistory
    rows: Mapping[str, tuple[Action, str]]  # by key: the action, and the row's digest
    failed_as: Mapping[str, str] = field(default_factory=dict)  # by key, as `PlannedRow` has it
    found: DirectoryAnswers = NOTHING_ASKED  # ids of names, and what waited in queues
    author: tuple[str, ...] = ()  # accounts; none: it is not known
    approval_basis: ApprovalBasis | None = None  # None: no approvals were required
    probe: Probe | None = None  # which is its only row; None: it is of a batch
    digests: Mapping[str, bytes] = field(default_factory=dict, compare=False)
    """Of the bytes that were read, by hash, for signatures."""
    made_by: Author = field(default_factory=Author, compare=False)
    """Who made the file that was read, as far as its owner vouches for `author`."""


_OWN_PLACE = frozenset({"key", "source", "media"})
"""Fields whose JSON form no digest has: media are digested in a form of their own."""


def row_digest(row: PlannedRow) -> str:
    """Return a short digest of a row's content, without its key and its place."""
    further = ROW.to_json(row, without=_OWN_PLACE)
    ids = further.pop("interaction_id"), further.pop("destination_uri")
    said = [*ids, _media_text(row.media), *further.values()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:DIGEST_LENGTH]


def write_plan(plan: PlanFile, figures: PlanFigures) -> None:
    """Write a plan file: whole or not at all, mode 0600, one row per line.

    Raises `UsageError` if something else lies there, or the plan of another batch, which people may
    have signed; `StorageError` if it cannot be written.
    """
    path = plan.path
    if path.exists():
        if not _is_plan(path):
            raise UsageError(f"{path} exists and is not a plan; give --out another name")
        if (batch := _batch_of(path)) not in {None, plan.batch}:
            raise UsageError(
                f"{path} is the plan of another batch, {batch}; give --out another name"
            )
    try:
        with open_folder(path.parent) as folder, folder.writing(path.name) as stream:
            stream.writelines(_lines(plan, figures))
    except StorageError as error:
        why = error.__cause__ or error
        raise StorageError(
            f"the plan {path} cannot be written ({why}); give --out another"
        ) from error


def read_plan(path: Path) -> PlanFile | None:
    """Read a plan; None if the file is something else, or cannot be read.

    Raises `ManifestInvalid` if it is a plan that is damaged, edited or of another version.
    """
    if not _is_plan(path):
        return None
    try:
        with open_regular(path) as stream:
            status = os.fstat(stream.fileno())
            text = stream.read(LARGEST_BYTES + 1)
        if len(text) > LARGEST_BYTES:
            raise _damaged(path, "it is larger than 1 GiB")
        document = json.loads(text.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"it cannot be read ({error})") from error
    if document.get("version") != VERSION:
        raise _damaged(path, f"it is of version {document.get('version')}, not {VERSION}")
    fault = next(iter(_validator().iter_errors(document)), None)
    if fault is not None:
        where = "/".join(map(str, fault.instance_path)) or "the whole"
        raise _damaged(path, f"at {where}: {fault.message[:200]}")
    head = {name: value for name, value in document.items() if name not in _UNDIGESTED}
    if document["digest"] != _digest(head, document["rows"]):
        raise _damaged(path, "its digest is of other content: it was edited")
    digests = {name: hashlib.new(name, text).digest() for name in HASHES}
    plan = _plan(path, document)
    return replace(plan, digests=digests, made_by=author_of(plan.author, status))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose names differ: else a reader may see another value than counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def plan_problem(
    path: Path, message: str, help_text: str = REPLAN, *, code: str = "P001"
) -> Problem:
    """Return a problem of the whole plan file."""
    return Problem(code, message, Place(str(path), 1, 1), help_text)


def replan_help(plan: PlanFile, report_dir: Path) -> str:
    """Return the help for a plan that no longer holds: the command that makes it again."""
    arguments = RunArguments(
        manifest=str(plan.manifest),
        environment=plan.environment,
        options=replace(plan.options, environment=plan.environment, journal=plan.history.location),
        report_dir=str(report_dir),
        probe=plan.probe,
    )
    preflight = plan.found != NOTHING_ASKED
    argv = next_steps.plan(arguments, out=str(plan.path), preflight=preflight)
    return f"plan anew:\n{next_steps.shell_line(argv)}"


def _damaged(path: Path, what: str) -> ManifestInvalid:
    return ManifestInvalid([plan_problem(path, f"the plan cannot be used: {what}")])


def _is_plan(path: Path) -> bool:
    """Return whether a file is a plan: by its beginning, or, if it was reformatted, by all of it."""
    try:
        if not path.is_file():  # a pipe would be waited for, or used up
            return False
        with open_regular(path) as stream:
            begin = stream.read(200).removeprefix(BOM_UTF8)
            if not begin.lstrip().startswith(b"{"):
                return False
            if f'"{KIND}"'.encode() in begin:
                return True
        if path.stat().st_size > LARGEST_BYTES:
            return False
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def _batch_of(path: Path) -> str | None:
    """Return the batch of a plan file; None: it is too damaged to say."""
    try:
        return str(json.loads(path.read_bytes())["batch"])
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def _lines(plan: PlanFile, figures: PlanFigures) -> Iterator[str]:
    rows = [
        [
            key,
            action.value,
            digest,
            *([code] if (code := plan.failed_as.get(key)) is not None else []),
        ]
        for key, (action, digest) in plan.rows.items()
    ]
    fields = _head(plan, figures)
    head = json.dumps(fields | {"digest": _digest(fields, rows)}, indent=2)
    yield head.removesuffix("\n}") + ',\n  "rows": ['
    for n, row in enumerate(rows):
        yield ("," if n else "") + "\n    " + json.dumps(row)
    yield "\n  ]\n}\n"


def _head(plan: PlanFile, figures: PlanFigures) -> dict[str, Any]:
    history = plan.history
    return {
        "kind": KIND,
        "version": VERSION,
        "id": plan.id,
        "created_at": plan.created_at,
        "runner_version": __version__,
        "batch": plan.batch,
        "environment": plan.environment,
        "manifest": {"path": str(plan.manifest), "sha256": plan.manifest_sha256},
        "options": plan.options.in_plan(),
        "journal": {
            "path": str(history.location),
            "lineage": history.lineage,
            "seq": history.seq,
            "head": history.head,
            "last_transfer_id": history.last_transfer_id,
        },
        "summary": {
            "send": figures.send,
            "changed": figures.changed,
            "unchanged": figures.unchanged,
            "in_doubt": figures.in_doubt,
            "total": len(plan.rows),
        },
        **({"found": plan.found.to_json()} if plan.found != NOTHING_ASKED else {}),
        **({"author": list(plan.author)} if plan.author else {}),
        **({"probe": asdict(plan.probe)} if plan.probe is not None else {}),
        **({"approvals": _basis_json(basis)} if (basis := plan.approval_basis) else {}),
    }


def _basis_json(basis: ApprovalBasis) -> dict[str, Any]:
    return {
        "signers_sha256": basis.signers_sha256,
        "commands": dict(basis.commands),
        **({"new_history": True} if basis.new_history else {}),
    }


def _basis(document: Mapping[str, Any]) -> ApprovalBasis | None:
    if (written := document.get("approvals")) is None:
        return None
    return ApprovalBasis(
        written["signers_sha256"], written["commands"], written.get("new_history", False)
    )


def _plan(path: Path, document: Mapping[str, Any]) -> PlanFile:
    journal = document["journal"]
    return PlanFile(
        path=path,
        id=document["id"],
        created_at=document["created_at"],
        batch=document["batch"],
        manifest=Path(document["manifest"]["path"]),
        manifest_sha256=document["manifest"]["sha256"],
        environment=document["environment"],
        options=BatchOptions.from_json(document["options"]),
        history=SeenHistory(
            JournalLocation(journal["path"]),
            journal["lineage"],
            journal["seq"],
            journal["head"],
            journal["last_transfer_id"],
        ),
        rows={key: (Action(action), digest) for key, action, digest, *_ in document["rows"]},
        failed_as={key: code[0] for key, _, _, *code in document["rows"] if code},
        found=DirectoryAnswers.from_json(document["found"])
        if "found" in document
        else NOTHING_ASKED,
        author=tuple(document.get("author", ())),
        approval_basis=_basis(document),
        probe=Probe(**document["probe"]) if "probe" in document else None,
    )


@lru_cache(maxsize=64)
def _media_text(media: tuple[MediaMatrix, ...]) -> str:
    return json.dumps([matrix.to_json() for matrix in media], sort_keys=True)


_UNDIGESTED = ("digest", "rows")


def _digest(head: Mapping[str, Any], rows: Iterable[Iterable[str]]) -> str:
    """Return the digest of a plan's head and all its rows, in order.

    It shows mistakes: a file that was edited, cut or mixed up. It is not a signature:
    it can be computed anew for a plan that was changed on purpose.
    """
    of_rows = hashlib.sha256()
    for row in rows:
        of_rows.update(json.dumps(row).encode())
    text = json.dumps([head, of_rows.hexdigest()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema("plan.v1"))
