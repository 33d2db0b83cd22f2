"""All rows, by name, in the order in which they run."""

from __future__ import annotations

from chaos import rows_kills
from chaos.run import RowOf

ROWS: dict[str, RowOf] = {row.name: row for row in [*rows_kills.ROWS]}
