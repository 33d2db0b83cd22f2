"""Tasker in a Django project: put `tasker.contrib.django` into INSTALLED_APPS and describe it in the setting TASKER.

`submit` creates a task in the transaction of the project's own database connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasker.submission import SubmittedTask, submit_call


def submit(
    name: str,
    *,
    namespace: str = "default",
    version: str | None = None,
    context: Mapping[str, Any] | None = None,
    using: str | None = None,
    **options: Any,
) -> SubmittedTask:
    """Creates a task in the current transaction of a database connection: it exists exactly if that commits.

    No `on_commit` is needed, and none is lost. `using` names the connection, the setting's where it is not given;
    `options` are the fields of TaskRequest. Raises what SubmitCall.execute raises: inside `atomic`, that transaction
    cannot go on afterwards.
    """
    from django.db import connections

    from tasker.contrib.django.configuration import configuration

    told = configuration()
    call = submit_call(
        name, namespace=namespace, version=version, context=context, schema=told.settings.schema_name, **options
    )
    return call.execute(connections[using or told.database])
