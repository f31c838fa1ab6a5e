"""An observer that records its calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.ports import Progress


@dataclass
class RecordingObserver:
    """Implements `ports.Observer`; keeps every call, in order."""

    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    warnings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def noticed(self, event: str, **fields: Any) -> None:
        """Keep a notice."""
        self.notices.append((event, fields))

    def warned(self, event: str, **fields: Any) -> None:
        """Keep a warning."""
        self.warnings.append((event, fields))

    def progressed(self, progress: Progress) -> None:
        """Keep a progress report."""
        self.progress.append(progress)
