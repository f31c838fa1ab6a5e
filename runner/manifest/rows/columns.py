"""Maps a transfer's fields to a file's columns, with fixed prefixes of their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.manifest.rows.row_sources import FIELDS, Values

_PREFIXED = re.compile(r"([^{}]+)\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Columns:
    """A file's names for a transfer's fields, and the fixed prefixes of their values."""

    names: Mapping[str, str]
    prefixes: Mapping[str, str]

    @classmethod
    def parse(cls, columns: Mapping[str, str]) -> Columns:
        """Parse `columns`: names, or patterns such as `genesys://queue/{target}`."""
        parts = {at: _PREFIXED.fullmatch(column) for at, column in columns.items()}
        names = {at: found[2] if found else columns[at] for at, found in parts.items()}
        return cls(names, {at: found[1] for at, found in parts.items() if found})

    def complete(self, values: Values) -> Values:
        """Return a row's values with their prefixes; empty values and other types stay unchanged."""
        return tuple(  # type: ignore[return-value] # same length
            self.prefixes[at] + value if at in self.prefixes and value and isinstance(value, str)
            else value
            for at, value in zip(FIELDS, values, strict=True)
        )  # fmt: skip
