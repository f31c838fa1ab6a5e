"""Callbacks: signed webhooks that tell other systems of final outcomes."""

from runner.webhooks.dispatcher import Courier, Outbox, OutboxRow

__all__ = ["Courier", "Outbox", "OutboxRow"]
