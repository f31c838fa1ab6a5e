"""A declarative batch runner for transfers of live interactions.

`load`, `plan` and `apply` are its interface for Python programs (docs/python.md). They are loaded
when they are asked for: `runner --version` does without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.api import Batch, Plan, Result, Stop, Transfer, apply, load, plan

__version__ = "0.1.0"

__all__ = ["Batch", "Plan", "Result", "Stop", "Transfer", "__version__", "apply", "load", "plan"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from runner import api  # noqa: PLC0415 - loaded when it is needed

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
