"""What the shop sells, and the parts of click lines that depend on nothing else.

The catalogue is the same for every seed, so that definitions may name its products and categories.
"""

from __future__ import annotations

import numpy as np

from stream.simulate.draws import Draws, Floats, Ints, Objects, cumulative_shares

SHOP = "https://shop.example.com"
PRODUCTS_PER_CATEGORY = 200
QUANTITIES = 6  # of one product in a cart, from 1 up
ZIPF_SHIFT = 4  # Zipf-Mandelbrot: the product of rank r is viewed in proportion to 1 / (r + 4)

#: Category, relative demand, typical price in whole units, and what people type to find it.
CATEGORIES: tuple[tuple[str, float, int, tuple[str, ...]], ...] = (
    ("shoes", 0.16, 70, ("running shoes", "white sneakers", "boots", "sandals")),
    ("dresses", 0.12, 55, ("summer dress", "black dress", "maxi dress")),
    ("shirts", 0.12, 35, ("linen shirt", "t-shirt", "white shirt")),
    ("jackets", 0.09, 110, ("rain jacket", "down jacket", "denim jacket")),
    ("bags", 0.09, 60, ("backpack", "tote bag", "crossbody bag")),
    ("sports", 0.09, 45, ("yoga mat", "leggings", "cycling jersey")),
    ("beauty", 0.08, 22, ("face cream", "perfume", "sunscreen")),
    ("kids", 0.07, 28, ("kids shoes", "baby romper", "school bag")),
    ("home", 0.07, 48, ("table lamp", "cushion", "bed linen")),
    ("electronics", 0.05, 160, ("headphones", "smart watch", "power bank")),
    ("accessories", 0.04, 25, ("belt", "sunglasses", "scarf")),
    ("outdoor", 0.02, 95, ("tent", "hiking boots", "sleeping bag")),
)


class Catalogue:
    """Products by category and rank, and ``bodies``: the middle parts of click lines, looked up by number.

    Attributes (``P`` products): ``price_cents`` i64[P], ``category`` i64[P], ``bodies`` of str, and the numbers of the
    first body of each group: ``ORDER`` (a purchase, which is no click), ``HOME``, ``CART``, ``CHECKOUT``, then
    ``pages`` (a category each), ``searches``, ``views``, ``adds`` (``QUANTITIES`` a product) and ``removals``.
    """

    ORDER, HOME, CART, CHECKOUT = 0, 1, 2, 3

    def __init__(self) -> None:
        draws = Draws(0, 0)
        count = len(CATEGORIES) * PRODUCTS_PER_CATEGORY
        self.category: Ints = np.repeat(np.arange(len(CATEGORIES)), PRODUCTS_PER_CATEGORY)
        typical = np.array([price for _, _, price, _ in CATEGORIES], dtype=np.float64)[self.category]
        units = np.maximum(3, typical * (0.3 + 0.7 * draws.erlang(count, 2))).astype(np.int64)
        self.price_cents: Ints = units * 100 + np.array([0, 50, 90, 90, 95, 99])[draws.below(count, 6)]
        self._demand = cumulative_shares([share for _, share, _, _ in CATEGORIES])
        ranks = cumulative_shares([1 / (rank + ZIPF_SHIFT) for rank in range(1, PRODUCTS_PER_CATEGORY + 1)])
        # One sorted table for all categories: that of category c lies in (c, c + 1].
        self._ranks: Floats = np.concatenate([c + ranks for c in range(len(CATEGORIES))])

        self.product_ids = [f"p{number:05d}" for number in range(1, count + 1)]
        self.category_names = [name for name, _, _, _ in CATEGORIES]
        self._write_bodies()

    def _write_bodies(self) -> None:
        bodies = ["", _page("home", ""), _page("cart", "cart")]
        bodies.append(f'"action":"checkout_start","url":"{SHOP}/checkout/delivery"')
        self.pages = len(bodies)
        bodies += [_page("category", name, f'"category":"{name}",') for name in self.category_names]
        self.searches = len(bodies)
        terms = [(name, term) for name, _, _, terms in CATEGORIES for term in terms]
        bodies += [
            f'"action":"search","category":"{name}","url":"{SHOP}/search?q={term.replace(" ", "+")}"'
            for name, term in terms
        ]
        counts = [len(terms) for _, _, _, terms in CATEGORIES]
        self.search_count: Ints = np.array(counts)
        self.search_first: Ints = self.searches + np.cumsum(self.search_count) - self.search_count

        names = [self.category_names[c] for c in self.category.tolist()]
        products = [
            (
                f'"product_id":"{product}","category":"{name}","price":{price_text(cents)}',
                f'"url":"{SHOP}/{name}/{product}"',
            )
            for product, name, cents in zip(self.product_ids, names, self.price_cents.tolist(), strict=True)
        ]
        self.views = len(bodies)
        bodies += [f'"action":"product_view",{what},{url}' for what, url in products]
        self.adds = len(bodies)
        bodies += [
            f'"action":"add_to_cart",{what},"quantity":{quantity},{url}'
            for what, url in products
            for quantity in range(1, QUANTITIES + 1)
        ]
        self.removals = len(bodies)
        bodies += [f'"action":"remove_from_cart",{what},"url":"{SHOP}/cart"' for what, _ in products]
        self.bodies: Objects = np.array(bodies, dtype=np.object_)

    def draw_category(self, draws: Draws, n: int) -> Ints:
        """``n`` categories by demand."""
        return draws.pick(self._demand, n)

    def draw_product(self, draws: Draws, category: Ints) -> Ints:
        """A product of each ``category``, by popularity."""
        drawn = np.searchsorted(self._ranks, category + draws.uniform(len(category)), side="right")
        # Adding the category costs bits: a draw next to 1 may round up to the next category's first.
        return np.clip(drawn, category * PRODUCTS_PER_CATEGORY, (category + 1) * PRODUCTS_PER_CATEGORY - 1)


def _page(page: str, path: str, more: str = "") -> str:
    return f'"action":"page_view",{more}"page":"{page}","url":"{SHOP}/{path}"'


def price_text(cents: int) -> str:
    """Cents as a JSON number of whole units.

    >>> price_text(1905), price_text(500)
    ('19.05', '5.00')
    """
    return f"{cents // 100}.{cents % 100:02d}"
