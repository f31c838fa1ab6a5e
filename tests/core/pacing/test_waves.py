"""How a batch is cut into waves, and how many failures it and its waves bear."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.diagnostics.problem import Severity
from runner.core.manifest.policy_rules import check_waves
from runner.core.manifest.quantity import EVERYTHING, Amount, Share, parse_amount
from runner.core.pacing.waves import (
    WaveCount,
    batch_ends,
    most_failures,
    most_failures_of_wave,
    seats,
    wave_ends,
    wave_of,
    wave_sizes,
)

amounts = st.integers(1, 10**6) | st.integers(1, 1000).map(lambda n: Share(n / 1000))
totals = st.integers(0, 10**6)


@pytest.mark.parametrize(
    ("waves", "total", "ends"),
    [
        ((1, Share(0.1), EVERYTHING), 100, (1, 10, 100)),
        ((1, Share(0.1), EVERYTHING), 25, (1, 3, 25)),  # 2.5 is rounded up
        ((Share(0.07), EVERYTHING), 100, (7, 100)),  # 0.07 * 100 is a little more than 7 in floats
        ((1, Share(0.1), EVERYTHING), 7, (1, 7)),  # a tenth of seven adds nothing to the first
        ((1, Share(0.1), EVERYTHING), 1, (1,)),
        ((10, Share(0.1), EVERYTHING), 50, (10, 50)),  # a tenth is fewer than there are already
        ((1, 5, 500, EVERYTHING), 20, (1, 5, 20)),
        ((EVERYTHING,), 3, (3,)),
        ((1, EVERYTHING), 0, ()),
        ((), 100, ()),
    ],
)
def test_waves_are_cut(waves: tuple[Amount, ...], total: int, ends: tuple[int, ...]):
    assert wave_ends(waves, total) == ends


@given(st.lists(amounts, min_size=1, max_size=6), totals)
def test_every_transfer_is_in_one_wave_and_no_wave_is_empty(waves: list[Amount], total: int):
    ends = wave_ends(waves, total)
    assert all(before < after for before, after in pairwise((0, *ends)))
    assert (ends[-1] if ends else 0) == total
    assert sum(wave_sizes(ends)) == total
    assert len(ends) <= len(waves) + 1


@given(st.lists(amounts, min_size=1, max_size=6), st.integers(1, 500))
def test_positions_lead_to_the_wave_that_holds_them(waves: list[Amount], total: int):
    ends = wave_ends(waves, total)
    found = [wave_of(position, ends) for position in range(1, total + 1)]
    assert [found.count(number) for number in range(1, len(ends) + 1)] == wave_sizes(ends)
    assert found == sorted(number for number in found if number is not None)
    counted = WaveCount(ends)
    assert [counted.next() for _ in range(total)] == found


def test_without_waves_nothing_is_in_one():
    assert wave_of(1, ()) is None
    assert WaveCount(()).next() is None


@given(st.integers(1, 1000), st.integers(1, 10**6))
def test_a_share_of_a_wave_is_rounded_up_and_of_failures_down(thousandths: int, total: int):
    share = Share(thousandths / 1000)
    assert wave_ends([share], total)[0] == min(total, -(-thousandths * total // 1000))
    assert most_failures(share, total=total) == thousandths * total // 1000


@pytest.mark.parametrize(
    ("limit", "total", "most"),
    [
        (None, 100, None),
        (0, 100, 0),
        (7, 3, 7),
        (Share(0.05), 100, 5),
        (Share(0.05), 30, 1),
        (Share(0.05), 19, 0),
        (Share(0.07), 100, 7),  # 0.07 * 100 is a little more than 7 in floats
        (Share(0.29), 100, 29),  # and 0.29 * 100 a little less than 29
        (EVERYTHING, 4, 4),
    ],
)
def test_so_many_failures_of_a_batch_are_borne(limit: Amount | None, total: int, most: int | None):
    assert most_failures(limit, total=total) == most


@pytest.mark.parametrize(
    ("limit", "size", "most"),
    [
        (None, 900, 0),  # without a limit a wave bears none
        (Share(0.05), 1, 0),  # a canary that fails is not healthy
        (Share(0.05), 99, 4),
        (50, 1, 0),  # 50 of 1,000 are 5 %
        (50, 99, 4),
        (1000, 1, 1),  # the whole batch may fail
    ],
)
def test_a_wave_is_measured_as_the_batch_is(limit: Amount | None, size: int, most: int):
    assert most_failures_of_wave(limit, size=size, total=1000) == most


@given(amounts, st.integers(1, 10**4), st.integers(1, 10**4))
def test_a_wave_never_bears_more_than_the_batch(limit: Amount, size: int, more: int):
    total = size + more
    of_wave = most_failures_of_wave(limit, size=size, total=total)
    whole = most_failures(limit, total=total)
    assert whole is not None
    assert 0 <= of_wave <= whole


@pytest.mark.parametrize(
    ("waves", "parts"),
    [
        ((1, Share(0.1), EVERYTHING), []),
        ((Share(0.01), 500, Share(0.5), 1000, EVERYTHING), []),
        ((5, 5, EVERYTHING), [(1,)]),
        ((Share(0.5), 2, Share(0.5), EVERYTHING), [(2,)]),
        ((1, Share(0.5)), []),  # the rest follows them
        ((9, 3), [(1,)]),
        ((EVERYTHING, 5), [(1,)]),
        ((), []),
    ],
)
def test_waves_ascend(waves: tuple[Amount, ...], parts: list[tuple[int, ...]]):
    found = list(check_waves(waves))
    assert [finding.part for finding in found] == parts
    assert {finding.code for finding in found} <= {"S011"}


def test_one_transfer_after_a_share_adds_none_and_is_a_warning():
    """A share is at least one transfer, whatever the batch; how larger counts compare depends on it."""
    [found] = check_waves((Share(0.1), 1, Share(0.9)))
    assert (found.code, found.part, found.severity) == ("S011", (1,), Severity.WARNING)
    assert (
        found.message == "wave 2 (1) sends nothing: the wave before it, 10%, is at least 1 transfer"
    )
    assert not list(check_waves((Share(0.1), 2, Share(0.9))))
    assert not list(check_waves((Share(0), 1, Share(0.9))))


@pytest.mark.parametrize(("text", "amount"), [("20", 20), ("0", 0), ("5%", Share(0.05))])
def test_amounts_are_read(text: str, amount: Amount):
    assert parse_amount(text) == amount
    assert str(amount) == text


@pytest.mark.parametrize("text", ["", "-1", "1.5", "5 %", "101%", "five", "5%%", "٣"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises(ValueError, match="write 20 or 5%"):
        parse_amount(text)


@given(st.lists(amounts, max_size=4), st.integers(0, 60), st.integers(0, 60))
def test_what_failed_before_is_a_wave_of_its_own_behind_all_others(
    waves: list[Amount], others: int, failed: int
):
    ends = batch_ends(waves, others + failed, failed)
    if not others:
        assert ends == wave_ends(waves, failed)
    else:
        expected = wave_ends(waves, others)
        assert ends == (*expected, *([others + failed] if expected and failed else []))


@given(st.integers(0, 30), st.integers(0, 30))
def test_at_least_one_seat_is_left_and_never_more_than_failures_allow(allowed: int, failed: int):
    left = seats(allowed, failed=failed)
    assert left >= 1
    assert failed > allowed or left + failed == allowed + 1
