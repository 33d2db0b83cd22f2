"""What processes of one version rely on in another: the SQL that they call, and the messages of the gateway.

The files in `contracts/` are descriptions that are only ever added to. `python tests/fleet/contracts.py DSN` adds what
is new, of a migrated database; it changes no line that is there, and neither may anybody, until `OLDEST_VERSION` of
store/migrate.py has gone past the version that the line names as `since`.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

import tasker
from tasker.operations import OPERATIONS
from tasker.store.connection import connect

FOLDER = Path(__file__).parent / "contracts"
VERBS, MESSAGES = FOLDER / "verbs.json", FOLDER / "messages.json"
STORE = Path(tasker.__file__).parent / "store"
FUNCTIONS = """
select p.proname, pg_get_function_identity_arguments(p.oid) || ' -> ' || pg_get_function_result(p.oid)
from pg_proc p where p.pronamespace = 'tasker_engine'::regnamespace
"""
_SAYS_NOTHING = {"title", "description", "examples", "default"}
Signatures = dict[str, list[str]]
Fields = dict[str, dict[str, Any]]


async def signatures(connection: Any) -> Signatures:
    """The functions of a database that the store names, with what each takes and answers."""
    named, found = set(_words()), Signatures()
    for name, signature in await connection.fetch(FUNCTIONS):
        if name in named:
            found.setdefault(name, []).append(signature)
    return {name: sorted(found[name]) for name in sorted(found)}


def _words() -> Iterator[str]:
    """What the store's strings call, `name(…)`, and what it hands to its own `call("name", …)`."""
    for file in STORE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from re.findall(r"(\w+)\(", node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "call":
                yield from (str(one.value) for one in node.args[:1] if isinstance(one, ast.Constant))


def messages() -> dict[str, Fields]:
    """Of each call of the gateway what is sent and what is answered: fields by their places, with their types."""
    found: dict[str, Fields] = {}
    for operation in OPERATIONS.values():
        if operation.permission == "gateway:work":
            found[f"{operation.name}, sent"] = fields_of(operation.given)
            found[f"{operation.name}, answered"] = fields_of(operation.answer)
    return found


def fields_of(model: type[BaseModel]) -> Fields:
    """`grants.tries`: what JSON Schema says of the field, without words for people; `required`: it has to be sent."""
    schema = model.model_json_schema()
    found = Fields()
    _collect(schema, schema.get("$defs", {}), "", found)
    return found


def _collect(schema: Mapping[str, Any], known: Mapping[str, Any], place: str, found: Fields) -> None:
    for name, field in schema.get("properties", {}).items():
        required = name in schema.get("required", [])
        found[f"{place}{name}"] = {**_plain(field), "required": required}
        for inner in re.findall(r"#/\$defs/(\w+)", json.dumps(field)):
            _collect(known[inner], known, f"{place}{name}.", found)


def _plain(field: Any) -> Any:
    if isinstance(field, Mapping):
        said = cast("Mapping[str, Any]", field)
        return {name: _plain(value) for name, value in said.items() if name not in _SAYS_NOTHING}
    return [_plain(one) for one in cast("list[Any]", field)] if isinstance(field, list) else field


def read(file: Path) -> dict[str, Any]:
    """A description."""
    return json.loads(file.read_text())


async def _add(dsn: str) -> None:
    connection = await connect(dsn)
    try:
        called = await signatures(connection)
    finally:
        await connection.close()
    verbs = read(VERBS) if VERBS.exists() else {}
    for name, found in called.items():
        verbs.setdefault(name, {"since": tasker.__version__, "signatures": found})
    sent = read(MESSAGES) if MESSAGES.exists() else {}
    for message, fields in messages().items():
        for place, field in fields.items():
            sent.setdefault(message, {}).setdefault(place, {"since": tasker.__version__, **field})
    for file, content in ((VERBS, verbs), (MESSAGES, sent)):
        file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(_add(sys.argv[1]))
