"""Checks all environments, chooses one, and builds it as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema_rs

from runner.core.diagnostics.problem import Place, Problem
from runner.core.manifest.model import (
    SIMULATOR,
    DriverTraits,
    Endpoints,
    Environment,
    Limits,
    Secret,
    SimulatorOptions,
)
from runner.core.manifest.quantity import parse_duration, parse_rate, parse_share
from runner.drivers import driver_names, driver_of_platform, find_driver, platforms
from runner.manifest.problem_collector import Collector
from runner.manifest.regular_file import open_regular
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import SecretPolicy
from runner.manifest.sections.secrets import resolve_reference
from runner.manifest.suggestions import list_names, nearest, offer
from runner.manifest.url_check import check_address

PLATFORM = SimulatorOptions().platform
"""Default platform of the embedded gateway."""


def choose_environment(document: Document, wanted: str | None, problems: Collector) -> str | None:
    """Return the name of the environment to use: `wanted`, the manifest's, or the only one."""
    root, defined = document.tree.root, document.defined["environments"]
    name = wanted if wanted is not None else root.get("environment")
    if name is None:
        if len(defined) == 1:
            return next(iter(defined))
        if defined and not document.is_uncertain("environment"):
            names = sorted(defined)
            fix = f"add `environment: {names[0]}`, or give --env {names[0]}; {list_names(names, 'defined')}"
            problems.add(Problem("S002", "no environment is chosen", _section(document), fix))
        return None
    if name in defined:
        return str(name)
    if not defined:
        return None  # the schema has reported it
    message = f"unknown environment `{name}`" + (" (--env)" if wanted is not None else "")
    place = _section(document) if wanted is not None else document.where(root, "environment")
    fix = offer(str(name), defined, kind="environment")
    problems.add(Problem("R001", message, place, fix))
    return None


def _section(document: Document) -> Place:
    root = document.tree.root
    if "environments" in root:
        return document.tree.key(root, "environments")
    return document.tree.source.place(document.tree.root_mark)


def check_environments(document: Document, problems: Collector) -> None:
    """Add the problems of names, regions and addresses of every environment."""
    for name, environment in document.section("environments").items():
        problems.extend(_check(document, name, environment))


def _check(document: Document, name: str, environment: dict[str, Any]) -> Iterator[Problem]:
    gateways = document.defined["gateways"]
    gateway = environment.get("gateway")
    if gateway is not None and gateways and gateway not in gateways:
        fix = offer(gateway, gateways, kind="gateway")
        place = document.where(environment, "gateway")
        yield Problem("R001", f"unknown gateway `{gateway}`", place, fix)
    endpoints = environment.get("endpoints", {})
    for field, url in endpoints.items():
        if found := check_address(url, field, document.where(endpoints, field)):
            yield found
    if "driver" in environment:
        yield from _check_driver(document, name, environment)


def _check_driver(document: Document, name: str, environment: dict[str, Any]) -> Iterator[Problem]:
    """Yield the problems of an environment with its driver."""
    if environment["driver"] == SIMULATOR:
        if not document.is_uncertain("environments", name, "simulator"):
            yield from _check_simulator(document, environment.get("simulator", {}))
        yield from _check_options(document, environment, None, SIMULATOR)
        return
    driver = find_driver(environment["driver"])
    if driver is None:
        yield _unknown_driver(document, environment)
        return
    yield from _check_no_effect(document, environment, driver)
    yield from _check_options(document, environment, driver.options_schema, driver.name)
    yield from _check_addresses(document, name, environment, driver)
    uncertain = document.is_uncertain("environments", name, "credentials")
    if driver.needs_credentials and "credentials" not in environment and not uncertain:
        place = document.where(environment, "driver")
        message = f"the driver `{driver.name}` needs `credentials`"
        fix = "add `credentials: {client_id: {env: NAME}, client_secret: {env: NAME}}`"
        yield Problem("S002", message, place, fix)


def _unknown_driver(document: Document, environment: dict[str, Any]) -> Problem:
    name, names = environment["driver"], driver_names()
    fix = offer(name, names, kind="driver")
    if nearest(name, names) is None:
        fix += "; or install the distribution that has it"
    return Problem("R001", f"unknown driver `{name}`", document.where(environment, "driver"), fix)


def _check_no_effect(
    document: Document, environment: dict[str, Any], driver: DriverTraits
) -> Iterator[Problem]:
    """Yield the fields that a driver ignores (genesys-cloud.md, "Order of work")."""
    for path, found in driver.no_effect.items():
        holder: dict[str, Any] = environment
        *wholes, field = path.split(".")
        for whole in wholes:
            holder = holder.get(whole, {})
        if field in holder:
            verb = "have" if field.endswith("s") else "has"
            message = f"`{field}` {verb} no effect with `{driver.name}`: {found.why}"
            yield Problem("S012", message, document.tree.key(holder, field), found.help)


def _check_options(
    document: Document,
    environment: dict[str, Any],
    schema: Mapping[str, Any] | None,
    driver: str,
) -> Iterator[Problem]:
    """Yield the problems of `options` by the driver's own schema."""
    if "options" not in environment:
        return
    if schema is None:
        place = document.tree.key(environment, "options")
        message = f"`options` have no effect with `{driver}`"
        yield Problem("S012", message, place, "delete `options`")
        return
    for error in jsonschema_rs.validator_for(dict(schema)).iter_errors(environment["options"]):
        place = document.where(environment, "options", *error.instance_path)
        message = f"the driver `{driver}` refuses these `options`: {error.message}"
        fix = "write what the driver's documentation lists"
        yield Problem("S003", message, place, fix)


def _check_simulator(document: Document, options: dict[str, Any]) -> Iterator[Problem]:
    """Yield faults and options that the embedded gateway's platform does not have."""
    platform = options.get("platform", PLATFORM)
    known, faults = platforms(), options.get("faults", {})
    for name in faults:
        if name not in known[platform].faults:
            message = f"unknown fault `{name}` of `{platform}`"
            fix = offer(name, known[platform].faults, kind="fault")
            yield Problem("R001", message, document.tree.key(faults, name), fix)
    for other in known.values():
        for name in other.options.intersection(options) if other.name != platform else ():
            message = f"`{name}` has no effect with `{platform}`"
            fix = f"add `platform: {other.name}`, or delete `{name}`"
            yield Problem("S012", message, document.tree.key(options, name), fix)


def _check_addresses(
    document: Document, name: str, environment: dict[str, Any], driver: DriverTraits
) -> Iterator[Problem]:
    region, endpoints = environment.get("region"), environment.get("endpoints", {})
    wanted, regions = driver.endpoints, driver.regions
    missing = [field for field in wanted if field not in endpoints]
    uncertain = any(
        document.is_uncertain("environments", name, at) for at in ("region", "endpoints")
    )
    if region is None and missing and not uncertain:
        place = document.where(environment, "driver")
        yield Problem("S002", _no_addresses(driver), place, _addresses_fix(driver, missing))
    elif region is not None and region not in regions:
        place = document.where(environment, "region")
        fix = offer(region, regions, kind="region")
        yield Problem("R001", f"unknown region `{region}`", place, fix)


def _no_addresses(driver: DriverTraits) -> str:
    count = {1: f"`{driver.endpoints[0]}` among its", 2: "both", 3: "all three"}
    without_region = f"the environment lacks {count[len(driver.endpoints)]} `endpoints`"
    if not driver.regions:
        return without_region
    return f"the environment has neither `region` nor {count[len(driver.endpoints)]} `endpoints`"


def _addresses_fix(driver: DriverTraits, missing: Sequence[str]) -> str:
    region = f"`region: {driver.example_region}`, or " if driver.example_region else ""
    return f"add {region}these `endpoints`: {', '.join(missing)}"


def driver_of(document: Document, name: str | None) -> DriverTraits:
    """Return the driver of the environment `name`, which may be faulty."""
    found = document.section("environments").get(name or "", {})
    driver = found.get("driver")
    if driver == SIMULATOR:
        return driver_of_platform(found.get("simulator", {}).get("platform", PLATFORM))
    known = None if driver is None else find_driver(driver)
    return known or driver_of_platform(PLATFORM)


def build_environment(
    document: Document, name: str, problems: Collector, *, secrets: SecretPolicy
) -> Environment | None:
    """Return the environment `name` with its secrets resolved, or None if it is faulty."""
    found = document.section("environments").get(name)
    if not isinstance(found, dict) or not {"driver", "gateway"} <= found.keys():
        return None
    driver = driver_of(document, name)
    http_rate = {} if driver.http_rate is None else {"http_rate": driver.http_rate}
    takes_scopes = "scopes" not in driver.no_effect
    common = {
        "name": name,
        "driver": driver,
        "gateway": found["gateway"],
        "limits": _limits({**http_rate, **found.get("limits", {})}),
        "scopes": tuple(found.get("scopes", driver.scopes)) if takes_scopes else (),
    }
    if found["driver"] == SIMULATOR:
        return Environment(**common, simulator=_simulator(found.get("simulator", {})))
    return Environment(
        **common,
        endpoints=_endpoints(found, driver),
        client_id=_credential(document, found, "client_id", problems, secrets=secrets),
        client_secret=_credential(document, found, "client_secret", problems, secrets=secrets),
        account=found.get("account"),
        ca_file=_ca_file(document, found, problems),
        options=found.get("options", {}),
    )


def addresses_of(document: Document, name: str) -> Endpoints | None:
    """Return the addresses of the environment `name`; None under the simulator."""
    found = document.section("environments").get(name)
    if not isinstance(found, dict) or found.get("driver") == SIMULATOR:
        return None
    return _endpoints(found, driver_of(document, name))


def limits_of(environment: Mapping[str, Any]) -> Limits:
    """Return the limits that an environment names itself, without its driver's defaults."""
    return _limits(environment.get("limits", {}))


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
        platform=options.get("platform", absent.platform),
        waiting={name: int(count) for name, count in options.get("waiting", {}).items()},
        queues=tuple(options.get("queues", ())),
        users=tuple(options.get("users", ())),
        served={name: int(count) for name, count in options.get("served", {}).items()},
        former_users=tuple(options.get("former_users", ())),
        http_rate_per_s=parse_rate(options["http_rate"]) if "http_rate" in options else None,
        agents={name: int(count) for name, count in options.get("agents", {}).items()},
        handle_time_s=(
            parse_duration(options["handle_time"])
            if "handle_time" in options
            else absent.handle_time_s
        ),
        presence=dict(options.get("presence", {})),
        skills=tuple(options.get("skills", ())),
        languages=tuple(options.get("languages", ())),
    )


def _endpoints(environment: Mapping[str, Any], driver: DriverTraits) -> Endpoints | None:
    region = driver.regions.get(environment.get("region", ""))
    urls: dict[str, str] = {
        **(asdict(region) if region else {}),
        **environment.get("endpoints", {}),
    }
    if not urls.keys() >= set(driver.endpoints):
        return None  # reported already
    return Endpoints(**{"token_url": "", **urls, "api_url": urls["api_url"].rstrip("/")})


def _credential(
    document: Document,
    environment: Mapping[str, Any],
    field: str,
    problems: Collector,
    *,
    secrets: SecretPolicy,
) -> Secret | None:
    credentials = environment.get("credentials")
    if credentials is None:
        return None  # reported already
    return resolve_reference(document, credentials, field, problems, secrets=secrets)


def _ca_file(document: Document, environment: Mapping[str, Any], problems: Collector) -> str | None:
    tls = environment.get("tls", {})
    if "ca_file" not in tls:
        return None
    path = (Path(document.tree.source.name).parent / tls["ca_file"]).absolute()
    if fault := _no_certificates(path):
        message, fix = fault
        place = document.where(tls, "ca_file")
        problems.add(
            Problem("R007", f"`ca_file`: the file `{tls['ca_file']}` {message}", place, fix)
        )
    return str(path)


_PEM = b"-----BEGIN CERTIFICATE-----"
_MOST_PEM_BYTES = 10_000_000


def _no_certificates(path: Path) -> tuple[str, str] | None:
    """Return why a CA file is unusable and how to fix it; TLS checks its content."""
    try:
        with open_regular(path) as file:
            if _PEM not in file.read(_MOST_PEM_BYTES):
                return "holds no PEM certificate", f"name one that has a line {_PEM.decode()}"
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            fix = "relative paths start at the manifest's folder; check the path"
            return "does not exist", fix
        why = (error.strerror or "unknown").lower()
        return f"cannot be read: {why}", "name a file with certificates that this account may read"
    return None
