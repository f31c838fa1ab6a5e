"""Verifies SSH signatures by the library `cryptography`."""

from __future__ import annotations

import hashlib
import struct

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from runner.core.approval.ssh_key import EcdsaKey, Ed25519Key, PublicKey, RsaKey
from runner.core.approval.ssh_signature import SshSignature
from runner.core.approval.wire import Malformed, WireReader

_CURVES: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "nistp256": (ec.SECP256R1(), hashes.SHA256()),
    "nistp384": (ec.SECP384R1(), hashes.SHA384()),
    "nistp521": (ec.SECP521R1(), hashes.SHA512()),
}
_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
}


def is_signed(key: PublicKey, signature: SshSignature, digest: bytes) -> bool:
    """Return whether `key` made the signature of a file with this digest.

    Raises `Malformed` for a key or a signature that cannot be used.
    """
    message = signature.message(digest)
    try:
        match key:
            case Ed25519Key(point, application):
                verifier = Ed25519PublicKey.from_public_bytes(point)
                verifier.verify(signature.signed, _tokened(message, application, signature))
            case EcdsaKey():
                _verify_ecdsa(key, signature, message)
            case RsaKey(exponent, modulus):
                numbers = RSAPublicNumbers(exponent, modulus).public_key()
                numbers.verify(
                    signature.signed, message, padding.PKCS1v15(), _RSA_HASHES[signature.algorithm]
                )
    except InvalidSignature:
        return False
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed("its key or signature has values that cannot be used") from None
    return True


def _verify_ecdsa(key: EcdsaKey, signature: SshSignature, message: bytes) -> None:
    curve, digest = _CURVES[key.curve]
    numbers = WireReader(signature.signed)
    made = encode_dss_signature(numbers.mpint(), numbers.mpint())
    numbers.end()
    verifier = ec.EllipticCurvePublicKey.from_encoded_point(curve, key.point)
    verifier.verify(made, _tokened(message, key.application, signature), ec.ECDSA(digest))


def _tokened(message: bytes, application: bytes | None, signature: SshSignature) -> bytes:
    """Return what a security token signs for a message; the message for any other key."""
    if application is None:
        return message
    flags, counter = struct.unpack(">BI", signature.token)
    return (
        hashlib.sha256(application).digest()
        + struct.pack(">BI", flags, counter)
        + hashlib.sha256(message).digest()
    )
