"""What editors are given is what they read, and never replaces a person's settings."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from lxml import etree

from runner.app.editor_files import (
    EDITORS,
    PATTERNS,
    SNIPPETS,
    Snippet,
    editor_files,
    filled_in,
    write_editor_files,
)
from runner.core.errors import UsageError
from runner.schemas_lookup import schema_text
from tests.e2e.harness import run

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = {"environment": "environments", "rehearsal": "environments", "gateway": "gateways"}


def manifest_with(snippet: Snippet) -> dict[str, Any]:
    edge = {"edge": {"max_bandwidth_kbps": 1, "supported_codecs": ["opus"], "max_fps": 30}}
    plain: dict[str, Any] = {
        "version": 1,
        "name": "x",
        "environments": {"a": {"driver": "simulator", "gateway": "edge"}},
        "gateways": edge,
        "transfers": [],
    }
    content = yaml.safe_load(filled_in(snippet))
    return plain | {SECTIONS.get(snippet.prefix.removeprefix("runner-"), "transfers"): content}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda each: each.prefix)
def test_each_snippet_is_valid_as_it_is_inserted(snippet: Snippet):
    schema = jsonschema_rs.validator_for(json.loads(schema_text("manifest.v1")))
    assert [error.message for error in schema.iter_errors(manifest_with(snippet))] == []


def test_vscode_binds_the_schema_that_lies_beside_and_knows_each_snippet():
    files = editor_files("vscode")
    [(schema, patterns)] = json.loads(files[".vscode/settings.json"])["yaml.schemas"].items()
    assert json.loads(files[schema])["$id"] == "urn:runner:schema:manifest.v1"
    assert any(fnmatch("manifest.yaml", pattern) for pattern in patterns)
    snippets = json.loads(files[".vscode/runner.code-snippets"])
    assert [each["prefix"] for each in snippets.values()] == [each.prefix for each in SNIPPETS]


def test_jetbrains_maps_the_schema_and_its_templates_expand_to_the_same():
    files = editor_files("jetbrains")
    mapping = etree.fromstring(files[".idea/jsonSchemas.xml"].encode())
    [schema] = mapping.xpath("//option[@name='relativePathToSchema']/@value")
    assert schema in files
    assert tuple(mapping.xpath("//option[@name='path']/@value")) == PATTERNS
    templates = etree.fromstring(files[".idea/runner-templates.xml"].encode())
    expanded = {}
    for each in templates:
        text = each.get("value")
        for variable in each.iter("variable"):
            default = json.loads(variable.get("defaultValue"))
            text = text.replace(f"${variable.get('name')}$", default)
        expanded[each.get("name")] = f"{text}\n"
    assert expanded == {each.prefix: filled_in(each) for each in SNIPPETS}


@pytest.mark.parametrize("editor", EDITORS)
def test_files_are_written_again_but_settings_are_never_replaced(editor: str, tmp_path: Path):
    paths = write_editor_files(editor, tmp_path)
    assert write_editor_files(editor, tmp_path) == paths
    paths[-1].write_text("an older schema")
    write_editor_files(editor, tmp_path)
    assert paths[-1].read_text() == schema_text("manifest.v1")
    paths[0].write_text("{} // mine")
    paths[1].unlink()
    with pytest.raises(UsageError, match="exists and is not as it would be written"):
        write_editor_files(editor, tmp_path)
    assert paths[0].read_text() == "{} // mine"
    assert not paths[1].exists()


def test_the_command_shows_and_writes_them(tmp_path: Path):
    shown = run("schema", "--editor", "vscode", cwd=tmp_path)
    assert (shown.code, ".vscode/settings.json:" in shown.out) == (0, True)
    assert not list(tmp_path.iterdir())
    written = run("schema", "--editor", "jetbrains", "--out", ".", cwd=tmp_path)
    assert written.code == 0, written.err
    assert (tmp_path / ".idea" / "jsonSchemas.xml").is_file()
    assert "VS Code" in run("schema", "--editor", cwd=tmp_path).out
    assert run("schema", "--out", ".", cwd=tmp_path).code == 2


def test_the_catalogue_entry_has_what_json_schema_store_asks_for():
    entry = json.loads((DOCS / "schemastore-entry.json").read_text("utf-8"))
    assert list(entry) == ["name", "description", "fileMatch", "url"]
    assert entry["fileMatch"] == ["*.runner.yaml", "*.runner.yml"]
    assert re.fullmatch(r"https://\S+/manifest\.v1\.schema\.json", entry["url"])
