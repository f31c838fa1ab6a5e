"""Callbacks: signed webhooks that report final outcomes to other systems."""

from runner.webhooks.dispatcher import Outbox, OutboxRow, WebhookDispatcher

__all__ = ["Outbox", "OutboxRow", "WebhookDispatcher"]
