"""The builder of contexts as a fixture."""

from __future__ import annotations

import pytest
from support.contexts import ContextBuilder, build_context


@pytest.fixture
def make_context() -> ContextBuilder:
    return build_context
