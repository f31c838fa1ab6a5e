"""Chooses the environment and turns it into frozen values; all addresses are checked, chosen or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner.core.diagnostics.problem import Place, Problem
from runner.core.manifest.model import (
    Driver,
    Endpoints,
    Environment,
    Limits,
    Platform,
    Secret,
    SimulatorOptions,
)
from runner.core.manifest.quantity import parse_duration, parse_rate, parse_share
from runner.core.manifest.regions import REGIONS
from runner.core.manifest.simulator_faults import FAULTS, GENESYS_CLOUD_OPTIONS
from runner.manifest.problem_collector import Collector
from runner.manifest.regular_file import open_regular
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import Secrets, Unresolvable, resolve_secret
from runner.manifest.suggestions import listed, offer
from runner.manifest.url_check import check_address

_ADDRESSES = {
    Driver.INTERACTION_WEBSOCKET: ("token_url", "api_url", "websocket_url"),
    Driver.GENESYS_CLOUD: ("token_url", "api_url"),
}
"""What `region` or `endpoints` must give, by driver."""

_EXAMPLE_REGIONS = {Driver.INTERACTION_WEBSOCKET: "us", Driver.GENESYS_CLOUD: "eu-central-1"}

GENESYS_CLOUD_HTTP_RATE = "300/min"
"""Of the token, where the manifest gives none (protocol.md, "The shared rate")."""


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
    said = f"unknown environment `{name}`" + (" (--env)" if wanted is not None else "")
    place = _section(document) if wanted is not None else document.where(root, "environment")
    mend = offer(str(name), defined, kind="environment")
    problems.add(Problem("R001", said, place, mend))
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
    gateway = environment.get("gateway")
    if gateway is not None and gateways and gateway not in gateways:
        mend = offer(gateway, gateways, kind="gateway")
        place = document.where(environment, "gateway")
        yield Problem("R001", f"unknown gateway `{gateway}`", place, mend)
    endpoints = environment.get("endpoints", {})
    for field, url in endpoints.items():
        if found := check_address(url, field, document.where(endpoints, field)):
            yield found
    driver = environment.get("driver")
    if driver == Driver.SIMULATOR and not document.doubts("environments", name, "simulator"):
        yield from _check_rehearsal(document, environment.get("simulator", {}))
    if driver in REGIONS:
        yield from _check_driver(document, environment, Driver(driver))
        yield from _check_reach(document, name, environment, Driver(driver))


def _check_driver(
    document: Document, environment: dict[str, Any], driver: Driver
) -> Iterator[Problem]:
    """Yield what a driver cannot do anything with (genesys-cloud.md, "Order of work")."""
    if driver is not Driver.GENESYS_CLOUD:
        return
    if "scopes" in environment:
        message = (
            "`scopes` have no effect with `genesys-cloud`: an OAuth client's roles grant its rights"
        )
        mend = "delete `scopes`; give the OAuth client the roles that docs/genesys-cloud.md lists"
        yield Problem("S012", message, document.tree.key(environment, "scopes"), mend)
    endpoints = environment.get("endpoints", {})
    if "websocket_url" in endpoints:
        message = "`websocket_url` has no effect with `genesys-cloud`: the platform supplies it"
        place = document.tree.key(endpoints, "websocket_url")
        yield Problem("S012", message, place, "delete `websocket_url`")


def _check_rehearsal(document: Document, options: dict[str, Any]) -> Iterator[Problem]:
    """Yield what the chosen face of the embedded gateway does not have."""
    platform = Platform(options.get("platform", Platform.INTERACTION_TRANSFER))
    faults = options.get("faults", {})
    for name in faults:
        if name not in FAULTS[platform]:
            message = f"unknown fault `{name}` of `{platform}`"
            mend = offer(name, FAULTS[platform], kind="fault")
            yield Problem("R001", message, document.tree.key(faults, name), mend)
    if platform is Platform.INTERACTION_TRANSFER:
        for name in GENESYS_CLOUD_OPTIONS.intersection(options):
            message = f"`{name}` has no effect with `{platform}`"
            mend = f"add `platform: {Platform.GENESYS_CLOUD}`, or delete `{name}`"
            yield Problem("S012", message, document.tree.key(options, name), mend)


def _check_reach(
    document: Document, name: str, environment: dict[str, Any], driver: Driver
) -> Iterator[Problem]:
    region, endpoints = environment.get("region"), environment.get("endpoints", {})
    wanted, regions = _ADDRESSES[driver], REGIONS[driver]
    missing = [field for field in wanted if field not in endpoints]
    doubted = any(document.doubts("environments", name, at) for at in ("region", "endpoints"))
    if region is None and missing and not doubted:
        place = document.where(environment, "driver")
        count = "all three" if len(wanted) > 2 else "both"  # noqa: PLR2004 - as said
        message = f"the environment has neither `region` nor {count} `endpoints`"
        mend = (
            f"add `region: {_EXAMPLE_REGIONS[driver]}`, or these `endpoints`: {', '.join(missing)}"
        )
        yield Problem("S002", message, place, mend)
    elif region is not None and region not in regions:
        place = document.where(environment, "region")
        mend = offer(region, regions, kind="region")
        yield Problem("R001", f"unknown region `{region}`", place, mend)


def platform_of(document: Document, name: str | None) -> Platform:
    """Return the language that is spoken with the environment called `name`, sound or not."""
    found = document.section("environments").get(name or "", {})
    if found.get("driver") == Driver.SIMULATOR:
        told = found.get("simulator", {}).get("platform", Platform.INTERACTION_TRANSFER)
        return Platform(told)
    genesys = found.get("driver") == Driver.GENESYS_CLOUD
    return Platform.GENESYS_CLOUD if genesys else Platform.INTERACTION_TRANSFER


def build_environment(
    document: Document, name: str, problems: Collector, *, secrets: Secrets
) -> Environment | None:
    """Return the environment called `name` with its secrets resolved; None if it is faulty."""
    found = document.section("environments").get(name)
    if not isinstance(found, dict) or not {"driver", "gateway"} <= found.keys():
        return None
    driver = Driver(found["driver"])
    common = {"name": name, "driver": driver, "gateway": found["gateway"]}
    genesys = platform_of(document, name) is Platform.GENESYS_CLOUD
    http_rate = {"http_rate": GENESYS_CLOUD_HTTP_RATE} if genesys else {}
    common["limits"] = _limits({**http_rate, **found.get("limits", {})})
    if "scopes" in found or genesys:
        common["scopes"] = () if genesys else tuple(found["scopes"])
    if driver is Driver.SIMULATOR:
        return Environment(**common, simulator=_simulator(found.get("simulator", {})))
    return Environment(
        **common,
        endpoints=_endpoints(found, driver),
        client_id=_credential(document, found, "client_id", problems, secrets=secrets),
        client_secret=_credential(document, found, "client_secret", problems, secrets=secrets),
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
        platform=Platform(options.get("platform", absent.platform)),
        waiting={name: int(count) for name, count in options.get("waiting", {}).items()},
        queues=tuple(options.get("queues", ())),
        users=tuple(options.get("users", ())),
        served={name: int(count) for name, count in options.get("served", {}).items()},
        former_users=tuple(options.get("former_users", ())),
        http_rate_per_s=parse_rate(options["http_rate"]) if "http_rate" in options else None,
    )


def _endpoints(environment: Mapping[str, Any], driver: Driver) -> Endpoints | None:
    region = REGIONS[driver].get(environment.get("region", ""))
    urls: dict[str, str] = {
        **(asdict(region) if region else {}),
        **environment.get("endpoints", {}),
    }
    if not urls.keys() >= set(_ADDRESSES[driver]):
        return None  # said already
    return Endpoints(**{**urls, "api_url": urls["api_url"].rstrip("/")})


def _credential(
    document: Document,
    environment: Mapping[str, Any],
    field: str,
    problems: Collector,
    *,
    secrets: Secrets,
) -> Secret | None:
    credentials = environment.get("credentials")
    if credentials is None:
        return None  # said already
    return resolve(document, credentials, field, problems, secrets=secrets)


def resolve(
    document: Document,
    holder: Mapping[str, Any],
    field: str,
    problems: Collector,
    *,
    secrets: Secrets,
) -> Secret | None:
    """Return the secret that the reference `field` of `holder` leads to, or add a problem (R007)."""
    if secrets is Secrets.NONE:
        return None
    folder = Path(document.tree.source.name).parent
    try:
        return resolve_secret(holder[field], folder, offline=secrets is Secrets.OFFLINE)
    except Unresolvable as error:
        at = next(iter(holder[field]))
        place = document.where(holder, field, at, *([0] if at == "command" else []))
        problems.add(Problem("R007", f"`{field}`: {error}", place, error.fix))
        return None


def _ca_file(document: Document, environment: Mapping[str, Any], problems: Collector) -> str | None:
    tls = environment.get("tls", {})
    if "ca_file" not in tls:
        return None
    path = (Path(document.tree.source.name).parent / tls["ca_file"]).absolute()
    if fault := _no_certificates(path):
        message, mend = fault
        place = document.where(tls, "ca_file")
        problems.add(
            Problem("R007", f"`ca_file`: the file `{tls['ca_file']}` {message}", place, mend)
        )
    return str(path)


_PEM = b"-----BEGIN CERTIFICATE-----"
_MOST_PEM_BYTES = 10_000_000


def _no_certificates(path: Path) -> tuple[str, str] | None:
    """Return why a file cannot be trusted by, and the mend; how sound it is TLS finds out."""
    try:
        with open_regular(path) as file:
            if _PEM not in file.read(_MOST_PEM_BYTES):
                return "holds no PEM certificate", f"name one that has a line {_PEM.decode()}"
    except FileNotFoundError:
        return "does not exist", "relative paths start at the manifest's folder; check the path"
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        return f"cannot be read: {why}", "name a file with certificates that this account may read"
    return None
