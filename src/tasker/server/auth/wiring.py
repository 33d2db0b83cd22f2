"""From the settings to who may: API keys always, tokens where an issuer's keys are configured."""

from __future__ import annotations

from collections.abc import Mapping

from tasker.model.errors import SettingsError, Unauthenticated
from tasker.operations.engine import Ask
from tasker.operations.principal import Principal
from tasker.server.auth.api_keys import ApiKeys
from tasker.server.auth.credentials import credential
from tasker.server.auth.jwks import PublishedKeys
from tasker.server.auth.keys import secrets_of as secrets_of
from tasker.server.auth.public_keys import FixedKeys, KeySource, from_files
from tasker.server.auth.roles import all_roles
from tasker.server.auth.tokens import TokenRules, Tokens
from tasker.settings import Settings
from tasker.store.access import Access


class ByCredentials:
    """Lets callers in by an API key or a token, whichever they send; see `Authenticator`."""

    def __init__(self, api_keys: ApiKeys, tokens: Tokens | None, key_header: str) -> None:
        self._api_keys, self._tokens, self._key_header = api_keys, tokens, key_header

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """The caller, or None where no credentials came. Raises what `Authenticator.authenticate` does."""
        sent = credential(headers, self._key_header)
        if sent is None:
            return None
        if sent.kind == "api_key":
            return await self._api_keys.principal(sent.text)
        if self._tokens is None:
            raise Unauthenticated("this server takes no tokens: send an API key", "invalid")
        return await self._tokens.principal(sent.text)


def authenticator(settings: Settings, ask: Ask) -> ByCredentials:
    """Who tells callers apart for a server with these settings; made once a process. Raises SettingsError."""
    roles = all_roles(settings.auth_roles)
    api_keys = ApiKeys(
        Access(settings.schema_name), ask, secrets=secrets_of(settings), roles=roles, cache_s=settings.auth_cache_s
    )
    return ByCredentials(api_keys, tokens_of(settings), settings.auth_api_key_header)


def tokens_of(settings: Settings) -> Tokens | None:
    """What lets tokens in; None where no issuer is configured. Raises SettingsError for half of a configuration."""
    source = _source(settings)
    if source is None:
        return None
    issuer, audience = settings.auth_jwt_issuer, settings.auth_jwt_audience
    if not issuer or not audience:
        raise SettingsError(
            "tokens need TASKER_AUTH_JWT_ISSUER and TASKER_AUTH_JWT_AUDIENCE: else one of the issuer's tokens for any "
            "other purpose would open this door"
        )
    rules = TokenRules(
        algorithms=frozenset(settings.auth_jwt_algorithms),
        issuer=issuer,
        audience=audience,
        required_claims=frozenset(settings.auth_jwt_required_claims),
        leeway_s=settings.auth_jwt_leeway_s,
        permissions_claim=settings.auth_jwt_permissions_claim,
        roles_claim=settings.auth_jwt_roles_claim,
        namespaces_claim=settings.auth_jwt_namespaces_claim,
        namespaces_default=tuple(settings.auth_jwt_namespaces_default),
        is_strict=settings.auth_jwt_strict,
    )
    return Tokens(source, rules, roles=all_roles(settings.auth_roles))


def _source(settings: Settings) -> KeySource | None:
    files, url = settings.auth_jwt_key_files, settings.auth_jwt_jwks_url
    if files and url:
        raise SettingsError("set TASKER_AUTH_JWT_KEY_FILES or TASKER_AUTH_JWT_JWKS_URL, not both")
    if url:
        return PublishedKeys(url, refresh_s=settings.auth_jwks_refresh_s, stale_s=settings.auth_jwks_stale_s)
    if files:
        return FixedKeys(from_files(files))
    if settings.auth_jwt_issuer or settings.auth_jwt_audience:
        raise SettingsError(
            "TASKER_AUTH_JWT_ISSUER or TASKER_AUTH_JWT_AUDIENCE is set, and no keys: set TASKER_AUTH_JWT_KEY_FILES "
            "or TASKER_AUTH_JWT_JWKS_URL"
        )
    return None
