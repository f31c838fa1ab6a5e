"""The vendor's wire, read and written: pure."""
