"""Text that is not a manifest is refused before it is parsed, with the fix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.manifest.yaml.source import MAX_BYTES
from tests.manifest.rendering import load_rows, rendered


def result(path: Path) -> str:
    return rendered(load_rows(path)[0].problems)


def test_a_manifest_that_is_not_there_is_looked_for_by_its_nearest_name(tmp_path: Path):
    (tmp_path / "nightly.yaml").write_text("version: 1")
    path = tmp_path / "nigthly.yaml"
    assert result(path) == (
        f"{path}:1:1: error[Y001] the manifest cannot be read: no such file or directory"
        f" | help: did you mean {tmp_path}/nightly.yaml?\n"
    )


def test_a_relative_path_is_reported_with_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert result(Path("batch.yaml")) == (
        "batch.yaml:1:1: error[Y001] the manifest cannot be read: no such file or directory"
        f" | help: check the path, which starts at {tmp_path}; "
        "`runner init` writes a first manifest\n"
    )


def test_a_path_that_starts_in_a_folder_that_is_gone_is_reported_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "| help: check the path; `runner init`" in result(Path("batch.yaml"))


def test_standard_input_is_not_a_manifest():
    assert result(Path("-")) == (
        "-:1:1: error[Y001] the manifest cannot be read: no such file or directory"
        " | help: a manifest is not read from standard input: write it to a file, "
        "because the journal and the row files are kept beside it\n"
    )


def test_a_folder_is_answered_with_a_manifest_in_it(tmp_path: Path):
    assert result(tmp_path) == (
        f"{tmp_path}:1:1: error[Y001] the manifest is a folder | help: name a file in it\n"
    )
    (tmp_path / "b.yaml").touch()
    assert result(tmp_path).endswith(f"| help: name a file in it, such as {tmp_path}/b.yaml\n")


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_a_pipe_or_a_device_is_not_waited_for(name: str, tmp_path: Path):
    path = tmp_path / name
    if name == "pipe":
        os.mkfifo(path)
    assert result(path) == (
        f"{path}:1:1: error[Y001] the manifest is a pipe or a device, not a file"
        " | help: write it to a file first: the journal and the row files are kept beside it\n"
    )


def test_links_in_a_circle_are_reported(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.symlink_to(path)
    assert result(path) == (
        f"{path}:1:1: error[Y001] the manifest cannot be read: too many levels of symbolic links"
        " | help: check the path and its permissions\n"
    )


def test_a_manifest_beyond_64_mb_is_reported_to_use_a_file_of_rows(tmp_path: Path):
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert result(path) == (
        f"{path}:1:1: error[Y002] the manifest is larger than 64 MB"
        " | help: move the transfers to a .csv or .jsonl file and refer to it with `- from: FILE`\n"
    )


def test_what_else_is_wrong_is_shown_beside_a_byte_that_is_not_utf_8(tmp_path: Path):
    text = """version: 1
name: m
description: Köln
environments: {demo: {driver: simulator, gateway: edge}}
gateways: {edge: {max_bandwidth_kbps: 1024, supported_codecs: [opus], max_fps: 30}}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voise}
transfers:
  - {interaction_id: Köln, destination_uri: "tel:+44"}
  - {interaction_id: Käln, destination_uri: "tel:+44"}
"""
    path = tmp_path / "m.yaml"
    path.write_text(text, encoding="latin-1")
    assert result(path) == (
        f"{path}:3:15: error[Y003] the byte 0xf6 is not UTF-8 | help: save the file as UTF-8\n"
        f"{path}:7:19: error[R001] unknown media matrix `voise` | help: did you mean `voice`?\n"
    )
