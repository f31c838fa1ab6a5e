"""Reads a manifest's text; refuses what is unsafe to parse (manifest.md, "YAML dialect")."""

from __future__ import annotations

import hashlib
import re
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runner.core.diagnostics.problem import Place, Problem
from runner.manifest.problem_collector import Collector
from runner.manifest.regular_file import open_regular
from runner.manifest.suggestions import nearest
from runner.manifest.yaml.tree import Source

MAX_BYTES = 64_000_000
"""Largest manifest; longer lists belong in a `from:` file."""

_SUFFIXES = {".yaml", ".yml"}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = re.compile("[\udc80-\udcff]")
_PRIVATE = 0xF700
"""Private-use characters replace bytes that are not UTF-8, so that different ids stay different."""
_STANDS_IN = re.compile(f"[{chr(_PRIVATE + 0x80)}-{chr(_PRIVATE + 0xFF)}]")
_REFUSED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)


def read_source(path: Path, problems: Collector) -> Source | None:
    """Return the manifest's text, or None after adding a problem."""
    name = str(path)
    start = Place(name, 1, 1)
    try:
        if fault := _file_fault(path):
            problems.add(Problem("Y001", fault[0], start, fault[1]))
            return None
        with open_regular(path) as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        message = f"the manifest cannot be read: {why}"
        problems.add(Problem("Y001", message, start, _path_fix(path, error)))
        return None
    if len(raw) > MAX_BYTES:
        message = "the manifest is larger than 64 MB"
        fix = "move the transfers to a .csv or .jsonl file and refer to it with `- from: FILE`"
        problems.add(Problem("Y002", message, start, fix))
        return None
    text = _decode(raw, name, problems)
    if text is None or not _is_clean(text, name, problems):
        return None
    return Source(name, text, hashlib.sha256(raw).hexdigest())


def _file_fault(path: Path) -> tuple[str, str] | None:
    """Return message and fix if `path` is not a regular file; reading a pipe would block."""
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "the manifest is a folder", f"name a file in it{_such_as(path)}"
    fix = "write it to a file first: the journal and the row files are kept beside it"
    return "the manifest is a pipe or a device, not a file", fix


def _such_as(folder: Path) -> str:
    found = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES)
    return f", such as {found[0]}" if found else ""


def _path_fix(path: Path, error: OSError) -> str:
    if str(path) == "-":
        return (
            "a manifest is not read from standard input: write it to a file, "
            "because the journal and the row files are kept beside it"
        )
    if not isinstance(error, FileNotFoundError):
        return "check the path and its permissions"
    with suppress(OSError):
        names = [file.name for file in path.parent.iterdir() if file.suffix in _SUFFIXES]
        if near := nearest(path.name, names):
            return f"did you mean {path.with_name(near)}?"
    started = ""
    with suppress(OSError):  # the folder may be gone
        started = "" if path.is_absolute() else f", which starts at {Path.cwd()}"
    return f"check the path{started}; `runner init` writes a first manifest"


def _decode(raw: bytes, name: str, problems: Collector) -> str | None:
    fix = "save the file as UTF-8"
    if raw.startswith(_UTF16_MARKS):
        problems.add(Problem("Y003", "the manifest is UTF-16", Place(name, 1, 1), fix))
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        problems.add(Problem("Y003", message, _place_after(before, name), fix))
    if b"\0" in raw:  # not text in another encoding, but a binary file
        return None
    # The rest is read too, to find its other problems.
    text = raw.decode("utf-8-sig", "surrogateescape")
    return _UNDECODED.sub(lambda byte: chr(_PRIVATE + ord(byte[0]) - 0xDC00), text)


def readable(problem: Problem) -> Problem:
    """Return a problem with U+FFFD for each byte that is not UTF-8."""
    texts = [_STANDS_IN.sub("\ufffd", text) for text in (problem.message, problem.help)]
    if texts == [problem.message, problem.help]:
        return problem
    return replace(problem, message=texts[0], help=texts[1])


def _is_clean(text: str, name: str, problems: Collector) -> bool:
    found = _REFUSED.search(text)
    if found is None:
        return True
    point = ord(found[0])
    escape = f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"  # noqa: PLR2004 - one byte
    message = f"the character U+{point:04X} is not allowed here"
    fix = f'delete it; where a text needs it, write "{escape}" between double quotes'
    problems.add(Problem("Y004", message, _place_after(text[: found.start()], name), fix))
    return False


def _place_after(text: str, name: str) -> Place:
    lines = re.split(r"\r\n|\r|\n", text)
    return Place(name, len(lines), len(lines[-1]) + 1)
