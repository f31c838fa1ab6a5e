"""Forms are written while they are read: what is held does not grow with the batch."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from runner.report.writer import render_format
from tests.report import samples

FEW, MANY = 2_000, 12_000
LATENCIES_BYTES = 48
"""Of each transfer its latency is kept, and sorted, for the percentiles."""


def peak_and_length(form: str, count: int) -> tuple[int, int]:
    """Return the most bytes that were held at a time, and how long the text is."""
    length = 0

    def count_up(piece: str) -> None:
        nonlocal length
        length += len(piece)

    tracemalloc.start()
    try:
        render_format(samples.bulk(count), form, count_up)
        return tracemalloc.get_traced_memory()[1], length
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["json", "csv", "junit", "md"])
def test_memory_does_not_grow_with_the_transfers(form: str):
    render_format(samples.bulk(10), form, len)  # what is loaded once
    few, short = peak_and_length(form, FEW)
    many, long = peak_and_length(form, MANY)
    assert many - few < LATENCIES_BYTES * (MANY - FEW) + 200_000
    assert form == "md" or long - short > 90 * (MANY - FEW)


def test_a_form_that_gathered_its_text_would_be_noticed():
    held: list[str] = []
    tracemalloc.start()
    try:
        gather: Callable[[str], object] = held.append
        render_format(samples.bulk(MANY), "json", gather)
        assert tracemalloc.get_traced_memory()[1] > LATENCIES_BYTES * MANY + 2_000_000
    finally:
        tracemalloc.stop()
