"""A Django project on a database of its own, in whose ASGI application Tasker is mounted as docs/security.md says.

Run as a program in a folder with django_host.py; prints the answers to its visitors as JSON.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import django
import httpx2
from django.conf import settings


def set_up() -> dict[str, str]:
    """Users, and the session of each."""
    settings.configure(
        SECRET_KEY="of a test",
        ROOT_URLCONF="django_urls",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}},
        USE_TZ=True,
    )
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    sessions: dict[str, str] = {}
    for name, is_staff in (("ann", True), ("bob", False)):
        user = get_user_model().objects.create_user(name, password="p", is_staff=is_staff)
        client = Client()
        client.force_login(user)
        sessions[name] = client.cookies[settings.SESSION_COOKIE_NAME].value
    return sessions


async def visit(sessions: dict[str, str]) -> dict[str, Any]:
    """What each visitor is answered."""
    import django_host  # pyright: ignore[reportMissingImports] - the page's code

    seen: dict[str, Any] = {}
    async with django_host.tasker:
        transport = httpx2.ASGITransport(app=django_host.application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://site.example") as client:
            callers: dict[str, dict[str, str]] = {
                "nobody": {},
                "a made-up session": {"cookie": "sessionid=abc"},
                "ann": {"cookie": f"sessionid={sessions['ann']}"},
                "bob": {"cookie": f"sessionid={sessions['bob']}"},
                "ann by another site": {"cookie": f"sessionid={sessions['ann']}", "origin": "https://evil.example"},
            }
            for who, headers in callers.items():
                listed = await client.get("/tasker/v1/tasks", headers=headers)
                checked = await client.post("/tasker/v1/templates/validate", headers=headers, json={"template": "a: 1"})
                seen[who] = [listed.status_code, checked.status_code]
            seen["a page of Django's"] = (await client.get("/hello")).text
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(visit(set_up()))))
