"""Keys and signatures made by `cryptography`, in OpenSSH's form: also those of security tokens."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runner.core.approval.wire import string

APPLICATION = b"ssh:"


def mpint(number: int) -> bytes:
    """Return the wire form of a number."""
    return string(number.to_bytes(number.bit_length() // 8 + 1))


def armored(blob: bytes) -> bytes:
    """Return a signature's file."""
    text = base64.encodebytes(blob)
    return b"-----BEGIN SSH SIGNATURE-----\n" + text + b"-----END SSH SIGNATURE-----\n"


def envelope(
    content: bytes,
    key: bytes,
    make: Callable[[bytes], bytes],
    *,
    namespace: bytes = b"runner-plan",
    hash_name: bytes = b"sha512",
    version: int = 1,
) -> bytes:
    """Return a signature's file; `make` signs the bytes that are to be signed."""
    digest = hashlib.new(hash_name.decode(), content).digest()
    message = b"SSHSIG" + b"".join(map(string, (namespace, b"", hash_name, digest)))
    parts = (key, namespace, b"", hash_name, make(message))
    return armored(b"SSHSIG" + struct.pack(">I", version) + b"".join(map(string, parts)))


class TokenKey:
    """A key as a security token holds it: it signs flags and a counter too."""

    def __init__(self, kind: str, flags: int = 1) -> None:
        self._flags = flags
        self._private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
        self.name = f"sk-{kind}@openssh.com".encode()
        if kind == "ssh-ed25519":
            self._private = Ed25519PrivateKey.generate()
            point = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            numbers = string(point)
        else:
            self._private = ec.generate_private_key(ec.SECP256R1())
            public = self._private.public_key()
            point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            numbers = string(b"nistp256") + string(point)
        self.blob = string(self.name) + numbers + string(APPLICATION)

    @property
    def line(self) -> str:
        """Kind and key as a file of allowed signers has them."""
        return f"{self.name.decode()} {base64.b64encode(self.blob).decode()}"

    def sign(self, content: bytes) -> bytes:
        """Return a signature's file."""
        return envelope(content, self.blob, self._made)

    def _made(self, message: bytes) -> bytes:
        token = struct.pack(">BI", self._flags, 7)
        signed = hashlib.sha256(APPLICATION).digest() + token + hashlib.sha256(message).digest()
        if isinstance(self._private, Ed25519PrivateKey):
            made = self._private.sign(signed)
        else:
            der = self._private.sign(signed, ec.ECDSA(hashes.SHA256()))
            made = b"".join(map(mpint, decode_dss_signature(der)))
        return string(self.name) + string(made) + token
