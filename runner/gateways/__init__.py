"""Adapters to gateways: a folder for each driver, behind the `Gateway` port."""
