"""The end-to-end bench and its foreign gateway serve the terminal's tests too."""

from __future__ import annotations

from tests.e2e.conftest import bench, gateway

__all__ = ["bench", "gateway"]
