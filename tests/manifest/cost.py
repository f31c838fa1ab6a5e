"""How much work something is, on a machine that does other work beside it."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds that `work` takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin
