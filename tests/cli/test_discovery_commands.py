"""Lists by field and by end, differences between versions, and handlers, at the command line."""

from __future__ import annotations

from pathlib import Path

from cli_shell import TEMPLATE, Shell

ORDER = ("task", "submit", "shop/order", "--context")


def newer(shop: Shell, folder: Path) -> None:
    """Publishes version 1.1.0, which declares a search field."""
    file = folder / "newer.yaml"
    file.write_text(TEMPLATE.replace("1.0.0", "1.1.0\nsearch_fields: [item]"))
    shop.ok("template", "publish", file)


def test_tasks_are_listed_by_field_and_counted(shop: Shell, tmp_path: Path) -> None:
    """--field lists the tasks whose input has a value; --count says how many there are in all."""
    newer(shop, tmp_path)
    cup, _ = (shop.ok(*ORDER, f'{{"item": "{item}"}}')["task_uuid"] for item in ("cup", "pot"))
    page = shop.ok("task", "list", "--field", "item=cup", "--count")
    assert [task["task_uuid"] for task in page["tasks"]] == [cup]
    assert (page["count"], page["count_is_exact"]) == (1, True)
    assert "2 in all" in shop.run("task", "list", "--count", "--limit", "1").out
    assert shop.run("task", "list", "--field", "item").code == 2
    assert shop.run("task", "list", "--field", "colour=red").code == 6
    assert shop.ok("task", "list", "--completed-since", "1h")["tasks"] == []


def test_versions_are_compared(shop: Shell, tmp_path: Path) -> None:
    """diff ends with 1 and shows the differences, or with 0 where there are none."""
    newer(shop, tmp_path)
    ran = shop.run("template", "diff", "shop/order@1.0.0")
    assert (ran.code, 'search_fields: added (["item"])' in ran.out) == (1, True)
    assert shop.ok("template", "diff", "shop/order@1.1.0", "1.1.0")["differences"] == []
    assert shop.run("template", "diff", "shop/order").code == 2


def test_handlers_are_listed(shop: Shell) -> None:
    """A handler that templates need and no worker has is missing."""
    with shop.working(handlers=["price"]):
        pass
    handlers = shop.ok("handler", "list", "--missing")["handlers"]
    assert (handlers[0]["handler"], handlers[0]["templates"]) == ("charge", ["order@1.0.0"])
    assert "charge" in shop.run("handler", "list", "--namespace", "shop").out
    assert shop.ok("handler", "namespaces")["namespaces"][0]["handlers"] == 2
    assert "shop" in shop.run("handler", "namespaces").out
