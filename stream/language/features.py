"""The named expressions under ``features:``: parsed, put in an order, checked once each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stream.language.expression_state import ExpressionState, TooLargeError
from stream.language.expressions import ExpressionCheck
from stream.language.parser import parse
from stream.language.scope import Feature, Report, Scope
from stream.language.source import Scalar
from stream.language.syntax import (
    ExpressionSyntaxError,
    Name,
    Node,
    nodes,
)

#: YAML ended the text of an expression before its writer did.
_CUTS = {
    ",": " (within `{...}` YAML ends it at the comma: put the expression in quotes)",
    "#": " (` #` begins a comment in YAML: put the expression into a block, `|`)",
}


def parse_expression(report: Report, scalar: Scalar) -> Node | None:
    """The syntax of an expression; None when it has none, which is reported."""
    try:
        return parse(scalar.text)
    except ExpressionSyntaxError as error:
        message = error.message
        if error.is_unfinished and scalar.cut_by:
            message += _CUTS[scalar.cut_by]
        report.error(scalar.place_of(error.at), message)
        return None


def check_features(scope: Scope) -> None:
    """Parse and check every feature of the scope, after those that it uses."""
    features = scope.features
    for feature in features.values():
        if feature.value is not None:
            feature.syntax = parse_expression(scope.report, feature.value)
            feature.uses = used_names(feature.value, feature.syntax) & features.keys()
    for name in _order(scope):
        _check(scope, features[name])


def used_names(value: Scalar, syntax: Node | None) -> set[str]:
    """The names that an expression may use; of one that could not be parsed every word, to be on the safe side."""
    return set(re.findall(r"\w+", value.text)) if syntax is None else {name.name for name in names(syntax)}


def mark_used(features: Mapping[str, Feature], seeds: set[str]) -> None:
    """Mark the features that are named in ``seeds``, and those that they use."""
    waiting = [name for name in seeds if name in features]
    while waiting:
        feature = features[waiting.pop()]
        if not feature.is_used:
            feature.is_used = True
            waiting.extend(feature.uses)


def names(node: Node) -> Iterator[Name]:
    """The bare words of an expression, but for those within ``where``."""
    return (part for part in nodes(node) if isinstance(part, Name))


def _check(scope: Scope, feature: Feature) -> None:
    if feature.value is None or feature.syntax is None:
        return
    state = ExpressionState(scope, feature.value)
    check = ExpressionCheck(state, segment=None)
    try:
        feature.expression = check.value(feature.syntax)
    except TooLargeError:
        return
    feature.parts, feature.depth, feature.members = state.parts, state.depth, check.members


def _order(scope: Scope) -> list[str]:
    """The features in an order in which each stands after those it uses; those in a cycle are reported and left out."""
    features = scope.features
    done: set[str] = set()
    broken: set[str] = set()
    order: list[str] = []
    for start in features:
        path: list[str] = []
        waiting: list[tuple[str, bool]] = [(start, False)]
        while waiting:
            name, is_left = waiting.pop()
            if is_left:
                path.pop()
                done.add(name)
                if name not in broken:
                    order.append(name)
                continue
            if name in done or name in path:
                continue
            path.append(name)
            waiting.append((name, True))
            for use in _uses_in_order(features[name]):
                if use.name in path:
                    cycle = [*path[path.index(use.name) :], use.name]
                    broken.update(cycle)
                    _report_cycle(scope, features[name], use, cycle)
                elif use.name not in done:
                    waiting.append((use.name, False))
    return [name for name in order if name not in broken]


def _uses_in_order(feature: Feature) -> list[Name]:
    """Each use's first place; the last one first, as a stack wants them."""
    if feature.syntax is None:
        return []
    first: dict[str, Name] = {}
    for name in sorted(names(feature.syntax), key=lambda name: name.at):
        if name.name in feature.uses:
            first.setdefault(name.name, name)
    return list(reversed(first.values()))


def _report_cycle(scope: Scope, feature: Feature, use: Name, cycle: list[str]) -> None:
    assert feature.value is not None, "what uses a feature has an expression"
    at = feature.value.place_of(use.at)
    if len(cycle) == 2:
        scope.report.error(at, f"feature `{use.name}` uses itself")
        return
    way = " → ".join(f"`{name}`" for name in cycle[:8]) + (" → ..." if len(cycle) > 8 else "")
    scope.report.error(at, f"these features use each other in a circle: {way}")
