"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig


class TaskerConfig(AppConfig):
    """It has no models: Tasker's tables are its own, and `manage.py tasker db migrate` makes them."""

    name = "tasker.contrib.django"
    label = "tasker"
    verbose_name = "Tasker"
