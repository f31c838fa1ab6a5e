from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.manifest.yaml.scalars import MAX_INTEGER, NumberOutOfRange, resolve_scalar


@pytest.mark.parametrize(
    "text",
    [
        *("no", "on", "yes", "off", "y", "n", "NO", "tRUE"),
        *("0777", "0441234", "+441234567890", "00", "-012", "+1.5", "01.5", "+.inf"),
        *("12:30", "12:30:45", "1_000", "2024-01-01", "1.2.3", "1e", "0x", "0o8", "-", ".", "--1"),
        *("-0x1f", "١٢", "1\n", "infinity", "nan"),
    ],
)
def test_it_stays_text(text: str):
    assert resolve_scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, None) for text in ("", "~", "null", "Null", "NULL")),
        *((text, True) for text in ("true", "True", "TRUE")),
        ("FALSE", False),
        ("0", 0),
        ("-0", 0),
        ("-17", -17),
        ("0x1F", 31),
        ("0o17", 15),
        ("0x0000000000000000000000001", 1),
        (str(MAX_INTEGER), MAX_INTEGER),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("1e3", 1000.0),
    ],
)
def test_it_has_a_value_of_its_own(text: str, value: object):
    assert resolve_scalar(text) == value
    assert type(resolve_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        ".nan",
        ".inf",
        "-.Inf",
        "1e999",
        "-1e400",
        str(MAX_INTEGER + 1),
        "9" * 4301,
        "0x" + "f" * 10**6,
    ],
)
def test_it_is_not_a_number_that_can_be_kept(text: str):
    with pytest.raises(NumberOutOfRange):
        resolve_scalar(text)


@given(st.integers(-MAX_INTEGER, MAX_INTEGER))
def test_every_exact_integer_is_read_as_it_is_written(number: int):
    assert resolve_scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_read_as_it_is_written(number: float):
    value = resolve_scalar(repr(number))
    assert isinstance(value, int | float)
    assert value == number


@given(st.text(max_size=20))
def test_what_is_not_a_core_scalar_is_the_text_itself(text: str):
    try:
        value = resolve_scalar(text)
    except NumberOutOfRange:
        return
    assert value == text if isinstance(value, str) else not text.startswith(("+", " "))
