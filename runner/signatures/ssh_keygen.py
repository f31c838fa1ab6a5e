"""Signs files by OpenSSH's own program, which knows agents, passphrases and security tokens."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from runner.core.errors import UsageError

PROGRAM = "ssh-keygen"
ANSWER_TIMEOUT_S = 300.0
"""How long a person may take for a passphrase, or to touch a token."""


def sign(content: bytes, key: Path, namespace: str) -> bytes:
    """Return the signature of a file with this content, by a private key or one in an agent.

    Raises `UsageError` with what the program said.
    """
    if shutil.which(PROGRAM) is None:
        raise UsageError(f"{PROGRAM} is not found; install OpenSSH's client programs")
    command = [PROGRAM, "-Y", "sign", "-q", "-n", namespace, "-f", str(key)]
    try:
        made = subprocess.run(
            command, input=content, capture_output=True, timeout=ANSWER_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"{PROGRAM} had no answer in {ANSWER_TIMEOUT_S:.0f} s; try again"
        ) from None
    if made.returncode != 0 or not made.stdout:
        said = made.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"exit code {made.returncode}"
        raise UsageError(
            f"{key} did not sign: {why}; name a private key, or a public one whose private key an"
            " agent holds"
        )
    return made.stdout
