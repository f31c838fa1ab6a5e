"""A disk rebuilt as a power cut could have left it, from what strace saw a process do.

The model is as strict as POSIX allows: what was written since a file's last sync is kept, dropped
or torn at sectors, each write by chance and in any order; what happened to names since their
folder's last sync survives up to a point drawn by chance. Locks and shared memory (`-shm`) are
no part of a disk.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SECTOR = 512
CALLS = (
    "openat,pwrite64,write,sendto,fdatasync,fsync,ftruncate,unlink,unlinkat,"
    "rename,renameat,renameat2"
)
OPTIONS = ("-f", "-y", "-qq", "-xx", "-s", "1000000", "--seccomp-bpf", "-e", f"trace={CALLS}")

_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
_UNFINISHED = " <unfinished ...>"
_PATH = re.compile(r"^-?\w*<((?:\\x..)*)>")
_TEXT = re.compile(r'"((?:\\x..)*)"')


class Kind(StrEnum):
    """What happened."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    UNLINK = "unlink"
    RENAME = "rename"
    SAID = "said"  # to standard output, or to a socket: the world knows


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a process did. `offset` is a size where it truncates."""

    kind: Kind
    path: str
    content: bytes = b""
    offset: int = 0
    target: str = ""


def acts(trace: Path, folder: Path) -> list[Act]:
    """Read what happened to files of a folder, and what was said, in order."""
    with trace.open(encoding="ascii") as lines:
        return [act for act in _acts(lines) if act.kind is Kind.SAID or _is_in(act, folder)]


def _is_in(act: Act, folder: Path) -> bool:
    inside = act.path == str(folder) or act.path.startswith(f"{folder}/")
    return inside and not act.path.endswith(("-shm", ".lock"))


def _acts(lines: Iterable[str]) -> Iterator[Act]:
    begun: dict[str, str] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        thread, told = found[1], found[2]
        if told.endswith(_UNFINISHED):
            begun[thread] = told.removesuffix(_UNFINISHED)
            if told.startswith("sendto("):  # it may have left already
                yield from _act("sendto", begun[thread], 0)
            continue
        if (resumed := _RESUMED.match(told)) is not None:
            told = begun.pop(thread) + resumed[2]
            if resumed[1] == "sendto":
                continue
        if (call := _CALL.match(told)) is not None:
            yield from _act(call[1], call[2], int(call[3]))


def _act(call: str, arguments: str, result: int) -> Iterator[Act]:
    if result < 0:
        return
    arguments = arguments.removeprefix(f"{call}(")
    where, texts = _path(arguments), [_plain(text) for text in _TEXT.findall(arguments)]
    match call:
        case "pwrite64":
            offset = int(arguments.rsplit(", ", 1)[1])
            yield Act(Kind.WRITE, where, texts[0][:result], offset)
        case "ftruncate":
            yield Act(Kind.TRUNCATE, where, offset=int(arguments.rsplit(", ", 1)[1]))
        case "fdatasync" | "fsync":
            yield Act(Kind.SYNC, where)
        case "openat" if "O_CREAT" in arguments:
            yield Act(Kind.CREATE, _absolute(where, texts[0]))
        case "unlink" | "unlinkat":
            yield Act(Kind.UNLINK, _absolute(where, texts[0]))
        case "rename" | "renameat" | "renameat2":
            yield Act(Kind.RENAME, _absolute(where, texts[0]), target=_absolute(where, texts[1]))
        case "write" | "sendto":
            yield Act(Kind.SAID, where, texts[0] if texts else b"")


def _path(arguments: str) -> str:
    found = _PATH.match(arguments)
    return _plain(found[1]).decode() if found is not None else ""


def _absolute(folder: str, name: bytes) -> str:
    return str(Path(folder) / name.decode())


def _plain(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


@dataclass(slots=True)
class _File:
    """What is certainly on the disk, and what may be."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Act] = field(default_factory=list)


class Disk:
    """A disk on which acts happen one after another; it may be cut off at any time."""

    def __init__(self, *, lies: bool = False) -> None:
        self._lies = lies  # it says "synced", and was not
        self._files: dict[str, _File] = {}  # by the names in force
        self._durable_names: dict[str, _File] = {}
        self._names_pending: list[tuple[str, dict[str, _File | None]]] = []

    def do(self, act: Act) -> None:
        """Let an act happen."""
        match act.kind:
            case Kind.CREATE if act.path not in self._files:
                self._rename({act.path: _File()}, act.path)
            case Kind.WRITE | Kind.TRUNCATE:
                self._files[act.path].pending.append(act)
            case Kind.UNLINK if act.path in self._files:
                self._rename({act.path: None}, act.path)
            case Kind.RENAME:
                self._rename({act.path: None, act.target: self._files[act.path]}, act.path)
            case Kind.SYNC if not self._lies:
                self._sync(act.path)
            case _:
                pass

    def cut(self, chance: random.Random, folder: Path) -> None:
        """Leave in `folder` what the disk holds if the power goes now."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        names = dict(self._durable_names)
        survived = chance.randint(0, len(self._names_pending))
        for _, change in self._names_pending[:survived]:
            _apply(names, change)
        for path, file in names.items():
            content = bytearray(file.durable)
            for act in file.pending:
                _write(content, act, chance.random(), chance)
            (folder / Path(path).name).write_bytes(content)

    def _rename(self, change: dict[str, _File | None], path: str) -> None:
        _apply(self._files, change)
        self._names_pending.append((str(Path(path).parent), change))

    def _sync(self, path: str) -> None:
        file = self._files.get(path)
        if file is not None:
            for act in file.pending:
                _write(file.durable, act, 0.0, None)
            file.pending.clear()
            return
        kept = []
        for folder, change in self._names_pending:
            if folder == path:
                _apply(self._durable_names, change)
            else:
                kept.append((folder, change))
        self._names_pending = kept


def _apply(names: dict[str, _File], change: dict[str, _File | None]) -> None:
    for path, file in change.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _write(content: bytearray, act: Act, fate: float, chance: random.Random | None) -> None:
    """Let a write reach the disk wholly (0), torn, or not at all (1)."""
    if act.kind is Kind.TRUNCATE:
        if fate < 0.5:
            content[act.offset :] = b"\0" * max(0, act.offset - len(content))
        return
    written = act.content
    if fate > 0.6:
        return
    if fate > 0.4 and chance is not None:
        sectors = (len(written) + SECTOR - 1) // SECTOR
        written = written[: SECTOR * chance.randrange(sectors + 1)]
    if len(content) < act.offset:
        content.extend(b"\0" * (act.offset - len(content)))
    content[act.offset : act.offset + len(written)] = written


def cuts(
    happened: Sequence[Act], points: Sequence[int], folder: Path, seed: int, *, lies: bool = False
) -> Iterator[int]:
    """Cut the power before each of the points (rising), leaving the disk in `folder`."""
    chance, disk, done = random.Random(seed), Disk(lies=lies), 0
    for point in points:
        for act in happened[done:point]:
            disk.do(act)
        done = point
        disk.cut(chance, folder)
        yield point


def message_ids(happened: Iterable[Act]) -> Iterator[tuple[str, ...]]:
    """Give, for each act, the ids of the transfers' frames that it hands to a socket."""
    for act in happened:
        yield tuple(_message_ids(act.content)) if act.kind is Kind.SAID else ()


def _message_ids(sent: bytes) -> Iterator[str]:
    """Read a client's text frames, which may leave together: head, length, mask, payload."""
    while len(sent) >= 8 and sent[0] == 0x81:
        short = sent[1] & 0x7F
        head = {126: 4, 127: 10}.get(short, 2)
        length = int.from_bytes(sent[2:head], "big") if head > 2 else short
        mask, masked = sent[head : head + 4], sent[head + 4 : head + 4 + length]
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))
        yield str(json.loads(text)["id"])
        sent = sent[head + 4 + length :]
