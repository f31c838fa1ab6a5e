"""Builds callbacks as frozen values; resolves secrets only for those that transfers use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from runner.core.diagnostics.problem import Problem
from runner.core.manifest.model import Callback, Environment, Secret
from runner.core.urls import is_loopback
from runner.core.webhook import check_webhook_secret
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import Secrets
from runner.manifest.sections.environment import resolve_reference
from runner.manifest.url_check import check_address


def check_callbacks(document: Document, problems: Collector) -> None:
    """Add the problems of all callbacks' addresses, used or not."""
    for callback in document.section("callbacks").values():
        if found := check_address(callback["url"], "url", document.where(callback, "url")):
            problems.add(found)


def build_callbacks(
    document: Document,
    environment: Environment,
    used: Collection[str],
    problems: Collector,
    *,
    secrets: Secrets,
) -> Mapping[str, Callback]:
    """Return the callbacks that may be called: the used ones, and those without a secret.

    A callback with a secret that no transfer uses is left out, so that it can never be called
    unsigned. A rehearsal suppresses calls that leave the machine (manifest.md, "Simulator"),
    so it does not resolve their secrets.
    """
    found: dict[str, Callback] = {}
    for name, written in document.section("callbacks").items():
        secret = None
        if "secret" in written and name not in used:
            continue
        if "secret" in written and not _is_suppressed(written, environment):
            secret = resolve_reference(document, written, "secret", problems, secrets=secrets)
            _check_secret(document, written, secret, problems)
        found[name] = _build(name, written, secret)
    return found


def _is_suppressed(written: Mapping[str, Any], environment: Environment) -> bool:
    if not environment.is_simulated:
        return False
    try:
        return not is_loopback(urlsplit(written["url"]).hostname or "")
    except ValueError:
        return True  # the address is invalid, which is reported already


def _build(name: str, written: Mapping[str, Any], secret: Secret | None) -> Callback:
    given = {field: written[field] for field in ("method", "allow_private") if field in written}
    if "on" in written:
        given["on"] = frozenset(written["on"])
    headers = dict(written.get("headers", {}))
    return Callback(name=name, url=written["url"], headers=headers, secret=secret, **given)


def _check_secret(
    document: Document, written: Mapping[str, Any], secret: Secret | None, problems: Collector
) -> None:
    objection = check_webhook_secret(secret.reveal()) if secret is not None else None
    if objection is not None:
        message, _, fix = objection.partition("; ")
        problems.add(Problem("R007", message, document.where(written, "secret"), fix))
