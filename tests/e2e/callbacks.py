"""Builds manifests whose outcomes a receiver hears of."""

from __future__ import annotations

import base64
from typing import Any

from tests.foreign.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"canary-webhook-secret-24").decode()


def with_callback(content: dict[str, Any], receiver: Receiver, **fields: Any) -> dict[str, Any]:
    """Return the manifest with a callback to the receiver for each of its transfers."""
    callback = {"url": receiver.url, "secret": {"env": "HOOK_SECRET"}, "allow_private": True}
    content["defaults"] = {"media": "voice", "callbacks": ["crm"]}
    return content | {"callbacks": {"crm": callback | fields}}
