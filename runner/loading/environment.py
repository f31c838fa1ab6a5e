"""Chooses the environment and turns it into frozen values; all addresses are checked, chosen or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner.core.manifest import Driver, Endpoints, Environment, Limits, Secret, SimulatorOptions
from runner.core.problem import Place, Problem
from runner.core.quantity import parse_duration, parse_rate, parse_share
from runner.core.regions import INTERACTION_WEBSOCKET_REGIONS
from runner.loading.addresses import check_address
from runner.loading.collector import Collector
from runner.loading.names import listed, offer
from runner.loading.references import Unresolvable, resolve_secret
from runner.loading.schema import Document

_ADDRESSES = ("token_url", "api_url", "websocket_url")


def choose(document: Document, wanted: str | None, problems: Collector) -> str | None:
    """Return the name of the environment to use: `wanted`, the manifest's, or the only one."""
    root, defined = document.tree.root, document.defined["environments"]
    name = wanted if wanted is not None else root.get("environment")
    if name is None:
        if len(defined) == 1:
            return next(iter(defined))
        if defined and not document.doubts("environment"):
            names = sorted(defined)
            mend = f"add `environment: {names[0]}`, or give --env {names[0]}; {listed(names, 'defined')}"
            problems.add(Problem("S002", "no environment is chosen", _section(document), mend))
        return None
    if name in defined:
        return str(name)
    if not defined:
        return None  # said already, by the schema
    said = f"--env {name}" if wanted is not None else f"`{name}`"
    place = _section(document) if wanted is not None else document.where(root, "environment")
    mend = offer(str(name), defined, kind="environment")
    problems.add(Problem("R001", f"{said} names no environment", place, mend))
    return None


def _section(document: Document) -> Place:
    root = document.tree.root
    if "environments" in root:
        return document.tree.key(root, "environments")
    return document.tree.source.place(document.tree.root_mark)


def check_environments(document: Document, problems: Collector) -> None:
    """Add what is wrong with names, regions and addresses, of every environment."""
    for name, environment in document.section("environments").items():
        problems.extend(_check(document, name, environment))


def _check(document: Document, name: str, environment: dict[str, Any]) -> Iterator[Problem]:
    gateways = document.defined["gateways"]
    gateway, region = environment.get("gateway"), environment.get("region")
    if gateway is not None and gateways and gateway not in gateways:
        mend = offer(gateway, gateways, kind="gateway")
        place = document.where(environment, "gateway")
        yield Problem("R001", f"`{gateway}` names no gateway", place, mend)
    endpoints = environment.get("endpoints", {})
    for field, url in endpoints.items():
        if found := check_address(url, field, document.where(endpoints, field)):
            yield found
    if environment.get("driver") == Driver.INTERACTION_WEBSOCKET:
        known = not any(document.doubts("environments", name, f) for f in ("region", "endpoints"))
        if known and not document.doubts("environments", name):
            yield from _check_reach(document, environment, region, endpoints)


def _check_reach(
    document: Document, environment: dict[str, Any], region: str | None, endpoints: dict[str, str]
) -> Iterator[Problem]:
    missing = [field for field in _ADDRESSES if field not in endpoints]
    if region is None and missing:
        place = document.where(environment, "driver")
        message = "the environment has neither `region` nor all three `endpoints`"
        mend = f"add `region: us`, or to `endpoints`: {', '.join(missing)}"
        yield Problem("S002", message, place, mend)
    elif region is not None and region not in INTERACTION_WEBSOCKET_REGIONS:
        place = document.where(environment, "region")
        mend = offer(region, INTERACTION_WEBSOCKET_REGIONS, kind="region")
        yield Problem("R001", f"`{region}` names no region", place, mend)


def build_environment(
    document: Document, name: str, problems: Collector, *, offline: bool
) -> Environment | None:
    """Return the environment called `name` with its secrets resolved; None if it is faulty."""
    found = document.section("environments").get(name)
    if not isinstance(found, dict) or not {"driver", "gateway"} <= found.keys():
        return None
    driver = Driver(found["driver"])
    common = {"name": name, "driver": driver, "gateway": found["gateway"]}
    common["limits"] = _limits(found.get("limits", {}))
    if "scopes" in found:
        common["scopes"] = tuple(found["scopes"])
    if driver is Driver.SIMULATOR:
        return Environment(**common, simulator=_simulator(found.get("simulator", {})))
    return Environment(
        **common,
        endpoints=_endpoints(found),
        client_id=_credential(document, found, "client_id", problems, offline=offline),
        client_secret=_credential(document, found, "client_secret", problems, offline=offline),
        ca_file=_ca_file(document, found, problems),
    )


def _limits(limits: Mapping[str, Any]) -> Limits:
    rate, http_rate = limits.get("rate"), limits.get("http_rate")
    return Limits(
        rate_per_s=parse_rate(rate) if rate is not None else None,
        burst=int(limits.get("burst", Limits().burst)),
        in_flight=int(limits.get("in_flight", Limits().in_flight)),
        http_rate_per_s=parse_rate(http_rate) if http_rate is not None else None,
    )


def _simulator(options: Mapping[str, Any]) -> SimulatorOptions:
    absent = SimulatorOptions()
    return SimulatorOptions(
        latency_s=parse_duration(options["latency"]) if "latency" in options else absent.latency_s,
        seed=int(options.get("seed", absent.seed)),
        faults={name: parse_share(share) for name, share in options.get("faults", {}).items()},
        ended_share=parse_share(options["ended"]) if "ended" in options else absent.ended_share,
    )


def _endpoints(environment: Mapping[str, Any]) -> Endpoints | None:
    region = INTERACTION_WEBSOCKET_REGIONS.get(environment.get("region", ""))
    urls: dict[str, str] = {
        **(asdict(region) if region else {}),
        **environment.get("endpoints", {}),
    }
    if not urls.keys() >= set(_ADDRESSES):
        return None  # said already
    return Endpoints(**{**urls, "api_url": urls["api_url"].rstrip("/")})


def _credential(
    document: Document,
    environment: Mapping[str, Any],
    field: str,
    problems: Collector,
    *,
    offline: bool,
) -> Secret | None:
    credentials = environment.get("credentials")
    if credentials is None:
        return None  # said already
    return resolve(document, credentials, field, problems, offline=offline)


def resolve(
    document: Document, holder: Mapping[str, Any], field: str, problems: Collector, *, offline: bool
) -> Secret | None:
    """Return the secret that the reference `field` of `holder` leads to, or add a problem (R007)."""
    folder = Path(document.tree.source.name).parent
    try:
        return resolve_secret(holder[field], folder, offline=offline)
    except Unresolvable as error:
        at = next(iter(holder[field]))
        place = document.where(holder, field, at, *([0] if at == "command" else []))
        problems.add(Problem("R007", f"`{field}`: {error}", place, error.mend))
        return None


def _ca_file(document: Document, environment: Mapping[str, Any], problems: Collector) -> str | None:
    tls = environment.get("tls", {})
    if "ca_file" not in tls:
        return None
    path = (Path(document.tree.source.name).parent / tls["ca_file"]).absolute()
    if not path.is_file():
        place = document.where(tls, "ca_file")
        mend = "relative paths start at the manifest's folder; check the path"
        message = f"`ca_file`: the file `{tls['ca_file']}` does not exist"
        problems.add(Problem("R007", message, place, mend))
    return str(path)
