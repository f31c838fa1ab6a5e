"""The embedded gateway with the vendor platform's interface."""
