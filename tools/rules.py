"""Writes docs/rules.md from the explanations in the program.

`make rules` runs it; a test checks that the document is up to date.
"""

from __future__ import annotations

from pathlib import Path

from runner.console.diagnostics.explanations import rules_document

DOCUMENT = Path(__file__).parents[1] / "docs" / "rules.md"

if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(rules_document(), encoding="utf-8")
