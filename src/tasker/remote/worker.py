"""RemoteWorker: the worker of this package, without a database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from tasker import __version__
from tasker.client.profiles import Profile, find_profile
from tasker.handlers import Handler, discover
from tasker.handlers.events import events_of
from tasker.handlers.resolution import offers, system_dependencies
from tasker.model.errors import ServerUnavailable, SettingsError
from tasker.remote.http_line import HttpLine
from tasker.remote.line import Line
from tasker.remote.verbs import GatewayVerbs
from tasker.settings import Settings
from tasker.store.connection import Connection
from tasker.transport.opening import check_rabbitmq
from tasker.worker.held import POOLS
from tasker.worker.worker import Worker

if TYPE_CHECKING:
    from tasker.remote.announced import Announced

POLL_MIN_S = 0.2
_WAIT_FIRST_S, _WAIT_MAX_S = 0.05, 1.0


class GatewayWay:
    """Through a server, at which the worker waits for work while `listens` is set."""

    def __init__(self, profile: Profile, verbs: GatewayVerbs, listens: asyncio.Event) -> None:
        self._profile = profile
        self._line = _line_of(profile)
        self._listens = listens
        self.verbs = verbs
        self.read_definition = verbs.read_definition

    async def connect(self, *, call_timeout_s: float | None = None) -> Connection:
        """See Way."""
        line = self._line(
            self._profile, lambda: self.verbs.session_uuid, call_timeout_s=call_timeout_s, listens=self._listens
        )
        try:
            await line.greet()
        except BaseException:
            line.terminate()
            raise
        # A line has what a worker asks of a connection; the queries are the verbs', and these know that it is one.
        return cast("Connection", line)

    async def connect_with_patience(self, *, call_timeout_s: float | None = None) -> Connection:
        """See Way."""
        wait_s = _WAIT_FIRST_S
        while True:
            try:
                return await self.connect(call_timeout_s=call_timeout_s)
            except ServerUnavailable:
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _WAIT_MAX_S)


def _line_of(profile: Profile) -> type[Line]:
    """The kind of line that the address names. Raises SettingsError."""
    if not profile.is_grpc:
        return HttpLine
    try:
        from tasker.remote.grpc_line import GrpcLine
    except ImportError as error:
        raise SettingsError(f"{profile.url}: gRPC is not installed: pip install 'tasker-engine[grpc]'") from error
    return GrpcLine


class RemoteWorker:
    """Runs steps through a server, with these handlers, in these queues and namespaces (None: all it reaches). A server
    at grpc:// or grpcs:// is spoken to over a stream, any other over HTTP.

    Where the settings name RabbitMQ (`rabbitmq_url`) and the database announces its work there, that wakes it.

    `handlers` are as Tasker's. Use it as `async with RemoteWorker(url, handlers=…) as worker:`, or call start() and
    stop(). Raises SettingsError for handlers of domain events: those need a process with the database.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        handlers: Iterable[Any],
        queues: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
        concurrency: int | None = None,
        api_key: str | None = None,
        token: str | None = None,
        profile: Profile | None = None,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()  # pyright: ignore[reportCallIssue] - every field has a default
        changes: dict[str, Any] = {"poll_s": max(settings.poll_s, POLL_MIN_S)}
        if concurrency is not None:
            changes["concurrency"] = concurrency
        found = discover(handlers)
        if not found:
            raise SettingsError("a worker without a handler has nothing to do: name modules with handlers")
        events = events_of(found)
        if events.publishers or events.subscribers:
            raise SettingsError(
                "publishers and subscribers of domain events need the database: run them in a process that has it"
            )
        profile = profile or find_profile(url, api_key=api_key, token=token)
        verbs, listens = GatewayVerbs(_about(found, queues, namespaces)), asyncio.Event()
        listens.set()
        self._worker = Worker(GatewayWay(profile, verbs, listens), settings.model_copy(update=changes), found)
        self._announced = _announced(settings.model_copy(update=changes), self._worker, verbs, listens)

    async def __aenter__(self) -> RemoteWorker:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def counts(self) -> Counter[str]:
        """How many claims, reports, outcomes, stale outcomes, … since the start."""
        return self._worker.counts

    @property
    def transport_counts(self) -> Counter[str]:
        """Messages of RabbitMQ: received, passed (on to others), dead, and lost connections; empty without it."""
        return self._announced.counts if self._announced else Counter()

    async def start(self) -> None:
        """Opens the session; returns when the worker takes work. Raises ServerUnavailable, Forbidden."""
        await self._worker.start()
        if self._announced is not None:
            self._announced.start()

    async def stop(self, drain_s: float | None = None) -> None:
        """Lets running steps finish (for `drain_s`, or the setting), and hands back the rest."""
        if self._announced is not None:
            await self._announced.stop()
        await self._worker.stop(drain_s)

    async def drained(self) -> None:
        """Returns when the worker has stopped because an operator drained it."""
        await self._worker.drained()

    def hurry(self) -> None:
        """Ends the waiting of a stop() under way: steps that still run are handed back."""
        self._worker.hurry()


def _about(
    found: Mapping[str, Handler], queues: Sequence[str] | None, namespaces: Sequence[str] | None
) -> dict[str, Any]:
    """What each session is opened with."""
    versions = {name: handler.version for name, handler in found.items()}
    served = [
        {
            "name": name,
            "pool": POOLS.index(found[name].pool) + 1,
            "system_dependency": system,
            "version": versions.get(name, ""),
        }
        for name, system in zip(offers(found), system_dependencies(found) or [""] * len(found), strict=True)
    ]
    return {"handlers": served, "queues": queues, "namespaces": namespaces, "version": __version__}


def _announced(settings: Settings, worker: Worker, verbs: GatewayVerbs, listens: asyncio.Event) -> Announced | None:
    """What wakes the worker beside the server. Raises SettingsError where the settings ask for what is not there."""
    is_asked_for = settings.transport == "rabbitmq" or (settings.transport == "auto" and settings.rabbitmq_url)
    if not is_asked_for:
        return None
    check_rabbitmq(settings)
    from tasker.remote.announced import Announced

    return Announced(settings, worker, verbs, listens)
