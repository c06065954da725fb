"""The key ``aliases:`` under ``personas:``: names for ids."""

from __future__ import annotations

import re

from stream.language.persona_names import PersonaNames, id_meant
from stream.language.scope import Report
from stream.language.source import Node, Scalar
from stream.language.values import Values
from stream.language.words import NAME, PERSONA_ID

_MAX_ALIASES = 1_000
_NUMBERED = re.compile(r"p[0-9]+")


def read_aliases(report: Report, key: Scalar, node: Node) -> PersonaNames:
    """The names under ``aliases:``; wrong ones are reported."""
    return _Reading(report).names(key, node)


class _Reading:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._values = Values(report)
        self._owners: dict[str, str] = {}  # alias → id

    def names(self, key: Scalar, node: Node) -> PersonaNames:
        mapping = self._values.mapping(key, node, "`aliases: {p3: regulars}`")
        if mapping is None:
            return PersonaNames({}, is_complete=False)
        entries = self._values.entries(mapping, None, "")
        if len(entries) > _MAX_ALIASES:
            self._report.error(key.at, f"at most {_MAX_ALIASES:,} aliases, and these are {len(entries):,}")
        is_complete = True
        for id_key, alias in entries.values():
            is_complete &= self._take(id_key, alias)
        aliases = {id_: alias for alias, id_ in self._owners.items()}
        return PersonaNames({id_: aliases[id_] for id_ in sorted(aliases, key=_number)}, is_complete)

    def _take(self, key: Scalar, node: Node) -> bool:
        """Whether key and alias are what they should be; what is not is reported."""
        id_, alias = key.text, self._values.text(key, node)
        complaint = None if alias is None else self._complaint(alias)
        if complaint is not None:
            self._report.error(node.at, complaint)
        if not PERSONA_ID.fullmatch(id_):
            self._report.error(key.at, f"`{id_}` is no id of a persona{id_meant(id_) or ': ids are `p1`, `p2`, ...'}")
            return False
        if alias is None or complaint is not None:
            return False
        self._owners[alias] = id_
        return True

    def _complaint(self, alias: str) -> str | None:
        if _NUMBERED.fullmatch(alias):
            return f"`{alias}` looks like an id: an alias is another name, such as `regulars`"
        if not NAME.fullmatch(alias):
            better = re.sub(r"[^a-z0-9]+", "_", alias.lower()).strip("_")
            fits = NAME.fullmatch(better) and not _NUMBERED.fullmatch(better)
            hint = f" (`{better}`?)" if fits else ""
            return f"an alias is made of small letters, digits and `_`, beginning with a letter, at most 64{hint}"
        if alias in self._owners:
            return f"`{alias}` is the alias of `{self._owners[alias]}` already: each persona has its own"
        return None


def _number(id_: str) -> int:
    return int(id_.removeprefix("p"))
