"""The adapters that carry transfers out: one per driver, all behind the `Gateway` port."""

from runner.gateways.interaction_websocket import InteractionWebSocket

__all__ = ["InteractionWebSocket"]
