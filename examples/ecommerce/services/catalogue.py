"""What the shop sells. Money is in cents everywhere inside, so that no sum is ever off by one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `stock` is what the warehouse holds before anybody buys."""

    product_id: int
    name: str
    price_cents: int
    stock: int
    is_active: bool = True


PRODUCTS = (
    Product(1, "Wireless headphones", 12_999, 25),
    Product(2, "Cotton T-shirt", 2_499, 100),
    Product(3, "Steel water bottle", 3_499, 50),
    Product(4, "Yoga mat", 3_999, 30),
    Product(5, "Coffee grinder", 8_999, 15),
    Product(6, "Drinking glasses", 1_999, 75),
    Product(7, "Desk organizer", 2_999, 40),
    Product(8, "Phone case", 1_599, 200),
    Product(9, "Film camera", 24_999, 3, is_active=False),
)
