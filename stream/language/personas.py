"""The key ``personas:`` of a definitions file: by what customers are clustered, and how the clusters are called."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.language.aliases import read_aliases
from stream.language.expression_state import ExpressionState, TooLargeError
from stream.language.expressions import ExpressionCheck
from stream.language.features import parse_expression, used_names
from stream.language.measures import Measure
from stream.language.persona_names import PersonaNames
from stream.language.scope import Report, Scope
from stream.language.source import Mapping, Node, Scalar
from stream.language.syntax import Node as Syntax
from stream.language.tree import Expression, Personas
from stream.language.values import Entries, Values
from stream.language.words import UNITS

KEYS = ("features", "k", "min_share", "margin", "active_within", "every", "samples", "aliases")
_EXAMPLE = "`features:` with names and expressions, and `k:`, how many there are to be"
_FEATURES_EXAMPLE = "each feature's name and its expression, such as `orders: count(purchase, 30d)`"
_K_EXAMPLE = "`k: 6` or `k: {min: 4, max: 9}`"
_MAX_FEATURES = 16
_MAX_SAMPLES = 1_000_000
_K_LEAST, _K_MOST = 2, 50
_MAX_MIN_SHARE = 0.5
_MAX_MARGIN = 0.9
_MIN_ACTIVE_WITHIN = "1s"
_MIN_EVERY = "1h"


@dataclass(slots=True)
class _Part:
    """One of the section's features, and what became of it."""

    key: Scalar
    value: Scalar
    syntax: Syntax | None
    expression: Expression | None = None


@dataclass(slots=True)
class PersonasCheck:
    """The section as far as it has been checked: aliases first, which conditions need, its features behind those."""

    report: Report
    values: Values
    entries: Entries
    names: PersonaNames
    used_features: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, report: Report, key: Scalar, node: Node) -> PersonasCheck | None:
        """The section with its aliases read; None when it is no mapping, which was reported."""
        values = Values(report)
        mapping = values.mapping(key, node, _EXAMPLE, is_required=True)
        if mapping is None:
            return None
        entries = values.entries(mapping, KEYS, "of `personas`")
        for name, hint in (("features", f"it needs {_FEATURES_EXAMPLE}"), ("k", f"write {_K_EXAMPLE}")):
            if entries.lacks(name):
                report.error(key.at, f"`personas` has no `{name}`: {hint}")
        names = read_aliases(report, *entries["aliases"]) if "aliases" in entries else PersonaNames({})
        return cls(report, values, entries, names)

    def section(self, scope: Scope) -> Personas:
        """The section's meaning; only to be used when nothing was reported."""
        values, entries = self.values, self.entries
        plain = Personas(features=(), k_min=_K_LEAST, k_max=_K_LEAST)
        k_min, k_max = self._k(*entries["k"]) if "k" in entries else (_K_LEAST, _K_LEAST)
        min_share = margin = samples = None
        if "min_share" in entries:
            what = f"a share from 0 to {_MAX_MIN_SHARE}"
            min_share = values.number(*entries["min_share"], lambda share: 0 <= share <= _MAX_MIN_SHARE, what)
        if "margin" in entries:
            what = f"a share from 0 to {_MAX_MARGIN}"
            margin = values.number(*entries["margin"], lambda share: 0 <= share <= _MAX_MARGIN, what)
        if "samples" in entries:
            samples = values.whole(*entries["samples"], 1, _MAX_SAMPLES)
        if min_share is not None and min_share * k_min > 1:
            message = f"{k_min} personas cannot have a share of {min_share:g} each: some will be given up"
            self.report.warning(entries["min_share"][1].at, message)
        return Personas(
            features=self._features(scope, *entries["features"]) if "features" in entries else (),
            k_min=k_min,
            k_max=k_max,
            min_share=plain.min_share if min_share is None else min_share,
            margin=plain.margin if margin is None else margin,
            active_within_ms=self._duration("active_within", _MIN_ACTIVE_WITHIN) or plain.active_within_ms,
            every_ms=self._duration("every", _MIN_EVERY) or plain.every_ms,
            samples=plain.samples if samples is None else samples,
            aliases=self.names.aliases,
        )

    def _k(self, key: Scalar, node: Node) -> tuple[int, int]:
        if not isinstance(node, Mapping):
            if isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
                k = self.values.whole(key, node, _K_LEAST, _K_MOST) or _K_LEAST
                return k, k
            if not self.values.is_empty(key, node, f"write {_K_EXAMPLE}"):
                self.report.error(node.at, f"`k` is a whole number, or the smallest and the largest: {_K_EXAMPLE}")
            return _K_LEAST, _K_LEAST
        entries = self.values.entries(node, ("min", "max"), "of `k`")
        ends: list[int | None] = []
        for name in ("min", "max"):
            if entries.lacks(name):
                self.report.error(key.at, f"`k` has no `{name}`: write {_K_EXAMPLE}")
            ends.append(self.values.whole(*entries[name], _K_LEAST, _K_MOST) if name in entries else None)
        low, high = ends
        if low is not None and high is not None and low > high:
            self.report.error(entries["max"][1].at, f"`max` is {high}, less than `min`, which is {low}")
        return low or _K_LEAST, high or _K_LEAST

    def _duration(self, name: str, least: str) -> int | None:
        if name not in self.entries:
            return None
        key, node = self.entries[name]
        found = self.values.duration(key, node)
        least_ms = int(least[:-1]) * UNITS[least[-1]]
        if found is not None and found < least_ms:
            self.report.error(node.at, f"`{name}` is at least `{least}`")
        return found

    # Features

    def _features(self, scope: Scope, key: Scalar, node: Node) -> tuple[tuple[str, Expression], ...]:
        mapping = self.values.mapping(key, node, _FEATURES_EXAMPLE, is_required=True)
        if mapping is None:
            return ()
        entries = self.values.entries(mapping, None, "")
        if not entries:
            self.report.error(node.at, f"`features` is empty: it needs {_FEATURES_EXAMPLE}")
        if len(entries) > _MAX_FEATURES:
            self.report.error(key.at, f"at most {_MAX_FEATURES} features of personas, and these are {len(entries)}")
        parts: dict[str, _Part] = {}
        for name, (part_key, part_node) in entries.items():
            self.values.check_name(part_key, "feature")
            scalar = self.values.expression(part_key, part_node)
            if scalar is not None:
                syntax = parse_expression(self.report, scalar)
                self.used_features |= used_names(scalar, syntax)
                parts[name] = _Part(part_key, scalar, syntax)
        first: dict[Expression, str] = {}
        for name, part in parts.items():
            part.expression = self._expression(scope, parts, part)
            if part.expression is None:
                continue
            same = first.setdefault(part.expression, name)
            if same != name:
                self.report.warning(part.key.at, f"`{name}` is the same as `{same}`, which thus counts twice")
        return tuple((name, part.expression) for name, part in parts.items() if part.expression is not None)

    def _expression(self, scope: Scope, parts: dict[str, _Part], part: _Part) -> Expression | None:
        if part.syntax is None:
            return None
        state = ExpressionState(scope, part.value)
        measure = Measure(state, "feature")
        if not measure.may_have(part.syntax, parts):
            return None
        try:
            expression = ExpressionCheck(state, segment=None).value(part.syntax)
        except TooLargeError:
            return None
        return expression if expression is not None and measure.is_one(part.syntax, expression) else None
