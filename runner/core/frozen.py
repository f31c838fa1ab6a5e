"""Makes classes of frozen values: `@frozen`, in place of `@dataclass(frozen=True, slots=True)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class a dataclass with slots, whose fields are not assigned again.

    The type checker refuses assignments; at run time nothing does. Python compiles six functions for
    a frozen dataclass, which took a quarter of a short command's time, and its guard makes setting
    each field ten times as slow. Here only `__init__` is compiled, and the other methods are
    the same functions for all classes. What inherits from such a class is made by this too.
    """
    made = dataclass(slots=True, repr=False, eq=False)(cls)
    for name in ("__eq__", "__hash__", "__repr__"):
        if name not in cls.__dict__:
            setattr(made, name, _Methods.__dict__[name])
    return made


class _Methods:
    """What the classes have in common."""

    def __eq__(self: Any, other: object) -> bool:
        compared = _compared(self.__class__)
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(compared(self) == compared(other))

    def __hash__(self: Any) -> int:
        return hash(_compared(self.__class__)(self))

    def __repr__(self: Any) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


@cache
def _compared(cls: type) -> Callable[[object], Any]:
    """Return what reads the fields by which values of a class are compared."""
    names = [each.name for each in fields(cls) if each.compare]
    return attrgetter(*names) if names else lambda _: ()
