"""The end-to-end harness and its foreign gateway serve the commands' tests too."""

from __future__ import annotations

from tests.e2e.conftest import gateway, harness

__all__ = ["gateway", "harness"]
