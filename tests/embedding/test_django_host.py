"""Tasker in a Django project, which serves on loopback: its API, its worker, its commands, its transactions."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import psycopg
import pytest
from django_site import Site
from embedding_support import run_an_order

from tasker.client import TaskerClient
from tasker.contrib.asgi import Beside
from tasker.model.errors import SettingsError, Unauthenticated


@pytest.fixture
def site(database: str, tmp_path: Path) -> Site:
    """The project, with its own tables and Tasker's."""
    made = Site(tmp_path, database)
    made.ok("makemigrations", "orders")
    made.ok("migrate")
    made.ok("tasker", "db", "migrate")
    return made


@pytest.mark.slow
def test_a_task_runs_end_to_end_beside_django(site: Site, database: str) -> None:
    """Below /tasker is the API, elsewhere the project; an order and its task are there together, or neither is."""
    with site.serving() as url:
        run_an_order(f"{url}/tasker")
        made = httpx2.get(f"{url}/orders/17/", timeout=60).json()["task_uuid"]
        assert httpx2.get(f"{url}/orders/18/?fails", timeout=60).status_code == 409
        with TaskerClient(f"{url}/tasker") as client:
            assert client.wait(made, timeout_s=60).status == "complete"
            assert [task.idempotency_key for task in client.each_task()] == ["order-17", None]
        assert httpx2.get(f"{url}/taskers").status_code == 404
    with psycopg.connect(database) as connection:
        assert connection.execute("select number, is_paid from orders_order").fetchall() == [(17, True)]


@pytest.mark.slow
def test_callers_are_asked_unless_that_is_turned_off(site: Site) -> None:
    """By default the API asks for a key; one that the project's command made opens it."""
    key = site.ok("tasker", "auth", "key", "create", "test", "--role", "admin", "--all-namespaces").split()[-1]
    with site.serving(SITE_AUTHENTICATOR="keys") as url:
        with TaskerClient(f"{url}/tasker") as stranger, pytest.raises(Unauthenticated):
            stranger.list_tasks()
        run_an_order(f"{url}/tasker", api_key=key)


@pytest.mark.slow
def test_the_commands_are_tasker_s(site: Site) -> None:
    """`manage.py tasker` is the command line on the project's database, with the project's templates."""
    assert "shop/order@1.0.0 is published" in site.ok("tasker", "template", "publish")
    assert json.loads(site.ok("tasker", "template", "list", "--json"))["templates"][0]["name"] == "order"
    missing = site.manage("tasker", "task", "get", "0198c0de-0000-7000-8000-000000000001")
    assert missing.returncode == 3
    assert "there is no task" in missing.stderr


@pytest.mark.slow
def test_wrong_settings_are_told(site: Site) -> None:
    """A setting that there is not is named with the nearest one; so is a database that is no PostgreSQL."""
    file = site.folder / "site_settings.py"
    text = file.read_text()
    for wrong, says in (
        (text.replace('"TEMPLATES"', '"TEMPLATE"'), "did you mean TEMPLATES?"),
        (text.replace('"concurrency"', '"concurrancy"'), "concurrancy"),
        (text.replace("backends.postgresql", "backends.sqlite3"), "no PostgreSQL"),
    ):
        file.write_text(wrong)
        ran = site.manage("tasker", "task", "list")
        assert ran.returncode != 0
        assert says in ran.stderr


@pytest.mark.parametrize("at", ["", "/", "tasker", "/tasker/"])
def test_a_prefix_is_a_prefix(at: str) -> None:
    """A prefix that would swallow the host, or match nothing, is refused."""
    with pytest.raises(SettingsError, match="no prefix"):
        Beside(None, None, None, at=at)  # type: ignore[arg-type]
