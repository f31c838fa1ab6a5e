"""A transfer's states, evidence, messages and outcomes."""
