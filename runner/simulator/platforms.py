"""The platforms of the embedded gateway, each imported when it is served."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from runner.simulator.loopback_server import LoopbackServer

_SERVERS = {
    "interaction-transfer": "runner.simulator.interaction_transfer.server:SimulatorServer",
    "genesys-cloud": "runner.simulator.genesys_cloud.server:GenesysServer",
}


def server_of(platform: str) -> Callable[..., LoopbackServer]:
    """Return the class of a platform's server.

    It is called with the gateway's constraints, the simulator's options, `behaviour` and `server_options`.
    """
    module, _, name = _SERVERS[platform].partition(":")
    found: Callable[..., LoopbackServer] = getattr(import_module(module), name)
    return found
