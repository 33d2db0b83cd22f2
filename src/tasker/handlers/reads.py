"""Which results of earlier steps a handler reads.

A grant carries the results that a handler declares; all ancestors cost one more round trip. A function that takes the
context could read any of them through it. So its source is looked at once: where the context is only used as
`context.something`, and `something` does not read results, the declared ones are all it reads. Whatever cannot be
seen to be so (the context is handed on, the function is wrapped, the source is not at hand) counts as reading
everything, which is always right and only slower.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

HARMLESS = frozenset(
    {
        "attempt",
        "batch",
        "batch_size",
        "cancelled",
        "configuration",
        "correlation_id",
        "deadline",
        "get_config",
        "get_input",
        "get_input_or",
        "heartbeat",
        "idempotency_key",
        "inputs",
        "inputs_json",
        "is_last_retry",
        "item",
        "item_index",
        "is_retry",
        "logger",
        "max_attempts",
        "max_retries",
        "number",
        "retry_count",
        "seconds_left",
        "step",
        "step_name",
        "step_uuid",
        "task_uuid",
        "template",
        "tries",
    }
)


def reads_only_declared(function: Callable[..., Any], context_name: str) -> bool:
    """True when the function can be seen not to read results through its parameter `context_name`."""
    if inspect.unwrap(function) is not function:
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    if not tree.body or not isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    nodes = list(ast.walk(tree.body[0]))
    uses = sum(isinstance(node, ast.Name) and node.id == context_name for node in nodes)
    harmless = sum(isinstance(node, ast.Attribute) and _is_harmless(node, context_name) for node in nodes)
    return uses == harmless and not _reaches_scope(nodes)


def _is_harmless(node: ast.Attribute, context_name: str) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == context_name and node.attr in HARMLESS


def _reaches_scope(nodes: list[ast.AST]) -> bool:
    """True when the function looks at its own variables as a whole."""
    return any(isinstance(node, ast.Name) and node.id in {"locals", "vars", "eval", "exec"} for node in nodes)
