"""Writes the bill of materials: CycloneDX 1.6 of this version and all that it installs: `make sbom`.

It reads `requirements/run.txt` and `pyproject.toml` alone, and no clock: the same release gives the same bytes.
`SOURCE_DATE_EPOCH` is its time.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements" / "run.txt"

_PIN = re.compile(r"^(?P<name>[\w.-]+)(\[[^\]]*\])?==(?P<version>[^\s\\;]+)[^\n]*\n", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^ +# +(?:via +)?([\w.-]+)(?: +\(pyproject\.toml\))?$", re.MULTILINE)
"""What needs a package: pip-tools writes it below the package."""


def document() -> dict[str, Any]:
    """Return the bill of materials."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = PINS.read_text("utf-8")
    own = _reference(project["name"], project["version"])
    found = list(_PIN.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    components, needed_by = [], {}
    for pin, end in zip(found, ends, strict=True):
        block = text[pin.end() : end]
        components.append(_component(pin["name"], pin["version"], _HASH.findall(block)))
        needed_by[components[-1]["bom-ref"]] = _VIA.findall(block)
    references = {each["name"]: each["bom-ref"] for each in components} | {project["name"]: own}
    needs: dict[str, list[str]] = {each: [] for each in references.values()}
    for reference, names in needed_by.items():
        for name in names:
            if name in references:
                needs[references[name]].append(reference)
    digest = sha256(text.encode() + project["version"].encode()).digest()
    metadata: dict[str, Any] = {
        "component": {
            "type": "application",
            "bom-ref": own,
            "name": project["name"],
            "version": project["version"],
            "description": project["description"],
            "licenses": [{"license": {"id": project["license"]}}],
            "purl": own,
        }
    }
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        at = datetime.fromtimestamp(int(epoch), UTC)
        metadata = {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ")} | metadata
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(each)}
            for reference, each in sorted(needs.items())
        ],
    }


def _component(name: str, version: str, hashes: list[str]) -> dict[str, Any]:
    """Return a package. Each hash is of a file that may be installed: one for each platform."""
    reference = _reference(name, version)
    distributions = [
        {
            "type": "distribution",
            "url": reference,
            "hashes": [{"alg": "SHA-256", "content": each}],
        }
        for each in hashes
    ]
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        "externalReferences": distributions,
    }


def _reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"


if __name__ == "__main__":
    bill = document()
    project = bill["metadata"]["component"]
    default = ROOT / "dist" / f"{project['name']}-{project['version']}.cdx.json"
    target = Path(sys.argv[1]) if sys.argv[1:] else default
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    print(target)  # noqa: T201 - what this tool is for
