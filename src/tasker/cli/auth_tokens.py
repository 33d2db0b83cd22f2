"""`tasker auth token keys|create`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Output, duration_s, many
from tasker.cli.database import read_settings
from tasker.cli.show import print_json, print_line


def keys(
    *,
    out: Annotated[Path, Parameter(help="The folder for private.pem and public.pem.")] = Path("."),
    algorithm: Annotated[Literal["RS256", "ES256", "EdDSA"], Parameter(help="What tokens are signed with.")] = "ES256",
    output: Output = Output(),  # noqa: B008
) -> int:
    """Makes a pair of keys."""
    from tasker.server.auth.issuing import new_private_key

    key: Any = new_private_key(algorithm)
    private, public = out / "private.pem", out / "public.pem"
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_new(private, key.as_pem(private=True), 0o600)
        _write_new(public, key.as_pem(private=False), 0o644)
    except FileExistsError as error:
        raise exits.UsageError(f"{error.filename} is there already: name another folder with --out") from error
    except OSError as error:
        raise exits.UsageError(f"--out {out}: {error.strerror}") from error
    if output.json:
        print_json({"private_key": str(private), "public_key": str(public), "algorithm": algorithm})
    else:
        print_line(f"{private} signs tokens (`tasker auth token create`); keep it to yourself")
        print_line(f"{public} goes to servers: TASKER_AUTH_JWT_KEY_FILES='[\"{public}\"]'")
    return exits.OK


def create(
    *,
    private_key: Annotated[Path, Parameter(help="The PEM file to sign with.")],
    subject: Annotated[str, Parameter(help="Who the token is for; histories name it.")],
    permission: Annotated[list[str] | None, many("What it may: tasks:create, steps:*, …")] = None,
    role: Annotated[list[str] | None, many("Roles that it has.")] = None,
    namespace: Annotated[list[str] | None, many("Namespaces that it sees and uses; * is all.")] = None,
    expires: Annotated[str, Parameter(help="After 1h, 30m, 7d, …")] = "1h",
    issuer: Annotated[str | None, Parameter(help="Who signs; else TASKER_AUTH_JWT_ISSUER says.")] = None,
    audience: Annotated[str | None, Parameter(help="For whom; else TASKER_AUTH_JWT_AUDIENCE says.")] = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Signs a token."""
    from tasker.server.auth.issuing import private_key as read_private_key
    from tasker.server.auth.issuing import signed_token
    from tasker.server.auth.roles import all_roles, checked, of_roles

    settings = read_settings()
    issuer, audience = issuer or settings.auth_jwt_issuer, audience or settings.auth_jwt_audience
    if not issuer or not audience:
        raise exits.UsageError(
            "say --issuer and --audience, or set TASKER_AUTH_JWT_ISSUER and TASKER_AUTH_JWT_AUDIENCE"
        )
    of_roles(role or [], all_roles(settings.auth_roles))
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        settings.auth_jwt_permissions_claim: checked(permission or [], "--permission"),
        settings.auth_jwt_roles_claim: role or [],
        settings.auth_jwt_namespaces_claim: namespace or [],
    }
    lifetime_s = duration_s(expires, "--expires")
    try:
        text = private_key.read_bytes()
    except OSError as error:
        raise exits.UsageError(f"--private-key {private_key}: {error.strerror}") from error
    token = signed_token(read_private_key(text), claims, lifetime_s=lifetime_s)
    if output.json:
        print_json({"token": token, "expires_in_s": lifetime_s, "claims": claims})
    else:
        print(token)
    return exits.OK


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Writes a file that was not there, with these rights from the beginning."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
