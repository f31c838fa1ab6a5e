"""Checks gates and the waves that name them, and builds them as frozen values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from runner.core.diagnostics.problem import Problem
from runner.core.gates import (
    DEFAULT_TIMEOUT_S,
    Bound,
    CommandGate,
    Gate,
    QueueGate,
    UrlGate,
    parse_bound,
    parse_pointer,
)
from runner.core.manifest.model import DriverTraits, Environment
from runner.core.manifest.quantity import parse_duration
from runner.core.urls import is_loopback
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import SecretPolicy
from runner.manifest.sections.secrets import resolve_reference
from runner.manifest.suggestions import offer
from runner.manifest.url_check import check_address

_QUEUE_FIGURES = ("waiting", "on_queue", "estimated_wait")


def check_gates(document: Document, driver: DriverTraits | None, problems: Collector) -> None:
    """Add the problems of gates, and of waves that name one that is not defined."""
    for gate in document.section("gates").values():
        if "url" in gate and (
            found := check_address(gate["url"], "url", document.where(gate, "url"))
        ):
            problems.add(found)
        for pointer in gate.get("json", ()):
            _check_pointer(pointer, document, gate["json"], problems)
        if "queue" in gate and driver is not None and not driver.can_observe_capacity:
            message = f"the driver {driver.name} cannot observe the figures of a queue"
            fix = "use a `url` or a `command` gate, or delete it"
            problems.add(Problem("S012", message, document.where(gate, "queue"), fix))
    _check_names(document, problems)


def _check_pointer(
    pointer: str, document: Document, holder: Mapping[str, Any], problems: Collector
) -> None:
    try:
        parse_pointer(pointer)
    except ValueError as error:
        message, _, fix = str(error).partition("; ")
        problems.add(Problem("S005", message, document.where(holder, pointer), fix))


def _check_names(document: Document, problems: Collector) -> None:
    known = document.defined["gates"]
    for wave in document.section("policy").get("waves", ()):
        names = wave.get("gates", ()) if isinstance(wave, Mapping) else ()
        for index, name in enumerate(names):
            if name not in known:
                fix = offer(name, known, kind="gate", written=name)
                place = document.where(wave, "gates", index)
                problems.add(Problem("R001", f"unknown gate `{name}`", place, fix))


def build_gates(
    document: Document, environment: Environment, problems: Collector, *, secrets: SecretPolicy
) -> Mapping[str, Gate]:
    """Return the gates; the schema has accepted them."""
    return {
        name: _build(
            name,
            written,
            lambda headers: _headers(headers, document, problems, secrets),
            source=_source(document, name),
            is_simulated=environment.is_simulated,
        )
        for name, written in document.section("gates").items()
    }


def _build(
    name: str,
    written: Mapping[str, Any],
    resolve: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    source: str,
    is_simulated: bool,
) -> Gate:
    every_s = parse_duration(written["every"]) if "every" in written else None
    timeout_s = parse_duration(written["timeout"]) if "timeout" in written else DEFAULT_TIMEOUT_S
    if "command" in written:
        command = tuple(written["command"])
        return CommandGate(name=name, every_s=every_s, timeout_s=timeout_s, command=command)
    if "queue" in written:
        figures = {each: written[each] for each in _QUEUE_FIGURES if each in written}
        bounds = _bounds(figures)
        queue = written["queue"]
        return QueueGate(
            name=name,
            every_s=every_s,
            timeout_s=timeout_s,
            queue=queue,
            bounds=bounds,
            source=source,
        )
    is_asked = not is_simulated or is_loopback(_host(written["url"]))
    return UrlGate(
        name=name,
        every_s=every_s,
        timeout_s=timeout_s,
        url=written["url"],
        headers=resolve(written.get("headers", {})) if is_asked else {},
        status=int(written.get("status", 200)),
        bounds=_bounds(written.get("json", {})),
        allow_private=written.get("allow_private", False),
    )


def _source(document: Document, name: str) -> str:
    place = document.tree.key(document.section("gates"), name)
    return f"{place.file}:{place.line}"


def _bounds(written: Mapping[str, str]) -> Mapping[str, Bound]:
    return {name: parse_bound(text) for name, text in written.items()}


def _headers(
    written: Mapping[str, Any], document: Document, problems: Collector, secrets: SecretPolicy
) -> Mapping[str, Any]:
    """Return the headers, with the secrets that some refer to."""
    found: dict[str, Any] = {}
    for name, value in written.items():
        if isinstance(value, str):
            found[name] = value
        else:
            secret = resolve_reference(document, written, name, problems, secrets=secrets)
            if secret is not None:
                found[name] = secret
    return found


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
