"""Tasker's API beside a Django project, on one server."""

from __future__ import annotations

from typing import Any, cast

from tasker.contrib.asgi import Application, Beside
from tasker.contrib.django.configuration import configuration


def mounted(application: Any) -> Beside:
    """The project's ASGI application (of get_asgi_application()), with Tasker's API and worker as TASKER says."""
    told = configuration()
    tasker = told.tasker()
    api = cast("Application", tasker.asgi(authenticator=told.who_calls(tasker)))
    return Beside(application, tasker, api, at=told.at)
