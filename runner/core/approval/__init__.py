"""Approvals: SSH signatures, the people who may give them, and how many a plan needs."""
