"""The adapters that carry transfers out: one per driver, all behind the `Gateway` port."""

from runner.gateways.genesys_cloud.driver import GenesysCloud
from runner.gateways.interaction_transfer.driver import InteractionWebSocket

__all__ = ["GenesysCloud", "InteractionWebSocket"]
