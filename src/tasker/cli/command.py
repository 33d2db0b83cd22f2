"""What is known of a command before it is imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `target` is imported when the command runs."""

    words: str
    target: str
    summary: str
    example: str
