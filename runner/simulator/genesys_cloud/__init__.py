"""The embedded gateway with the interface of the vendor's platform."""
