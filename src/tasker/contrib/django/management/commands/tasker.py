"""`manage.py tasker …`: Tasker's own commands, on the project's database."""

from __future__ import annotations

import os
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tasker.cli import main
from tasker.contrib.django.configuration import Configuration, configuration


class Command(BaseCommand):
    """Runs a command of Tasker's."""

    help = "Runs a command of Tasker's on the project's database: manage.py tasker task list --json"
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """All words are Tasker's."""
        parser.add_argument("words", nargs=REMAINDER, help="The command: worker, db migrate, task list, …")

    def handle(self, *_: Any, **options: Any) -> None:
        """Ends with the command's exit code. `worker` has the project's templates and handlers."""
        told, words = configuration(), list(options["words"])
        os.environ["TASKER_DATABASE_URL"] = told.dsn
        os.environ["TASKER_SCHEMA"] = told.settings.schema_name
        code = main(with_project(words, told))
        if code:
            raise CommandError(f"tasker ended with {code}", returncode=code)


def with_project(words: list[str], told: Configuration) -> list[str]:
    """The words, and what the project says beside them."""
    if words[:1] == ["worker"]:
        given = [*words]
        if "--templates" not in words and told.templates:
            given += ["--templates", *told.templates]
        if "--handlers" not in words and told.handlers:
            given += ["--handlers", "tasker.contrib.django.ready", *told.handlers]
        return given
    if words == ["template", "publish"]:
        return [*words, *told.templates]
    return words
