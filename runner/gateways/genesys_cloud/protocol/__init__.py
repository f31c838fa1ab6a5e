"""The vendor's transport, read and written: pure."""
