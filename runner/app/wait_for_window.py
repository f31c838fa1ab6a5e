"""Waits for the manifest's windows, before a run takes the lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from runner.app.plan import read_manifest
from runner.app.run_options import RunOptions
from runner.core.manifest.model import Policy
from runner.core.manifest.recurring_window import utc_text
from runner.core.number_text import duration
from runner.staging.rows import Staging

LOOK_EVERY_S = 1.0
"""How often the clock is looked at: it may be set, and the machine may sleep."""


def wait_for_window(request: RunOptions, most_s: float, say: Callable[[str], None]) -> None:
    """Wait until the windows are open; not at all if that takes longer than `most_s`.

    A run that then finds them shut ends as one that did not wait. `say` is called with what is
    waited for. Raises what `read_manifest` raises, and `Interrupted` for a signal.
    """
    for pause_s in pauses(lambda: _opens_s(request), time.time, most_s, say):
        time.sleep(pause_s)


def pauses(
    opens_s: Callable[[], float | None],
    wall: Callable[[], float],
    most_s: float,
    say: Callable[[str], None],
) -> Iterator[float]:
    """Yield seconds to sleep, one after the other, until the windows are open by the clock `wall`.

    `opens_s` returns when they are open next, as is known then.
    """
    deadline = wall() + most_s
    while (opens := opens_s()) is not None and wall() < opens <= deadline:
        left = duration(opens - wall(), round_up=True)
        say(f"waiting for the window: it opens at {utc_text(opens)}, in {left}")
        while (left_s := opens - wall()) > 0:
            yield min(LOOK_EVERY_S, left_s)


def _opens_s(request: RunOptions) -> float | None:
    """Return when the windows of the manifest as it is now open next; None: they do not."""
    with Staging() as staging:
        manifest, _ = read_manifest(request, staging)
    policy: Policy = manifest.policy
    return policy.shut_until_s(time.time())
