"""From a request to the input of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request

from tasker.operations import Engine
from tasker.operations.registry import Given
from tasker.server.rest.body import check_of_worker, check_text, check_value, read_json
from tasker.server.rest.routes import Route


async def read_given(request: Request, route: Route, engine: Engine, headers: Mapping[str, str] | None = None) -> Given:
    """The operation's input: from the path, and from the body or the query; what `headers` say goes before the query.

    Raises ValidationError, MalformedRequest, RequestTooLarge.
    """
    for text in (
        *request.path_params.values(),
        *(part for pair in request.query_params.multi_items() for part in pair),
    ):
        check_text(text, engine.settings.json_string_bytes_max)
    if route.has_body:
        check = check_of_worker if route.is_for_workers else check_value
        body = await read_json(request, engine.settings, check)
        said = {**({route.body_field: body} if route.body_field else body), **request.path_params}
        return route.operation.given.model_validate_json(orjson.dumps(said), strict=True)
    return route.operation.given.model_validate({**_query(request), **(headers or {}), **request.path_params})


def _query(request: Request) -> dict[str, Any]:
    """The query; what is said several times as a list."""
    query = request.query_params
    return {name: values if len(values := query.getlist(name)) > 1 else values[0] for name in query}
