"""Identifies a manifest's gateway, whose history a journal keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from runner import journals
from runner.core.manifest.model import Environment, Manifest
from runner.core.urls import origin
from runner.ports.journal_access import GatewayEntry, Lane


def origin_of(manifest: Manifest) -> str:
    """Return a gateway's origin as journals record it: its address, or `simulator`."""
    return _origin(manifest.environment)


def lane_of(manifest: Manifest) -> Lane:
    """Return the gateway and account of a manifest's environment, which have one history."""
    return lane_of_environment(manifest.environment)


def lane_of_environment(environment: Environment) -> Lane:
    """Return the gateway and account of an environment, which have one history.

    The embedded gateway's account is its environment's name: each environment has its own.
    """
    return Lane(_origin(environment), account_of(environment) or environment.name)


def account_of(environment: Environment) -> str | None:
    """Return a digest of an environment's account: as it is named, or the client's id; None: unknown."""
    if environment.account is not None:
        return hashlib.sha256(environment.account.encode()).hexdigest()
    return None if environment.client_id is None else environment.client_id.digest()


def _origin(environment: Environment) -> str:
    endpoints = environment.endpoints
    if endpoints is None:
        return "simulator"
    return origin(endpoints.websocket_url or endpoints.api_url)


def gateway_entry(manifest: Manifest, variables: Mapping[str, str]) -> GatewayEntry | None:
    """Return this host's entry for a manifest's gateway and account.

    None for the embedded gateway, without a state folder, and if the account is unknown.
    """
    account = account_of(manifest.environment)
    if account is None or manifest.environment.endpoints is None:
        return None
    return journals.gateway_entry(variables, origin=origin_of(manifest), account=account)
