"""The embedded gateway: servers of each platform, on loopback."""
