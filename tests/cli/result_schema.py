"""What `--output json` prints, held to its schema by two validators."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import jsonschema_rs
from referencing import Registry

from runner.schemas_lookup import schema

RESULT = schema("result.v1")


def checked(text: str, kind: str) -> dict[str, Any]:
    """Return a command's document, once both validators have accepted it."""
    result: dict[str, Any] = json.loads(text)
    jsonschema_rs.validator_for(RESULT).validate(result)
    jsonschema.Draft202012Validator(RESULT, registry=Registry()).validate(result)
    assert (result["version"], result["kind"]) == (1, kind)
    return result
