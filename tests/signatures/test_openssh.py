"""OpenSSH and this program accept each other's signatures, and refuse the same ones."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import pytest

from runner.core.approval.allowed_signers import parse_signers
from runner.core.approval.decision import SignatureVerdict, judge_signature
from runner.signatures.ssh_keygen import sign as sign_by_key
from runner.signatures.verify import is_signed
from tests.signatures.keys import TokenKey
from tests.signatures.openssh import KINDS, keygen, make_key, needs_openssh, public, sign, verifies

pytestmark = needs_openssh

PLAN = b'{"kind": "runner-plan"}\n'
NOW_S = datetime(2026, 12, 1).timestamp()  # noqa: DTZ001 - the machine's zone, as in the file


def judged(
    signature: bytes, signers: str, content: bytes = PLAN, namespace: str = "runner-plan"
) -> SignatureVerdict:
    found = parse_signers(signers.encode(), namespace, datetime.timestamp)
    assert not found.faults
    return judge_signature(
        "plan.json.x.sig",
        signature,
        found,
        namespace=namespace,
        digests={name: hashlib.new(name, content).digest() for name in ("sha256", "sha512")},
        now_s=NOW_S,
        verify=is_signed,
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a key of each kind, once."""
    folder = tmp_path_factory.mktemp("keys")
    return {kind: make_key(folder / kind, kind) for kind in KINDS}


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_openssh_signs_is_accepted(keys: dict[str, Path], kind: str, digest: str):
    key = keys[kind]
    signature = sign(PLAN, key, "runner-plan", f"-Ohashalg={digest}")
    verdict = judged(signature, f"alice@example.net {public(key)}\n")
    assert (verdict.who, verdict.why_not) == ("alice@example.net", None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_this_program_has_signed_is_accepted_by_openssh(
    keys: dict[str, Path], tmp_path: Path, kind: str
):
    key = keys[kind]
    (tmp_path / "signers").write_text(f"alice {public(key)}\n")
    (tmp_path / "sig").write_bytes(sign_by_key(PLAN, key, "runner-audit"))
    accepted = verifies(PLAN, tmp_path / "sig", tmp_path / "signers", "alice", "runner-audit")
    assert accepted


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_security_tokens_signature_is_accepted_by_both(tmp_path: Path, kind: str):
    key = TokenKey(kind)
    (tmp_path / "signers").write_text(f"alice {key.line}\n")
    (tmp_path / "sig").write_bytes(key.sign(PLAN))
    assert verifies(PLAN, tmp_path / "sig", tmp_path / "signers", "alice")
    assert judged(key.sign(PLAN), f"alice {key.line}\n").counts
    assert not judged(key.sign(PLAN), f"alice {key.line}\n", PLAN + b" ").counts


def test_a_token_that_was_not_touched_does_not_count():
    key = TokenKey("ssh-ed25519", flags=0)
    verdict = judged(key.sign(PLAN), f"alice {key.line}\n")
    assert verdict.why_not == "its security token was not touched"


@pytest.mark.parametrize(
    ("options", "namespace", "content", "why"),
    [
        ("", "git", PLAN, "it was signed for 'git', not for runner-plan"),
        ("", "runner-plan", PLAN[:-1], "it is not a signature of this file"),
        ('namespaces="git"', "runner-plan", PLAN, "its key is not among the allowed signers"),
        ('namespaces="!runner-plan,*"', "runner-plan", PLAN, "its key is not among"),
        ('valid-before="20261101"', "runner-plan", PLAN, "the key of alice has expired"),
        ('valid-after="20991201"', "runner-plan", PLAN, "the key of alice is not valid yet"),
    ],
)
def test_both_refuse_the_same(
    *,
    keys: dict[str, Path],
    tmp_path: Path,
    options: str,
    namespace: str,
    content: bytes,
    why: str,
):
    key = keys["ed25519"]
    signers = f"alice {options} {public(key)}\n"
    signature = sign(content, key, namespace)
    (tmp_path / "signers").write_text(signers)
    (tmp_path / "sig").write_bytes(signature)
    verdict = judged(signature, signers)
    assert why in str(verdict.why_not)
    assert not verifies(PLAN, tmp_path / "sig", tmp_path / "signers", "alice")


@pytest.mark.parametrize(
    "options",
    [
        'namespaces="git,runner-*"',
        'valid-after="20200101Z",valid-before="209912312359Z"',
        'Valid-After="20200101",NAMESPACES="runner-plan"',
    ],
)
def test_both_accept_the_same_options(keys: dict[str, Path], tmp_path: Path, options: str):
    key = keys["ed25519"]
    signers = f"# approvers\n\nalice,alice@example.net {options} {public(key)} a comment\n"
    (tmp_path / "signers").write_text(signers)
    (tmp_path / "sig").write_bytes(sign(PLAN, key))
    assert judged(sign(PLAN, key), signers).counts
    assert verifies(PLAN, tmp_path / "sig", tmp_path / "signers", "alice@example.net")


def test_a_certificates_signature_is_refused_with_the_reason(tmp_path: Path):
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    made = keygen("-q", "-s", authority, "-I", "alice", "-n", "alice", f"{key}.pub")
    assert made.returncode == 0, made.stderr
    signature = sign(PLAN, Path(f"{key}-cert.pub"))
    verdict = judged(signature, f"*@example.net cert-authority {public(authority)}\n")
    assert verdict.why_not == "it is a certificate, and only plain keys are accepted"
