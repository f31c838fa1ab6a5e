"""Resolves the secret references of a manifest's sections; a problem names the place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.core.diagnostics.problem import Problem
from runner.core.manifest.model import Secret
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import SecretPolicy, Unresolvable, resolve_secret


def resolve_reference(
    document: Document,
    holder: Mapping[str, Any],
    field: str,
    problems: Collector,
    *,
    secrets: SecretPolicy,
) -> Secret | None:
    """Return the secret of the reference `field` of `holder`, or add a problem (R007)."""
    if secrets is SecretPolicy.NONE or not holder[field]:
        return None  # it is not to be resolved, or the schema has reported it
    folder = Path(document.tree.source.name).parent
    try:
        return resolve_secret(holder[field], folder, offline=secrets is SecretPolicy.OFFLINE)
    except Unresolvable as error:
        at = next(iter(holder[field]))
        place = document.where(holder, field, at, *([0] if at == "command" else []))
        problems.add(Problem("R007", f"`{field}`: {error}", place, error.fix))
        return None
