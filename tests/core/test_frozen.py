"""Tests of the classes of frozen values."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace

from runner.core.frozen import frozen


@frozen
class Point:
    x: int
    y: int = 0


@frozen
class Named(Point):
    name: str = field(default="", compare=False)
    token: str = field(default="hidden", repr=False)


@frozen
class Other:
    x: int
    y: int = 0


@frozen
class Nothing:
    """Has no fields."""


@frozen
class Spelt:
    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Plain:
    """What Python itself makes."""

    x: int
    y: int = 0


def test_values_are_equal_by_class_and_fields():
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != Named(1, 2)
    assert Point(1, 2) != (1, 2)
    assert Nothing() == Nothing()


def test_equal_values_have_one_hash():
    assert {Point(1, 2), Point(1, 2), Point(2, 1), Nothing(), Nothing()} == {
        Point(1, 2),
        Point(2, 1),
        Nothing(),
    }


def test_a_field_may_be_left_out_of_comparison_and_of_texts():
    assert Named(1, name="a") == Named(1, name="b")
    assert hash(Named(1, name="a")) == hash(Named(1, name="b"))
    assert Named(1, token="a") != Named(1, token="b")
    assert repr(Named(1)) == "Named(x=1, y=0, name='')"


def test_its_text_is_that_of_a_dataclass_unless_it_has_its_own():
    assert repr(Point(1)).removeprefix("Point") == repr(Plain(1)).removeprefix("Plain")
    assert repr(Spelt("as it is")) == "as it is"


def test_it_is_a_dataclass_with_slots():
    assert replace(Point(1, 2), y=3) == Point(1, 3)
    assert asdict(Point(1, 2)) == {"x": 1, "y": 2}
    assert copy.deepcopy(Point(1, 2)) == Point(1, 2)
    assert not hasattr(Point(1), "__dict__")


def test_it_matches_by_position():
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
