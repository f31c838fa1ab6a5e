"""Reports: what a run leaves for people and programs (cli.md, "A run leaves")."""

from runner.report.writing import FORMATS, folder_name, render, write_report

__all__ = ["FORMATS", "folder_name", "render", "write_report"]
