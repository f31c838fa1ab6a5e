"""Turns gateways into frozen values; what replies mean is checked for each, chosen or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.evidence import Dedupes, Expires, Promise
from runner.core.manifest import GatewayConstraints
from runner.core.problem import Problem, Related
from runner.core.quantity import parse_duration
from runner.core.rules import check_statuses
from runner.loading.collector import Collector
from runner.loading.schema import Document


def check_gateways(document: Document, problems: Collector) -> None:
    """Add what is wrong with the gateways' further statuses."""
    for gateway in document.section("gateways").values():
        statuses = gateway.get("statuses", {})
        found = check_statuses(statuses.get("carried_out", ()), statuses.get("not_carried_out", ()))
        for finding in found:
            place = document.where(gateway, "statuses", *finding.part)
            related: tuple[Related, ...] = ()
            if finding.other is not None:
                other = document.where(gateway, "statuses", *finding.other)
                related = (Related(other, "listed here as carried out"),)
            problems.add(
                Problem(finding.code, finding.message, place, finding.help, related=related)
            )


def build_gateway(document: Document, environment: str | None) -> GatewayConstraints | None:
    """Return the gateway of the environment called `environment`; None if there is none sound."""
    found = document.section("environments").get(environment or "", {})
    name = found.get("gateway")
    gateway = document.section("gateways").get(name) if name is not None else None
    if gateway is None:
        return None
    statuses = gateway.get("statuses", {})
    return GatewayConstraints(
        name=name,
        max_bandwidth_kbps=gateway["max_bandwidth_kbps"],
        supported_codecs=tuple(gateway["supported_codecs"]),
        max_fps=gateway["max_fps"],
        max_resolution=gateway.get("max_resolution"),
        total_bandwidth_kbps=gateway.get("total_bandwidth_kbps"),
        promise=_promise(gateway.get("delivery", {})),
        carried_out=frozenset(statuses.get("carried_out", ())),
        not_carried_out=frozenset(statuses.get("not_carried_out", ())),
    )


def _promise(delivery: Mapping[str, Any]) -> Promise:
    if "dedupes" in delivery:
        return Dedupes(parse_duration(delivery["dedupes"]))
    if "expires" not in delivery:
        return None
    expires_s = parse_duration(delivery["expires"])
    if "visible" not in delivery:
        return Expires(expires_s)
    return Expires(expires_s, parse_duration(delivery["visible"]))
