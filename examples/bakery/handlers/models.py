"""What the steps hand to each other."""

from __future__ import annotations

from pydantic import BaseModel, Field

PRICES_CENTS = {"rye": 390, "spelt": 450, "baguette": 180, "bun": 60}


class OrderInput(BaseModel):
    """What a café sends."""

    customer: str
    loaves: dict[str, int] = Field(default_factory=dict)
    address: str = "the counter"


class CheckedOrder(BaseModel):
    """An order that can be baked."""

    customer: str
    loaves: dict[str, int]
    loaf_count: int


class Plan(BaseModel):
    """What goes into the oven, and who agreed."""

    loaf_count: int
    agreed_by: list[str]
