"""The services that a checkout calls, and how a step reaches them.

Each deed carries a key. A service that sees a key again does nothing and gives the first answer: that is what a real
payment gateway does, and what makes a step safe to run twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from ecommerce.services.catalogue import PRODUCTS, Product
from ecommerce.services.faults import Drill, ServiceFault, token_verdict
from ecommerce.services.ledger import Books, Ledger

LEDGER_VARIABLE = "SHOP_LEDGER"
SEED_VARIABLE = "SHOP_SEED"
LATENCY_VARIABLE = "SHOP_LATENCY_MS"
DELIVERY_DAYS = 7
BUSY_MAILBOX = "rate.limited"
"""Mail to this name at any domain meets a provider that asks for fewer calls."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Charge:
    """The gateway's answer. Only a `status` of "succeeded" took money."""

    status: str
    payment_id: str = ""
    transaction_id: str = ""
    amount_cents: int = 0
    fee_cents: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """The warehouse's answer: what was reserved, or which products are short."""

    items: tuple[dict[str, Any], ...] = ()
    short: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The mail provider's answer."""

    status: str
    message_id: str = ""


class Shop:
    """The shop's outside world.

    `path` is the ledger's file; without it everything is in memory. `latency_s` is how long each call takes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        products: Iterable[Product] = PRODUCTS,
        seed: int = 0,
        latency_s: float = 0.0,
    ) -> None:
        self.products = {product.product_id: product for product in products}
        self.ledger = Ledger(path, {product.product_id: product.stock for product in self.products.values()})
        self.seed = seed
        self.latency_s = latency_s

    def connect(self, step: str = "", tries: int = 0, drill: Mapping[str, Any] | None = None) -> Connection:
        """The services as one execution of one step meets them: `tries` counts the executions before it."""
        return Connection(self, step, tries, Drill.from_input(drill))

    def restock(self, quantity: int) -> None:
        """Put `quantity` more of every product into the warehouse."""
        with self.ledger.turn():
            for product_id in self.products:
                self.ledger.write("restock", uuid4().hex, product_id=product_id, quantity=quantity)

    def books(self) -> Books:
        """What an auditor finds."""
        return self.ledger.books()


class Connection:
    """The services, with the faults that this execution meets."""

    def __init__(self, shop: Shop, step: str, tries: int, drill: Drill | None) -> None:
        self._shop = shop
        self._tries = tries
        self._fault = drill.fault if drill is not None and drill.strikes(step, tries) else None

    async def find_products(self, product_ids: Iterable[int]) -> dict[int, tuple[Product, int]]:
        """The catalogue: products with their stock. What it does not have is not in the answer."""

        def find() -> dict[int, tuple[Product, int]]:
            with self._shop.ledger.turn() as deeds:
                known = [self._shop.products[wanted] for wanted in product_ids if wanted in self._shop.products]
                return {product.product_id: (product, deeds.stock[product.product_id]) for product in known}

        return await self._exchange("catalogue", find)

    async def charge(self, amount_cents: int, token: str, *, reference: str, key: str | None) -> Charge:
        """The gateway: take money, once for each `key`; without one each call takes it again."""
        verdict = token_verdict(token, self._shop.seed, self._tries)
        if verdict in ("timeout", "service_unavailable"):
            raise ServiceFault("gateway", verdict)
        return await self._exchange("gateway", lambda: self._charged(verdict, amount_cents, reference, key))

    def _charged(self, verdict: str, amount_cents: int, reference: str, key: str | None) -> Charge:
        if verdict != "succeeded":
            return Charge(verdict)
        key = key or uuid4().hex
        with self._shop.ledger.turn() as deeds:
            done = deeds.charges.get(key)
            if done is None:
                done = self._shop.ledger.write("charge", key, reference=reference, amount_cents=amount_cents)
        # Cards cost the shop 2.9 % and 30 cents.
        fee_cents = (done["amount_cents"] * 29 + 500) // 1000 + 30
        return Charge("succeeded", f"pay_{_mark(key)}", f"txn_{_mark('t' + key)}", done["amount_cents"], fee_cents)

    async def reserve(self, quantities: Mapping[int, int], *, key: str) -> Reservation:
        """The warehouse: reserve all of it or nothing, once for each `key`."""
        return await self._exchange("inventory", lambda: self._reserved(quantities, key))

    def _reserved(self, quantities: Mapping[int, int], key: str) -> Reservation:
        with self._shop.ledger.turn() as deeds:
            done = deeds.reservations.get(key)
            if done is None:
                stock = deeds.stock
                short = tuple(wanted for wanted, quantity in quantities.items() if stock.get(wanted, 0) < quantity)
                if short:
                    return Reservation(short=short)
                items = [
                    {"product_id": wanted, "quantity": quantity, "previous_stock": stock[wanted]}
                    for wanted, quantity in quantities.items()
                ]
                done = self._shop.ledger.write("reservation", key, items=items)
        return Reservation(items=tuple(done["items"]))

    async def place_order(self, *, reference: str, key: str, total_cents: int) -> dict[str, Any]:
        """The order book: an order, once for each `key`."""
        return await self._exchange("orders", lambda: self._placed(reference, key, total_cents))

    def _placed(self, reference: str, key: str, total_cents: int) -> dict[str, Any]:
        with self._shop.ledger.turn() as deeds:
            done = deeds.orders.get(key)
            if done is None:
                now = datetime.now(UTC)
                done = self._shop.ledger.write(
                    "order",
                    key,
                    reference=reference,
                    order_id=len(deeds.orders) + 1,
                    order_number=f"ORD-{now:%Y%m%d}-{_mark(key)[:8].upper()}",
                    total_cents=total_cents,
                    created_at=now.isoformat(timespec="seconds"),
                    estimated_delivery=(now + timedelta(days=DELIVERY_DAYS)).date().isoformat(),
                )
        return done

    async def send_mail(self, recipient: str, subject: str, *, key: str) -> Receipt:
        """The mail provider: one mail for each `key`."""
        return await self._exchange("mail", lambda: self._sent(recipient, subject, key))

    def _sent(self, recipient: str, subject: str, key: str) -> Receipt:
        name, _, domain = recipient.partition("@")
        if not name or "." not in domain:
            return Receipt("invalid_email")
        if name == BUSY_MAILBOX:
            return Receipt("rate_limited")
        with self._shop.ledger.turn() as deeds:
            if key not in deeds.mails:
                self._shop.ledger.write("mail", key, recipient=recipient, subject=subject)
        return Receipt("sent", f"msg_{_mark(key)}")

    async def _exchange(self, service: str, work: Callable[[], Answer]) -> Answer:
        if self._shop.latency_s:
            await asyncio.sleep(self._shop.latency_s)
        if self._fault == "unavailable":
            raise ServiceFault(service, "service_unavailable")
        answer = work()
        if self._fault == "timeout":
            # The work is done; it is the answer that got lost.
            raise ServiceFault(service, "timeout")
        return answer


def _mark(key: str) -> str:
    """Sixteen hex digits that belong to a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


_open_lock = threading.Lock()
_open_shops: dict[tuple[str | None, ...], Shop] = {}
_shop_in_use: list[Shop] = []


def use_shop(shop: Shop | None) -> None:
    """Let this process use this shop instead of what the environment says; None ends that."""
    _shop_in_use[:] = [] if shop is None else [shop]


def open_shop() -> Shop:
    """The shop of this process, as SHOP_LEDGER, SHOP_SEED and SHOP_LATENCY_MS describe it."""
    if _shop_in_use:
        return _shop_in_use[0]
    described = tuple(os.environ.get(name) for name in (LEDGER_VARIABLE, SEED_VARIABLE, LATENCY_VARIABLE))
    path, seed, latency_ms = described
    with _open_lock:
        if described not in _open_shops:
            latency_s = float(latency_ms or 0) / 1000
            _open_shops[described] = Shop(path or None, seed=int(seed or 0), latency_s=latency_s)
        return _open_shops[described]


def shop_for(step: str, tries: int, drill: Mapping[str, Any] | None = None) -> Connection:
    """The services as one execution of a step meets them."""
    return open_shop().connect(step, tries, drill)
