"""Made by scripts/twin.py: see its source, the same with await.

Calls until they are answered, and streams that are followed across cuts, over HTTP or gRPC.

Connections that break and servers that are busy are waited out, within bounds: whatever is sent may be sent twice.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, Protocol

import httpx2
import stamina

from tasker.client.answers import again
from tasker.client.pauses import pause
from tasker.client.profiles import Profile
from tasker.client.requests import answer_of
from tasker.client.sync_http import Http
from tasker.model.errors import ServerUnavailable, SettingsError, TaskerError
from tasker.operations import Operation

WAIT_FIRST_S, WAIT_MAX_S = 0.1, 5.0
CUTS_MAX = 20
"""So often in turn a stream may end without having told anything."""
CUT_PAUSE_S = 0.5


class Wire(Protocol):
    """How requests travel, each of them once: Http or Grpc."""

    def answer(self, operation: Operation[Any], fields: Mapping[str, Any], timeout_s: float) -> bytes:
        """The JSON of the answer."""
        ...

    def updates(self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None) -> Generator[bytes]:
        """The JSON of each update of one connection."""
        ...

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


class Calls:
    """The calls of one client."""

    def __init__(self, profile: Profile, wire: Wire, *, attempts_max: int, retry_s: float) -> None:
        self.profile, self.wire = profile, wire
        self._attempts_max, self._retry_s = attempts_max, retry_s

    def call(self, operation: Operation[Any], fields: Mapping[str, Any], *, wait_s: float = 0) -> Any:
        """What an operation answers, once it is no refusal that passes by itself. It may take `wait_s` longer than
        others. Raises the error that the answer tells."""
        for attempt in self._attempts():
            with attempt:
                content = self.wire.answer(operation, fields, self.profile.timeout_s + wait_s)
                return answer_of(operation, content, self.profile.url)
        raise AssertionError("attempts end with an answer, or with an error")

    def ready(self) -> dict[str, Any]:
        """What the server says of itself; `status` is `unavailable` where it does not answer."""
        try:
            return self.wire.health()
        except TaskerError as error:
            return {"status": "unavailable", "message": str(error)}

    def stream(self, operation: Operation[Any], fields: Mapping[str, Any]) -> Generator[Any]:
        """The updates of a stream. Where it is cut it goes on behind the last update, and begins only once."""
        cursor, has_begun, cuts = None, False, 0
        while cuts < CUTS_MAX:
            cuts += 1
            with closing(self._updates(operation, fields, cursor)) as updates:
                for update in updates:
                    cursor = update.cursor
                    is_beginning = update.update_type == "ready"
                    if is_beginning and has_begun:
                        continue
                    has_begun = True
                    cuts = cuts if is_beginning else 0
                    yield update
                    if update.is_last:
                        return
            pause(CUT_PAUSE_S)
        raise ServerUnavailable(f"{self.profile.url} cut the stream {CUTS_MAX} times in turn: is a proxy between?")

    def _attempts(self) -> Any:
        return stamina.retry_context(
            on=again, attempts=self._attempts_max, timeout=self._retry_s, wait_initial=WAIT_FIRST_S, wait_max=WAIT_MAX_S
        )

    def _updates(self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None) -> Generator[Any]:
        """Those of one connection, until it ends or breaks. Raises the error that the stream tells, if it stays."""
        contents, first = self._begun(operation, fields, behind)
        with closing(contents):
            if first is not None:
                yield answer_of(operation, first, self.profile.url)
            try:
                for content in contents:
                    yield answer_of(operation, content, self.profile.url)
            except TaskerError as error:
                if again(error) is False:
                    raise

    def _begun(
        self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None
    ) -> tuple[Generator[bytes], bytes | None]:
        """A connection with its first update; None where it ended without one."""
        for attempt in self._attempts():
            with attempt:
                contents = self.wire.updates(operation, fields, behind)
                return contents, next(contents, None)
        raise AssertionError("attempts end with an answer, or with an error")


def wire(profile: Profile, headers: Mapping[str, str], transport: httpx2.BaseTransport | None) -> Wire:
    """The wire that a profile's address names. Raises SettingsError."""
    if not profile.is_grpc:
        return Http(profile, headers, transport)
    if transport is not None:
        raise SettingsError(f"{profile.url}: a transport is for HTTP; gRPC has channels of its own")
    try:
        from tasker.client.sync_grpc import Grpc
    except ImportError as error:
        raise SettingsError(f"{profile.url}: gRPC is not installed: pip install 'tasker-engine[grpc]'") from error
    return Grpc(profile, headers)
