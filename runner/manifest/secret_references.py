"""Resolves secret references: variables, files, commands, systemd credentials (R007)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Self

from runner.core.manifest.model import Secret
from runner.manifest.regular_file import open_regular
from runner.manifest.secret_command import (
    COMMAND_TIMEOUT_S,
    TooMuchOutput,
    TooSlow,
    output_of,
    program_of,
)

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""The variable by which systemd says where a service's credentials are."""

_MAX_BYTES = 65_536
_RELATIVE_PATHS = "relative paths start at the manifest's folder; check path and permissions"
_UNDECODED = re.compile("[\ud800-\udfff]")


class SecretPolicy(Enum):
    """Which secret references are resolved; the schema has checked their form."""

    ALL = "all"
    OFFLINE = "offline"  # no command is run
    NONE = "none"  # for machines without production's secrets

    @classmethod
    def for_options(cls, *, offline: bool, without: bool) -> Self:
        """Return the policy for a command's options."""
        return cls("none" if without else "offline" if offline else "all")


class Unresolvable(Exception):
    """A reference that cannot be resolved; never contains the secret."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


def resolve_secret(reference: Mapping[str, Any], folder: Path, *, offline: bool) -> Secret | None:
    """Return the secret that `reference` names, without one trailing newline.

    Relative paths start at `folder`. With `offline` a command is only checked to be executable,
    and None is returned. Raises `Unresolvable`.
    """
    if "env" in reference:
        return _from_environment(reference["env"])
    if "file" in reference:
        path = folder / reference["file"]
        return _from_file(path, f"the file `{reference['file']}`", _RELATIVE_PATHS)
    if "systemd" in reference:
        return _from_credential(reference["systemd"])
    command: list[str] = reference["command"]
    if shutil.which(program_of(command, folder)) is None:
        fix = "install it, or write its full path"
        if "/" in command[0]:
            fix = "relative paths start at the manifest's folder; check the path, and `chmod +x`"
        raise Unresolvable(f"the program `{command[0]}` is not found or not executable", fix)
    return None if offline else _from_command(command, folder)


def _from_environment(variable: str) -> Secret:
    if variable not in os.environ:
        fix = f"export {variable} before the run"
        raise Unresolvable(f"the environment variable `{variable}` is not set", fix)
    return _secret(os.environ[variable], f"the environment variable `{variable}`")


def _from_credential(credential: str) -> Secret:
    name = f"the systemd credential `{credential}`"
    folder = os.environ.get(CREDENTIALS, "")
    if not folder:
        why = f"{name} is not there: {CREDENTIALS} is not set, as only a service has it"
        fix = "start the run by a systemd service with `LoadCredential=`, or use `file` or `env`"
        raise Unresolvable(why, fix)
    fix = f"add `LoadCredential={credential}:PATH` to the service, and start it again"
    return _from_file(Path(folder, credential), name, fix)


def _from_file(path: Path, name: str, fix: str) -> Secret:
    try:
        with open_regular(path) as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        why = (error.strerror or "cannot be read").lower()
        raise Unresolvable(f"{name} cannot be read: {why}", fix) from None
    return _decoded(raw, name)


def _from_command(command: list[str], folder: Path) -> Secret:
    name = f"the program `{command[0]}`"
    fix = "run it by hand to see why"
    try:
        code, printed = output_of(command, folder, max_bytes=_MAX_BYTES)
    except TooSlow:
        why = f"{name} did not end within {COMMAND_TIMEOUT_S:.0f} s, and was killed"
        raise Unresolvable(why, fix) from None
    except TooMuchOutput:
        why = f"{name} printed more than 64 KiB, and was killed"
        raise Unresolvable(why, "it must print only the secret") from None
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise Unresolvable(f"{name} could not be run: {why}", fix) from None
    if code != 0:
        raise Unresolvable(f"{name} ended with exit code {code}", fix)
    return _decoded(printed, f"the output of {name}")


def _decoded(raw: bytes, name: str) -> Secret:
    if len(raw) > _MAX_BYTES:
        raise Unresolvable(f"{name} is larger than 64 KiB", "a secret is one line of text")
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
