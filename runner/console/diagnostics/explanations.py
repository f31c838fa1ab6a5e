"""Explains each diagnostic code: its rule, the reason, a wrong and a right example.

The texts are in `explanations.toml`; `runner explain` and docs/rules.md are rendered from it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field
from functools import cache
from importlib.resources import files
from textwrap import wrap

from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.diagnostics.codes import CODES
from runner.core.frozen import frozen

WIDTH = 100

FAMILIES: Mapping[str, str] = {
    "R": "Rules: what a gateway carries, and what one transfer must not do to another",
    "S": "Schema: fields, types, forms and bounds",
    "Y": "YAML: what a file must be before its meaning is looked at",
    "P": "Plan files",
}


@frozen
class Explanation:
    """One code's rule, reason and examples; `files` are beside both examples, by name.

    The wrong example is saved in `encoding`; `padded` makes it larger than a manifest may be.
    `whole`: the examples are manifests, not sections of one.
    """

    code: str
    rule: str
    why: str
    wrong: str
    right: str
    files: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    padded: bool = False
    whole: bool = False


@cache
def explanations() -> Mapping[str, Explanation]:
    """Return the explanation of every code, in the order of `FAMILIES` and of the codes."""
    text = files(__package__).joinpath("explanations.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    order = list(FAMILIES)
    return {
        code: Explanation(code, CODES[code], **found[code])
        for code in sorted(found, key=lambda code: (order.index(code[0]), code))
    }


def render_explanation(explanation: Explanation, *, color: bool = False) -> str:
    """Return an explanation as text for the terminal."""
    paint = Paint(color)
    lines = [f"{paint.bold(explanation.code)}: {explanation.rule}", ""]
    lines += wrap(explanation.why, WIDTH)
    for title, text in (("wrong", explanation.wrong), ("right", explanation.right)):
        lines += ["", paint.bold(f"{title}:"), *(f"    {line}" for line in _example(text))]
    for name, text in explanation.files.items():
        lines += ["", paint.bold(f"{name}:"), *(f"    {line}" for line in _example(text))]
    return "\n".join(lines) + "\n"


def render_codes(*, color: bool = False) -> str:
    """Return all codes with their rules, by family."""
    paint, parts = Paint(color), []
    for family, title in FAMILIES.items():
        lines = [paint.bold(title)]
        for code, explanation in explanations().items():
            if code.startswith(family):
                first, *others = wrap(explanation.rule, WIDTH - len(code) - 4)
                lines += [f"  {paint.bold(code)}  {first}", *(f"        {line}" for line in others)]
        parts.append("\n".join(lines))
    parts.append("`runner explain CODE` gives the reason, a wrong and a right example")
    return "\n\n".join(parts) + "\n"


def explanations_to_json(chosen: Sequence[Explanation]) -> str:
    """Return the explanations as one JSON document, in ASCII."""
    return document("explanations", {"codes": [asdict(each) for each in chosen]})


def rules_document() -> str:
    """Return docs/rules.md."""
    return "\n".join(_document())


def _document() -> Iterator[str]:
    yield "# Every code of a diagnostic"
    yield ""
    yield "<!-- made from runner/console/diagnostics/explanations.toml by `make rules` -->"
    yield ""
    yield "`runner explain CODE` prints the same text. An example shows the sections"
    yield "of a manifest that the rule is about."
    for family, title in FAMILIES.items():
        yield from ("", f"## {title}")
        for code, explanation in explanations().items():
            if code.startswith(family):
                yield from (
                    "",
                    f"### {code}",
                    "",
                    f"{_sentence(explanation.rule)}",
                    "",
                    explanation.why,
                )
                for name, text in (("Wrong", explanation.wrong), ("Right", explanation.right)):
                    yield from _fenced(name, text, "console" if text[0] == "$" else "yaml")
                for name, text in explanation.files.items():
                    yield from _fenced(f"With `{name}`", text, "csv")
    yield ""


def _fenced(title: str, text: str, language: str) -> Iterator[str]:
    yield from ("", f"{title}:", "", f"```{language}", *_example(text), "```")


def _example(text: str) -> list[str]:
    return [visible(line) for line in text.strip("\n").split("\n")]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
