"""What libraries below a server log, through the server's own log: one line each, in its format, and no traceback."""

from __future__ import annotations

import logging

import structlog


class ForeignLogs(logging.Handler):
    """Takes records of the standard library's logging. Of an error it tells the kind: its words may quote anything."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        about = {"error": record.exc_info[0].__name__} if record.exc_info and record.exc_info[0] else {}
        said = in_one_line(record.getMessage())
        structlog.get_logger(record.name).log(record.levelno, said, logger=record.name, **about)


def in_one_line(text: str) -> str:
    """The text with all that could begin a line, or move a terminal's cursor, spelled out."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def take_foreign_logs() -> None:
    """From warnings on; called once by a process whose only program is the server."""
    root = logging.getLogger()
    if not any(isinstance(handler, ForeignLogs) for handler in root.handlers):
        root.addHandler(ForeignLogs(logging.WARNING))
