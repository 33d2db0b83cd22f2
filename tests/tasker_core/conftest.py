"""Applications as existing users wrote them: modules and templates in a folder of their own."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_support import Application

from tasker_core import EventBridge, HandlerRegistry, TaskerClient, Worker, bootstrap_worker, stop_worker
from tasker_core.domain_events import PublisherRegistry, SubscriberRegistry
from tasker_core.domain_events.bus import bus
from tasker_core.executions import tally


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """What a process has one of is forgotten after each test."""
    yield
    for one in (EventBridge.reset_instance, PublisherRegistry.reset, SubscriberRegistry.reset, bus.clear, tally.clear):
        one()


@pytest.fixture
def application(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """Starts an application of modules (`name="code"`) and templates, and gives a client.

    The environment names the database and the templates, as the published package has it. With `is_served=False` it is
    only bootstrapped: its steps wait for whoever polls.
    """
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("TASKER_TEMPLATE_PATH", str(tmp_path / "templates"))
    monkeypatch.setenv("TASKER_POLL_S", "0.05")
    HandlerRegistry.reset_instance()

    def start(*templates: str, is_served: bool = True, **modules: str) -> TaskerClient:
        (tmp_path / "templates").mkdir(exist_ok=True)
        for number, text in enumerate(templates):
            (tmp_path / "templates" / f"{number}.yaml").write_text(textwrap.dedent(text))
        for name, code in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        if is_served:
            Worker.start(handler_packages=list(modules))
        else:
            assert bootstrap_worker().success
        return TaskerClient(initiator="test")

    yield start
    Worker.reset_instance()
    stop_worker()
    HandlerRegistry.reset_instance()
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
