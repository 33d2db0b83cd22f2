"""Templates, namespaces, handlers and workers over HTTP."""

from __future__ import annotations

import httpx2
from api_support import ORDER
from support.until import until

NEWER = ORDER.replace("1.0.0", "1.1.0").replace("max_attempts: 1", "max_attempts: 5")


async def test_templates_are_published_once(api: httpx2.AsyncClient) -> None:
    """A version is new once; the same content again is no error, other content is a conflict that says what differs."""
    first = (await api.post("/v1/templates", json={"template": NEWER})).json()
    again = (await api.post("/v1/templates", json={"template": NEWER})).json()
    assert (first["version"], first["is_new"], again["is_new"]) == ("1.1.0", True, False)
    other = await api.post("/v1/templates", json={"template": NEWER.replace("max_attempts: 5", "max_attempts: 6")})
    assert other.status_code == 409 and "max_attempts: 5 -> 6" in other.json()["error"]["message"]


async def test_templates_are_listed_shown_and_compared(api: httpx2.AsyncClient) -> None:
    """Lists, versions, one whole, its graph, and what two versions differ in."""
    await api.post("/v1/templates", json={"template": NEWER})
    found = (await api.get("/v1/templates")).json()
    assert [(t["name"], t["version"]) for t in found["templates"]] == [("order", "1.1.0"), ("order", "1.0.0")]
    assert found["namespaces"] == [{"name": "shop", "description": None, "template_count": 1}]
    assert found["total_count"] == 2 and found["templates"][0]["description"] == "Takes an order."
    assert (await api.get("/v1/templates", params={"namespace": "elsewhere"})).json()["total_count"] == 0
    versions = (await api.get("/v1/templates/shop/order")).json()["versions"]
    assert [one["version"] for one in versions] == ["1.1.0", "1.0.0"]
    detail = (await api.get("/v1/templates/shop/order/1.1.0")).json()
    assert detail["configuration"]["steps"][1]["retry"]["max_attempts"] == 5
    assert detail["steps"][1]["default_max_attempts"] == 5
    diff = (await api.get("/v1/templates/shop/order/diff", params={"old": "1.0.0", "new": "1.1.0"})).json()
    assert diff["differences"] == ["steps.charge.retry.max_attempts: 1 -> 5"]
    graph = (await api.get("/v1/templates/shop/order/1.0.0/graph")).json()
    assert graph["edges"] == [["check", "charge"]] and graph["levels"] == [["check"], ["charge"]]
    assert graph["mermaid"].startswith("flowchart")
    for path in ("shop/none", "shop/order/9", "shop/order/9/graph", "shop/order/diff?old=1.0.0&new=9"):
        assert (await api.get(f"/v1/templates/{path}")).json()["error"]["code"] == "NOT_FOUND"


async def test_templates_are_checked(api: httpx2.AsyncClient) -> None:
    """A check says all that is wrong, with its place, and stores nothing."""
    good = (await api.post("/v1/templates/validate", json={"template": NEWER})).json()
    assert (good["valid"], good["step_handlers"]) == (True, ["charge", "check"])
    bad = (await api.post("/v1/templates/validate", json={"template": NEWER.replace("[check]", "[chek]")})).json()
    assert not bad["valid"] and 'did you mean "check"' in bad["errors"][0]
    assert (await api.get("/v1/templates")).json()["total_count"] == 1
    refused = await api.post("/v1/templates", json={"template": {"name": "x"}})
    assert refused.status_code == 400 and refused.json()["error"]["violations"]


async def test_a_template_without_workers_is_not_ready(api: httpx2.AsyncClient) -> None:
    """A published template whose handlers nobody serves is told so, handler by handler."""
    found = (await api.post("/v1/templates/shop/order/1.0.0/validate")).json()
    assert not found["valid"] and len(found["errors"]) == 2 and "check" in found["errors"][0]
    handlers = (await api.get("/v1/handlers")).json()["handlers"]
    assert [(h["handler"], h["workers"]) for h in handlers] == [("charge", 0), ("check", 0)]
    assert (await api.get("/v1/namespaces")).json()["namespaces"][0]["name"] == "shop"
    assert (await api.get("/v1/workers")).json()["workers"] == []


async def test_a_template_with_workers_is_ready(busy_api: httpx2.AsyncClient) -> None:
    """With a worker that serves all handlers a template is ready, and the worker is shown."""

    async def is_ready() -> bool:
        return (await busy_api.post("/v1/templates/shop/order/1.0.0/validate")).json()["valid"]

    await until(is_ready)
    workers = (await busy_api.get("/v1/workers")).json()["workers"]
    assert len(workers) == 1 and workers[0]["handlers"] == ["charge", "check"]


async def test_templates_are_published_together_or_not_at_all(api: httpx2.AsyncClient) -> None:
    """Of several templates of which one is refused none is published; by force it becomes the next revision."""
    other = ORDER.replace("name: order", "name: other")
    changed = ORDER.replace("max_attempts: 1", "max_attempts: 6")
    both = {"templates": [{"template": other}, {"template": changed}]}
    refused = await api.post("/v1/templates/bulk", json=both)
    assert (refused.status_code, refused.json()["error"]["kind"]) == (409, "template_conflict")
    assert (await api.get("/v1/templates")).json()["total_count"] == 1
    done = (await api.post("/v1/templates/bulk", json={**both, "force": True})).json()["templates"]
    assert [(one["name"], one["is_new"]) for one in done] == [("other", True), ("order", True)]
    revisions = {one["name"]: one["revision"] for one in (await api.get("/v1/templates")).json()["templates"]}
    assert revisions == {"other": 1, "order": 2}
