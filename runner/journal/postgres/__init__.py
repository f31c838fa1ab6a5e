"""The journal in a PostgreSQL database: many hosts, one writer a lane at a time."""
