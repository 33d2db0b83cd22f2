"""What this server is set to, without its secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field, SecretStr

from tasker import __version__
from tasker.embedded import redact
from tasker.operations.registry import Access, Answer, Scope, operation
from tasker.operations.templates import Nothing
from tasker.settings import Settings
from tasker.store.managed_keys import list_keys

_KEYS_MAX = 1_000


class ConfigMetadata(Answer):
    """When and where this was said."""

    timestamp: datetime
    environment: str
    version: str


class AuthConfig(Answer):
    """Who may call."""

    enabled: bool
    verification_method: str = Field(description="jwks, public_key or none: how tokens are checked.")
    jwt_issuer: str | None
    jwt_audience: str | None
    api_key_header: str
    api_key_count: int = Field(description=f"Keys that are not revoked, at most {_KEYS_MAX}.")
    strict_validation: bool
    allowed_algorithms: list[str]


class BreakerConfig(Answer):
    """The server's own circuit breakers: it has none, the database is asked each time."""

    enabled: bool = False
    failure_threshold: int = 0
    timeout_seconds: float = 0
    success_threshold: int = 0


class PoolConfig(Answer):
    """Connections to the database of one server process."""

    web_api_pool_size: int
    web_api_max_connections: int


class MessagingConfig(Answer):
    """How workers are woken."""

    backend: str = "postgres"
    queues: list[str]


class ConfigResponse(Answer):
    """What this server is set to. What is secret is `***`."""

    metadata: ConfigMetadata
    auth: AuthConfig
    circuit_breakers: BreakerConfig
    database_pools: PoolConfig
    deployment_mode: str
    messaging: MessagingConfig
    settings: dict[str, Any] = Field(description="Every setting by its name.")


@operation("system:config_read", Scope.WHOLE)
async def get_config(access: Access, given: Nothing) -> ConfigResponse:
    """Show what this server is set to, without its secrets"""
    engine, settings = access.engine, access.engine.settings
    schema = settings.schema_name
    live = await engine.ask(lambda connection: list_keys(connection, only_live=True, limit=_KEYS_MAX, schema=schema))
    stats = await engine.ask(lambda connection: engine.reads.stats(connection, count_max=1))
    return ConfigResponse(
        metadata=ConfigMetadata(timestamp=datetime.now(UTC), environment=settings.env or "none", version=__version__),
        auth=_auth(settings, is_on=access.principal.kind != "none", keys=len(live)),
        circuit_breakers=BreakerConfig(),
        database_pools=PoolConfig(
            web_api_pool_size=settings.read_connections, web_api_max_connections=settings.read_connections
        ),
        deployment_mode="server",
        messaging=MessagingConfig(queues=sorted({channel.queue for channel in stats.channels})),
        settings=redacted(settings),
    )


def _auth(settings: Settings, *, is_on: bool, keys: int) -> AuthConfig:
    method = "jwks" if settings.auth_jwt_jwks_url else "public_key" if settings.auth_jwt_key_files else "none"
    return AuthConfig(
        enabled=is_on,
        verification_method=method,
        jwt_issuer=settings.auth_jwt_issuer,
        jwt_audience=settings.auth_jwt_audience,
        api_key_header=settings.auth_api_key_header,
        api_key_count=keys,
        strict_validation=settings.auth_jwt_strict,
        allowed_algorithms=list(settings.auth_jwt_algorithms),
    )


def redacted(settings: Settings) -> dict[str, Any]:
    """Every setting as JSON values: secrets as `***`, the DSN without its password."""
    shown = settings.model_dump(mode="json")
    for name in type(settings).model_fields:
        if isinstance(getattr(settings, name), SecretStr):
            shown[name] = "***"
    if settings.database_url:
        shown["database_url"] = redact(settings.database_url)
    return shown
