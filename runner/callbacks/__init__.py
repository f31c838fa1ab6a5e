"""Callbacks: signed webhooks that tell other systems of final outcomes."""

from runner.callbacks.courier import Courier, Outbox, OutboxRow

__all__ = ["Courier", "Outbox", "OutboxRow"]
