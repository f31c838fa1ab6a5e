"""The driver `interaction-websocket`."""
