"""Where the server is and who asks: from arguments, the environment, or the user's file of profiles.

A key belongs to its server: one from a profile is sent to that profile's address alone.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from tasker.model.errors import SettingsError

DEFAULT = "default"
GRPC, GRPCS = "grpc", "grpcs"
SCHEMES = "http", "https", GRPC, GRPCS
API_KEY_HEADER = "x-api-key"
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A server, and how to call it. At most one of `api_key` and `token` is set; neither is ever printed."""

    url: str
    """Up to where `/v1` begins, such as https://app.example/tasker; over gRPC a host and a port: grpc://app.example:9190,
    and grpcs://… where it is TLS."""
    api_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    api_key_header: str = API_KEY_HEADER
    timeout_s: float = TIMEOUT_S
    """Of one request, waiting for a task left out."""

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        if place.scheme not in SCHEMES or not place.hostname:
            raise SettingsError(
                f'"{_shown(self.url)}" is no address of a server: write http://…, https://…, grpc://… or grpcs://…'
            )
        if place.username or place.password or place.query or place.fragment:
            raise SettingsError(f'"{_shown(self.url)}": give the address alone; a key goes into TASKER_API_KEY')
        if self.is_grpc and (_port(place) is None or place.path.strip("/")):
            raise SettingsError(f'"{self.url}": gRPC is at a host and a port: write {place.scheme}://HOST:PORT')
        if self.api_key and self.token:
            raise SettingsError(f"{self.url}: give an API key or a token, not both")
        if not self.timeout_s > 0:
            raise SettingsError(f"{self.url}: timeout_s is a number of seconds above 0, not {self.timeout_s}")

    @property
    def is_grpc(self) -> bool:
        """Whether the server is spoken to over gRPC, and not over HTTP."""
        return urlsplit(self.url).scheme in (GRPC, GRPCS)

    @property
    def is_tls(self) -> bool:
        """Whether the connection is TLS."""
        return urlsplit(self.url).scheme in ("https", GRPCS)

    def headers(self) -> dict[str, str]:
        """What proves who asks."""
        if self.api_key:
            return {self.api_key_header: self.api_key}
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


def _port(place: SplitResult) -> int | None:
    """None also for one that is none."""
    try:
        return place.port
    except ValueError:
        return None


def _shown(url: str) -> str:
    """Without what stands before an @: that may be a password."""
    return url.rpartition("@")[2]


def profiles_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`tasker/profiles.toml` in XDG_CONFIG_HOME, or in ~/.config."""
    home = environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path("~/.config").expanduser()) / "tasker" / "profiles.toml"


def find_profile(
    url: str | None = None,
    *,
    api_key: str | None = None,
    token: str | None = None,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Profile:
    """The server that is meant: that of the arguments, of TASKER_URL, of TASKER_PROFILE, or of the profile `default`.

    The key or token is that of the arguments, else of the profile, else TASKER_API_KEY or TASKER_AUTH_TOKEN. Raises
    SettingsError for two servers, two proofs, or none to be found.
    """
    if url and profile:
        raise SettingsError("give a server's address or a profile, not both")
    if api_key and token:
        raise SettingsError("give an API key or a token, not both")
    named = profile
    if not url and not named:
        url, named = environ.get("TASKER_URL") or None, environ.get("TASKER_PROFILE") or None
        if url and named:
            raise SettingsError("TASKER_URL and TASKER_PROFILE are both set, and may mean two servers: unset one")
    said: dict[str, Any] = {"url": url} if url else _read_profile(named, environ)
    proof = _proof(api_key, token) or _proof(said.pop("api_key", None), said.pop("token", None))
    return Profile(**{**said, **(proof or _of_environment(environ))})


def _proof(api_key: str | None, token: str | None) -> dict[str, Any]:
    found = {"api_key": api_key, "token": token}
    return {name: value for name, value in found.items() if value}


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = _proof(environ.get("TASKER_API_KEY"), environ.get("TASKER_AUTH_TOKEN"))
    if len(found) > 1:
        raise SettingsError("TASKER_API_KEY and TASKER_AUTH_TOKEN are both set: unset one")
    return found


def _read_profile(name: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """A profile of the file, its secrets read from where it says they are."""
    file = profiles_file(environ)
    if not file.is_file():
        more = f" (profile {name})" if name else ""
        raise SettingsError(f"no server is named{more}: give its address, set TASKER_URL, or write {file}")
    profiles = _parsed(file)
    found = profiles.get(name or DEFAULT)
    if not isinstance(found, dict):
        raise SettingsError(f"{file}: there is no profile {name or DEFAULT}{_nearest(name or DEFAULT, profiles)}")
    return _checked(file, name or DEFAULT, cast("dict[str, Any]", found))


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error


def _checked(file: Path, name: str, said: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {one.name: str for one in fields(Profile)}
    known |= {"api_key_file": str, "token_file": str, "timeout_s": (int, float)}
    for key, value in said.items():
        if key not in known:
            raise SettingsError(f"{file}: profile {name} has no setting {key}{_nearest(key, known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise SettingsError(f"{file}: profile {name}: {key} is no {'number' if key == 'timeout_s' else 'text'}")
    if "url" not in said:
        raise SettingsError(f"{file}: profile {name} has no url")
    proofs = [key for key in said if key.removesuffix("_file") in ("api_key", "token")]
    if len(proofs) > 1:
        raise SettingsError(f"{file}: profile {name} has {' and '.join(proofs)}: keep one")
    return {
        key.removesuffix("_file"): _content(value) if key.endswith("_file") else value for key, value in said.items()
    }


def _content(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}") from error


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
