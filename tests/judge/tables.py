"""Prints as JSON what the embedded gateway accepts and what our own driver sends.

To be run by the Python that `runner` is installed for. An operation is method, path, the query
parameters, and the body: a JSON value in which a text stands for any value.
"""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from runner.simulator.genesys_routes import ROUTES

DRIVER = "runner.gateways.genesys_paths"


def plain(shape: Any) -> Any:
    """Return the shape with a text in the place of every type and every choice."""
    if isinstance(shape, dict):
        return {name: plain(inner) for name, inner in shape.items()}
    return [plain(shape[0])] if isinstance(shape, list) else None if shape is None else "any"


def simulator() -> list[dict[str, Any]]:
    """Return every operation that the embedded gateway offers."""
    return [
        {
            "method": route.method,
            "path": route.path,
            "query": sorted(route.query),
            "body": plain(route.body),
        }
        for route in ROUTES
    ]


def driver() -> list[dict[str, Any]]:
    """Return every operation that the driver uses; none as long as there is no such driver."""
    if find_spec(DRIVER) is None:
        return []
    return [
        {
            "method": operation.method,
            "path": operation.path,
            "query": sorted(operation.query),
            "body": plain(operation.body),
        }
        for operation in import_module(DRIVER).OPERATIONS
    ]


if __name__ == "__main__":
    print(json.dumps({"simulator": simulator(), "driver": driver()}))  # noqa: T201 - for a pipe
