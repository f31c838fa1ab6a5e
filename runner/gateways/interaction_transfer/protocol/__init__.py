"""The protocol's messages, built and read: pure."""
