"""The page, `report.html`."""
