"""OpenSSH's own program, and keys that it made once for a whole test run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = shutil.which("ssh-keygen")
needs_openssh = pytest.mark.skipif(
    PROGRAM is None and "RUNNER_REQUIRE_ALL" not in os.environ, reason="needs ssh-keygen"
)
KINDS = {
    "ed25519": ("-t", "ed25519"),
    "rsa": ("-t", "rsa", "-b", "2048"),
    "p256": ("-t", "ecdsa", "-b", "256"),
    "p384": ("-t", "ecdsa", "-b", "384"),
    "p521": ("-t", "ecdsa", "-b", "521"),
}


def keygen(*words: str | Path, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end."""
    command = ["ssh-keygen", *map(str, words)]
    return subprocess.run(command, input=text, capture_output=True, check=False)


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Make a key pair without a passphrase; return the private key's path."""
    made = keygen("-q", *KINDS[kind], "-N", "", "-C", "test", "-f", path)
    assert made.returncode == 0, made.stderr
    return path


def public(key: Path) -> str:
    """Return kind and key as a file of allowed signers has them."""
    return " ".join(Path(f"{key}.pub").read_text("ascii").split()[:2])


def sign(content: bytes, key: Path, namespace: str = "runner-plan", *options: str) -> bytes:
    """Return a signature by the program."""
    made = keygen("-Y", "sign", "-q", "-n", namespace, "-f", key, *options, text=content)
    assert made.returncode == 0, made.stderr
    return made.stdout


def verifies(
    content: bytes,
    signature: Path,
    signers: Path,
    who: str,
    namespace: str = "runner-plan",
) -> bool:
    """Return whether the program accepts a signature."""
    ended = keygen(
        *("-Y", "verify", "-n", namespace, "-f", signers, "-I", who, "-s", signature), text=content
    )
    return ended.returncode == 0
