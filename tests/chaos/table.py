"""All rows, by name, in the order in which they run."""

from __future__ import annotations

from chaos import rows_database, rows_disk, rows_kills, rows_messages, rows_races, rows_work
from chaos.run import RowOf

_ALL = [*rows_kills.ROWS, *rows_database.ROWS, *rows_disk.ROWS, *rows_messages.ROWS, *rows_races.ROWS, *rows_work.ROWS]
ROWS: dict[str, RowOf] = {row.name: row for row in sorted(_ALL, key=lambda row: int(row.name[1:]))}
