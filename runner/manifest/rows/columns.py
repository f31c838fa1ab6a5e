"""Maps a transfer's fields to a file's columns, with fixed prefixes of their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from runner.core.frozen import frozen
from runner.manifest.rows.row_sources import FIELDS, Values

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""What separates columns by default; spreadsheets save tabs in `.txt` files."""


def delimiter_of(name: str) -> str | None:
    """Return what separates the columns of a file with this name by default; None: it has none."""
    return _DELIMITERS.get(PurePath(name).suffix.casefold())


_PREFIXED = re.compile(r"([^{}]+)\{([^{}]+)\}")


@frozen
class Columns:
    """A file's column for each field, and the fixed prefixes of values."""

    names: Mapping[str, str]
    prefixes: Mapping[str, str]

    @classmethod
    def parse(cls, columns: Mapping[str, str]) -> Columns:
        """Parse `columns`: names, or patterns such as `genesys://queue/{target}`."""
        parts = {field: _PREFIXED.fullmatch(column) for field, column in columns.items()}
        names = {field: found[2] if found else columns[field] for field, found in parts.items()}
        return cls(names, {field: found[1] for field, found in parts.items() if found})

    def complete(self, values: Values) -> Values:
        """Return a row's values with prefixes added; empty values and other types are unchanged."""
        return tuple(  # type: ignore[return-value] # same length
            self.prefixes[field] + value if field in self.prefixes and value and isinstance(value, str)
            else value
            for field, value in zip(FIELDS, values, strict=True)
        )  # fmt: skip
