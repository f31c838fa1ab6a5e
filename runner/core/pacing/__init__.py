"""Decides when frames may be sent: rates, waits, waves, the circuit breaker."""
