"""A declarative batch runner for transfers of live interactions."""

__version__ = "0.1.0"
