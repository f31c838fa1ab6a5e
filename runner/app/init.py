"""`init`: writes a first manifest that runs, and its schema."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from runner.core.errors import UsageError
from runner.schemas_lookup import schema_text

MANIFEST_NAME = "manifest.yaml"
SCHEMA_NAME = "manifest.v1.schema.json"

EDITOR_ADVICE = """\
The schema completes names, explains them on hover and marks mistakes while you type.
Save it beside the manifest:    runner schema manifest > manifest.v1.schema.json
and begin the manifest with:    # yaml-language-server: $schema=manifest.v1.schema.json

All of it for a project, with snippets:   runner schema --editor vscode --out .
                                   or:    runner schema --editor jetbrains --out .

VS Code     the extension "YAML" (redhat.vscode-yaml) reads that line; or, for a whole folder,
            settings.json: "yaml.schemas": {"manifest.v1.schema.json": "manifests/*.yaml"}
Neovim      yamlls (yaml-language-server) reads that line too; with lspconfig:
            settings = { yaml = { schemas = { ["manifest.v1.schema.json"] = "manifests/*.yaml" } } }
JetBrains   Settings > Languages & Frameworks > Schemas and DTDs > JSON Schema Mappings:
            add the file, version "JSON Schema 2020-12", pattern manifests/*.yaml
"""


_TEMPLATES = files("runner.app").joinpath("templates")


def templates() -> Sequence[str]:
    """Return the drivers that have a template, by name."""
    names = (each.name for each in _TEMPLATES.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def write_template(folder: Path, driver: str | None = None) -> Path:
    """Write the first manifest and its schema; an existing manifest is never overwritten.

    `driver` is the one that it is for; None: a rehearsal, and production to be filled in.

    Raises `UsageError` if there is one, if the driver has no template, or if the folder cannot be written to.
    """
    path = folder / MANIFEST_NAME
    if driver is not None and driver not in templates():
        raise UsageError(f"no template for driver {driver!r}; use one of {', '.join(templates())}")
    template = files("runner.app").joinpath("first_manifest.yaml")
    if driver is not None:
        template = _TEMPLATES.joinpath(f"{driver}.yaml")
    text = template.read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
        (folder / SCHEMA_NAME).write_text(schema_text("manifest.v1"), encoding="utf-8")
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; give another folder") from error
    except OSError as error:
        raise _unusable(folder, error) from error
    return path


def _unusable(folder: Path, error: OSError) -> UsageError:
    why = (error.strerror or type(error).__name__).lower()
    if isinstance(error, FileExistsError | NotADirectoryError):
        why = "it is, or is in, a file instead of a folder"
    return UsageError(f"cannot write to {folder}: {why}; give another folder")
