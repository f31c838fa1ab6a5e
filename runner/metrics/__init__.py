"""A run's figures as metrics: in a file for Prometheus, and sent by OTLP."""
