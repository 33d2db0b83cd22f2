"""Finding handlers by the names of modules, and by themselves."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tasker.handlers import StepHandler, as_handler, discover, load_handler, step_handler
from tasker.model.errors import InvalidHandler

MAIL = """
    from tasker.handlers import StepHandler, step_handler, inputs

    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("no request")
        def __getattr__(self, name):
            raise RuntimeError("no request")

    request = Proxy()

    @inputs("a")
    def half_decorated(a): return a

    class Plain(StepHandler):
        "An intermediate base without a name."
        def call(self, context): return None

    class SendMail(Plain):
        handler_name = "Shop::SendMail"
"""
PAY = """
    from tasker.handlers import step_handler
    from shop_for_tests.mail import SendMail

    @step_handler("charge", runs_in="process")
    def charge(): return {"pid": __import__("os").getpid()}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package with two modules, importable as `shop_for_tests`."""
    package = tmp_path / "shop_for_tests"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("raise SystemExit('not to be imported')")
    (package / "mail.py").write_text(textwrap.dedent(MAIL))
    (package / "inner" / "__init__.py").write_text(textwrap.dedent(PAY))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.startswith("shop_for_tests")]:
        del sys.modules[name]
    load_handler.cache_clear()


def test_a_package_is_searched_with_all_its_modules(shop):
    """Handlers of every module below a package are found, once, and nothing else is."""
    assert set(discover(["shop_for_tests"])) == {"charge", "Shop::SendMail"}
    assert set(discover("shop_for_tests.mail")) == {"Shop::SendMail"}
    assert set(discover([sys.modules["shop_for_tests"]])) == {"charge", "Shop::SendMail"}


def test_handlers_are_taken_as_they_are():
    """Functions, classes, records, dicts and `module:name` are sources too."""

    @step_handler("a")
    def first():
        return 1

    class Second(StepHandler):
        handler_name = "b"

        def call(self, context):
            return 2

    def third(context):
        return 3

    found = discover([first, Second, as_handler(third, "c"), {"d": third, "Shop::E": "os:getcwd"}])

    assert {name: handler.source for name, handler in found.items()} == {
        "a": first,
        "b": Second,
        "c": third,
        "d": third,
        "Shop::E": __import__("os").getcwd,
    }
    assert all(handler.name == name for name, handler in found.items())


def test_one_handler_found_twice_is_one(shop):
    """The same function or class from two sources is no conflict."""
    assert set(discover(["shop_for_tests", "shop_for_tests.mail", "shop_for_tests.mail:SendMail"])) == {
        "charge",
        "Shop::SendMail",
    }


def test_two_handlers_of_one_name_are_refused(shop):
    """Two different handlers of one name are an error that says where both are."""

    @step_handler("charge")
    def other():
        return None

    with pytest.raises(InvalidHandler, match=r"name 'charge': shop_for_tests\.inner\.charge and .*other"):
        discover(["shop_for_tests", other])


def test_a_module_that_cannot_be_imported_is_named(shop):
    """A broken module is an error with its reason, at start."""
    (shop / "broken.py").write_text("import nothing_like_this")

    with pytest.raises(InvalidHandler, match=r"'shop_for_tests\.broken': ModuleNotFoundError: No module named 'noth"):
        discover(["shop_for_tests"])
    with pytest.raises(InvalidHandler, match="no_such_module"):
        discover(["no_such_module"])
    with pytest.raises(InvalidHandler, match="cannot import os:nothing"):
        discover(["os:nothing"])


def test_a_handler_for_processes_is_loaded_by_its_path(shop):
    """`import_path` leads another process to the same function."""
    handler = discover(["shop_for_tests"])["charge"]

    assert handler.import_path == "shop_for_tests.inner:charge"
    assert load_handler(handler.import_path).source is handler.source
    assert load_handler("shop_for_tests.mail:SendMail").name == "Shop::SendMail"
