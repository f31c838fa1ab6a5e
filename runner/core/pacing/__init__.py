"""Rates, waits, waves and the circuit breaker."""
