"""Loads a manifest into checked, frozen values; its errors are returned as `Problem`s."""
