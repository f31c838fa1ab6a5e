"""Measures how many files a change touches, from names that follow the change through the code.

    python tools/reach.py            prints the table
    python tools/reach.py --files    also names the files
    python tools/reach.py --write    writes the table into ARCHITECTURE.md (`make reach`)

Each kind of change has an example that exists already, such as the format `junit` for a report
format. A file counts if its code has one of the example's names: as a variable, an attribute, an
argument, an imported module or a whole text (a mention in a docstring does not count). The file or
folder that a change adds does not count. A test checks that no figure grows beyond the table's.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "runner"
DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- made by `make reach` -->\n"
END = "<!-- end of the table -->\n"


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of change, and the example by which its reach is measured.

    `names` matches whole names and texts of the code. `own` are the paths below `runner/` that the
    change adds; a file in them does not count.
    """

    title: str
    example: str
    names: re.Pattern[str]
    own: tuple[str, ...]


CHANGES = (
    Change(
        "a gateway driver",
        "`genesys-cloud`, outside its own folders",
        re.compile(r"genesys[-_]cloud|runner\.gateways\.genesys_cloud(\..*)?", re.IGNORECASE),
        ("gateways/genesys_cloud/", "simulator/"),
    ),
    Change(
        "a report format",
        "`junit`",
        re.compile(r"(render_|write_)?junit|runner\.report\.formats\.junit", re.IGNORECASE),
        ("report/formats/junit.py",),
    ),
    Change("an outcome", "`unattempted`", re.compile(r"unattempted|UNATTEMPTED"), ()),
    Change("a field of a transfer", "`found_at`", re.compile(r"found_at"), ()),
    Change(
        "an option of `apply`",
        "`--ignore-window`",
        re.compile(r"(--)?ignore[-_]window"),
        (),
    ),
    Change(
        "a journal database",
        "modules that import `runner.journal`",
        re.compile(r"runner\.journal(\..*)?"),
        ("journal/",),
    ),
)


def files_of(change: Change) -> list[str]:
    """Return the files below `runner/` that a change touches, sorted."""
    paths = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return sorted(
        path
        for path in paths
        if not path.startswith(change.own) and _touches(change, PACKAGE / path)
    )


def _touches(change: Change, path: Path) -> bool:
    return any(map(change.names.fullmatch, _names_in(path)))


@cache
def _names_in(path: Path) -> frozenset[str]:
    return frozenset(_names(ast.parse(path.read_text("utf-8"))))


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield every name and whole text of a module's code."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(name)):
                yield name
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.FunctionDef(name=name):
                yield name
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=str(name), names=aliases):
                yield name
                yield from (alias.name for alias in aliases)


def table() -> str:
    """Return the table of all changes, as Markdown."""
    rows = (f"| {c.title} | {c.example} | {len(files_of(c))} |\n" for c in CHANGES)
    return "| change | measured by | files |\n| --- | --- | ---: |\n" + "".join(rows)


def written(document: str) -> str:
    """Return the document with the table between its markers."""
    before, _, rest = document.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(table())
    if "--files" in sys.argv:
        for each in CHANGES:
            sys.stdout.write(f"\n{each.title}:\n  " + "\n  ".join(files_of(each)) + "\n")
