"""Bars as SVG, on a logarithmic scale: a few lines, and no library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _LABEL, _RIGHT, _BAR, _TOP = 760, 250, 110, 22, 34
_OWN, _OTHERS = "#0b7285", "#adb5bd"


def bars(title: str, rows: Sequence[tuple[str, float, bool]], unit: str) -> str:
    """One bar a row of label, value and whether it is ours. Values above zero; others get no bar."""
    shown = [value for _, value, _ in rows if value > 0]
    low = math.floor(math.log10(min(shown))) if shown else 0
    high = math.log10(max(shown)) if shown else 1
    reach = (_WIDTH - _LABEL - _RIGHT) / max(high - low, 1)
    height = _TOP + _BAR * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(title)} ({escape(unit)}, logarithmic)</text>',
    ]
    for number, (label, value, is_own) in enumerate(rows):
        y = _TOP + number * _BAR
        long = (math.log10(value) - low) * reach if value > 0 else 0
        colour = _OWN if is_own else _OTHERS
        parts += [
            f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{y + 3}" width="{max(long, 1):.1f}" height="{_BAR - 6}" fill="{colour}"/>',
            f'<text x="{_LABEL + long + 6:.1f}" y="{y + 14}">{escape(shown_as(value))}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def shown_as(value: float) -> str:
    """Three digits that count, with commas between thousands."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
