"""Files for editors: the schema bound to manifests, and snippets (docs/editors.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.schemas_lookup import schema_text

PATTERNS = ("manifest.yaml", "manifests/*.yaml", "*.runner.yaml")
"""The files that count as manifests."""

SCHEMA = "runner.manifest.v1.schema.json"


@frozen
class Snippet:
    """A piece of a manifest; `${1:text}` is a place to fill in, with what stands there at first."""

    prefix: str
    description: str
    body: str


SNIPPETS = (
    Snippet(
        "runner-environment",
        "An environment of a manifest",
        """\
${1:production}:
  driver: ${2:interaction-websocket}
  region: ${3:us}
  credentials:
    client_id: {env: ${4:GENESYS_CLIENT_ID}}
    client_secret: {env: ${5:GENESYS_CLIENT_SECRET}}
  gateway: ${6:edge}
  limits: {rate: ${7:10/s}, in_flight: ${8:16}}
""",
    ),
    Snippet(
        "runner-rehearsal",
        "An environment that rehearses with the embedded gateway",
        """\
${1:rehearsal}:
  driver: simulator
  gateway: ${2:edge}
  simulator: {latency: ${3:20ms}, seed: ${4:1}}
""",
    ),
    Snippet(
        "runner-gateway",
        "A gateway's constraints",
        """\
${1:edge}:
  max_bandwidth_kbps: ${2:2048}
  supported_codecs: [${3:opus}]
  max_fps: ${4:30}
""",
    ),
    Snippet(
        "runner-transfer",
        "A transfer",
        """\
- key: ${1:vip-1}
  interaction_id: ${2:3f2504e0-4f89-41d3-9a0c-0305e82c3301}
  destination_uri: ${3:genesys://queue/billing-new}
""",
    ),
    Snippet(
        "runner-from",
        "Transfers from a CSV file",
        """\
- from: ${1:billing.csv}
  columns: {interaction_id: ${2:conversationId}, destination_uri: "${3:genesys://queue/{target\\}}"}
""",
    ),
    Snippet(
        "runner-select",
        "What waits in a queue of the vendor's platform",
        """\
- select: {queue: ${1:Billing EU}, older_than: ${2:10m}, limit: ${3:500}}
  destination_uri: ${4:genesys://queue/Billing Overflow}
""",
    ),
)

_PLACE = re.compile(r"\$\{(\d+):((?:[^}\\]|\\.)*)\}")


def filled_in(snippet: Snippet) -> str:
    """Return a snippet with what stands in its places at first."""
    return _PLACE.sub(lambda found: found[2].replace("\\}", "}"), snippet.body)


def editor_files(editor: str) -> Mapping[str, str]:
    """Return the files for an editor (`vscode` or `jetbrains`), by their paths in a project."""
    schema = schema_text("manifest.v1")
    if editor == "vscode":
        return {
            ".vscode/settings.json": _json({"yaml.schemas": {f".vscode/{SCHEMA}": [*PATTERNS]}}),
            ".vscode/extensions.json": _json({"recommendations": ["redhat.vscode-yaml"]}),
            ".vscode/runner.code-snippets": _json(
                {
                    each.description: {
                        "scope": "yaml",
                        "prefix": each.prefix,
                        "body": each.body.rstrip("\n").split("\n"),
                        "description": each.description,
                    }
                    for each in SNIPPETS
                }
            ),
            f".vscode/{SCHEMA}": schema,
        }
    return {
        ".idea/jsonSchemas.xml": _mapping(),
        ".idea/runner-templates.xml": _templates(),
        f".idea/{SCHEMA}": schema,
    }


EDITORS = ("vscode", "jetbrains")


def shown_files(editor: str) -> str:
    """Return the files for an editor as text, each below its path; the schema is left out."""
    parts = [
        f"{path}:\n{text.rstrip()}\n"
        for path, text in editor_files(editor).items()
        if not path.endswith(SCHEMA)
    ]
    written = f"`runner schema --editor {editor} --out .` writes them, and the schema beside them"
    return "\n".join([*parts, f"{written}.\n"])


def write_editor_files(editor: str, folder: Path) -> list[Path]:
    """Write the files for an editor below a folder; return their paths.

    Raises `UsageError`, and writes nothing, if one of them is there and differs: a person's
    settings are not replaced. The schema is: a newer version has a newer one.
    """
    files = {folder / path: text for path, text in editor_files(editor).items()}
    try:
        for path, text in files.items():
            if path.name != SCHEMA and path.exists() and path.read_text("utf-8") != text:
                raise UsageError(
                    f"{path} exists and is not as it would be written; add to it what"
                    f" `runner schema --editor {editor}` prints, or move it away"
                )
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"the files for {editor} cannot be written to {folder} ({why})") from error
    return list(files)


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _mapping() -> str:
    """Return JetBrains's mapping of the schema to manifests."""
    items = "".join(
        f"""
              <Item>
                <option name="pattern" value="true" />
                <option name="path" value={quoteattr(pattern)} />
                <option name="mappingKind" value="Pattern" />
              </Item>"""
        for pattern in PATTERNS
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<project version="4">
  <component name="JsonSchemaMappingsProjectConfiguration">
    <state>
      <map>
        <entry key="runner manifest">
          <value>
            <SchemaInfo>
              <option name="name" value="runner manifest" />
              <option name="relativePathToSchema" value=".idea/{SCHEMA}" />
              <option name="schemaVersion" value="JSON Schema version 2020-12" />
              <option name="patterns">
                <list>{items}
                </list>
              </option>
            </SchemaInfo>
          </value>
        </entry>
      </map>
    </state>
  </component>
</project>
"""


def _templates() -> str:
    """Return the snippets as JetBrains's live templates."""
    return "\n".join(
        ['<templateSet group="runner">', *map(_template, SNIPPETS), "</templateSet>\n"]
    )


def _template(snippet: Snippet) -> str:
    text = _PLACE.sub(r"$P\1$", snippet.body.rstrip("\n"))
    variables = "".join(
        f'\n    <variable name="P{number}" expression=""'
        f" defaultValue={_attribute(json.dumps(default.replace(chr(92) + '}', '}')))}"
        ' alwaysStopAt="true" />'
        for number, default in _PLACE.findall(snippet.body)
    )
    return (
        f"  <template name={_attribute(snippet.prefix)} value={_attribute(text)}"
        f' description={_attribute(snippet.description)} toReformat="false"'
        f' toShortenFQNames="false">{variables}\n'
        '    <context><option name="YAML" value="true" /></context>\n  </template>'
    )


def _attribute(text: str) -> str:
    return quoteattr(text, {"\n": "&#10;"})
