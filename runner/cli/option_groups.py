"""Expands option groups: a command takes a dataclass, the command line offers each of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each field of a dataclass that it takes.

    Fields are annotated as parameters are (`Annotated[..., typer.Option(...)]`), and need a default.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    options: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        hint = hints[parameter.name]
        if is_dataclass(hint) and isinstance(hint, type):
            groups[parameter.name] = hint
            options += _options_of(hint)
        else:
            default = parameter.default
            options.append(_option(parameter.name, hint, default))

    def expanded(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{each.name: values.pop(each.name) for each in fields(group)})
        command(**values)

    expanded.__name__ = command.__name__
    expanded.__doc__ = command.__doc__
    expanded.__annotations__ = {option.name: option.annotation for option in options}
    expanded.__signature__ = Signature(options)  # type: ignore[attr-defined]  # read by `inspect`
    return expanded


def _options_of(group: type[Any]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_option(each.name, hints[each.name], _default(each)) for each in fields(group)]


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default


def _option(name: str, hint: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)
