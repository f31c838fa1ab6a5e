"""Signatures and keys of every kind are read; hostile ones are refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.approval.ssh_key import (
    EcdsaKey,
    Ed25519Key,
    PublicKey,
    RsaKey,
    fingerprint,
    kind_of,
    parse_key,
)
from runner.core.approval.ssh_signature import (
    SshSignature,
    check_algorithm,
    check_touch,
    parse_signature,
)
from runner.core.approval.wire import Malformed, string
from tests.core.approval.signature_files import ED25519, armored, blob

POINT = b"\x04" + bytes(64)
MODULUS = (1 << 2047) + 1


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1))


def rsa(modulus: int = MODULUS) -> bytes:
    return string(b"ssh-rsa") + mpint(65537) + mpint(modulus)


def test_a_signature_has_its_parts():
    found = parse_signature(b"\n" + armored(blob()).replace(b"\n", b"\r\n"))
    assert found == SshSignature(ED25519, "runner-plan", b"", "sha512", "ssh-ed25519", bytes(64))
    assert found.message(b"digest") == b"SSHSIG" + b"".join(
        map(string, (b"runner-plan", b"", b"sha512", b"digest"))
    )


def test_a_tokens_signature_has_flags_and_counter():
    made = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(64)) + b"\x01\x00\x00\x00\x07"
    found = parse_signature(armored(blob(made=made)))
    assert found.token == b"\x01\x00\x00\x00\x07"
    check_touch(found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it is not an SSH signature as"),
        (b"\x00\xff" * 100, "it is not an SSH signature as"),
        (armored(blob())[:-20], "it is not an SSH signature as"),
        (armored(b"").replace(b"\n", b"\n****\n", 1), "its text is not base64"),
        (armored(b""), "it is not an SSH signature as"),
        (armored(blob(magic=b"SSHSIX")), "it is not an SSH signature"),
        (armored(blob(version=2)), "it is of version 2"),
        (armored(blob(namespace=b"runner-plan\n")), "not printable ASCII"),
        (armored(blob(namespace="plän".encode())), "not printable ASCII"),
        (armored(blob(hash_name=b"md5")), "its digest 'md5' is not one of"),
        (armored(blob(end=b"x")), "more follows"),
        (armored(blob(made=string(b"ssh-ed25519") + string(b"") + b"x")), "more follows"),
        (armored(blob(made=string(b"sk-x") + string(b""))), "it is cut off"),
        (armored(blob()[:40]), "it is cut off"),
        (armored(b"SSHSIG\0\0\0\1\xff\xff\xff\xff"), "it is cut off"),
    ],
)
def test_what_is_no_signature_is_refused_with_the_reason(text: bytes, why: str):
    with pytest.raises(Malformed, match=why):
        parse_signature(text)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(hostile: bytes):
    for text in (hostile, armored(hostile), armored(b"SSHSIG\0\0\0\1" + hostile)):
        with pytest.raises(Malformed):
            parse_signature(text)


@pytest.mark.parametrize(
    ("key", "expected", "algorithm"),
    [
        (ED25519, Ed25519Key(bytes(32)), "ssh-ed25519"),
        (
            string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:"),
            Ed25519Key(bytes(32), b"ssh:"),
            "sk-ssh-ed25519@openssh.com",
        ),
        (rsa(), RsaKey(65537, MODULUS), "rsa-sha2-512"),
        (rsa(), RsaKey(65537, MODULUS), "rsa-sha2-256"),
        (
            string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(POINT),
            EcdsaKey("nistp256", POINT),
            "ecdsa-sha2-nistp256",
        ),
        (
            string(b"sk-ecdsa-sha2-nistp256@openssh.com")
            + string(b"nistp256")
            + string(POINT)
            + string(b"ssh:"),
            EcdsaKey("nistp256", POINT, b"ssh:"),
            "sk-ecdsa-sha2-nistp256@openssh.com",
        ),
    ],
)
def test_keys_sign_with_their_algorithm_alone(key: bytes, expected: PublicKey, algorithm: str):
    assert parse_key(key) == expected
    assert kind_of(key)
    check_algorithm(expected, algorithm)
    with pytest.raises(Malformed, match="does not sign with 'ssh-rsa'"):
        check_algorithm(expected, "ssh-rsa")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (b"", "cut off"),
        (ED25519 + b"x", "more follows"),
        (string(b"ssh-ed25519") + string(bytes(31)), "not of 32 bytes"),
        (string(b"ssh-dss"), "keys of the kind 'ssh-dss' are not accepted"),
        (string(b"ecdsa-sha2-nistp192"), "keys of the kind 'ecdsa-sha2-nistp192'"),
        (string(b"ssh-ed25519-cert-v01@openssh.com"), "it is a certificate"),
        (string(b"ecdsa-sha2-nistp384") + string(b"nistp256") + string(POINT), "its curve"),
        (string(b"ecdsa-sha2-nistp384") + string(b"nistp384") + string(POINT), "its point"),
        (string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(bytes(65)), "its point"),
        (rsa(1 << 1023), "shorter than 2048 bits"),
        (string(b"ssh-rsa") + string(b"\xff") + mpint(MODULUS), "negative"),
    ],
)
def test_keys_that_are_not_accepted_are_refused_with_the_reason(key: bytes, why: str):
    with pytest.raises(Malformed, match=why):
        parse_key(key)


def test_an_untouched_token_is_refused():
    with pytest.raises(Malformed, match="not touched"):
        check_touch(SshSignature(ED25519, "n", b"", "sha512", "sk", b"", b"\x04\0\0\0\1"))


def test_a_fingerprint_is_as_openssh_shows_it():
    assert fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
