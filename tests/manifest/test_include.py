"""Sections that several manifests share: `include:` (manifest.md, "Shared sections")."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.manifest.load import Loaded
from runner.manifest.row_file_names import row_files_of
from tests.manifest.rendering import load_rows, rendered

MANIFEST = """
version: 1
name: shared-parts
include: {include}
environments: {{demo: {{driver: simulator, gateway: edge}}}}
defaults: {{media: voice}}
transfers: [{{interaction_id: call-1, destination_uri: "genesys://queue/billing"}}]
"""
GATEWAYS = "gateways: {edge: {max_bandwidth_kbps: 64, supported_codecs: [opus], max_fps: 30}}\n"
MEDIA = "media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}\n"


def loaded(folder: Path, include: str, **files: str) -> Loaded:
    (folder / "m.yaml").write_text(MANIFEST.format(include=include))
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_rows(folder / "m.yaml")[0]


def test_all_that_is_included_is_as_if_it_were_written_here(tmp_path: Path):
    found = loaded(tmp_path, "[a.yaml, b.yaml]", a=GATEWAYS, b=MEDIA)
    assert rendered(found.problems) == ""
    assert found.manifest is not None
    assert found.manifest.gateway.supported_codecs
    assert row_files_of(tmp_path / "m.yaml") == ["a.yaml", "b.yaml"], "a submission carries them"


def test_a_plan_is_held_to_included_files_too(tmp_path: Path):
    digests = set()
    for kbps in (64, 64, 65):
        text = GATEWAYS.replace("64", str(kbps)) + MEDIA
        manifest = loaded(tmp_path, "a.yaml", a=text).manifest
        assert manifest is not None
        digests.add(manifest.sha256)
    assert len(digests) == 2


@pytest.mark.parametrize("include", ["no-such.yaml", "[a.yaml, no-such.yaml]"])
def test_a_missing_file_causes_no_further_problems(include: str, tmp_path: Path):
    found = loaded(tmp_path, include, a="callbacks: {}\n")
    [problem] = found.problems
    assert (problem.code, problem.place.line) == ("R015", 4)
    assert "`no-such.yaml` does not exist" in problem.message


@pytest.mark.parametrize("include", ["5", "[]", "[1]", "''"])
def test_what_is_not_a_file_is_the_schemas_matter(include: str, tmp_path: Path):
    codes = {problem.code for problem in loaded(tmp_path, include).problems}
    assert any(code.startswith(("S", "R015")) for code in codes)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path):
    folder = tmp_path / "batch"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(GATEWAYS + MEDIA)
    (folder / "a.yaml").symlink_to(tmp_path / "outside.yaml")
    [problem] = loaded(folder, "a.yaml").problems
    assert "outside the manifest's folder" in problem.message


def test_a_secret_in_an_included_file_is_hidden(tmp_path: Path):
    text = "callbacks: {crm: {url: 'https://a.example/', secret: hunter2, secrte: 5}}\n"
    found = loaded(tmp_path, "a.yaml", a=GATEWAYS + MEDIA + text)
    assert found.problems
    assert all(problem.hide for problem in found.problems)
    assert "hunter2" not in rendered(found.problems)


def test_files_include_each_other_only_once(tmp_path: Path):
    found = loaded(
        tmp_path, "a.yaml", a="include: b.yaml\n" + GATEWAYS, b="include: a.yaml\n" + MEDIA
    )
    [problem] = found.problems
    assert problem.place.file.endswith("b.yaml")
    assert "`a.yaml` includes itself in the end" in problem.message
