"""Decides which signatures approve, and whether they are enough (operations.md, "Approval")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from runner.core.approval.allowed_signers import Signer, Signers
from runner.core.approval.person_names import look, person
from runner.core.approval.ssh_key import PublicKey, fingerprint, parse_key
from runner.core.approval.ssh_signature import (
    SshSignature,
    check_algorithm,
    check_touch,
    parse_signature,
)
from runner.core.approval.wire import Malformed
from runner.core.frozen import frozen

Verify = Callable[[PublicKey, SshSignature, bytes], bool]
"""Returns whether a key made a signature of a file with this digest."""


@frozen
class SignatureVerdict:
    """What a signature's file is: a person's signature, or why it does not count."""

    file: str
    who: str | None = None  # a name of the signer, if it is one of the allowed
    key: str | None = None  # its fingerprint
    names: frozenset[str] = frozenset()  # all names of the signer
    why_not: str | None = None  # None: it counts

    @property
    def counts(self) -> bool:
        """Whether it is a valid signature of a person who may give it."""
        return self.why_not is None


def judge_signature(
    file: str,
    text: bytes,
    signers: Signers,
    *,
    namespace: str,
    digests: Mapping[str, bytes],
    now_s: float,
    verify: Verify,
) -> SignatureVerdict:
    """Return what a signature's file is worth for a file with these digests, by hash.

    Only keys of the allowed signers are used for computing: whatever else the file holds is
    compared alone.
    """
    verdict = SignatureVerdict(file)
    try:
        signature = parse_signature(text)
        verdict = replace(verdict, key=fingerprint(signature.key))
        _check_namespace(signature, namespace)
        lines = _lines_of(signature, signers)
        names = signers.people()[signature.key]
        verdict = replace(verdict, who=lines[0].names[0], names=names)
        _check_validity(lines, now_s)
        _check(signature, digests[signature.hash_name], verify)
    except Malformed as error:
        return replace(verdict, why_not=str(error))
    return verdict


def _check_namespace(signature: SshSignature, namespace: str) -> None:
    if signature.namespace != namespace:
        raise Malformed(f"it was signed for {signature.namespace[:60]!r}, not for {namespace}")


def _lines_of(signature: SshSignature, signers: Signers) -> list[Signer]:
    if lines := list(signers.of_key(signature.key)):
        return lines
    parse_key(signature.key)  # a kind that is not accepted is a better reason
    raise Malformed("its key is not among the allowed signers")


def _check_validity(lines: Sequence[Signer], now_s: float) -> None:
    if all(reasons := [line.why_not(now_s) for line in lines]):
        raise Malformed(str(reasons[0]))


def _check(signature: SshSignature, digest: bytes, verify: Verify) -> None:
    key = parse_key(signature.key)
    check_algorithm(key, signature.algorithm)
    check_touch(signature)
    if not verify(key, signature, digest):
        raise Malformed("it is not a signature of this file: one of them was changed")


@frozen
class Approvals:
    """The people who approve, one verdict each, and the signatures that do not count."""

    required: int
    given: tuple[SignatureVerdict, ...]
    ignored: tuple[SignatureVerdict, ...] = ()

    @property
    def missing(self) -> int:
        """How many people more must approve."""
        return max(0, self.required - len(self.given))


@frozen
class Author:
    """The accounts that made what people sign: as the file names them, and whose file it is.

    `unbound` is why the file's owner does not vouch for whom the file names; None: it does.
    """

    accounts: tuple[str, ...] = ()
    owner: str | None = None
    unbound: str | None = None


def bind_author(named: Sequence[str], owner: str, *, others_write: bool) -> Author:
    """Return who made a file that names its author and belongs to an account.

    Who can write the file can name anybody in it, but gives it to no other account.
    """
    accounts = tuple(dict.fromkeys((*named, owner)))
    if person(owner) not in map(person, named):
        why = f"the file belongs to the account {owner}, and names {', '.join(named)}"
        return Author(accounts, owner, why)
    if others_write:
        why = f"other accounts than {owner} may write the file (chmod go-w)"
        return Author(accounts, owner, why)
    return Author(accounts, owner)


def count_approvals(
    verdicts: Iterable[SignatureVerdict], required: int, author: Author
) -> Approvals:
    """Count people, each once; the author of what is approved, by any account name, never.

    Where nothing binds the author, one more is required: one of the people may be the author.
    """
    given, ignored = list[SignatureVerdict](), list[SignatureVerdict]()
    seen = set[frozenset[str]]()
    for each in verdicts:
        if not each.counts:
            ignored.append(each)
        elif is_author(each.names, author.accounts):
            ignored.append(replace(each, why_not=f"{each.who} made the plan"))
        elif each.names in seen:
            ignored.append(replace(each, why_not=f"{each.who} has signed already, in another file"))
        else:
            seen.add(each.names)
            given.append(each)
    more = 0 if author.unbound is None else 1
    return Approvals(required + more, tuple(given), tuple(ignored))


def is_author(names: Iterable[str], author: Iterable[str]) -> bool:
    """Return whether one of a person's names is an account's: itself, or without their domains.

    Directories give accounts a domain: `alice@corp.example.net`, or `CORP` with a backslash before.
    """
    accounts = set[str]()
    for account in author:
        accounts |= _forms(account) | _forms(account.rpartition("\\")[2])
    return any(_forms(name) & accounts for name in names)


def _forms(name: str) -> set[str]:
    """Return what a name is compared by: itself, and what stands before its `@`."""
    forms = {person(name), look(name)}
    return forms | {each.partition("@")[0] for each in forms}
