"""Makes options of a dataclass: a command takes the dataclass, the command line offers its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer

from runner.cli import option_parsers
from runner.core.batch_options import OPTIONS


def expand_dataclasses(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each field of a dataclass that it takes.

    A parameter of the command's own that is named as a field takes the field's place. Fields need a
    default. They are annotated as parameters are (`Annotated[..., typer.Option(...)]`),
    or declared by `runner.core.batch_options.option`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    options: list[Parameter] = []
    own = {name for name in signature(command).parameters if not is_dataclass(hints[name])}
    for parameter in signature(command).parameters.values():
        hint = hints[parameter.name]
        if is_dataclass(hint) and isinstance(hint, type):
            groups[parameter.name] = hint
            options += [each for each in _options_of(hint) if each.name not in own]
        else:
            default = parameter.default
            options.append(_option(parameter.name, hint, default))

    def expanded(**values: Any) -> None:
        kept = {name: value for name, value in values.items() if name in own}
        for name, group in groups.items():
            taken = {key: value for key, value in values.items() if key not in kept}
            kept[name] = group(**_values(group, taken))
        command(**kept)

    expanded.__name__ = command.__name__
    expanded.__doc__ = command.__doc__
    expanded.__annotations__ = {option.name: option.annotation for option in options}
    expanded.__signature__ = Signature(options)  # type: ignore[attr-defined]  # read by `inspect`
    return expanded


def option_info(name: str) -> Any:
    """Return the command line's option for a field of `BatchOptions`."""
    each = OPTIONS[name]
    return typer.Option(
        each.flag,
        envvar=each.variable,
        metavar=each.metavar,
        help=each.help,
        parser=None if each.parse is None else option_parsers.for_command_line(each.parse),
        min=each.least,
        max=each.most,
        show_default=False,
        rich_help_panel=each.group,
    )


def _options_of(group: type[Any]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_of_field(each, hints[each.name]) for each in fields(group)]


def _of_field(each: Field[Any], hint: Any) -> Parameter:
    if each.name not in OPTIONS or hasattr(hint, "__metadata__"):
        default = Parameter.empty if each.default is MISSING else each.default
        return _option(each.name, hint, default)
    if each.default == ():
        return _option(each.name, Annotated[list[str] | None, option_info(each.name)], None)
    if OPTIONS[each.name].parse is None:
        return _option(each.name, Annotated[hint, option_info(each.name)], each.default)
    # The parser makes the type, and would parse a default; typer does not support every union.
    return _option(each.name, Annotated[Any, option_info(each.name)], None)


def _values(group: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Take a group's values out of a command's; what was not given gets its default."""
    taken = {each.name: values[each.name] for each in fields(group) if each.name in values}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in taken.items()
        if value is not None
    }


def _option(name: str, hint: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)
