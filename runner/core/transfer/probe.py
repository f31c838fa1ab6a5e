"""The move that `doctor --probe` makes on purpose."""

from __future__ import annotations

from runner.core.frozen import frozen


@frozen
class Probe:
    """One interaction, and where it is moved before it is moved back."""

    interaction_id: str
    destination_uri: str

    def words(self) -> tuple[str, ...]:
        """Return the options by which it is asked for."""
        return ("--probe", self.interaction_id, "--probe-to", self.destination_uri)
