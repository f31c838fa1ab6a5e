"""One WebSocket session, supervised."""
