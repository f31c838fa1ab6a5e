"""Identifies a manifest's gateway, whose history a journal keeps."""

from __future__ import annotations

from collections.abc import Mapping

from runner import journals
from runner.core.manifest.model import Manifest
from runner.core.urls import origin
from runner.ports.journal_access import GatewayEntry, Lane


def origin_of(manifest: Manifest) -> str:
    """Return a gateway's origin as journals record it: its address, or `simulator`."""
    endpoints = manifest.environment.endpoints
    if endpoints is None:
        return "simulator"
    return origin(endpoints.websocket_url or endpoints.api_url)


def lane_of(manifest: Manifest) -> Lane:
    """Return the gateway and account of a manifest's environment, which have one history.

    The embedded gateway's account is its environment's name: each environment has its own.
    """
    client_id, name = manifest.environment.client_id, manifest.environment.name
    account = name if client_id is None else client_id.digest()
    return Lane(origin_of(manifest), account)


def gateway_entry(manifest: Manifest, variables: Mapping[str, str]) -> GatewayEntry | None:
    """Return this host's entry for a manifest's gateway and account.

    None for the embedded gateway, without a state folder, and if the account is unknown.
    """
    client_id = manifest.environment.client_id
    if client_id is None or manifest.environment.endpoints is None:
        return None
    return journals.gateway_entry(variables, origin=origin_of(manifest), account=client_id.digest())
