"""Applying an environment's overrides to a checked template."""

from __future__ import annotations

from typing import Any

from tasker.templates.defaults import is_object
from tasker.templates.grammar import EVERY_STEP


def apply_environment(values: dict[str, Any], environment: str | None, *, is_deep: bool = False) -> dict[str, Any]:
    """The template's values as they are in one environment; an environment that it does not name changes nothing.

    Overrides of every step come first, so that one that names its step has the last word. `is_deep` merges a handler's
    configuration all the way down, as the older spelling means it.
    """
    changes = values.get("environments", {}).get(environment or "", {}).get("steps", [])
    ordered = sorted(changes, key=lambda override: override["name"] != EVERY_STEP)
    by_step: dict[str, list[dict[str, Any]]] = {}
    for override in ordered:
        by_step.setdefault(override["name"], []).append(override)
    everywhere = by_step.get(EVERY_STEP, [])
    steps: list[dict[str, Any]] = []
    for step in values["steps"]:
        changed = step
        for override in (*everywhere, *by_step.get(step["name"], [])):
            changed = _changed(changed, override, is_deep=is_deep)
        steps.append(changed)
    return {**values, "steps": steps}


def _changed(step: dict[str, Any], override: dict[str, Any], *, is_deep: bool) -> dict[str, Any]:
    replaced = {key: override[key] for key in ("retry", "timeout_seconds") if key in override}
    initialization = override.get("handler", {}).get("initialization", {})
    base = step["handler"]["initialization"]
    merged = _deep_merged(base, initialization) if is_deep else {**base, **initialization}
    return {**step, **replaced, "handler": {**step["handler"], "initialization": merged}}


def _deep_merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        below = merged.get(key)
        merged[key] = _deep_merged(below, value) if is_object(below) and is_object(value) else value
    return merged
