"""Bounded HTTP: client, token, rate, retries."""
