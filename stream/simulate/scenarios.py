"""What happens to the customers of a habit on one day: what personas have to follow."""

from __future__ import annotations

from dataclasses import dataclass

#: By the name that ``segstream simulate --scenario`` takes.
SCENARIOS = ("none", "switch", "birth", "death", "doubling")

SWITCHING_SHARE = 0.5
BIRTH_DAYS = 10


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens at ``at_ms``; a set of habits says to which of them (see ``HabitSet``).

    * ``none``: habits stay as they are;
    * ``switch``: half of a habit's customers take on another one;
    * ``birth``: a habit's customers come from then on, within ten days, and none was there before;
    * ``death``: a habit's customers all leave, none visits or opens a mail from then on, and none comes after them;
    * ``doubling``: a habit's customers order twice as many pieces of each item from then on.
    """

    kind: str
    at_ms: int
