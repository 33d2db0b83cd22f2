"""Connection strings: made for our own server, and shown without their password."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

_URL_PASSWORD = re.compile(r"(?<=://)([^:/@?#]*):.*@", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"([?&](?:password|sslpassword)=)[^&#]*", re.IGNORECASE)
_KEY_PASSWORD = re.compile(r"(\b(?:password|sslpassword)\s*=\s*)(?:'(?:\\.|[^'\\])*'?|(?:\\.|[^\s\\])*)", re.IGNORECASE)


def redact(dsn: str) -> str:
    """The DSN, URL or key=value form, with its passwords replaced by `***`.

    A password that was not percent-encoded may hide more of the URL than itself; it is never shown.
    """
    if "://" in dsn:
        return _QUERY_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", dsn))
    return _KEY_PASSWORD.sub(r"\1***", dsn)


def socket_dsn(role: str, database: str, folder: str, port: int) -> str:
    """A DSN for a Unix socket in `folder`. The port is spelled out, or PGPORT of the environment would change it."""
    where = urlencode({"host": folder, "port": port}, safe="/", quote_via=quote)  # libpq does not read + as a space
    return f"postgresql://{quote(role)}@/{quote(database)}?{where}"


def loopback_dsn(role: str, password: str, database: str, port: int) -> str:
    """A DSN for TCP on this machine."""
    return f"postgresql://{quote(role)}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(database)}"
