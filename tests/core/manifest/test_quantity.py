from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.quantity import parse_age, parse_duration, parse_rate, parse_share


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("5m", 300), ("2h", 7200), ("0.5s", 0.5), ("0ms", 0)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("90d", 7_776_000), ("1d", 86_400), ("12h", 43_200), ("0s", 0)]
)
def test_an_age_may_be_in_days(text: str, seconds: float):
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "90 d", "٩d", "1w"])
def test_what_is_not_an_age_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="is not an age; write a number and a unit: 90d, 12h"):
        parse_age(text)


@pytest.mark.parametrize(("text", "per_s"), [("25/s", 25), ("300/min", 5), ("0.5/s", 0.5)])
def test_a_rate_counts_per_second_or_minute(text: str, per_s: float):
    assert parse_rate(text) == per_s


@pytest.mark.parametrize(("text", "share"), [("0%", 0), ("5%", 0.05), ("2.5%", 0.025), ("100%", 1)])
def test_a_share_is_a_percentage(text: str, share: float):
    assert parse_share(text) == share


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *(
            (parse_duration, text)
            for text in ("", "10", "s", "-1s", "1d", "1 s", "1s\n", "\u0661s", "1e3s")
        ),
        *((parse_rate, text) for text in ("25", "0/s", "0.0/min", "-1/s", "1/h", "25/s ", "nan/s")),
        *((parse_share, text) for text in ("5", "101%", "100.1%", "-1%", "5 %", "inf%")),
    ],
)
def test_everything_else_is_refused_with_the_forms_allowed(
    parse: Callable[[str], float], text: str
):
    with pytest.raises(ValueError, match="write a"):
        parse(text)


@given(
    st.integers(0, 999_999_999), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)])
)
def test_a_whole_duration_is_exact_to_the_last_bit_but_rounding(
    number: int, unit: tuple[str, float]
):
    assert parse_duration(f"{number}{unit[0]}") == pytest.approx(number * unit[1], rel=1e-15)


@given(st.text(max_size=12))
def test_any_text_parses_to_a_sensible_value_or_is_refused(text: str):
    for parse, top in ((parse_duration, 4e12), (parse_rate, 1e9), (parse_share, 1)):
        try:
            assert 0 <= parse(text) <= top
        except ValueError as error:
            assert "write" in str(error)  # noqa: PT017 - most texts are refused, some are not
