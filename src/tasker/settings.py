"""Every setting of Tasker, as one frozen tree.

Each has a key, by which the file of settings has it, and an environment variable: `TASKER_` and the key in capitals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as Unreadable

from tasker.model.errors import SettingsError
from tasker.settings_file import SettingsFile, settings_file
from tasker.sql import DEFAULT_SCHEMA


class Settings(BaseSettings):
    """What a process reads once, at its start: arguments, else the environment, else the file of settings.

    Durations are in seconds, sizes in bytes. Raises SettingsError, which names each variable or key that is wrong.
    """

    model_config = SettingsConfigDict(
        env_prefix="TASKER_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    database_url: str | None = Field(None, description="DSN of PostgreSQL; the embedded one where it is not set.")
    database_pooler: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether that leads through a pooler such as PgBouncer; auto: it is found out."
    )
    database_listen_url: str | None = Field(
        None, description="Past the pooler, for LISTEN alone; without it workers behind one look for work by polling."
    )
    database_read_url: str | None = Field(
        None, description="A read replica: a server asks it for lists and figures, which may lag."
    )
    read_lag_max_s: float = Field(5, gt=0, description="A replica that is further behind is not asked.")
    schema_name: str = Field(DEFAULT_SCHEMA, alias="TASKER_SCHEMA", description="The schema that Tasker owns.")
    env: str | None = Field(None, description="Which `environments` block of the templates applies.")

    concurrency: int = Field(200, gt=0, description="Async steps that one process runs at once.")
    threads: int = Field(8, gt=0, description="Plain (blocking) steps that one process runs at once.")
    cpu_processes: int = Field(2, gt=0, description="Steps declared runs_in='process' that one process runs at once.")

    lease_s: float = Field(15, gt=0, description="A session silent for longer is ended, and its steps run elsewhere.")
    beat_s: float = Field(3, gt=0, description="How often a session says that it is alive.")
    poll_s: float = Field(0.1, gt=0, description="How often an idle worker looks for work without being woken.")
    sweep_s: float = Field(1, gt=0, description="How often the net under everything is drawn.")
    drain_s: float = Field(30, ge=0, description="How long a worker that is asked to stop lets its steps finish.")

    transport: Literal["auto", "direct", "pgmq", "rabbitmq"] = Field(
        "auto", description="How work is announced; auto: as the database is set, which is direct at first."
    )
    transport_poll_s: float = Field(0.1, gt=0, description="How often queues of PGMQ and the outbox are looked at.")
    rabbitmq_url: SecretStr | None = Field(None, description="RabbitMQ's address: amqp://user:word@host:5672/vhost.")
    rabbitmq_prefetch: int = Field(100, gt=0, le=65535, description="Messages that a worker is handed at once.")
    rabbitmq_heartbeat_s: int = Field(30, gt=0, description="How soon a connection to RabbitMQ counts as lost.")

    result_bytes_max: int = Field(1_048_576, gt=0, description="The largest result, as JSON, that a step may have.")
    input_bytes_max: int = Field(1_048_576, gt=0, description="The largest context, as JSON, that a task may have.")
    checkpoint_bytes_max: int = Field(1_048_576, gt=0, description="The largest checkpoint, as JSON, of a step.")
    read_connections: int = Field(4, gt=0, description="Connections that a process keeps for submits and reads.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What `tasker worker` logs.")
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="How it is written; auto: as text on a terminal, as JSON elsewhere."
    )

    server_host: str = Field("127.0.0.1", description="Where the server listens; beyond loopback it asks who calls.")
    server_auth: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether callers have to say who they are; auto: beyond loopback."
    )
    server_port: int = Field(8080, ge=0, le=65535, description="The server's port; 0 takes a free one.")
    server_grpc_port: int | None = Field(
        None, ge=0, le=65535, description="The port of gRPC, which is not served without; 0 takes a free one."
    )
    server_grpc_tls_certificate: Path | None = Field(None, description="The certificate (PEM) of gRPC: then it is TLS.")
    server_grpc_tls_key: Path | None = Field(None, description="The key (PEM) of that certificate.")
    server_grpc_reflection: bool = Field(True, description="Whether gRPC describes its services to whoever asks.")
    server_connections: int = Field(8, gt=0, description="Connections to the database of one server process.")
    server_drain_s: float = Field(10, ge=0, description="How long a stopping server lets its requests finish.")
    request_bytes_max: int = Field(8_388_608, gt=0, description="The largest body of a request.")
    request_head_bytes_max: int = Field(65_536, gt=0, description="The longest address and headers of a request.")
    request_headers_max: int = Field(200, gt=0, description="How many headers a request may have.")
    request_head_timeout_s: float = Field(10, gt=0, description="How long the headers of a request may take to come.")
    request_timeout_s: float = Field(30, gt=0, description="How long a request may take, waiting for a task left out.")
    wait_s_max: float = Field(60, gt=0, description="The longest `?wait=` for a task.")
    json_depth_max: int = Field(32, gt=0, description="How deep the JSON of a request may be nested.")
    json_string_bytes_max: int = Field(65_536, gt=0, description="The longest string in the JSON of a request.")
    json_values_max: int = Field(100_000, gt=0, description="How many values the JSON of a request may hold.")
    submit_batch_max: int = Field(1000, gt=0, description="How many tasks one request may create.")
    streams_max: int = Field(1000, gt=0, description="Event streams that one server process holds open.")
    backlog_max: int = Field(0, ge=0, description="No task is taken while so many steps wait for workers; 0: always.")
    creates_per_minute_by_key: int = Field(0, ge=0, description="Tasks that one caller may create a minute; 0: any.")
    creates_per_minute_by_namespace: int = Field(0, ge=0, description="The same for one namespace; 0: any.")
    config_endpoint: bool = Field(True, description="Whether /config answers at all.")

    auth_api_key_header: str = Field("x-api-key", description="The header that API keys come in.")
    auth_api_key_secret: SecretStr | None = Field(
        None, min_length=32, description="Keys the digests of API keys, so that no row can be forged in the database."
    )
    auth_api_key_secret_previous: SecretStr | None = Field(
        None, min_length=32, description="The secret before this one: keys made under it still open the door."
    )
    auth_failures_per_minute: int = Field(
        1000, ge=0, description="Bad credentials from one address, before it is told to wait; 0: any."
    )
    auth_refusals_max: int = Field(
        10_000, gt=0, description="Rows that the record of refused calls keeps of known callers, and of others."
    )
    auth_refusals_days: float = Field(90, gt=0, description="How long it keeps them.")
    auth_cache_s: float = Field(3, ge=0, le=5, description="How long a server may go by what it knows of an API key.")
    auth_roles: dict[str, list[str]] = Field({}, description="Roles by name, as JSON, beside the built-in ones.")
    auth_jwt_key_files: list[Path] = Field([], description="Public keys that tokens are signed with: PEM, JWK or JWKS.")
    auth_jwt_jwks_url: str | None = Field(None, description="Where the issuer publishes its keys: an https address.")
    auth_jwt_algorithms: list[Literal["RS256", "ES256", "EdDSA"]] = Field(
        ["RS256", "ES256", "EdDSA"], min_length=1, description="Algorithms of signatures that count."
    )
    auth_jwt_issuer: str | None = Field(None, description="The `iss` that tokens have to have.")
    auth_jwt_audience: str | None = Field(None, description="The `aud` that tokens have to have.")
    auth_jwt_required_claims: list[str] = Field([], description="Claims that tokens need besides exp, iss, aud, sub.")
    auth_jwt_leeway_s: float = Field(30, ge=0, le=60, description="How far the issuer's clock may be off.")
    auth_jwt_permissions_claim: str = Field("permissions", description="The claim that lists permissions.")
    auth_jwt_roles_claim: str = Field("roles", description="The claim that lists roles.")
    auth_jwt_namespaces_claim: str = Field("namespaces", description='The claim that lists namespaces; "*" is all.')
    auth_jwt_namespaces_default: list[str] = Field(
        [], description='Namespaces of tokens without that claim; ["*"] is all, none lets them see nothing.'
    )
    auth_jwt_strict: bool = Field(True, description="Whether a permission or role that is none spoils the token.")
    auth_jwks_refresh_s: float = Field(600, gt=0, description="How old the issuer's keys may grow before a fresh look.")
    auth_jwks_stale_s: float = Field(3600, ge=0, description="How much older still, while the issuer does not answer.")

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise SettingsError("; ".join(_told(each["loc"], each["msg"], given) for each in error.errors())) from None
        except Unreadable as error:
            name = re.search(r'field "(\w+)"', str(error))
            raise SettingsError(
                _told((name[1] if name else "?",), "is not the JSON that it has to be", given)
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order in which they count."""
        return init_settings, env_settings, _FromFile(settings_cls)


class _FromFile(PydanticBaseSettingsSource):
    """The file's settings, as far as nothing that counts more says them. A table is replaced whole, never mixed."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Of one field: all are read at once instead."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        file = settings_file()
        if file is None:
            return {}
        values = check_file(file)
        return {name: value for name, value in values.items() if not {name, _alias(name)} & self.current_state.keys()}


def setting_key(name: str) -> str:
    """The key of a field in the file of settings; its variable is `TASKER_` and the key in capitals."""
    return _alias(name).removeprefix("TASKER_").lower()


def setting_fields() -> dict[str, str]:
    """The names of all fields by their keys."""
    return {setting_key(name): name for name in Settings.model_fields}


def nearest(key: str) -> str:
    """The end of a sentence that says a key is unknown."""
    near = get_close_matches(key, list(setting_fields()), n=1)
    return f'; did you mean "{near[0]}"?' if near else "; `tasker config show` lists all of them"


@lru_cache(maxsize=8)
def check_file(file: SettingsFile) -> Mapping[str, Any]:
    """The file's values by field. Raises SettingsError with all that is wrong, each with its place."""
    known = setting_fields()
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for key, said in file.values.items():
        if key not in known:
            wrong.append(f'{file.place(key)}: "{key}" is no setting{nearest(key)}')
            continue
        try:
            values[known[key]] = _typed(known[key], said, file.path.parent)
        except ValidationError as error:
            wrong += [f"{file.place(key)}: {_dotted((key, *each['loc']))}: {each['msg']}" for each in error.errors()]
        except TypeError:
            wrong.append(f"{file.place(key)}: {key}: no setting is a date or a time")
    if wrong:
        raise SettingsError("; ".join(wrong))
    return values


def _typed(name: str, said: Any, folder: Path) -> Any:
    """The value as the field has it; TOML tells text from numbers, so text in quotes is none. Raises ValidationError.

    A file that is named is meant from the folder that the settings lie in.
    """
    field, annotated = Settings.model_fields[name], cast("Any", Annotated)
    kind: Any = annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False, hide_input_in_errors=True))
    value = adapter.validate_json(json.dumps(said), strict=True)
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, list):
        return [folder / one if isinstance(one, Path) else one for one in cast("list[Any]", value)]
    return value


def _alias(name: str) -> str:
    return Settings.model_fields[name].alias or f"TASKER_{name.upper()}"


def _told(place: tuple[int | str, ...], message: str, given: Mapping[str, Any]) -> str:
    """What is wrong, with the name by which it was given: that of the argument, or of the variable."""
    first, *rest = place
    name = str(first)
    if name in given or name not in {*Settings.model_fields, *map(_alias, Settings.model_fields)}:
        return f"{_dotted(place)}: {message}"
    variable = _alias(name) if name in Settings.model_fields else name
    return f"{_dotted((variable, *rest))}: {message}"


def _dotted(place: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
