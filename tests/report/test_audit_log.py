"""audit.jsonl: its bytes, and that no tampering goes unseen."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.records.run_record import ReportSource
from runner.report.audit_log import write_audit
from runner.report.audit_verification import AuditVerdict, Tampering, verify_audit
from tests.report import samples

COUNT = 6
HEAD = list(samples.audit(COUNT))[-1].hash


def lines(count: int = COUNT) -> list[str]:
    parts: list[str] = []
    write_audit(_source(audit=lambda: samples.audit(count)), parts.append)
    return parts


def _source(**changes: Any) -> ReportSource:
    return ReportSource(samples.RUN, lambda: iter(()), **changes)


def verified(tampered: list[str]) -> AuditVerdict:
    return verify_audit(tampered, head=HEAD, entries=COUNT)


def kind(tampered: list[str]) -> Tampering:
    fault = verified(tampered).fault
    assert fault is not None
    return fault.kind


def test_the_bytes_are_as_the_design_says():
    body, previous = '{"seq":1,"event":"sending"}', "0" * 64
    hashed = hashlib.sha256((previous + body).encode()).hexdigest()
    run = samples.RUN.id
    first = f'{{"chain":"runner-audit-1","run":"{run}","previous":"{previous}"}}\n'
    assert lines(1) == [first, f'{{"seq":1,"hash":"{hashed}","entry":{body}}}\n']


def test_a_segment_as_written_is_good():
    assert verified(lines()) == AuditVerdict(samples.RUN.id, COUNT, HEAD)


def test_a_segment_from_the_middle_of_the_journal_is_good():
    source = _source(
        audit=lambda: samples.audit(3, "ab" * 32, first=900),
        audit_previous="ab" * 32,
    )
    parts: list[str] = []
    end = write_audit(source, parts.append)
    assert verify_audit(parts, head=end.head, entries=end.entries).ok


def test_a_changed_text_is_found_where_it_is():
    tampered = lines()
    tampered[3] = tampered[3].replace("sending", "sendinG")
    fault = verified(tampered).fault
    assert fault is not None
    assert (fault.line, fault.seq, fault.kind) == (4, 3, Tampering.FLIP)
    assert str(fault) == "line 4, entry 3: its text or its hash was changed (flip)"


def test_a_changed_number_is_found():
    tampered = lines()
    tampered[3] = tampered[3].replace('{"seq":3', '{"seq":7', 1)
    assert kind(tampered) is Tampering.FLIP


def test_a_line_that_is_no_entry_is_found():
    tampered = lines()
    tampered[3] = "{}\n"
    assert kind(tampered) is Tampering.FLIP


@pytest.mark.parametrize("line", [2, 3, 5])
def test_a_dropped_entry_is_found(line: int):
    tampered = lines()
    del tampered[line]
    fault = verified(tampered).fault
    assert fault is not None
    assert (fault.line, fault.kind) == (line + 1, Tampering.DROP)
    assert f"entry {line} must have been removed" in fault.why


def test_a_dropped_first_entry_is_found():
    tampered = lines()
    del tampered[1]
    fault = verified(tampered).fault
    assert fault is not None
    assert "entries before it were removed" in fault.why


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 5), (5, 6)])
def test_swapped_entries_are_found(one: int, other: int):
    tampered = lines()
    tampered[one], tampered[other] = tampered[other], tampered[one]
    fault = verified(tampered).fault
    assert fault is not None
    assert (fault.line, fault.kind) == (one + 1, Tampering.SWAP)


def test_an_entry_inserted_with_a_false_hash_is_found():
    tampered = lines()
    tampered.insert(3, tampered[3].replace("sending", "settled"))
    fault = verified(tampered).fault
    assert fault is not None
    assert (fault.line, fault.kind) == (4, Tampering.INSERT)


def test_an_entry_inserted_with_a_true_hash_is_found_by_the_next():
    tampered = lines()
    before = tampered[2].split('"hash":"')[1][:64]
    body = '{"seq":3,"event":"forged"}'
    forged = hashlib.sha256((before + body).encode()).hexdigest()
    tampered.insert(3, f'{{"seq":3,"hash":"{forged}","entry":{body}}}\n')
    fault = verified(tampered).fault
    assert fault is not None
    assert (fault.line, fault.kind) == (5, Tampering.INSERT)
    assert "the entry before it" in fault.why


def test_a_repeated_last_entry_is_found():
    assert kind([*lines(), lines()[-1]]) is Tampering.INSERT


def test_a_missing_end_shows_against_what_the_report_tells():
    assert verify_audit(lines()[:-2]).ok
    fault = verified(lines()[:-2]).fault
    assert fault is not None
    assert (fault.line, fault.kind) == (COUNT, Tampering.TRUNCATE)
    assert verify_audit(lines()[:-1], head=HEAD).fault is not None


def test_a_line_cut_in_the_middle_is_found_without_the_report():
    tampered = lines()
    tampered[-1] = tampered[-1][:50]
    fault = verify_audit(tampered).fault
    assert fault is not None
    assert fault.kind is Tampering.TRUNCATE


@pytest.mark.parametrize(
    "first", [[], [""], ["{}"], ["[" * 99_999], ['{"chain":"runner-audit-1"}']]
)
def test_a_missing_first_line_is_found(first: list[str]):
    verdict = verify_audit([*first, *lines()[1:]])
    assert verdict.fault is not None
    assert verdict.fault.line == 1


@given(st.data())
def test_no_changed_character_of_an_entry_goes_unseen(data: st.DataObject):
    text = "".join(lines())
    start = len(lines()[0])
    place = data.draw(st.integers(start, len(text) - 2))
    character = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[place]))
    changed = text[:place] + character + text[place + 1 :]
    assert not verified(changed.split("\n")[:-1]).ok


@given(st.permutations(range(1, COUNT + 1)))
def test_no_other_order_goes_unseen(order: list[int]):
    written = lines()
    verdict = verified([written[0], *(written[number] for number in order)])
    assert verdict.ok == (order == sorted(order))


@given(st.sets(st.integers(1, COUNT), min_size=1))
def test_no_removal_goes_unseen(removed: set[int]):
    assert not verified([line for n, line in enumerate(lines()) if n not in removed]).ok
