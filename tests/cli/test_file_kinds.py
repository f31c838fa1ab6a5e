"""What a manifest or an option names, and is no file that can be read: each is told as what it is."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Harness, manifest
from tests.foreign.gateway import Gateway


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the address of a socket is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def folder(path: Path) -> None:
    path.mkdir()


def circular_link(path: Path) -> None:
    path.symlink_to(path.name)


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


KINDS = [
    (named_pipe, "a named pipe, not a regular file"),
    (unix_socket, "a socket, not a regular file"),
    (folder, "a folder, not a file"),
    (circular_link, "a circular link"),
    (dangling_link, "a link to nowhere, which is not there"),
]
NAMES = [("f\0x.csv", "its name has a nul character"), ("f" * 300 + ".csv", "file name too long")]


def naming(gateway: Gateway, field: str, name: str) -> dict[str, Any]:
    content = manifest(gateway, [])
    match field:
        case "include":
            content["include"] = [name]
        case "from":
            content["transfers"] = [{"from": name}]
        case "exclude_from":
            content["exclude_from"] = name
        case "ca_file":
            content["environments"]["foreign"]["tls"] = {"ca_file": name}
    return content


@pytest.mark.parametrize("field", ["include", "from", "exclude_from", "ca_file"])
def test_what_a_manifest_names_is_told_as_what_it_is(
    harness: Harness, gateway: Gateway, field: str
):
    for number, (make, told) in enumerate(KINDS):
        name = f"named-{number}.csv"
        make(harness.folder / name)
        ended = harness.run("plan", harness.write(naming(gateway, field, name)))
        assert (ended.code, told in ended.out + ended.err) == (3, True), (make, ended)
    for name, told in NAMES:
        ended = harness.run("plan", harness.write(naming(gateway, field, name)))
        assert (ended.code, told in ended.out + ended.err) == (3, True), ended


def test_a_journal_that_is_no_file_is_told_as_what_it_is(harness: Harness, gateway: Gateway):
    path = harness.write(manifest(gateway, []))
    for make, told in KINDS[:3]:
        make(harness.folder / make.__name__)
        ended = harness.run("apply", path, "--journal", make.__name__)
        assert ended.code == 74, ended
        assert f"{make.__name__} is {told.partition(',')[0]}; name a file" in ended.err


def test_a_report_folder_that_is_none_is_told_as_what_it_is(harness: Harness, gateway: Gateway):
    path = harness.write(manifest(gateway, []))
    kinds = [(make, told) for make, told in KINDS if make is not folder]
    for make, told in kinds:
        make(harness.folder / make.__name__)
        ended = harness.run("apply", path, "--report-dir", f"{make.__name__}/reports")
        assert ended.code == 74, ended
        if make is circular_link:  # whether reports of the batch lie behind it is not known
            assert "unknown whether the journal is whole" in ended.err, ended
        else:
            assert told.partition(", not")[0].partition(" to ")[0] in ended.err, ended
    ended = harness.run("apply", path, "--report-dir", "r" * 300)
    assert (ended.code, "file name too long" in ended.err) == (74, True), ended
