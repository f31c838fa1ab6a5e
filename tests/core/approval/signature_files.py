"""Signature files as `ssh-keygen -Y sign` writes them, whole or wrong in one field."""

from __future__ import annotations

import base64
import struct

from runner.core.approval.wire import string

ED25519 = string(b"ssh-ed25519") + string(bytes(32))


def armored(blob: bytes) -> bytes:
    text = base64.encodebytes(blob)
    return b"-----BEGIN SSH SIGNATURE-----\n" + text + b"-----END SSH SIGNATURE-----\n"


def blob(
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    namespace: bytes = b"runner-plan",
    hash_name: bytes = b"sha512",
    made: bytes = string(b"ssh-ed25519") + string(bytes(64)),
    end: bytes = b"",
) -> bytes:
    parts = (ED25519, namespace, b"", hash_name, made)
    return magic + struct.pack(">I", version) + b"".join(map(string, parts)) + end
