"""The vendor's messages, built and read: pure."""
