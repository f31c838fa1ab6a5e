"""Loads a manifest into checked values, and streams its transfers to a sink (manifest.md).

An invalid manifest raises nothing: all its problems are returned.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from runner.core.diagnostics.problem import Problem
from runner.core.frozen import frozen
from runner.core.gates import Gate
from runner.core.manifest.model import (
    Callback,
    DuplicateRows,
    Environment,
    GatewayConstraints,
    Limits,
    Manifest,
    Notification,
)
from runner.core.manifest.source_excerpt import excerpt
from runner.manifest.include import read_tree
from runner.manifest.own_sections import OwnSections
from runner.manifest.problem_collector import Collector
from runner.manifest.reference_resolver import ReferenceResolver
from runner.manifest.rows.transfer_stream import RowSink, TransferReader
from runner.manifest.schema.check import Document, check_schema
from runner.manifest.secret_lines import hide_secrets
from runner.manifest.secret_references import SecretPolicy
from runner.manifest.sections.approvals import check_approvals
from runner.manifest.sections.callbacks import build_callbacks, check_callbacks
from runner.manifest.sections.destinations import (
    build_destinations,
    check_destinations,
    check_unmatched,
)
from runner.manifest.sections.environment import (
    build_environment,
    check_environments,
    choose_environment,
    driver_of,
)
from runner.manifest.sections.gates import build_gates, check_gates
from runner.manifest.sections.gateways import build_gateway, check_gateways, check_promise
from runner.manifest.sections.notifications import build_notifications, refuse_notifications
from runner.manifest.sections.policy import build_policy, check_policy, check_policy_ends
from runner.manifest.yaml.source import readable
from runner.manifest.yaml.tree import Tree

__all__ = ["DuplicateRows", "Loaded", "Overrides", "RowSink", "load"]


@frozen
class Loaded:
    """Result of loading. `manifest` is None if there is an error; warnings do not count."""

    manifest: Manifest | None
    problems: tuple[Problem, ...]  # sorted by place, at most 1,000 errors and as many warnings
    omitted: Mapping[str, int]  # number of further errors by code
    rows: int  # rows added to the sink


@frozen
class Overrides:
    """How the command line changes the manifest's limits and number of transfers."""

    limits: Callable[[Environment], Limits] = attrgetter("limits")
    limit: int | None = None  # transfers to send at most
    ignore_window: bool = False  # only for rehearsals
    without_secrets: bool = False  # only the form of references is checked
    own: OwnSections | None = None  # in the place of the manifest's environments and callbacks


NO_OVERRIDES = Overrides()


def load(
    path: Path,
    *,
    environment: str | None,
    sink: RowSink,
    offline: bool,
    overrides: Overrides = NO_OVERRIDES,
) -> Loaded:
    """Load the manifest at `path` for `environment`, or for the one that it names.

    Transfers are added to `sink` as they are read. With `offline`, commands of secret references are
    not run, and these secrets are None. The window is checked with the limits after `overrides`.
    """
    problems = Collector()
    tree, sources = read_tree(path, problems)
    manifest, rows = None, 0
    if tree is not None:
        manifest, rows = _load(tree, environment, sink, problems, overrides, offline=offline)
    found = tuple(map(readable, problems.sorted(str(path))))
    if tree is not None and tree.is_partial:  # a file that is missing may define any name
        found = tuple(each for each in found if each.code != "R001" or each.related)
    for source in sources:
        found = tuple(hide_secrets(found, source))
    return Loaded(
        None if problems.failed else manifest,
        found,
        dict(problems.omitted),
        rows,
    )


def _load(
    tree: Tree,
    wanted: str | None,
    sink: RowSink,
    problems: Collector,
    overrides: Overrides,
    *,
    offline: bool,
) -> tuple[Manifest | None, int]:
    document = check_schema(tree, problems)
    if document is None:
        return None, 0
    check_environments(document, problems)
    check_gateways(document, problems)
    check_callbacks(document, problems)
    now_s = time.time()  # a closed window is reported while the manifest is read
    is_window_enforced = not overrides.ignore_window
    check_policy(document, problems, now_s=now_s if is_window_enforced else -math.inf)
    name = choose_environment(document, wanted, problems)
    check_promise(document, name, problems)
    check_gates(document, driver_of(document, name), problems)
    check_approvals(document, problems, is_submitted=overrides.own is not None)
    check_destinations(document, driver_of(document, name), problems)
    gateway = build_gateway(document, name)
    references = ReferenceResolver(document, gateway, problems)
    transfers = TransferReader(document, references, sink, problems, driver_of(document, name))
    transfers.read()
    secrets = SecretPolicy.for_options(offline=offline, without=overrides.without_secrets)
    chosen: Environment | None = None
    if name and overrides.own is not None:
        chosen = overrides.own.environment_for(document, name, problems)
    elif name:
        chosen = build_environment(document, name, problems, secrets=secrets)
    if chosen is None or gateway is None:
        return None, transfers.rows
    check_unmatched(document, transfers.destinations, problems)
    if not problems.failed and is_window_enforced:
        rows = transfers.rows if overrides.limit is None else min(transfers.rows, overrides.limit)
        with_limits = replace(chosen, limits=overrides.limits(chosen))
        left_out = transfers.rows - rows
        check_policy_ends(
            document,
            with_limits,
            problems,
            rows=rows,
            sends_to=lambda: {
                uri: there - left_out
                for uri, there in sink.rows_to().items()
                if there > left_out  # at the least: the limit may leave out any
            },
            now_s=now_s,
        )
    used = references.used_callbacks
    notify: tuple[Notification, ...] = ()
    if overrides.own is not None:
        callbacks = overrides.own.callbacks_for(document, chosen, used, problems)
        gates = overrides.own.gates_for(document, problems)
        refuse_notifications(document, problems)
    else:
        callbacks = build_callbacks(document, chosen, used, problems, secrets=secrets)
        gates = build_gates(document, chosen, problems, secrets=secrets)
        notify = build_notifications(document, chosen, problems, secrets=secrets)
    if problems.failed:  # such as an invalid date: the manifest cannot be built
        return None, transfers.rows
    manifest = _build_manifest(document, chosen, gateway, callbacks, gates)
    return None if manifest is None else replace(manifest, notify=notify), transfers.rows


def _build_manifest(
    document: Document,
    environment: Environment,
    gateway: GatewayConstraints,
    callbacks: Mapping[str, Callback],
    gates: Mapping[str, Gate],
) -> Manifest | None:
    root, source = document.tree.root, document.tree.source
    if "name" not in root:
        return None
    return Manifest(
        path=source.name,
        sha256=source.sha256,
        name=root["name"],
        environment=environment,
        gateway=gateway,
        callbacks=callbacks,
        policy=build_policy(document),
        labels=dict(root.get("labels", {})),
        excerpt=excerpt(source.text),
        gates=gates,
        reverts=root.get("reverts"),
        description=root.get("description"),
        destinations=build_destinations(document),
    )
