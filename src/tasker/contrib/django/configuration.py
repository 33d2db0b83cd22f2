"""The setting TASKER of a Django project, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast
from urllib.parse import quote, urlencode

from django.conf import settings as django_settings
from django.utils import module_loading
from pydantic import ValidationError

from tasker.app import Tasker
from tasker.model.errors import SettingsError
from tasker.server.auth import Authenticator
from tasker.server.auth.wiring import authenticator
from tasker.settings import Settings

_DEFAULTS: dict[str, Any] = {
    "DATABASE": "default",
    "TEMPLATES": [],
    "HANDLERS": [],
    "AT": "/tasker",
    "WORKER": True,
    "AUTHENTICATOR": "keys",
    "SETTINGS": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the setting TASKER says."""

    database: str
    """The alias of the connection whose database Tasker uses."""
    templates: tuple[str, ...]
    handlers: tuple[str, ...]
    at: str
    """Where the API is mounted."""
    worker: bool
    """Whether the process that serves requests runs steps as well."""
    authenticator: str
    """`keys` (API keys and tokens), `off`, or the path of a function that makes an Authenticator."""
    settings: Settings

    @property
    def dsn(self) -> str:
        """Of that connection. Raises SettingsError for one that is not PostgreSQL's."""
        databases = cast("dict[str, dict[str, Any]]", cast(Any, django_settings).DATABASES)
        if self.database not in databases:
            raise SettingsError(f'TASKER["DATABASE"]: DATABASES has no "{self.database}"')
        return _dsn(self.database, databases[self.database])

    def tasker(self) -> Tasker:
        """A Tasker, to be started by whoever serves."""
        # the module comes first: it sets Django up in processes that Django did not start
        handlers = ["tasker.contrib.django.ready", *self.handlers] if self.worker and self.handlers else []
        return Tasker(self.dsn, templates=self.templates, handlers=handlers, settings=self.settings, worker=self.worker)

    def who_calls(self, tasker: Tasker) -> Authenticator | None:
        """Who tells callers apart; None where everybody may do everything."""
        if self.authenticator == "off":
            return None
        if self.authenticator == "keys":
            return authenticator(self.settings, tasker.engine().ask)
        return cast("Authenticator", cast(Any, module_loading).import_string(self.authenticator)())


def configuration() -> Configuration:
    """The setting TASKER. Raises SettingsError for keys that there are not, with the nearest one."""
    said = cast("dict[str, Any]", getattr(django_settings, "TASKER", {}))
    for key in said:
        if key not in _DEFAULTS:
            near = get_close_matches(key, list(_DEFAULTS), n=1)
            raise SettingsError(f'TASKER["{key}"] is no setting{f"; did you mean {near[0]}?" if near else ""}')
    known: dict[str, Any] = {**_DEFAULTS, **said}
    return Configuration(
        database=known["DATABASE"],
        templates=tuple(str(one) for one in known["TEMPLATES"]),
        handlers=tuple(known["HANDLERS"]),
        at=known["AT"],
        worker=known["WORKER"],
        authenticator=known["AUTHENTICATOR"],
        settings=_settings(known["SETTINGS"]),
    )


def _settings(said: dict[str, Any]) -> Settings:
    try:
        return Settings(**said)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)
        )
        raise SettingsError(f'TASKER["SETTINGS"]: {wrong}') from None


def _dsn(alias: str, said: dict[str, Any]) -> str:
    if "postgresql" not in str(said.get("ENGINE")) and "postgis" not in str(said.get("ENGINE")):
        raise SettingsError(f'DATABASES["{alias}"] is no PostgreSQL, and Tasker needs one: name another in TASKER')
    options = cast("dict[str, Any]", said.get("OPTIONS") or {})
    if "service" in options:
        raise SettingsError(f'DATABASES["{alias}"] names a service file, which Tasker does not read: write it out')
    query = {key: value for key, value in options.items() if key.startswith("ssl")}
    host, port = str(said.get("HOST") or ""), str(said.get("PORT") or "")
    place = f"[{host}]" if ":" in host else host
    if host.startswith("/"):  # the folder of a socket
        query |= {"host": host, **({"port": port} if port else {})}
        place = port = ""
    user, password = quote(str(said.get("USER") or ""), safe=""), quote(str(said.get("PASSWORD") or ""), safe="")
    who = f"{user}{':' if password else ''}{password}@" if user else ""
    name = quote(str(said.get("NAME") or ""), safe="")
    return f"postgresql://{who}{place}{':' if port else ''}{port}/{name}{'?' if query else ''}{urlencode(query)}"
