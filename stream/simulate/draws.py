"""Random numbers that are the same bits everywhere.

NumPy keeps the raw output of a bit generator and the seeding of ``SeedSequence`` stable, but not what the methods
of ``Generator`` make of them (NEP 19), and ``np.log`` or ``np.exp`` may differ in the last bit from one processor or
version to the next. So the simulator takes raw 64-bit words only and transforms them with operations that IEEE 754
rounds exactly (+, -, *, /, comparisons, powers of two). Sums are running sums (``cumsum``), whose order is defined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

LN2 = 0.6931471805599453
LOG_TERMS = 9  # the remainder is below 1e-9, far finer than a millisecond of any gap that is drawn


def exact_log(x: Floats) -> Floats:
    """The natural logarithm of positive ``x`` to about nine digits, bit for bit the same on every machine.

    ln(m · 2ᵉ) = e · ln 2 + 2 · artanh((m - 1) / (m + 1)) with ½ ≤ m < 1, the series of artanh in Horner's form.

    >>> [round(float(y), 8) for y in exact_log(np.array([1.0, 0.5, 10.0]))]
    [0.0, -0.69314718, 2.30258509]
    """
    mantissa, exponent = np.frexp(x)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = np.full_like(s, 1.0 / (2 * LOG_TERMS + 1))
    for k in range(LOG_TERMS - 1, -1, -1):
        series = series * square + 1.0 / (2 * k + 1)
    return exponent * LN2 + 2.0 * s * series


class Draws:
    """A stream of random numbers, named by a seed and the number of the stream.

    >>> Draws(7, 0).uniform(2).tolist() == Draws(7, 0).uniform(2).tolist()
    True
    """

    def __init__(self, seed: int, stream: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,)))

    def words(self, n: int) -> npt.NDArray[np.uint64]:
        """``n`` raw 64-bit words."""
        return np.asarray(self._bits.random_raw(n), dtype=np.uint64)

    def uniform(self, n: int) -> Floats:
        """``n`` doubles in [0, 1), each a multiple of 2⁻⁵³."""
        return (self.words(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def exponential(self, n: int) -> Floats:
        """``n`` exponential waits of mean 1, by inversion."""
        return -exact_log(1.0 - self.uniform(n))

    def erlang(self, n: int, shape: int) -> Floats:
        """``n`` Erlang (gamma of whole shape) numbers of mean 1; the larger ``shape``, the closer to 1."""
        total = self.exponential(n)
        for _ in range(shape - 1):
            total = total + self.exponential(n)
        return total / shape

    def chance(self, probability: Floats) -> Bools:
        """For each probability, whether it came true."""
        return self.uniform(len(probability)) < probability

    def below(self, n: int, bound: int) -> Ints:
        """``n`` whole numbers in [0, ``bound``)."""
        return (self.uniform(n) * bound).astype(np.int64)

    def pick(self, cumulative: Floats, n: int) -> Ints:
        """``n`` indices by running totals of weights whose last is 1 (see ``cumulative_shares``)."""
        return np.minimum(np.searchsorted(cumulative, self.uniform(n), side="right"), len(cumulative) - 1)

    def log_uniform(self, n: int, low: float, high: float) -> Floats:
        """``n`` numbers from ``low`` to about ``high``, each doubling nearly as likely as the others.

        Within a doubling the numbers are uniform, which needs no ``exp``; ``high`` is rounded to a whole number of
        doublings of ``low``.
        """
        doublings = max(1, round(high / low).bit_length() - 1)
        scaled = self.uniform(n) * doublings
        whole = np.floor(scaled)
        return low * np.ldexp(1.0 + (scaled - whole), whole.astype(np.int32))


def cumulative_shares(weights: list[float]) -> Floats:
    """Running totals of ``weights`` as shares of their sum.

    >>> cumulative_shares([1.0, 3.0]).tolist()
    [0.25, 1.0]
    """
    totals = np.cumsum(np.array(weights, dtype=np.float64))
    return np.asarray(totals / totals[-1])
