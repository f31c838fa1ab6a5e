"""Regions: the addresses that a region's name stands for (manifest.md, "Regions")."""

from __future__ import annotations

from runner.core.manifest import Endpoints

INTERACTION_WEBSOCKET_REGIONS: dict[str, Endpoints] = {
    "us": Endpoints(
        token_url="https://api.us.mypurecloud.com/oauth/token",  # noqa: S106 - an address
        api_url="https://api.us.mypurecloud.com",
        websocket_url="wss://api.us.mypurecloud.com/api/v2/websocket",
    ),
}
"""What the driver `interaction-websocket` knows; other places are named by `endpoints`."""
