"""Signs where a run's audit chain ends and what its reports are, and verifies that.

See operations.md, "Approval": `audit sign`, and `audit verify --signers`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.app.audit import REPORT_NAME, folder_of_run, verify_run
from runner.app.author import acting_accounts
from runner.app.signature_files import judge_signatures
from runner.console.results.audit_result import SIGNATURE_PROVES, AuditResult
from runner.core.approval.allowed_signers import Signers
from runner.core.approval.decision import Approvals, Author, count_approvals
from runner.core.approval.ssh_signature import AUDIT_NAMESPACE, HASHES, parse_signature
from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.number_text import counted
from runner.manifest.regular_file import open_regular
from runner.manifest.signers_file import read_signers
from runner.report.replaceable import REPORT_FILES
from runner.report.safe_folder import open_folder
from runner.report.writer import AUDIT, SIGNED_HEAD
from runner.signatures.ssh_keygen import sign

HEAD_NAME = SIGNED_HEAD
"""The file that is signed: where the chain ends, and the digests of the reports."""

KIND = "runner-audit-head"

LARGEST_HEAD = 1 << 16

_SIGNED = (*REPORT_FILES, AUDIT)


@frozen
class SignedHead:
    """The files that `audit sign` wrote."""

    run: str
    head: Path
    signature: Path


def sign_run(journal: JournalLocation, run: str, key: Path, report_dir: Path | None) -> SignedHead:
    """Sign a run's audit head and the digests of its reports, into files beside them.

    A second signature, by another account, is added beside the first. Raises `UsageError` for a run
    that has not ended, whose chain is broken, or whose reports have changed since they were signed.
    """
    where = folder_of_run(journal, run, report_dir)
    if not where.has_ended:
        raise UsageError(f"run {where.run} has not ended; sign it when it has")
    segment, whole = verify_run(journal, run, report_dir)
    if fault := segment.fault or whole.fault:
        raise UsageError(f"the audit chain of run {where.run} is broken, and not signed: {fault}")
    if not (where.folder / REPORT_NAME).is_file():
        raise UsageError(
            f"{where.folder} has no {REPORT_NAME}; render the report of run {where.run} first, or name"
            " its folder with --report-dir"
        )
    content = _head_text(where.run, where.batch, segment, where.folder)
    _check_earlier(where.folder / HEAD_NAME, content)
    signature = sign(content.encode(), key, AUDIT_NAMESPACE)
    name = f"{HEAD_NAME}.{_signer_name(signature)}.sig"
    with open_folder(where.folder) as folder:
        with folder.writing(HEAD_NAME) as stream:
            stream.write(content)
        with folder.writing(name) as stream:
            stream.write(signature.decode("ascii"))
    return SignedHead(where.run, where.folder / HEAD_NAME, where.folder / name)


def verify_signatures(
    verified: AuditResult, folder: Path, signers_file: Path, required: int
) -> AuditResult:
    """Return whether a chain that was verified, and the reports beside it, are what was signed.

    Raises `UsageError` for a file of signers that cannot be used.
    """
    signers = _signers(signers_file)
    path = folder / HEAD_NAME
    what = f"signatures of {path}"
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_HEAD + 1)
        head = json.loads(content[: LARGEST_HEAD + 1])
        fault = _difference(head, verified, folder)
        beyond = _unsigned_reports(head, folder)
    except OSError as error:
        why = (
            f"{HEAD_NAME}: it cannot be read ({(error.strerror or 'unknown').lower()}): not signed"
        )
        return _unsigned(what, verified, why)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _unsigned(what, verified, f"{HEAD_NAME}: it is not what `audit sign` writes")
    if fault is not None:
        return AuditResult(what, verified.entries, verified.head, fault)
    if beyond:
        named = " and ".join(beyond)
        why = f"{HEAD_NAME}: nobody has signed {named} beside it; move it out of {folder}"
        return _unsigned(what, verified, why)
    digests = {name: hashlib.new(name, content).digest() for name in HASHES}
    verdicts = judge_signatures(
        path, signers, namespace=AUDIT_NAMESPACE, digests=digests, now_s=time.time()
    )
    found = count_approvals(verdicts, required, Author())
    if found.missing:
        return _unsigned(what, verified, _too_few(found))
    names = ", ".join(f"{each.who} ({each.key})" for each in found.given)
    return AuditResult(
        what, verified.entries, verified.head, None, f"signed by {names}", SIGNATURE_PROVES
    )


def _signers(path: Path) -> Signers:
    try:
        signers, _ = read_signers(path, AUDIT_NAMESPACE)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UsageError(f"--signers {path} cannot be read ({why}); check the path") from error
    if signers.faults:
        first = signers.faults[0]
        raise UsageError(f"--signers {path}:{first.line}: {first.text}")
    return signers


def _head_text(run: str, batch: str, segment: AuditResult, folder: Path) -> str:
    files = {name: digest for name in sorted(_SIGNED) if (digest := _digest(folder / name))}
    head = {
        "kind": KIND,
        "version": 1,
        "run": run,
        "batch": batch,
        "entries": segment.entries,
        "head": segment.head,
        "files": files,
    }
    return json.dumps(head, indent=2) + "\n"


def _digest(path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _check_earlier(path: Path, content: str) -> None:
    """Refuse to replace what others have signed by something else."""
    try:
        with open_regular(path) as file:
            earlier = file.read(LARGEST_HEAD)
    except FileNotFoundError:
        return
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UsageError(f"{path} cannot be read ({why}); move it away to sign") from error
    if not _is_head(earlier):
        raise UsageError(
            f"{path} is damaged: it is not what `audit sign` writes, and its signatures no longer say"
            " what was signed; bring it back from a copy, or remove it and its signatures to sign anew"
        )
    if earlier != content.encode():
        raise UsageError(
            f"{path} was signed for other reports than those beside it now; compare them with a copy,"
            " or remove it and its signatures to sign anew"
        )


def _is_head(content: bytes) -> bool:
    try:
        return bool(json.loads(content)["kind"] == KIND)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _difference(head: Mapping[str, Any], verified: AuditResult, folder: Path) -> str | None:
    """Return what is not as it was signed. Raises `ValueError` and others for another document."""
    if head["kind"] != KIND or head["version"] != 1:
        raise ValueError(head["kind"])
    if (head["head"], head["entries"]) != (verified.head, verified.entries):
        return f"{HEAD_NAME}: another chain was signed, or the chain at another time"
    for name, digest in head["files"].items():
        if name not in _SIGNED:
            raise ValueError(name)
        if _digest(folder / name) != digest:
            return f"{HEAD_NAME}: {name} is not what was signed"
    return None


def _unsigned_reports(head: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the reports that came into the folder after the signing: they would look proven."""
    return [name for name in _SIGNED if name not in head["files"] and (folder / name).exists()]


def _unsigned(what: str, verified: AuditResult, fault: str) -> AuditResult:
    return AuditResult(what, verified.entries, verified.head, fault, tampered=False)


def _too_few(found: Approvals) -> str:
    text = f"{HEAD_NAME}: {len(found.given)} of {counted(found.required, 'signature')}"
    ignored = [f"{each.file}: {each.why_not}" for each in found.ignored]
    return f"{text}; not counted: {'; '.join(ignored)}" if ignored else text


def _signer_name(signature: bytes) -> str:
    """Return the part of a signature's file name that is the account's and the key's."""
    account = acting_accounts()[-1]
    name = "".join(each if each.isalnum() or each in "._-" else "_" for each in account)
    return f"{name}-{hashlib.sha256(parse_signature(signature).key).hexdigest()[:8]}"
