"""Reads a file of allowed signers (core.approval.allowed_signers)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from runner.core.approval.allowed_signers import LARGEST_FILE, Signers, parse_signers
from runner.manifest.regular_file import open_regular


def read_signers(path: Path, namespace: str) -> tuple[Signers, str]:
    """Return the allowed signers of a file, and the SHA-256 of the bytes that were read.

    Raises `OSError` with the reason in `strerror`.
    """
    with open_regular(path) as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(0, f"larger than {LARGEST_FILE >> 20} MiB", str(path))
    signers = parse_signers(content, namespace, datetime.timestamp)
    return signers, hashlib.sha256(content).hexdigest()
