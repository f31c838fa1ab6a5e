"""Finds the signatures beside a file, and judges each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.core.approval.allowed_signers import Signers
from runner.core.approval.decision import SignatureVerdict, judge_signature
from runner.core.approval.ssh_signature import LARGEST_SIGNATURE
from runner.manifest.regular_file import open_regular
from runner.signatures.verify import is_signed

MOST_SIGNATURES = 100
"""Signatures beside a file that are looked at; further ones count for nothing."""


def judge_signatures(
    path: Path,
    signers: Signers,
    *,
    namespace: str,
    digests: Mapping[str, bytes],
    now_s: float,
) -> list[SignatureVerdict]:
    """Return what each file `PATH.NAME.sig` is worth, in the order of their names.

    One that cannot be used does not keep the others from counting.
    """
    return [
        judge_signature(
            found.name,
            content,
            signers,
            namespace=namespace,
            digests=digests,
            now_s=now_s,
            verify=is_signed,
        )
        if isinstance(content, bytes)
        else SignatureVerdict(found.name, why_not=content)
        for found, content in _beside(path)
    ]


def _beside(path: Path) -> Iterator[tuple[Path, bytes | str]]:
    """Yield the signatures' files with their content, or why it cannot be read."""
    named = re.compile(re.escape(path.name) + r"\.(?:.+\.)?sig", re.DOTALL)
    try:
        names = sorted(each.name for each in path.parent.iterdir() if named.fullmatch(each.name))
    except OSError:
        names = []
    for name in names[:MOST_SIGNATURES]:
        found = path.parent / name
        try:
            with open_regular(found) as file:
                content = file.read(LARGEST_SIGNATURE + 1)
        except OSError as error:
            yield found, f"it cannot be read: {(error.strerror or 'unknown').lower()}"
        else:
            too_long = len(content) > LARGEST_SIGNATURE
            yield (
                found,
                f"it is longer than {LARGEST_SIGNATURE // 1024} KiB" if too_long else content,
            )
