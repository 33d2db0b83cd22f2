"""The page that describes the API: one HTML document without scripts, made from the OpenAPI document."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:14px/1.4 ui-monospace,monospace}
pre{background:#f4f4f4;padding:.7rem;overflow:auto}.m{display:inline-block;width:4.5rem;font-weight:bold}
td{padding:.1rem 1rem .1rem 0;vertical-align:top}p{margin:.3rem 0}
@media (prefers-color-scheme:dark){body{color:#ddd;background:#111}pre{background:#222}}
"""
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def page(document: dict[str, Any], path_of_document: str) -> str:
    """The page for a document; everything in it is escaped."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    parts = [f"<h2>{escape(name)}</h2>{''.join(operations)}" for name, operations in groups.items()]
    title = f"{document['info']['title']} {document['info']['version']}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{escape(document['info']['description'])} The same for programs: "
        f'<a href="{escape(path_of_document)}">openapi.json</a></p>{"".join(parts)}</body></html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", [])
    )
    success = next(iter(operation["responses"].values()))
    return (
        f'<details><summary><span class="m">{escape(method.upper())}</span><code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary><p>{escape(operation.get('description', ''))}</p>"
        f"<table>{rows}</table>{_example('Request', operation.get('requestBody', {}))}{_example('Answer', success)}"
        "</details>"
    )


def _example(title: str, holder: dict[str, Any]) -> str:
    found = holder.get("content", {}).get("application/json", {})
    if "example" not in found:
        return ""
    return f"<p>{title}</p><pre>{escape(json.dumps(found['example'], indent=2))}</pre>"
