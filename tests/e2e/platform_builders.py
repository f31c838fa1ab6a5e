"""Builds manifests for the vendor's platform as the embedded gateway shows it."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.e2e.harness import VOICE

QUEUE = f"genesys://queue/{uuid5(NAMESPACE_URL, 'queue')}"
USER = f"genesys://user/{uuid5(NAMESPACE_URL, 'user')}"
NUMBER = "tel:+31205550100"


def conversation(n: int) -> str:
    """Return the id of the n-th conversation."""
    return str(uuid5(NAMESPACE_URL, f"e2e {n}"))


def document(*rows: dict[str, Any], **simulator: Any) -> dict[str, Any]:
    """Return a manifest of transfers at the embedded platform; `simulator` overrides its options."""
    return {
        "version": 1,
        "name": "batch",
        "environment": "demo",
        "environments": {
            "demo": {
                "driver": "simulator",
                "gateway": "edge",
                "limits": {"http_rate": "12000/min"},
                "simulator": {
                    "platform": "genesys-cloud",
                    "latency": "5ms",
                    "http_rate": "12000/min",
                    **simulator,
                },
            }
        },
        "gateways": {
            "edge": {"max_bandwidth_kbps": 512, "supported_codecs": ["opus"], "max_fps": 30}
        },
        "media": {"voice": VOICE},
        "defaults": {"media": "voice", "destination_uri": QUEUE},
        "transfers": list(rows),
    }
