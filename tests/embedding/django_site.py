"""A Django project, as files in a folder, and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from embedding_support import ORDER
from psycopg.conninfo import conninfo_to_dict

FILES = {
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """
import os
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "site_urls"
USE_TZ = True
INSTALLED_APPS = ["tasker.contrib.django", "orders"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", **DATABASE}}
TASKER = {
    "TEMPLATES": ["order.yaml"],
    "HANDLERS": ["orders.handlers"],
    "AUTHENTICATOR": os.environ.get("SITE_AUTHENTICATOR", "off"),
    "SETTINGS": {"concurrency": 20},
}
""",
    "site_asgi.py": """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
from django.core.asgi import get_asgi_application
from tasker.contrib.django.asgi import mounted
application = mounted(get_asgi_application())
""",
    "site_urls.py": """
from django.urls import path
from orders.views import place
urlpatterns = [path("orders/<int:number>/", place)]
""",
    "orders/__init__.py": "",
    "orders/models.py": """
from django.db import models
class Order(models.Model):
    number = models.IntegerField(unique=True)
    is_paid = models.BooleanField(default=False)
""",
    "orders/migrations/__init__.py": "",
    "orders/views.py": """
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from orders.models import Order
from tasker.contrib.django import submit
class Changed(Exception): pass
def place(request, number):
    try:
        with transaction.atomic():
            Order.objects.create(number=number)
            task = submit("order", namespace="shop", context={"number": number}, idempotency_key=f"order-{number}")
            if "fails" in request.GET:
                raise Changed
    except Changed:
        return HttpResponse("rolled back", status=409)
    return JsonResponse({"task_uuid": str(task.task_uuid)})
""",
    "orders/handlers.py": """
from orders.models import Order
from tasker import step_handler
@step_handler("embedded_check")
async def check():
    return {"ok": True}
@step_handler("embedded_charge")
def charge(context):
    Order.objects.filter(number=context.get_input("number") or 0).update(is_paid=True)
    return {"paid": True}
""",
    "order.yaml": ORDER,
}


class Site:
    """The project in its folder."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        place = conninfo_to_dict(dsn)
        said = {
            "NAME": place.get("dbname"), "USER": place.get("user"), "PASSWORD": place.get("password", ""),
            "HOST": place.get("host", ""), "PORT": place.get("port", ""),
        }  # fmt: skip
        for name, text in FILES.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("**DATABASE", f"**{said!r}"))

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of manage.py."""
        return subprocess.run(
            [sys.executable, "manage.py", *words], cwd=self.folder, env=self._environment(), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    def ok(self, *words: str) -> str:
        """One that has to succeed; what it prints."""
        ran = self.manage(*words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    @contextmanager
    def serving(self, **variables: str) -> Generator[str]:
        """The project on uvicorn, in a process of its own; its address."""
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "site_asgi:application", "--port", "0"], cwd=self.folder,
            env=self._environment(**variables), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        said = ""
        try:
            for line in process.stderr:
                said += line
                if "running on http" in line:
                    break
            assert "running on http" in said, said
            yield said.rpartition("running on ")[2].split()[0]
        finally:
            process.terminate()
            process.communicate(timeout=60)

    def _environment(self, **variables: str) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("TASKER_")}
        return {**known, "PYTHONPATH": str(self.folder), **variables}
