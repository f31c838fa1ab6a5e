"""Which column or field of a file holds a transfer's field, and what stands before its value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.manifest.rows.row_sources import FIELDS, Values

_PREFIXED = re.compile(r"([^{}]+)\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Columns:
    """The file's names for a transfer's fields, and the fixed beginnings of their values."""

    names: Mapping[str, str]
    prefixes: Mapping[str, str]

    @classmethod
    def written(cls, columns: Mapping[str, str]) -> Columns:
        """Return what `columns` says: names, or such as `genesys://queue/{target}`."""
        parts = {at: _PREFIXED.fullmatch(column) for at, column in columns.items()}
        names = {at: found[2] if found else columns[at] for at, found in parts.items()}
        return cls(names, {at: found[1] for at, found in parts.items() if found})

    def complete(self, values: Values) -> Values:
        """Return a row's values with their beginnings; what is empty or no text stays as it is."""
        return tuple(  # type: ignore[return-value] # as many
            self.prefixes[at] + value if at in self.prefixes and value and isinstance(value, str)
            else value
            for at, value in zip(FIELDS, values, strict=True)
        )  # fmt: skip
