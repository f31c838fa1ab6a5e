"""The embedded gateway: the server's side of the interaction-transfer protocol, on loopback."""
