"""SSH signatures of files, as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig)."""

from __future__ import annotations

import base64
import binascii

from runner.core.approval.ssh_key import EcdsaKey, PublicKey, RsaKey
from runner.core.approval.wire import Malformed, WireReader, string
from runner.core.frozen import frozen

LARGEST_SIGNATURE = 16 * 1024
"""Bytes of a signature's file that are read; those of the largest RSA keys are smaller."""

PLAN_NAMESPACE = "runner-plan"
"""What approvals of plans are signed for, so that no signature for something else counts."""

AUDIT_NAMESPACE = "runner-audit"
"""What a run's audit head is signed for."""

HASHES = ("sha256", "sha512")
"""The digests that OpenSSH signs."""

TOUCHED = 0x01
"""The flag of a security token: a person touched it."""

_MAGIC = b"SSHSIG"
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"


@frozen
class SshSignature:
    """A signature; nothing of it is verified yet."""

    key: bytes  # the public key's wire form
    namespace: str
    reserved: bytes
    hash_name: str  # of `HASHES`
    algorithm: str  # such as rsa-sha2-512
    signed: bytes  # what the algorithm made
    token: bytes = b""  # of a security token: its flags and counter

    def message(self, digest: bytes) -> bytes:
        """Return the bytes that were signed for a file with this digest."""
        parts = (self.namespace.encode(), self.reserved, self.hash_name.encode(), digest)
        return _MAGIC + b"".join(map(string, parts))


def parse_signature(armored: bytes) -> SshSignature:
    """Return the signature in a file. Raises `Malformed`."""
    reader = WireReader(_unarmored(armored))
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise Malformed("it is not an SSH signature")
    if (version := reader.uint32()) != 1:
        raise Malformed(f"it is of version {version}, and only version 1 is known")
    key, namespace, reserved = reader.string(), reader.text(), reader.string()
    hash_name = reader.text()
    if hash_name not in HASHES:
        raise Malformed(f"its digest {hash_name[:40]!r} is not one of {', '.join(HASHES)}")
    made = WireReader(reader.string())
    reader.end()
    algorithm, signed = made.text(), made.string()
    token = made.take(5) if algorithm.startswith("sk-") else b""
    made.end()
    return SshSignature(key, namespace, reserved, hash_name, algorithm, signed, token)


def check_algorithm(key: PublicKey, algorithm: str) -> None:
    """Raise `Malformed` unless a key of this kind signs with `algorithm`."""
    if algorithm not in _algorithms(key):
        raise Malformed(f"its key does not sign with {algorithm[:40]!r}")


def check_touch(signature: SshSignature) -> None:
    """Raise `Malformed` for a signature that a security token made without anyone's touch."""
    if signature.token and not signature.token[0] & TOUCHED:
        raise Malformed("its security token was not touched")


def _algorithms(key: PublicKey) -> tuple[str, ...]:
    if isinstance(key, RsaKey):
        return ("rsa-sha2-256", "rsa-sha2-512")
    plain = f"ecdsa-sha2-{key.curve}" if isinstance(key, EcdsaKey) else "ssh-ed25519"
    return (plain if key.application is None else f"sk-{plain}@openssh.com",)


def _unarmored(armored: bytes) -> bytes:
    lines = armored.strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:  # noqa: PLR2004
        raise Malformed("it is not an SSH signature as `ssh-keygen -Y sign` writes it")
    try:
        return base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True)
    except binascii.Error:
        raise Malformed("its text is not base64") from None
