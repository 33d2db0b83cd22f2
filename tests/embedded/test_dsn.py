"""Connection strings."""

from __future__ import annotations

import psycopg.conninfo
import pytest

from tasker.embedded import redact
from tasker.embedded.dsn import loopback_dsn, socket_dsn


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://shop:s3cret@db.example/orders", "postgresql://shop:***@db.example/orders"),
        ("postgresql://shop:s3cr@t:/?#x@db.example/orders", "postgresql://shop:***@db.example/orders"),
        ("postgresql+asyncpg://:s3cret@db/x", "postgresql+asyncpg://:***@db/x"),
        ("postgresql://shop@db.example/orders", "postgresql://shop@db.example/orders"),
        ("postgresql://tasker@/tasker?host=/tmp/x&port=5432", "postgresql://tasker@/tasker?host=/tmp/x&port=5432"),
        ("postgresql://db/x?user=a&password=s3cret&port=1", "postgresql://db/x?user=a&password=***&port=1"),
        ("postgresql://db/x?PASSWORD=s3cret", "postgresql://db/x?PASSWORD=***"),
        ("host=db password=s3cret dbname=x", "host=db password=*** dbname=x"),
        ("host=db password = 's3 cr\\'et' dbname=x", "host=db password = *** dbname=x"),
        ("host=db password=s3\\ cret dbname=x", "host=db password=*** dbname=x"),
        ("host=db password='s3cret", "host=db password=***"),
        ("host=db sslpassword=s3cret", "host=db sslpassword=***"),
        ("host=db dbname=x", "host=db dbname=x"),
        ("", ""),
    ],
)
def test_a_password_is_never_shown(dsn: str, shown: str) -> None:
    """URLs and key=value strings keep everything but their passwords."""
    assert redact(dsn) == shown


def test_our_own_dsns_mean_what_they_say() -> None:
    """libpq reads back what was put in, whatever characters it holds."""
    parts = psycopg.conninfo.conninfo_to_dict(socket_dsn("tasker", "a b", "/run/x & y=?%", 5432))
    assert parts == {"user": "tasker", "dbname": "a b", "host": "/run/x & y=?%", "port": "5432"}
    parts = psycopg.conninfo.conninfo_to_dict(loopback_dsn("tasker", "p:/@?#%", "tasker", 7000))
    assert parts == {
        "user": "tasker",
        "password": "p:/@?#%",
        "dbname": "tasker",
        "host": "127.0.0.1",
        "port": "7000",
    }
