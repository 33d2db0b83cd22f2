"""The outside world of the shop: a catalogue, a payment gateway, a warehouse, an order book and a mail provider.

They run inside the process, but what they have done lies in a ledger that outlives it.
"""

from ecommerce.services.catalogue import PRODUCTS, Product
from ecommerce.services.faults import Drill, ServiceFault
from ecommerce.services.ledger import Books, Ledger
from ecommerce.services.shop import Charge, Receipt, Reservation, Shop, open_shop, shop_for, use_shop

__all__ = [
    "PRODUCTS",
    "Books",
    "Charge",
    "Drill",
    "Ledger",
    "Product",
    "Receipt",
    "Reservation",
    "ServiceFault",
    "Shop",
    "open_shop",
    "shop_for",
    "use_shop",
]
