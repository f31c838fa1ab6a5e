"""The driver `genesys-cloud`."""
