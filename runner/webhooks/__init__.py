"""Callbacks: signed webhooks that tell other systems of final outcomes."""

from runner.webhooks.dispatcher import Outbox, OutboxRow, WebhookDispatcher

__all__ = ["Outbox", "OutboxRow", "WebhookDispatcher"]
