"""Builds callbacks as frozen values; resolves secrets only for those that transfers use."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from runner.core.diagnostics.problem import Problem
from runner.core.manifest.model import Callback, Environment, Secret, plain
from runner.core.urls import is_loopback
from runner.core.webhook import check_webhook_secret, weak_webhook_secret
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import SecretPolicy
from runner.manifest.sections.secrets import resolve_reference
from runner.manifest.url_check import check_address

NOWHERE = "https://unresolved.invalid/"
"""The address of a callback whose reference was not resolved, and that is not called."""

_ADDRESS = re.compile(r"https?://\S+")
_HEADER_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")


def check_callbacks(document: Document, problems: Collector) -> None:
    """Add the problems of all callbacks' addresses, used or not."""
    for callback in document.section("callbacks").values():
        if not isinstance(callback["url"], str):
            continue  # a secret, which is checked once it is resolved
        if found := check_address(callback["url"], "url", document.where(callback, "url")):
            problems.add(found)


def build_callbacks(
    document: Document,
    environment: Environment,
    used: Collection[str],
    problems: Collector,
    *,
    secrets: SecretPolicy,
) -> Mapping[str, Callback]:
    """Return the callbacks that may be called: the used ones, and those without secrets.

    A callback with secrets that no transfer uses is left out, so that it can never be called
    unsigned. A rehearsal suppresses calls that leave the machine (manifest.md, "Simulator"),
    so it does not resolve their secrets.
    """
    found: dict[str, Callback] = {}
    for name, written in document.section("callbacks").items():
        if _holds_secrets(written) and name not in used:
            continue
        url = _url(document, written, environment, problems, secrets=secrets)
        if _is_suppressed(url, environment):
            found[name] = _build(name, written, url, None, {})
            continue
        secret = None
        if "secret" in written:
            secret = resolve_reference(document, written, "secret", problems, secrets=secrets)
            _check_secret(document, written, secret, problems, is_real=not environment.is_simulated)
        headers = _headers(document, written, problems, secrets=secrets)
        found[name] = _build(name, written, url, secret, headers)
    return found


def _holds_secrets(written: Mapping[str, Any]) -> bool:
    values = (written["url"], *written.get("headers", {}).values())
    return "secret" in written or not all(isinstance(value, str) for value in values)


def _url(
    document: Document,
    written: Mapping[str, Any],
    environment: Environment,
    problems: Collector,
    *,
    secrets: SecretPolicy,
) -> str | Secret:
    """Return the address, as it is written or as its reference says.

    A rehearsal calls loopback addresses alone: a reference that it cannot resolve is not needed.
    """
    if isinstance(written["url"], str):
        return str(written["url"])
    own = Collector() if environment.is_simulated else problems
    secret = resolve_reference(document, written, "url", own, secrets=secrets)
    if secret is None:
        return NOWHERE
    place = document.where(written, "url")
    if check_address(secret.reveal(), "url", place) or not _ADDRESS.fullmatch(secret.reveal()):
        message = "`url`: what its reference holds is not an address that may be called"
        fix = "store an https:// address there, without user name, password and fragment"
        problems.add(Problem("R007", message, place, fix, hide=True))
    return secret


def _headers(
    document: Document, written: Mapping[str, Any], problems: Collector, *, secrets: SecretPolicy
) -> Mapping[str, str | Secret]:
    """Return the headers, with the secrets that some refer to."""
    given = written.get("headers", {})
    found: dict[str, str | Secret] = {}
    for name, value in given.items():
        if isinstance(value, str):
            found[name] = value
            continue
        secret = resolve_reference(document, given, name, problems, secrets=secrets)
        if secret is None:
            continue
        if not _HEADER_VALUE.fullmatch(secret.reveal()):
            message = f"`{name}`: what its reference holds is not printable ASCII on one line"
            fix = "store the header's value there, as it is sent"
            problems.add(Problem("R007", message, document.where(given, name), fix, hide=True))
        found[name] = secret
    return found


def _is_suppressed(url: str | Secret, environment: Environment) -> bool:
    if not environment.is_simulated:
        return False
    try:
        return not is_loopback(urlsplit(plain(url)).hostname or "")
    except ValueError:
        return True  # the address is invalid, which is reported already


def _build(
    name: str,
    written: Mapping[str, Any],
    url: str | Secret,
    secret: Secret | None,
    headers: Mapping[str, str | Secret],
) -> Callback:
    given = {field: written[field] for field in ("method", "allow_private") if field in written}
    if "on" in written:
        given["on"] = frozenset(written["on"])
    return Callback(name=name, url=url, headers=headers, secret=secret, **given)


def _check_secret(
    document: Document,
    written: Mapping[str, Any],
    secret: Secret | None,
    problems: Collector,
    *,
    is_real: bool,
) -> None:
    if secret is None:
        return
    objection = check_webhook_secret(secret.reveal())
    if objection is None and is_real:
        objection = weak_webhook_secret(secret.reveal())
    if objection is not None:
        message, _, fix = objection.partition("; ")
        problems.add(Problem("R007", message, document.where(written, "secret"), fix))
