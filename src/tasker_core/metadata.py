"""What a handler says beside its result: kept with it, under a key of its own, and shown apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

KEY = "_tasker_metadata"


def joined(result: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine keeps: the result alone where there is nothing to say beside it."""
    return {**result, KEY: dict(metadata)} if metadata else dict(result)


def parted(kept: Any) -> tuple[Any, dict[str, Any]]:
    """The result and its metadata, of what the engine keeps."""
    if not isinstance(kept, dict) or KEY not in kept:
        return kept, {}  # pyright: ignore[reportUnknownVariableType] - any JSON
    result = dict(cast("dict[str, Any]", kept))
    metadata = result.pop(KEY)
    return result, cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
