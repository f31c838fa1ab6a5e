"""Rows wait on disk until they are planned: repeats, history, selection, and flat memory."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import StorageError
from runner.core.key_patterns import matcher_of
from runner.core.manifest.model import DuplicateRows
from runner.core.records.row_codec import read_ladder, write_ladder
from runner.core.transfer.plan_decision import Action, decide
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.core.transfer.states import Event
from runner.journal.sqlite.store import Store
from runner.staging.possible_repeats import PossibleRepeats
from runner.staging.rows import Selection, Staging
from tests.journal.builders import (
    HERE,
    NARROW,
    THERE,
    VOICE,
    begun,
    manifest_rows,
    opened,
    reader_of,
)

KEY_SIGNS = "ab!^]["
PATTERN_SIGNS = "ab!^][*?-"


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path / "production.db")


def fill(staging: Staging, rows: Iterable[TransferRow]) -> None:
    for row in rows:
        staging.add(row)


def planned(
    staging: Staging, journal: Path | None = None, selection: Selection | None = None
) -> dict[str, str]:
    staging.plan(None if journal is None else reader_of(journal), selection or Selection())
    return {row.key: verdict.action.value for row, verdict in staging.planned()}


def test_rows_come_back_as_they_went_in(staging: Staging):
    other = replace(manifest_rows(1)[0], key="k9", interaction_id="i9", media=(NARROW,))
    rows = [*manifest_rows(5, callbacks=("crm", "b")), other]
    fill(staging, rows)
    staging.plan(None, Selection())
    for n, (row, (read, verdict)) in enumerate(zip(rows, staging.planned(), strict=True)):
        told = (read.key, read.interaction_id, read.destination_uri, read.media, read.callbacks,
                read.source)  # fmt: skip
        assert told == (
            row.key, row.interaction_id, row.destination_uri, row.media, row.callbacks, row.source,
        )  # fmt: skip
        assert (read.n, read.lineage, verdict.action) == (n, None, Action.SEND)
    assert staging.count == 6


def test_its_file_is_gone_afterwards():
    with Staging() as staging:
        path = staging.path
        assert path.exists()
    assert not path.parent.exists()


# Repeats, rule R005 of the manifest's language


def keyed(*pairs: tuple[str, str]) -> list[TransferRow]:
    plain = manifest_rows(1)[0]
    return [replace(plain, key=key, interaction_id=i) for key, i in pairs]


def test_repeats_name_both_rows(staging: Staging):
    fill(staging, keyed(("a", "1"), ("b", "2"), ("a", "3"), ("c", "2"), ("a", "1")))
    assert staging.repeats(10) == [
        DuplicateRows("key", "a", 0, 2),
        DuplicateRows("interaction", "2", 1, 3),
        DuplicateRows("interaction", "1", 0, 4),
        DuplicateRows("key", "a", 0, 4),
    ]


def test_repeats_are_told_up_to_a_bound(staging: Staging):
    fill(staging, keyed(*(("same", str(n)) for n in range(50))))
    assert [r.second for r in staging.repeats(3)] == [1, 2, 3]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), max_size=9))
def test_repeats_are_what_counting_finds(pairs: list[tuple[str, str]]):
    expected = set()
    for kind, column in (("key", 0), ("interaction", 1)):
        seen: dict[str, int] = {}
        for n, pair in enumerate(pairs):
            first = seen.setdefault(pair[column], n)
            if first != n:
                expected.add(DuplicateRows(kind, pair[column], first, n))
    with Staging() as staging:
        fill(staging, keyed(*pairs))
        assert set(staging.repeats(100)) == expected


# History


def test_history_goes_by_interaction_not_by_key_or_batch(staging: Staging, store: Store):
    old = begun(store, manifest_rows(4), batch="renamed")
    old.go("k0", Event.INTENT, Event.ACCEPTED)
    old.go("k1", Event.INTENT, Event.LOST)
    old.go("k2", Event.INTENT, Event.DENIED)
    fill(staging, keyed(("x0", "i0"), ("x1", "i1"), ("x2", "i2"), ("x3", "i3"), ("k0", "i9")))
    assert planned(staging, store.path) == {
        "x0": "unchanged", "x1": "in_doubt", "x2": "send", "x3": "send", "k0": "send",
    }  # fmt: skip
    assert staging.counts() == {Action.UNCHANGED: 1, Action.IN_DOUBT: 1, Action.SEND: 3}


def test_another_destination_is_a_change(staging: Staging, store: Store):
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    fill(staging, manifest_rows(1, destination_uri=THERE))
    assert planned(staging, store.path) == {"k0": "changed"}


def test_other_media_callbacks_and_sources_change_nothing(staging: Staging, store: Store):
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    fill(staging, [TransferRow("k0", "i0", HERE, (NARROW,), ("crm",), "other.csv:9")])
    assert planned(staging, store.path) == {"k0": "unchanged"}


def test_a_run_whose_row_is_damaged_keeps_the_history_of_whom_it_moved(
    staging: Staging, store: Store
):
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute("UPDATE runs SET no = 7")
    fill(staging, manifest_rows(1))
    assert planned(staging, store.path) == {"k0": "unchanged"}


def test_a_lineage_goes_on(staging: Staging, store: Store):
    life = begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.DENIED)
    fill(staging, manifest_rows(1))
    staging.plan(reader_of(store.path), Selection())
    ((row, _),) = staging.planned()
    assert row.lineage == life.transfer_id


def test_again_overrides_what_is_done_but_no_doubt(staging: Staging, store: Store):
    old = begun(store, manifest_rows(2))
    old.go("k0", Event.INTENT, Event.ACCEPTED)
    old.go("k1", Event.INTENT, Event.LOST)
    fill(staging, manifest_rows(2))
    assert planned(staging, store.path, Selection(again=True)) == {"k0": "send", "k1": "in_doubt"}


def test_planning_again_forgets_the_last_plan(staging: Staging, store: Store):
    fill(staging, manifest_rows(2))
    assert planned(staging) == {"k0": "send", "k1": "send"}
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    assert planned(staging, store.path) == {"k0": "unchanged", "k1": "send"}


def test_planning_reads_while_the_journal_is_open_and_changes_nothing(
    staging: Staging, store: Store
):
    begun(store, manifest_rows(1)).go("k0", Event.INTENT)
    before = store.path.stat().st_mtime_ns
    fill(staging, manifest_rows(1))
    assert planned(staging, store.path) == {"k0": "in_doubt"}
    assert store.path.stat().st_mtime_ns == before


def test_a_journal_whose_path_needs_quoting_is_found(tmp_path: Path):
    store = opened(tmp_path / "a b#c?d%20.db")
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    with Staging() as staging:
        fill(staging, manifest_rows(1))
        assert planned(staging, store.path) == {"k0": "unchanged"}


def test_a_history_that_cannot_be_read_is_a_storage_error(staging: Staging, tmp_path: Path):
    """Planned without it, everything would be sent again."""
    (tmp_path / "other.db").write_bytes(b"not a database, but as long as a header is" * 9)
    fill(staging, manifest_rows(1))
    with pytest.raises(StorageError, match=r"other\.db"):
        staging.plan(reader_of(tmp_path / "other.db"), Selection())


# Selection


def test_only_takes_what_any_pattern_matches(staging: Staging):
    fill(staging, keyed(("eu-1", "1"), ("eu-2", "2"), ("us-1", "3"), ("EU-3", "4")))
    assert planned(staging, None, Selection(only=("eu-*", "us-?"))) == {
        "eu-1": "send", "eu-2": "send", "us-1": "send", "EU-3": "not_selected",
    }  # fmt: skip
    reasons = {row.key: verdict.reason for row, verdict in staging.planned()}
    assert reasons == {"eu-1": None, "eu-2": None, "us-1": None, "EU-3": "not selected"}


@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        ("k[!0]", ["k1", "k]", "k!"]),
        ("k[^0]", ["k1", "k]", "k!"]),
        ("k[!]]", ["k0", "k1", "k!"]),
        ("k[]!]", ["k]", "k!"]),
        ("k[!0-9!]", ["k]"]),
        ("[!x][!0]", ["k1", "k]", "k!"]),
    ],
)
def test_a_negated_set_leaves_out_what_it_names_as_in_a_shell(
    staging: Staging, pattern: str, sent: list[str]
):
    fill(staging, keyed(("k0", "1"), ("k1", "2"), ("k]", "3"), ("k!", "4")))
    plan = planned(staging, None, Selection(only=(pattern,)))
    assert [key for key, action in plan.items() if action == "send"] == sent


@pytest.mark.parametrize("pattern", ["k?", "k{}", "[!x]{}"])
def test_patterns_may_be_as_many_as_the_rows(staging: Staging, pattern: str):
    """SQLite bears no expression of more than a thousand parts."""
    fill(staging, manifest_rows(10))
    patterns = tuple(pattern.format(n) for n in range(1200))
    assert len(staging.unmatched(patterns)) == (0 if pattern == "k?" else 1190)
    assert not staging.selects_any((), patterns)
    assert staging.selects_any(patterns, ())
    assert set(planned(staging, None, Selection(exclude=patterns)).values()) == {"not_selected"}
    assert set(planned(staging, None, Selection(only=patterns)).values()) == {"send"}


@given(
    st.lists(st.text(KEY_SIGNS, min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.lists(st.text(PATTERN_SIGNS, min_size=1, max_size=6), max_size=3),
    st.lists(st.text(PATTERN_SIGNS, min_size=1, max_size=6), max_size=3),
)
def test_a_plan_takes_the_keys_that_the_core_matches(
    keys: list[str], only: list[str], exclude: list[str]
):
    wanted, unwanted = matcher_of(only or ["*"]), matcher_of(exclude)
    expected = [key for key in keys if wanted(key) and not unwanted(key)]
    with Staging() as staging:
        fill(staging, keyed(*((key, key) for key in keys)))
        plan = planned(staging, None, Selection(only=tuple(only), exclude=tuple(exclude)))
        assert [key for key, action in plan.items() if action == "send"] == expected
        assert staging.selects_any(only, exclude) == bool(expected)
        assert staging.unmatched(only) == [
            each for each in only if not any(map(matcher_of([each]), keys))
        ]


def test_limit_counts_what_would_be_sent(staging: Staging, store: Store):
    old = begun(store, manifest_rows(6))
    old.go("k0", Event.INTENT, Event.ACCEPTED)
    old.go("k2", Event.INTENT, Event.LOST)
    fill(staging, manifest_rows(6))
    assert planned(staging, store.path, Selection(limit=2)) == {
        "k0": "unchanged", "k1": "send", "k2": "in_doubt", "k3": "send",
        "k4": "not_selected", "k5": "not_selected",
    }  # fmt: skip


@pytest.mark.parametrize(("limit", "sent"), [(0, 0), (1, 1), (3, 3), (9, 3)])
def test_limit_and_only_together(staging: Staging, limit: int, sent: int):
    fill(staging, manifest_rows(20))
    plan = planned(staging, None, Selection(only=("k1", "k2", "k3"), limit=limit))
    assert list(plan.values()).count("send") == sent


def test_a_doubt_stays_one_whoever_leaves_it_out(staging: Staging, store: Store):
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.LOST)
    fill(staging, manifest_rows(2))
    selection = Selection(only=("k1",), limit=0)
    assert planned(staging, store.path, selection) == {"k0": "in_doubt", "k1": "not_selected"}


# Size


def test_thirty_thousand_rows_need_no_memory_for_them(staging: Staging):
    plain = manifest_rows(1)[0]
    tracemalloc.start()
    try:
        for n in range(30_000):
            staging.add(
                TransferRow(f"k{n}", f"i{n}", HERE, plain.media, plain.callbacks, "rows.csv:1")
            )
        assert staging.repeats(9) == []
        staging.plan(None, Selection(limit=29_999))
        assert sum(1 for _ in staging.planned()) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert staging.counts() == {Action.SEND: 29_999, Action.NOT_SELECTED: 1}


def test_a_ladder_is_read_as_it_was_written():
    assert read_ladder(write_ladder((VOICE, NARROW))) == (VOICE, NARROW)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.none() | st.integers(0, 9))
def test_the_first_rows_stand_for_all_and_come_in_order(
    chosen: list[bool], most: int, limit: int | None
):
    rows = [f"{'a' if each else 'b'}{n}" for n, each in enumerate(chosen)]
    with Staging() as staging:
        fill(staging, keyed(*((key, key) for key in rows)))
        staging.plan(None, Selection(only=("a*",), limit=limit))
        everything = list(staging.outlines())
        alike = list(staging.outlines_first(most))
    assert [row.key for row in everything] == rows
    for action in {row.action for row in everything}:
        whole = [row for row in everything if row.action == action]
        told = [(row, times) for row, times in alike if row.action == action]
        assert [row for row, _ in told] == whole[:most]
        assert sum(times for _, times in told) == len(whole)
    assert [row.n for row, _ in alike] == sorted(row.n for row, _ in alike)


@given(st.lists(st.tuples(st.sampled_from("abAB"), st.integers(0, 40), st.booleans()), max_size=60))
def test_rows_taken_together_are_those_taken_one_by_one(drawn: list[tuple[str, int, bool]]):
    uuid = "3f2504e0-4f89-41d3-{}0c-0305e82c33{:02}"
    rows = [
        replace(
            manifest_rows(1)[0],
            key=f"k{n}" if own else uuid.format(letter * 2, n),
            interaction_id=uuid.format(letter * 2, n),
            media=(NARROW,) if own else (VOICE, NARROW),
            callbacks=("crm",) if n % 7 == 0 else (),
        )
        for letter, n, own in drawn
    ]
    values = [
        (r.key, r.interaction_id, r.destination_uri, r.media, r.callbacks, r.source) for r in rows
    ]
    with Staging() as one, Staging() as other:
        fill(one, rows)
        middle = len(rows) // 2
        for part in (values[:middle], values[middle:]):
            if part:
                other.add_all(RowColumns(*map(list, zip(*part, strict=True))))
        assert other.repeats(99) == one.repeats(99)
        for staging in (one, other):
            staging.plan(None, Selection())
        assert list(other.planned()) == list(one.planned())
        assert list(other.outlines()) == list(one.outlines())


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=80))
def test_what_may_repeat_is_all_that_does(pairs: list[tuple[int, int]]):
    possible = PossibleRepeats()
    for i, key in pairs:
        possible.add([str(i)], [str(key)])
    repeats = any(len(set(column)) < len(pairs) for column in zip(*pairs, strict=True))
    assert possible.may_be() or not repeats


def test_a_plan_without_history_decides_what_the_core_decides(staging: Staging):
    fill(staging, manifest_rows(9))
    staging.plan(None, Selection())
    for row, decision in staging.planned():
        for again in (False, True):
            decided = decide((), row.destination_uri, again=again)
            assert (decided.action, decided.reason, decided.claim, decided.lineage, decided.code) == (
                decision.action, decision.reason, decision.claim, decision.lineage, decision.code,
            )  # fmt: skip
        assert not decision.left_out
        assert decision.failed_as is None


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40), st.none() | st.integers(0, 9))
def test_groups_and_rows_alike_are_the_rows(names: list[str], limit: int | None):
    with Staging() as staging:
        plain = manifest_rows(1)[0]
        fill(staging, [
            replace(plain, key=f"{n}", interaction_id=f"i{n}", destination_uri=f"genesys://queue/{name}")
            for n, name in enumerate(names)
        ])  # fmt: skip
        staging.plan(None, Selection(limit=limit))
        everything = list(staging.outlines())
        grouped = [
            first._replace(
                n=n, key=key, source=source, interaction_id=interaction, destination_uri=uri
            )
            for n, (first, (key, source, interaction, uri)) in enumerate(
                (first, each) for first, alike in staging.outline_groups() for each in alike
            )
        ]
        alike = list(staging.outlines_alike())
    assert grouped == everything
    counted = Counter((row.destination_uri, row.action) for row in everything)
    assert {(row.destination_uri, row.action): times for row, times in alike} == counted
    firsts = {(row.destination_uri, row.action): row for row in reversed(everything)}
    assert [row for row, _ in alike] == sorted(firsts.values())
