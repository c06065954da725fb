"""Believable shop traffic: seeded, fast, with the customers' hidden habits as ground truth."""

from stream.simulate.simulation import (
    DEFAULT_CUSTOMERS,
    DEFAULT_DAYS,
    DEFAULT_START_MS,
    Simulation,
)

__all__ = ["DEFAULT_CUSTOMERS", "DEFAULT_DAYS", "DEFAULT_START_MS", "Simulation"]
