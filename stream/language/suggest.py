"""What somebody may have meant who wrote an unknown word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``word`` probably stands for; None when none is near.

    >>> nearest("pric", ["price", "product_id"]), nearest("Price", ["price"]), nearest("colour", ["price"])
    ('price', 'price', None)
    """
    known = list(candidates)
    lower = word[:100].lower().replace("-", "_")  # a cut keeps a page pasted as a name from being compared at length
    if lower in known:
        return lower
    close = get_close_matches(lower, known, n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`` (did you mean `price`?)``, or nothing: to be put behind a message."""
    guess = nearest(word, candidates)
    return f" (did you mean `{guess}`?)" if guess is not None and guess != word else ""
