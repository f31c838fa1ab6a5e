"""SSH public keys: their kinds, numbers and fingerprints (RFC 4253, 5656, 8709, PROTOCOL.u2f)."""

from __future__ import annotations

import base64
import hashlib

from runner.core.approval.wire import Malformed, WireReader
from runner.core.frozen import frozen

LEAST_RSA_BITS = 2048

CURVES = {"nistp256": 32, "nistp384": 48, "nistp521": 66}
"""The curves of ECDSA keys, with the bytes of a coordinate."""

_CERTIFICATE = "-cert-v01@openssh.com"


@frozen
class Ed25519Key:
    """`application`: of a key in a security token (`sk-`); None: an ordinary key."""

    point: bytes
    application: bytes | None = None


@frozen
class EcdsaKey:
    """A point, uncompressed, on one of `CURVES`; `application` as for `Ed25519Key`."""

    curve: str
    point: bytes
    application: bytes | None = None


@frozen
class RsaKey:
    """The public numbers of an RSA key."""

    exponent: int
    modulus: int


PublicKey = Ed25519Key | EcdsaKey | RsaKey


def parse_key(blob: bytes) -> PublicKey:
    """Return the key of its wire form. Raises `Malformed`, also for a kind that is not accepted."""
    reader = WireReader(blob)
    kind = reader.text()
    key = _parsed(kind, reader)
    reader.end()
    return key


def kind_of(blob: bytes) -> str:
    """Return the kind of a key, such as `ssh-ed25519`. Raises `Malformed`."""
    return WireReader(blob).text()


def fingerprint(blob: bytes) -> str:
    """Return the key's fingerprint as OpenSSH shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _parsed(kind: str, reader: WireReader) -> PublicKey:
    match kind:
        case "ssh-ed25519":
            return Ed25519Key(_ed25519_point(reader))
        case "sk-ssh-ed25519@openssh.com":
            return Ed25519Key(_ed25519_point(reader), reader.string())
        case "ssh-rsa":
            return _rsa(reader)
        case "sk-ecdsa-sha2-nistp256@openssh.com":
            curve, point = _ecdsa_point(reader, "nistp256")
            return EcdsaKey(curve, point, reader.string())
        case _ if kind.endswith(_CERTIFICATE):
            raise Malformed("it is a certificate, and only plain keys are accepted")
        case _ if (curve := kind.removeprefix("ecdsa-sha2-")) in CURVES:
            return EcdsaKey(*_ecdsa_point(reader, curve))
        case _:
            raise Malformed(f"keys of the kind {kind[:40]!r} are not accepted")


def _ed25519_point(reader: WireReader) -> bytes:
    point = reader.string()
    if len(point) != 32:  # noqa: PLR2004 - RFC 8032
        raise Malformed("its Ed25519 key is not of 32 bytes")
    return point


def _ecdsa_point(reader: WireReader, curve: str) -> tuple[str, bytes]:
    if reader.text() != curve:
        raise Malformed("its curve is not that of its kind")
    point = reader.string()
    if len(point) != 1 + 2 * CURVES[curve] or point[:1] != b"\x04":
        raise Malformed("its point is not one of its curve")
    return curve, point


def _rsa(reader: WireReader) -> RsaKey:
    key = RsaKey(reader.mpint(), reader.mpint())
    if key.modulus.bit_length() < LEAST_RSA_BITS:
        raise Malformed(f"its RSA key is shorter than {LEAST_RSA_BITS} bits")
    return key
