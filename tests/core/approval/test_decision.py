"""A signature counts once a person, never the author's, and only where everything fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.core.approval.allowed_signers import Signer, Signers
from runner.core.approval.decision import (
    Author,
    SignatureVerdict,
    bind_author,
    count_approvals,
    is_author,
    judge_signature,
)
from runner.core.approval.ssh_key import PublicKey, fingerprint
from runner.core.approval.ssh_signature import SshSignature
from runner.core.approval.wire import Malformed, string
from tests.core.approval.signature_files import ED25519, armored, blob

ALICE = Signer(("alice@x", "alice"), ED25519, 1)


def judged(
    signers: Signers, text: bytes | None = None, *, good: bool = True, now_s: float = 0.0
) -> SignatureVerdict:
    def verify(_key: PublicKey, signature: SshSignature, digest: bytes) -> bool:
        assert (signature.hash_name, digest) == ("sha512", b"512")
        return good

    return judge_signature(
        "plan.json.a.sig",
        armored(blob()) if text is None else text,
        signers,
        namespace="runner-plan",
        digests={"sha256": b"256", "sha512": b"512"},
        now_s=now_s,
        verify=verify,
    )


def test_a_signature_of_an_allowed_signer_counts():
    verdict = judged(Signers((ALICE,)))
    assert verdict.counts
    assert (verdict.who, verdict.key) == ("alice@x", fingerprint(ED25519))
    assert verdict.names == {"alice@x", "alice"}


@pytest.mark.parametrize(
    ("signers", "text", "good", "why"),
    [
        (Signers((ALICE,)), b"junk", True, "it is not an SSH signature"),
        (Signers((ALICE,)), armored(blob(namespace=b"file")), True, "it was signed for 'file'"),
        (Signers(()), None, True, "its key is not among the allowed signers"),
        (Signers((ALICE,)), None, False, "it is not a signature of this file"),
        (
            Signers((replace(ALICE, valid_before_s=-1.0),)),
            None,
            True,
            "the key of alice@x has expired",
        ),
        (
            Signers((ALICE,)),
            armored(blob(made=string(b"ssh-rsa") + string(b""))),
            True,
            "does not sign with 'ssh-rsa'",
        ),
    ],
)
def test_what_does_not_count_has_its_reason(
    *, signers: Signers, text: bytes | None, good: bool, why: str
):
    verdict = judged(signers, text, good=good)
    assert not verdict.counts
    assert why in str(verdict.why_not)


def test_one_valid_line_of_a_key_is_enough():
    assert judged(Signers((replace(ALICE, valid_before_s=-1.0), replace(ALICE, line=2)))).counts


def test_a_key_of_a_kind_that_is_not_accepted_says_so():
    other = blob().replace(ED25519, string(b"ssh-dss") + bytes(len(ED25519) - 11))
    assert "'ssh-dss' are not accepted" in str(judged(Signers(()), armored(other)).why_not)


def test_the_verifiers_objection_is_the_reason():
    def verify(_key: PublicKey, _signature: SshSignature, _digest: bytes) -> bool:
        raise Malformed("its key or signature has values that cannot be used")

    verdict = judge_signature(
        "f",
        armored(blob()),
        Signers((ALICE,)),
        namespace="runner-plan",
        digests={"sha512": b""},
        now_s=0.0,
        verify=verify,
    )
    assert verdict.why_not == "its key or signature has values that cannot be used"


def signed(who: str, file: str, why_not: str | None = None) -> SignatureVerdict:
    return SignatureVerdict(file, who, "SHA256:x", frozenset({who}), why_not)


def test_each_person_counts_once_and_the_author_never():
    found = count_approvals(
        [
            signed("alice@x", "1"),
            signed("alice@x", "2"),
            signed("bob@x", "3"),
            signed("carol@x", "4", "it has expired"),
        ],
        2,
        Author(("root", "Bob")),
    )
    assert [each.file for each in found.given] == ["1"]
    assert [(each.file, each.why_not) for each in found.ignored] == [
        ("2", "alice@x has signed already, in another file"),
        ("3", "bob@x made the plan"),
        ("4", "it has expired"),
    ]
    assert found.missing == 1
    assert count_approvals([signed("a", "1"), signed("b", "2")], 1, Author()).missing == 0


def test_an_author_is_known_by_account_or_by_the_name_before_the_at():
    assert is_author({"alice"}, ["Alice"])
    assert is_author({"alice@example.net"}, ["alice"])
    assert not is_author({"alice@example.net"}, ["alic", "example.net"])
    assert is_author({"Zoe\u0308@example.net"}, ["zo\u00eb"])
    assert is_author({"\u0441\u043e\u0440\u0430@x"}, ["copa"])


@pytest.mark.parametrize("account", ["alice@corp.example.net", "CORP\\alice", "corp\\Alice"])
def test_an_author_is_known_by_an_account_with_a_domain(account: str):
    assert is_author({"alice@example.net"}, [account])
    assert is_author({"alice"}, [account])
    assert not is_author({"bob@corp.example.net", "corp"}, [account])


def test_an_author_is_bound_by_whose_file_names_it():
    assert bind_author(["runner", "Alice"], "alice", others_write=False) == Author(
        ("runner", "Alice", "alice"), "alice"
    )
    other = bind_author(["alice"], "mallory", others_write=False)
    assert other.accounts == ("alice", "mallory")
    assert other.unbound == "the file belongs to the account mallory, and names alice"
    open_to_all = bind_author(["alice"], "alice", others_write=True)
    assert open_to_all.unbound == "other accounts than alice may write the file (chmod go-w)"


def test_where_nothing_binds_the_author_one_approval_more_is_required():
    verdicts = [signed("mallory", "1"), signed("bob", "2"), signed("carol", "3")]
    author = bind_author(["nobody"], "mallory", others_write=False)
    found = count_approvals(verdicts, 2, author)
    assert [each.who for each in found.given] == ["bob", "carol"]
    assert (found.required, found.missing) == (3, 1)
