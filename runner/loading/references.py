"""Resolves secret references: environment variables, files and commands (manifest.md, R007)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Self

from runner.core.manifest import Secret

COMMAND_TIMEOUT_S = 60.0
_MAX_BYTES = 65_536
_UNDECODED = re.compile("[\ud800-\udfff]")


class Secrets(Enum):
    """How far a secret's reference is followed; the schema has checked its form."""

    ALL = "all"
    OFFLINE = "offline"  # no command is run
    NONE = "none"  # as where production's secrets are not to be had

    @classmethod
    def asked(cls, *, offline: bool, without: bool) -> Self:
        """Return what a command asks for."""
        return cls("none" if without else "offline" if offline else "all")


class Unresolvable(Exception):
    """A reference that leads to no secret; never bears the secret itself."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(why)
        self.mend = mend


def resolve_secret(reference: Mapping[str, Any], folder: Path, *, offline: bool) -> Secret | None:
    """Return the secret that `reference` leads to, one trailing newline stripped.

    Relative files start at `folder`. With `offline` a command is checked to be executable and
    never run, and None is returned. Raises `Unresolvable`.
    """
    if "env" in reference:
        return _from_environment(reference["env"])
    if "file" in reference:
        return _from_file(folder / reference["file"], reference["file"])
    command: list[str] = reference["command"]
    if shutil.which(command[0]) is None:
        mend = "install it, or write its full path"
        raise Unresolvable(f"the program `{command[0]}` is not found or not executable", mend)
    return None if offline else _from_command(command)


def _from_environment(variable: str) -> Secret:
    if variable not in os.environ:
        mend = f"export {variable} before the run"
        raise Unresolvable(f"the environment variable `{variable}` is not set", mend)
    return _secret(os.environ[variable], f"the environment variable `{variable}`")


def _from_file(path: Path, written: str) -> Secret:
    name = f"the file `{written}`"
    try:
        if not path.stat() or not path.is_file():
            raise Unresolvable(f"{name} is not a regular file", "name a file that holds the secret")
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        why = (error.strerror or "cannot be read").lower()
        mend = "relative paths start at the manifest's folder; check path and permissions"
        raise Unresolvable(f"{name} cannot be read: {why}", mend) from None
    return _decoded(raw, name)


def _from_command(command: list[str]) -> Secret:
    name = f"the program `{command[0]}`"
    mend = "run it by hand to see why"
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unresolvable(f"{name} ran for {COMMAND_TIMEOUT_S:.0f} s without end", mend) from None
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise Unresolvable(f"{name} could not be run: {why}", mend) from None
    if ended.returncode != 0:
        raise Unresolvable(f"{name} ended with exit code {ended.returncode}", mend)
    return _decoded(ended.stdout, f"what {name} printed")


def _decoded(raw: bytes, name: str) -> Secret:
    if len(raw) > _MAX_BYTES:
        raise Unresolvable(f"{name} is larger than 64 KiB", "a secret is a line of text")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Unresolvable(f"{name} is not UTF-8", "store the secret as text") from None
    return _secret(text, name)


def _secret(text: str, name: str) -> Secret:
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.isascii() and _UNDECODED.search(text):
        raise Unresolvable(f"{name} is not UTF-8", "store the secret as text")
    if not text:
        raise Unresolvable(f"{name} is empty", "store the secret there")
    return Secret(text)
