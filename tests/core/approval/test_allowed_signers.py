"""The file of allowed signers is read as OpenSSH reads it; a wrong line is named."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runner.core.approval.allowed_signers import Signers, matches_list, parse_signers
from runner.core.approval.wire import string

NIGHT = timezone(timedelta(hours=2))


def local(moment: datetime) -> float:
    return moment.replace(tzinfo=NIGHT).timestamp()


def blob(n: int = 0) -> bytes:
    return string(b"ssh-ed25519") + string(bytes([n]) * 32)


def key(n: int = 0) -> str:
    return f"ssh-ed25519 {base64.b64encode(blob(n)).decode()}"


def parsed(text: str) -> Signers:
    return parse_signers(text.encode(), "runner-plan", local)


def test_lines_name_who_signs_with_which_key():
    found = parsed(f"# who approves\n\nalice {key(1)} her laptop\r\n  bob@x,rob@x {key(2)}\n")
    assert [(each.names, each.key, each.line) for each in found.lines] == [
        (("alice",), blob(1), 3),
        (("bob@x", "rob@x"), blob(2), 4),
    ]
    assert not found.faults


def test_lines_for_other_purposes_are_left_out():
    found = parsed(
        f'alice namespaces="git" {key(1)}\n'
        f"*@example.net cert-authority {key(2)}\n"
        f'*@example.net namespaces="git,file" {key(3)}\n'
        f'bob namespaces="runner-*" {key(4)}\n'
    )
    assert [each.names for each in found.lines] == [("bob",)]
    assert not found.faults


@pytest.mark.parametrize(
    ("options", "after", "before"),
    [
        ('valid-after="20261201"', datetime(2026, 12, 1, tzinfo=NIGHT), None),
        ('valid-before="202612010830Z"', None, datetime(2026, 12, 1, 8, 30, tzinfo=UTC)),
        (
            'valid-after="20260101Z",valid-before="20261201083059"',
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 12, 1, 8, 30, 59, tzinfo=NIGHT),
        ),
    ],
)
def test_validity_is_in_the_machines_zone_unless_it_says_utc(
    options: str, after: datetime | None, before: datetime | None
):
    [signer] = parsed(f"alice {options} {key()}\n").lines
    assert signer.valid_after_s == (after and after.timestamp())
    assert signer.valid_before_s == (before and before.timestamp())


def test_validity_is_judged_at_a_moment():
    [signer] = parsed(f'alice valid-after="20260101Z",valid-before="20270101Z" {key()}\n').lines
    first, last = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2026, 2027))
    assert signer.why_not(first) is signer.why_not(last) is None
    assert "not valid yet (valid-after, line 1)" in str(signer.why_not(first - 1))
    assert "has expired (valid-before, line 1)" in str(signer.why_not(last + 1))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("alice", "it is not a signer; write: NAME"),
        ("alice x y", "it has no key; write: NAME"),
        ("alice ssh-ed25519 !!!!", "its key is not base64"),
        ("alice ssh-ed25519 ééé", "its key is not base64"),
        (f"alice ssh-rsa {key().split()[1]}", "its key is not of the kind ssh-rsa"),
        (f"alice {'ssh-dss AAAAB3NzaC1kc3M='} x", "keys of the kind 'ssh-dss'"),
        ("alice ssh-ed25519 AAAA", "it is cut off"),
        (f"*@example.net {key()}", "its name is a pattern"),
        (f"!alice {key()}", "its name is a pattern"),
        (f"alice, {key()}", "its name is a pattern"),
        (f"alice verify-required {key()}", "'verify-required' is not an option"),
        (f"alice namespaces {key()}", "'namespaces' is not an option"),
        (f'alice cert-authority="x" {key()}', "is not an option"),
        (f'alice namespaces="a",namespaces="b" {key()}', "given twice"),
        (f'alice valid-after="tomorrow" {key()}', "'tomorrow' is not a date"),
        (f'alice valid-after="20261301" {key()}', "'20261301' is not a date"),
    ],
)
def test_a_wrong_line_is_named_with_the_fix(line: str, why: str):
    [fault] = parsed(f"# a comment\n{line}\n").faults
    assert fault.line == 2
    assert why in fault.text


def test_a_line_that_is_not_text_is_named():
    [fault] = parse_signers(b"\xff\xfe a b\n", "runner-plan", local).faults
    assert (fault.line, fault.text) == (1, "the line is not UTF-8; store the file as UTF-8")


def test_lines_that_share_a_name_or_a_key_are_one_person():
    found = parsed(
        f"alice {key(1)}\nALICE {key(2)}\nbob {key(3)}\nrobert {key(3)}\ncarol {key(4)}\n"
        f"bob,alice@x {key(5)}\n"
    )
    people = found.people()
    assert people[blob(1)] == people[blob(2)] == {"alice"}
    assert people[blob(3)] == people[blob(5)] == {"bob", "robert", "alice@x"}
    assert len(set(people.values())) == 3
    assert [each.names for each in found.of_key(blob(3))] == [("bob",), ("robert",)]


@pytest.mark.parametrize(
    ("patterns", "matches"),
    [
        ("runner-plan", True),
        ("runner-pla", False),
        ("*", True),
        ("git,runner-????", True),
        ("*,!runner-plan", False),
        ("!runner-plan,*", False),
        ("!git", False),
        ("runner.plan", False),
        ("***n**", True),
    ],
)
def test_patterns_match_as_openssh_compares_them(*, patterns: str, matches: bool):
    assert matches_list("runner-plan", patterns) is matches


def test_spellings_of_a_name_are_one_person():
    found = parsed(f'zo\u00eb {key(1)}\n"zoe\u0308 " {key(2)}\n')
    assert found.people()[blob(1)] == found.people()[blob(2)]
    assert not found.faults


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("al\u200bice", "has a character that nobody sees, U+200B; write the name anew"),
        ("\u0430lice", "mixes letters of Cyrillic and Latin; write the name in"),
        ("\u0441\u043e\u0440\u0430", "looks like 'copa' of line 1; write names that people can"),
        ('"\u00a0"', "names no person"),
    ],
)
def test_a_name_that_is_not_what_it_looks_like_is_wrong(name: str, why: str):
    found = parsed(f"copa {key(1)}\n{name} {key(2)}\n")
    assert [(each.line, why in each.text) for each in found.faults] == [(2, True)], found.faults
    assert [each.names for each in found.lines] == [("copa",)]
