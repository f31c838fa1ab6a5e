"""Checks all gateways, and builds the chosen one as frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from runner.core.diagnostics.problem import Place, Problem, Related
from runner.core.manifest.model import DriverTraits, GatewayConstraints
from runner.core.manifest.quantity import parse_duration
from runner.core.manifest.rules import check_statuses
from runner.core.transfer.doubt_evidence import CLOCK_MARGIN_S, VISIBLE_S, Dedupes, Expires, Promise
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.sections.environment import driver_of


def check_gateways(document: Document, problems: Collector) -> None:
    """Add the problems of the gateways' further statuses."""
    for gateway in document.section("gateways").values():
        statuses = gateway.get("statuses", {})
        found = check_statuses(statuses.get("carried_out", ()), statuses.get("not_carried_out", ()))
        for finding in found:
            place = document.where(gateway, "statuses", *finding.part)
            related: tuple[Related, ...] = ()
            if finding.other is not None:
                other = document.where(gateway, "statuses", *finding.other)
                related = (Related(other, "first here"),)
            problems.add(
                Problem(finding.code, finding.message, place, finding.help, related=related)
            )


def check_promise(document: Document, environment: str | None, problems: Collector) -> None:
    """Add a promise that the driver of `environment` does not allow."""
    found = document.section("environments").get(environment or "", {})
    gateway = document.section("gateways").get(found.get("gateway", ""), {})
    delivery, driver = gateway.get("delivery", {}), driver_of(document, environment)
    refused = next((each for each in delivery if each in _PROMISES - driver.promises), None)
    if refused is not None:
        place = document.tree.key(delivery, refused)
        problems.add(_refused(driver, refused, place))
    elif "expires" in delivery and parse_duration(delivery["expires"]) <= driver.longest_request_s:
        place, longest = document.where(delivery, "expires"), f"{driver.longest_request_s:g}s"
        message = (
            f"`expires` is {delivery['expires']}; a request to `{driver.name}` may take {longest}"
        )
        fix = f"write more than {longest}, such as `expires: {driver.longest_request_s * 1.5:g}s`"
        problems.add(Problem("S012", message, place, fix))


_PROMISES = frozenset({"dedupes", "expires"})


def _refused(driver: DriverTraits, promise: str, place: Place) -> Problem:
    if promise == "dedupes" and driver.no_dedupes is not None:
        why, fix = driver.no_dedupes
        message = f"`{driver.name}` does not recognise repeated requests: {why}"
        return Problem("S012", message, place, fix)
    message = f"gateways of `{driver.name}` cannot promise `{promise}`"
    return Problem("S012", message, place, f"delete `{promise}`")


def build_gateway(document: Document, environment: str | None) -> GatewayConstraints | None:
    """Return the gateway of `environment`, or None.

    Fields that a faulty one lacks are unlimited, so that the rest can be checked.
    """
    found = document.section("environments").get(environment or "", {})
    name = found.get("gateway")
    gateway = document.section("gateways").get(name) if name is not None else None
    if gateway is None:
        return None
    statuses = gateway.get("statuses", {})
    return GatewayConstraints(
        name=name,
        max_bandwidth_kbps=gateway.get("max_bandwidth_kbps", math.inf),
        supported_codecs=tuple(gateway.get("supported_codecs", ())),
        max_fps=gateway.get("max_fps", math.inf),
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
    visible, skew = delivery.get("visible"), delivery.get("skew")
    return Expires(
        parse_duration(delivery["expires"]),
        VISIBLE_S if visible is None else parse_duration(visible),
        CLOCK_MARGIN_S if skew is None else parse_duration(skew),
    )
