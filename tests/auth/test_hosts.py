"""Applications that embed Tasker and say who calls: the programs of docs/security.md, as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from api import template

from tasker import Tasker
from tasker.templates import load_text

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"


@pytest.fixture
async def site(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's programs, and a database with a template of `shop`."""
    for text in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        named = re.match(r"# (\S+)\n", text)
        assert named
        (tmp_path / named[1]).write_text(text)
    (tmp_path / "django_urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        "urlpatterns = [path('hello', lambda request: HttpResponse('hello'))]\n"
    )
    monkeypatch.setenv("TASKER_DATABASE_URL", database)
    async with Tasker(worker=False) as tasker:
        for namespace in ("shop", "bank"):
            await tasker.publish(load_text(template(namespace)).template)
    return tmp_path


async def test_fastapi_says_who_calls(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users of the application may what their role may, in their namespaces; others are nobody."""
    monkeypatch.syspath_prepend(str(site))
    import fastapi_host  # pyright: ignore[reportMissingImports] - the page's code

    app = fastapi_host.app
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://site.example") as client:

            async def create(user: str, namespace: str = "shop") -> int:
                body = {"name": "order", "namespace": namespace}
                return (await client.post("/tasker/v1/tasks", json=body, headers={"x-user": user})).status_code

            assert (await client.get("/tasker/v1/tasks")).status_code == 401
            assert (await client.get("/tasker/v1/tasks", headers={"x-user": "eve"})).status_code == 401
            assert (await client.get("/tasker/v1/tasks", headers={"x-user": "bob"})).status_code == 200
            assert [await create("ann"), await create("bob"), await create("ann", "bank")] == [200, 403, 403]
            made = (await client.get("/tasker/v1/tasks", headers={"x-user": "bob"})).json()["tasks"]
            assert [task["initiator"] for task in made] == ["ann"]


def test_django_says_who_calls(site: Path) -> None:
    """Who is logged in to Django is a caller of Tasker; a made-up session, and another site's page, are not."""
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("django_site.py"))],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "nobody": [401, 401],
        "a made-up session": [401, 401],
        "ann": [200, 200],
        "bob": [200, 403],
        "ann by another site": [403, 403],
        "a page of Django's": "hello",
    }
