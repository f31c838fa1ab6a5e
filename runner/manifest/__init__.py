"""Loads manifest files into checked, frozen values; errors are returned as `Problem`s."""
