"""Measures the weight of `runner/`: lines of code, files, imports inside functions, long functions.

    python tools/weight.py            prints the table (`make weight`)
    python tools/weight.py --places   also lists the imports inside functions and the longest functions

A line of code is a line with a token of it; docstrings, comments and blank lines are none. Runtime
dependencies are those of `pyproject.toml` without the extras.
"""

# ruff: noqa: T201 - the table is the result of this script

from __future__ import annotations

import ast
import io
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "runner"
LONGEST_SHOWN = 20
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Module)


def code_lines(source: str, tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, SCOPES) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def inner_imports(tree: ast.Module) -> Iterator[int]:
    """Yield the line of each import inside a function."""
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            inner = {part for node in ast.iter_child_nodes(function) for part in ast.walk(node)}
            nested = [node for node in inner if isinstance(node, FUNCTIONS)]
            below = {part for node in nested for part in ast.walk(node)}
            for node in inner - below:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node.lineno


def functions(tree: ast.Module) -> Iterator[tuple[int, str, int]]:
    """Yield length, name and line of each function, from `def` to its last line."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.name, node.lineno


def main() -> None:
    """Print the table, and the places with `--places`."""
    lines = files = wide = 0
    imports: list[str] = []
    lengths: list[tuple[int, str]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        place = path.relative_to(ROOT).as_posix()
        files += 1
        lines += len(code_lines(source, tree))
        wide += "# ruff: noqa: PLC0415" in source
        imports += [f"{place}:{line}" for line in sorted(inner_imports(tree))]
        lengths += [(size, f"{place}:{line} {name}") for size, name, line in functions(tree)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(f"lines of code               {lines:>6}")
    print(f"files                       {files:>6}")
    print(f"imports inside functions    {len(imports):>6}")
    print(f"files exempt for them       {wide:>6}")
    print(f"longest function            {max(lengths)[0]:>6}")
    print(f"runtime dependencies        {len(project['dependencies']):>6}")
    if "--places" in sys.argv[1:]:
        print("\n".join(imports))
        for size, place in sorted(lengths, reverse=True)[:LONGEST_SHOWN]:
            print(f"{size:>4} {place}")


if __name__ == "__main__":
    main()
