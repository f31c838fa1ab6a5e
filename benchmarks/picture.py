"""Draws the table of docs/performance.md: each row's ratio, or figure, as a share of its goal.

    python benchmarks/picture.py

It reads the document and writes docs/images/performance.svg. A bar that ends left of the line is within
its goal.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
ROW = re.compile(
    r"\| (?P<what>[^|]+) \| (?P<own>[^|]+) \| (?P<bare>[^|]*) \| (?P<ratio>[^|]*) \| (?P<sign>[≤≥]) (?P<goal>[\d.]+)[^|]*\|"
)
BAR, STEP, LEFT, WIDTH, TOP = 14, 24, 430, 330, 40
"""Pixels: a bar's height, from bar to bar, the texts' and the bars' width, above the first."""

MOST = 2.0
"""Share of a goal at which a bar is cut off."""


def shares(text: str) -> list[tuple[str, str, float, bool]]:
    """Return each row's name, its figure with the goal, its share of the goal, and if it is reached."""
    found = []
    for row in ROW.finditer(text):
        figure = row["ratio"].strip() or row["own"].split()[0].replace(",", "")
        share = float(figure) / float(row["goal"])
        share = share if row["sign"] == "≤" else 1 / share
        label = f"{figure} ({row['sign']} {row['goal']})"
        found.append((row["what"].strip().replace("`", ""), label, share, share <= 1))
    return found


def draw(rows: list[tuple[str, str, float, bool]]) -> str:
    """Return the picture."""
    height, goal_x = TOP + STEP * len(rows) + 10, LEFT + WIDTH / MOST
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 110} {height}"'
            ' font-family="sans-serif" font-size="12" role="img">'
        ),
        "<title>Measured figures as shares of their goals</title>",
        f'<rect width="{LEFT + WIDTH + 110}" height="{height}" fill="#ffffff"/>',
        f'<text x="{goal_x}" y="20" text-anchor="middle" fill="#333">goal</text>',
    ]
    for number, (what, label, share, is_reached) in enumerate(rows):
        y, width = TOP + STEP * number, min(share, MOST) / MOST * WIDTH
        colour = "#2a7f62" if is_reached else "#b5482a"
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end" fill="#222">{escape(what)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LEFT + WIDTH + 8}" y="{y + 11}" fill="#222">{escape(label)}</text>',
        ]
    parts += [
        f'<line x1="{goal_x}" x2="{goal_x}" y1="26" y2="{height - 6}" stroke="#333" stroke-dasharray="4 3"/>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def main() -> None:
    """Draw what the document holds."""
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    (DOCS / "images" / "performance.svg").write_text(draw(shares(text)), encoding="utf-8")


if __name__ == "__main__":
    main()
