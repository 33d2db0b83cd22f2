"""Who guesses keys is told to wait, and nobody else is."""

from __future__ import annotations

from api import made_api
from doors import Door

from tasker import Tasker
from tasker.server.auth.keys import new_key
from tasker.settings import Settings


async def test_who_guesses_is_told_to_wait(database: str, door: Door) -> None:
    """As many bad keys as the setting says are 401, the next is 429; good keys and other addresses are as before."""
    settings = Settings(auth_failures_per_minute=5)  # type: ignore[call-arg]
    async with Tasker(database, worker=False, settings=settings) as tasker:
        api = made_api(tasker, door)
        good = await api.key("tasks:list")

        async def ask(headers: dict[str, str], address: str = "192.0.2.1") -> int:
            return (await api.call("GET", "/v1/tasks", headers, address=address)).status

        assert [await ask({}) for _ in range(10)] == [401] * 10
        assert [await ask({"x-api-key": new_key().text}) for _ in range(5)] == [401] * 5
        refused = await api.call("GET", "/v1/tasks", {"x-api-key": new_key().text}, address="192.0.2.1")
        assert (refused.status, refused.json["error"]["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["retry-after"]) <= 12
        assert await ask({"authorization": "Bearer a.b.c"}) == 429
        assert await ask(good) == 200
        assert await ask({"x-api-key": new_key().text}, "192.0.2.2") == 401
