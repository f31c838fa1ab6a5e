"""The embedded gateway's own protocol."""
