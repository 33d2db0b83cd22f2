"""The page about handlers shows API handlers that work."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from api_server import Answer, serving
from support.contexts import ContextBuilder

from tasker import inputs
from tasker.handlers import api, as_handler, depends_on

PAGE = Path(__file__).parents[2] / "docs" / "handlers.md"


def test_the_pages_api_handlers_run(make_context: ContextBuilder) -> None:
    """The function and the class of the page call the API that they name, and return what the page says."""
    section = PAGE.read_text().split("## Calling HTTP APIs")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 2
    scope: dict[str, Any] = {"depends_on": depends_on, "inputs": inputs}
    context = make_context({"payment_token": "tok", "email": "a@b.example"}, {"validate_cart": {"total": 5}})
    with serving() as server:
        server.says(Answer(201, {"id": "pay_1"}), Answer(404))
        for block in blocks:
            exec(re.sub(r"https://\w+\.example", server.url, block), scope)  # noqa: S102
        paid = asyncio.run(as_handler(scope["capture_payment"]).call(context))
        found = as_handler(scope["FindCustomer"]).call(context)
    assert (paid, found) == ({"payment_id": "pay_1"}, {"is_known": False})
    charge, search = server.asked
    assert (charge.path, charge.json()) == ("/v1/charges", {"amount": 5, "token": "tok"})
    assert search.path == "/customers?email=a%40b.example"


def test_the_page_names_what_there_is() -> None:
    """Every option of ApiHandler, every option of a call and every error code of the source stands on the page."""
    section = PAGE.read_text().split("## Calling HTTP APIs")[1].split("\n## ")[0]
    from tasker.handlers.api_call import CallOptions

    source = "".join(path.read_text() for path in Path(api.__file__).parent.glob("[ae][pg][ir]*.py"))
    codes = set(re.findall(r'"([A-Z]+_[A-Z_]+)"', source)) - {"HTTP_"}
    assert len(codes) > 8
    for word in {*api.ApiHandler.__annotations__, *CallOptions.__annotations__, *codes}:
        assert f"`{word}`" in section, f"docs/handlers.md does not name {word}"
