"""The embedded gateway with the interaction-transfer protocol."""
