"""How personas are called: ids that count from ``p1``, and the aliases that a definitions file gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stream.language.suggest import did_you_mean
from stream.language.words import PERSONA_ID, PERSONA_PREFIX

_MEANT = re.compile(r"(?:[pP][ _-]?)?0*([1-9][0-9]{0,8})")


def persona_segment(id_: str) -> str:
    """The segment that the members of a persona are in.

    >>> persona_segment("p3")
    'persona_p3'
    """
    return PERSONA_PREFIX + id_


def persona_of(segment: str) -> str | None:
    """The id of the persona whose members are in a segment; None for any other segment.

    >>> persona_of("persona_p3"), persona_of("newcomer")
    ('p3', None)
    """
    id_ = segment.removeprefix(PERSONA_PREFIX)
    return id_ if id_ != segment and PERSONA_ID.fullmatch(id_) else None


@dataclass(frozen=True, slots=True)
class PersonaNames:
    """The names that ``persona`` may be compared with."""

    aliases: Mapping[str, str]  # id → alias, by number
    is_complete: bool = True  # False: an alias was wrong, so that an unknown word may be the right one

    def text(self, word: str) -> str:
        """What ``persona`` is for members of the persona called ``word``: an id that has an alias is that alias."""
        return self.aliases.get(word, word)

    def complaint(self, word: str) -> str | None:
        """Why no persona is called ``word``; None when one may be."""
        known = sorted(self.aliases.values())
        if PERSONA_ID.fullmatch(word) or word in known or not self.is_complete:
            return None
        hint = did_you_mean(word, known) or id_meant(word)
        if not hint:
            names = " and ".join(["`p1`, `p2`, ...", *([_listed(known)] if known else [])])
            hint = f": there are {names}" + ("" if known else ", and names of your own under `aliases:`")
        return f"no persona is called `{word}`{hint}"


def id_meant(word: str) -> str:
    """`` (did you mean `p3`?)``, or nothing: to be put behind a message."""
    meant = _MEANT.fullmatch(word)
    return f" (did you mean `p{meant[1]}`?)" if meant else ""


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:10])
    return shown + (", ..." if len(names) > 10 else "")
