"""What happens within visits: a funnel of views, carts, checkouts and purchases, drawn for many visits at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.simulate.catalogue import PRODUCTS_PER_CATEGORY, QUANTITIES, Catalogue
from stream.simulate.draws import Bools, Draws, Floats, Ints
from stream.simulate.state import State

BROWSED, FILLED_CART, CHECKED_OUT, BOUGHT = 0, 1, 2, 3

MAIL_BOOST = 1.5  # who comes from a mail buys more readily
AFTER_ONLY_ORDER = 0.01  # what is left of a one-time buyer's readiness after the order
FAVOURITE_SHARE = 0.6  # of the products viewed are of the favourite category
LISTING_SHARE = 0.4  # of the products viewed were found on another page of results
SEARCH_SHARE = 0.35  # of those pages are searches
REMOVAL_SHARE = 0.2  # of the filled carts lose an item again
VIEWS_MAX, ITEMS_MAX, PIECES_MAX = 40, 12, QUANTITIES // 2  # pieces before they are doubled
PAUSE_MIN_MS = 900
#: Mean pause before an event by its column: listing or removal, view or cart page, adding or checkout, purchase.
PAUSES_MS: Floats = np.array([32_000.0, 21_000.0, 26_000.0, 48_000.0])


@dataclass(frozen=True, slots=True)
class Visits:
    """``S`` visits with their ``N`` events in order of visit and time, and the ``I`` items of the orders.

    By visit: ``who``, ``outcome``, ``end_ms``. By event: ``visit``, ``at_ms``, ``body`` (of the catalogue) and
    ``opening`` (the visit's first). By item: ``item_visit`` (ascending), ``item_product``, ``item_quantity``.
    """

    who: Ints
    outcome: Ints
    end_ms: Ints
    visit: Ints
    at_ms: Ints
    body: Ints
    opening: Bools
    item_visit: Ints
    item_product: Ints
    item_quantity: Ints


def draw_outcomes(state: State, draws: Draws, who: Ints, from_mail: Bools) -> Ints:
    """How far each visit gets: ``BROWSED``, ``FILLED_CART``, ``CHECKED_OUT`` or ``BOUGHT``."""
    people = state.population
    buy = people.purchase[who] * np.where(from_mail, MAIL_BOOST, 1.0)
    buy = np.where(people.buys_once[who] & (state.orders[who] > 0), buy * AFTER_ONLY_ORDER, buy)
    check_out = buy + people.of_habit("checkout", who)
    fill_cart = check_out + people.of_habit("cart", who)
    u = draws.uniform(len(who))
    return (u < fill_cart).astype(np.int64) + (u < check_out) + (u < buy)


def draw_products(state: State, catalogue: Catalogue, draws: Draws, who: Ints) -> Ints:
    """A product for each of ``who``: of the favourite category or any, the cheaper or pricier of two by taste."""
    n = len(who)
    people = state.population
    category = np.where(draws.uniform(n) < FAVOURITE_SHARE, people.favourite[who], catalogue.draw_category(draws, n))
    one, other = catalogue.draw_product(draws, category), catalogue.draw_product(draws, category)
    level = people.price_level[who]
    pricier = catalogue.price_cents[other] > catalogue.price_cents[one]
    swap = (draws.uniform(n) < np.abs(level)) & (pricier == (level > 0))
    return np.where(swap, other, one)


def draw_visits(
    state: State, catalogue: Catalogue, draws: Draws, begin_ms: Ints, who: Ints, from_mail: Bools
) -> Visits:
    """Draw what happens in the visits of ``who`` that begin at ``begin_ms``; ``state`` is only read.

    A visit is a number of rows of four columns: a row for each product viewed (the page or search that led to it, the
    view, the adding to the cart) and a last one (a removal, the cart's page, the checkout, the purchase). Cells that
    do not happen are dropped, the rest is in order.
    """
    people = state.population
    visits = len(who)
    outcome = draw_outcomes(state, draws, who, from_mail)
    kept = np.minimum(1 + np.floor(draws.exponential(visits) * people.more_items[who]).astype(np.int64), ITEMS_MAX)
    removes = (draws.uniform(visits) < REMOVAL_SHARE) & (outcome > BROWSED)
    added = np.where(outcome > BROWSED, kept + removes, 0)
    views = 1 + np.floor(draws.exponential(visits) * people.more_views[who]).astype(np.int64)
    views = np.maximum(np.minimum(views, VIEWS_MAX), added)

    rows = views + 1
    row_end = np.cumsum(rows)
    row_visit = np.repeat(np.arange(visits), rows)
    place = np.arange(len(row_visit)) - (row_end - rows)[row_visit]
    last = place == views[row_visit]
    product = draw_products(state, catalogue, draws, who[row_visit])
    quantity = 1 + (draws.uniform(len(product)) < 0.12).astype(np.int64)
    quantity = np.minimum(quantity + (draws.uniform(len(product)) < 0.04), PIECES_MAX)
    quantity *= people.pieces[who[row_visit]]
    # Exactly ``added`` of the ``views`` rows, evenly spread from a random beginning.
    turned = place + draws.below(visits, VIEWS_MAX)[row_visit]
    adds = ~last & ((turned * added[row_visit]) % views[row_visit] < added[row_visit])

    cells = np.full((len(product), 4), -1, dtype=np.int64)
    cells[:, 0] = _listings(catalogue, draws, product, place, from_mail[row_visit], last)
    cells[:, 1] = np.where(last, -1, catalogue.views + product)
    cells[:, 2] = np.where(adds, catalogue.adds + product * QUANTITIES + quantity - 1, -1)
    adding = np.flatnonzero(adds)
    first_add = np.diff(row_visit[adding], prepend=-1) > 0
    dropped = first_add & removes[row_visit[adding]]  # the first item that was added is the one to go again
    tail = row_end - 1
    cells[tail[row_visit[adding[dropped]]], 0] = catalogue.removals + product[adding[dropped]]
    cells[tail[outcome >= CHECKED_OUT], 1] = catalogue.CART
    cells[tail[outcome >= CHECKED_OUT], 2] = catalogue.CHECKOUT
    cells[tail[outcome == BOUGHT], 3] = catalogue.ORDER

    flat = cells.ravel()
    chosen = np.flatnonzero(flat >= 0)
    visit = row_visit[chosen >> 2]
    opening = np.diff(visit, prepend=-1) > 0
    pauses = PAUSE_MIN_MS + (draws.exponential(len(chosen)) * PAUSES_MS[chosen & 3]).astype(np.int64)
    elapsed = np.cumsum(pauses)
    at_ms = begin_ms[visit] + elapsed - elapsed[opening][visit]
    closing = np.append(np.flatnonzero(opening)[1:], len(chosen)) - 1 if visits else np.zeros(0, dtype=np.int64)

    items = adding[~dropped & (outcome[row_visit[adding]] == BOUGHT)]
    return Visits(
        who=who,
        outcome=outcome,
        end_ms=at_ms[closing],
        visit=visit,
        at_ms=at_ms,
        body=flat[chosen],
        opening=opening,
        item_visit=row_visit[items],
        item_product=product[items],
        item_quantity=quantity[items],
    )


def _listings(catalogue: Catalogue, draws: Draws, product: Ints, place: Ints, from_mail: Bools, last: Bools) -> Ints:
    """The body of the page that led to each row's product, -1 where there was none (a link in a mail, a neighbour)."""
    n = len(product)
    category = product // PRODUCTS_PER_CATEGORY
    u = draws.uniform(n)
    term = (draws.uniform(n) * catalogue.search_count[category]).astype(np.int64)
    listing = np.where(u < SEARCH_SHARE, catalogue.search_first[category] + term, catalogue.pages + category)
    landing = place == 0
    listing = np.where(landing & (u > 0.6), catalogue.HOME, listing)
    leads = np.where(landing, ~from_mail, draws.uniform(n) < LISTING_SHARE)
    return np.where(leads & ~last, listing, -1)
