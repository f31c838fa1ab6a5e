"""Every block of docs/design/before-and-after.md is run, and prints what stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import run

DOCUMENT = Path(__file__).parents[1] / "docs" / "design" / "before-and-after.md"
_SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXIT = re.compile(r"  # exit (\d+)$")


def sections() -> dict[str, str]:
    """Return each section's text, after the one before the first section, which all share."""
    shared, *rest = _SECTION.split(DOCUMENT.read_text("utf-8"))
    return {title: shared + text for title, text in zip(rest[::2], rest[1::2], strict=True)}


def commands(block: str) -> Iterator[tuple[list[str], int, list[str]]]:
    """Yield each command's arguments, its exit code, and the lines that it prints."""
    for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, *printed = each.splitlines()
        code = _EXIT.search(line)
        program, *arguments = shlex.split(_EXIT.sub("", line))
        assert program == "runner"
        yield arguments, int(code[1]) if code else 0, printed


@pytest.mark.parametrize("title", sections())
def test_every_block_is_as_written(title: str, tmp_path: Path):
    for kind, name, text in _BLOCK.findall(sections()[title]):
        if name:
            (tmp_path / name).write_text(text, "utf-8")
            continue
        assert kind == "console"
        for arguments, code, printed in commands(text):
            ended = run(*arguments, cwd=tmp_path, env={"COLUMNS": "200"})
            assert ended.code == code, ended
            for line in printed:
                pattern = ".*".join(map(re.escape, line.rstrip().split("…")))
                assert re.search(f"^{pattern}", ended.out + ended.err, re.MULTILINE), (line, ended)
