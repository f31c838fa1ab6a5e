"""A worker's own environments, gateways and callbacks, by which it carries what is submitted.

A submission names them. What they stand for, the addresses, accounts, secrets and promises, is the
worker's. So who may submit can move interactions under the rules, and can neither run a command on a
worker nor point its token elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.core.diagnostics.problem import Problem
from runner.core.errors import ManifestInvalid
from runner.core.frozen import frozen
from runner.core.gates import Gate
from runner.core.manifest.model import Callback, Environment, Limits
from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document, check_schema
from runner.manifest.secret_references import SecretPolicy
from runner.manifest.sections.callbacks import build_callbacks, check_callbacks
from runner.manifest.sections.environment import (
    addresses_of,
    build_environment,
    check_environments,
    limits_of,
)
from runner.manifest.sections.gateways import build_gateway, check_gateways, check_promise

_DEFINITIONS = ("environments", "gateways", "callbacks")
_COMPARED = ("url", "method", "headers", "on", "allow_private")
_ASK = "ask who runs the worker to change its configuration, or submit to another journal"

_ASK_GATES = "submit it without gates, or apply it where its gates can be asked"


@frozen
class OwnSections:
    """The sections of a worker's configuration that are as in a manifest."""

    document: Document
    path: Path

    @property
    def environments(self) -> Collection[str]:
        """The names of the environments."""
        return self.document.defined["environments"]

    def environment(self, name: str) -> Environment:
        """Return an environment with its secrets. Raises `ManifestInvalid`."""
        problems = Collector()
        built = build_environment(self.document, name, problems, secrets=SecretPolicy.ALL)
        if built is None or problems.failed:
            raise ManifestInvalid(problems.sorted(str(self.path)))
        return built

    def environment_for(
        self, submitted: Document, name: str, problems: Collector
    ) -> Environment | None:
        """Return the own environment that a submission names, its limits lowered to the submission's.

        Adds a problem for each difference that would send something elsewhere, or by other promises.
        """
        found = list(self._differences(submitted, name))
        problems.extend(found)
        if found:
            return None
        own = self.environment(name)
        return replace(own, limits=_lowered(own.limits, submitted.section("environments")[name]))

    def callbacks_for(
        self,
        submitted: Document,
        environment: Environment,
        used: Collection[str],
        problems: Collector,
    ) -> Mapping[str, Callback]:
        """Return the own callbacks, with their secrets; add a problem for each that differs."""
        own = self.document.section("callbacks")
        for name, written in submitted.section("callbacks").items():
            place = submitted.tree.key(submitted.section("callbacks"), name)
            if name not in own:
                message = f"callback `{name}` is not the worker's"
                problems.add(Problem("R001", message, place, _ASK))
            elif differing := [key for key in _COMPARED if written.get(key) != own[name].get(key)]:
                message = f"callback `{name}` is not as the worker has it: `{differing[0]}` differs"
                problems.add(Problem("R001", message, place, _ASK))
        if problems.failed:
            return {}
        mine = Collector()
        built = build_callbacks(self.document, environment, used, mine, secrets=SecretPolicy.ALL)
        if mine.failed:
            raise ManifestInvalid(mine.sorted(str(self.path)))
        return built

    def gates_for(self, submitted: Document, problems: Collector) -> Mapping[str, Gate]:
        """Return no gates, and add a problem for each that is submitted.

        A gate would have the worker call an address, or run a command, that a submission chose.
        """
        gates = submitted.section("gates")
        for name in gates:
            message = f"gate `{name}`: a worker asks no gate that is submitted"
            problems.add(Problem("R001", message, submitted.tree.key(gates, name), _ASK_GATES))
        return {}

    def _differences(self, submitted: Document, name: str) -> Iterator[Problem]:
        written = submitted.section("environments").get(name)
        place = submitted.tree.key(submitted.section("environments"), name)
        own = self.document.section("environments").get(name)
        if not isinstance(written, dict) or own is None:
            yield Problem("R001", f"environment `{name}` is not the worker's", place, _ASK)
            return
        for what, theirs, ours in (
            ("`driver`", written.get("driver"), own["driver"]),
            ("address", addresses_of(submitted, name), addresses_of(self.document, name)),
            ("gateway", build_gateway(submitted, name), build_gateway(self.document, name)),
        ):
            if theirs != ours:
                message = f"environment `{name}` is not as the worker has it: its {what} differs"
                yield Problem("R001", message, place, _ASK)
        for path in _commands(submitted):
            message = f"`{'.'.join(path)}`: a worker runs no command that is submitted"
            yield Problem("R001", message, place, "name what the worker's configuration has")


def read_own_sections(path: Path, keys: Collection[str]) -> tuple[Mapping[str, Any], OwnSections]:
    """Return a worker's configuration: the values of `keys`, and its sections.

    Raises `ManifestInvalid`.
    """
    problems = Collector()
    tree, _ = read_tree(path, problems)
    if tree is None or not isinstance(tree.root, dict):
        raise ManifestInvalid(problems.sorted(str(path)))
    values = {key: tree.root.pop(key) for key in keys if key in tree.root}
    tree.root.update({"version": 1, "name": "worker", "transfers": []})
    tree.root.setdefault("environments", {})
    document = check_schema(tree, problems)
    if document is not None:
        check_environments(document, problems)
        check_gateways(document, problems)
        check_callbacks(document, problems)
        for name in document.section("environments"):
            check_promise(document, name, problems)
    if document is None or problems.failed:
        raise ManifestInvalid(problems.sorted(str(path)))
    return values, OwnSections(document, path)


def _commands(submitted: Document) -> Iterator[tuple[str, ...]]:
    """Yield the paths of commands outside the sections that are the worker's own anyway."""
    todo: list[tuple[tuple[str, ...], Any]] = [
        ((key,), value)
        for key, value in submitted.tree.root.items()
        if key not in {*_DEFINITIONS, "transfers"}
    ]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            yield from ((*path, key) for key in value if key == "command")
            todo += [((*path, str(key)), each) for key, each in value.items()]
        elif isinstance(value, list):
            todo += [((*path, str(n)), each) for n, each in enumerate(value)]


def _lowered(own: Limits, environment: Mapping[str, Any]) -> Limits:
    """Return the own limits, those lowered that the submission names lower ones for."""
    asked, named = limits_of(environment), environment.get("limits", {})

    def least(*rates: float | None) -> float | None:
        return min((rate for rate in rates if rate is not None), default=None)

    return Limits(
        rate_per_s=least(own.rate_per_s, asked.rate_per_s),
        burst=min(own.burst, asked.burst) if "burst" in named else own.burst,
        in_flight=min(own.in_flight, asked.in_flight) if "in_flight" in named else own.in_flight,
        http_rate_per_s=least(own.http_rate_per_s, asked.http_rate_per_s),
    )
