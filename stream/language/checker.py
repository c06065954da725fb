"""The text of a definitions file → its checked meaning, or everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from stream.contract import COMMON_FIELDS, FIELDS, KINDS, UNREAD_FIELDS, FieldType, Kind
from stream.errors import DefinitionsError
from stream.language.features import check_features, mark_used
from stream.language.meaning import ranked
from stream.language.persona_names import PersonaNames
from stream.language.personas import PersonasCheck
from stream.language.problems import Problem
from stream.language.scope import Feature, Report, Scope
from stream.language.segments import SegmentsCheck
from stream.language.source import Mapping, Node, Scalar, read
from stream.language.suggest import did_you_mean
from stream.language.tree import Churn, ChurnModel, Definitions, RfmMeasure, Segment
from stream.language.values import Entries, Values
from stream.language.words import FIELD_NAME, KEYWORDS
from stream.language.yaml_mistakes import YamlError

KEYS = (
    "version",
    "buckets",
    "dedupe",
    "churn",
    "lateness",
    "max_ahead",
    "fields",
    "features",
    "personas",
    "segments",
)
_PARAMETERS = ("r", "alpha", "a", "b")
SEGMENTS_EXAMPLE = "each segment's name, and under it `enter: CONDITION`"
#: Far beyond what a shop has, and little enough that a slip (a generated file) is noticed here.
_MAX_FEATURES = 1_000
_MAX_SEGMENTS = 1_000
#: Models carry the distribution of each.
_MAX_RANKED = 32


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: ``definitions`` is None when there is an error among ``problems``."""

    definitions: Definitions | None
    problems: list[Problem]


def load(text: str | bytes, source: str) -> Definitions:
    """The meaning of a definitions file; ``source`` is the name that problems carry. Warnings pass.

    Raises:
        DefinitionsError: the file has errors; all of them, and the warnings, are in it.
    """
    checked = check(text, source)
    if checked.definitions is None:
        raise DefinitionsError(checked.problems)
    return checked.definitions


def check(text: str | bytes, source: str) -> Checked:
    """Everything that is wrong with a definitions file, sorted by place, and its meaning when nothing is.

    Bytes have to be UTF-8. JSON is YAML, so a file may hold JSON.
    """
    decoded, report = decode(text, source)
    if report.has_errors:
        return Checked(None, report.problems())
    try:
        root = read(decoded)
    except YamlError as error:
        report.error(error.at, error.message)
        return Checked(None, report.problems())
    return check_nodes(root, report)


def decode(text: str | bytes, source: str) -> tuple[str, Report]:
    """A file's text, and where to report what is wrong with it: an error is there already if it is not UTF-8."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            valid = error.object[: error.start].decode("utf-8").removeprefix("\ufeff")
            report = Report(source, valid)
            report.error(
                len(valid), f"this is not UTF-8 (byte 0x{error.object[error.start]:02X}): save the file as UTF-8"
            )
            return valid, report
    text = text.removeprefix("\ufeff")
    return text, Report(source, text)


def check_nodes(root: Mapping, report: Report) -> Checked:
    """`check` of what has been read already; ``report`` is of the text that the nodes' places lie in."""
    definitions = _Check(report).definitions(root)
    return Checked(None if report.has_errors else definitions, report.problems())


class _Check:
    """The keys at the top of the file, and the order in which they are looked at."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._values = Values(report)

    def definitions(self, root: Mapping) -> Definitions:
        """The file's meaning; only to be used when nothing was reported."""
        entries = self._values.entries(root, KEYS, "at the top of the file")
        for name, hint in (("version", "write `version: 1`"), ("segments", f"it needs {SEGMENTS_EXAMPLE}")):
            if entries.lacks(name):
                self._report.error(root.at, f"missing key `{name}`: {hint}")
        if "version" in entries:
            self._version(*entries["version"])
        dedupe = self._dedupe(*entries["dedupe"]) if "dedupe" in entries else {}
        buckets = self._values.whole(*entries["buckets"], 2, 120) if "buckets" in entries else None
        lateness = self._values.duration(*entries["lateness"]) if "lateness" in entries else None
        max_ahead = self._values.duration(*entries["max_ahead"]) if "max_ahead" in entries else None
        churn = self._churn(*entries["churn"]) if "churn" in entries else Churn()
        declared = self._fields(*entries["fields"]) if "fields" in entries else {}
        features = self._features(*entries["features"]) if "features" in entries else {}
        segments = self._segments(*entries["segments"]) if "segments" in entries else {}
        personas = PersonasCheck.of(self._report, *entries["personas"]) if "personas" in entries else None
        # Of a section that is no mapping or misspelled it is not said once more, where conditions use it.
        unknown = None if entries.lacks("personas") else PersonaNames({}, is_complete=False)
        scope = Scope(
            self._report,
            declared,
            features,
            {name: place for place, name in enumerate(segments)},
            unknown if personas is None else personas.names,
        )
        check_features(scope)
        section = None if personas is None else personas.section(scope)
        checked = SegmentsCheck(scope, self._values)
        found = [checked.segment(place, key, node) for place, (key, node) in enumerate(segments.values())]
        mark_used(features, checked.used_features | (set() if personas is None else personas.used_features))
        self._ranks([segment for segment in found if segment is not None], entries)
        for feature in features.values():
            if feature.value is not None and not feature.is_used:
                self._report.warning(feature.key.at, f"feature `{feature.name}` is not used by any segment")
        return Definitions(
            segments=tuple(segment for segment in found if segment is not None),
            buckets=24 if buckets is None else buckets,
            dedupe_events=dedupe.get("events", 16),
            dedupe_orders=dedupe.get("orders", 8),
            churn=churn,
            lateness_ms=lateness,
            max_ahead_ms=3_600_000 if max_ahead is None else max_ahead,
            declared=declared,
            personas=section,
        )

    def _ranks(self, segments: list[Segment], entries: Entries) -> None:
        count = len(ranked(segments))
        if count > _MAX_RANKED:
            message = f"at most {_MAX_RANKED} expressions may be ranked, and the segments rank by {count}"
            if any(isinstance(one, RfmMeasure) for one in ranked(segments)):
                message += ", three in each `rfm`"
            self._report.error(entries["segments"][0].at, message)

    def _version(self, key: Scalar, node: Node) -> None:
        if self._values.is_empty(key, node, "write `version: 1`"):
            return
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int) or value != 1:
            self._report.error(node.at, "`version` is 1: no other is known")

    def _dedupe(self, key: Scalar, node: Node) -> dict[str, int]:
        mapping = self._values.mapping(key, node, "`dedupe: {events: 16, orders: 8}`")
        if mapping is None:
            return {}
        entries = self._values.entries(mapping, ("events", "orders"), "of `dedupe`")
        found = {name: self._values.whole(*entry, 0, 64) for name, entry in entries.items()}
        return {name: number for name, number in found.items() if number is not None}

    def _churn(self, key: Scalar, node: Node) -> Churn:
        mapping = self._values.mapping(key, node, "`churn: {model: bgnbd, r: 0.243, alpha: 4.414, a: 0.793, b: 2.426}`")
        if mapping is None:
            return Churn()
        entries = self._values.entries(mapping, ("model", *_PARAMETERS), "of `churn`")
        model: str | None = ChurnModel.BGNBD
        if "model" in entries:
            model = self._values.choice(*entries["model"], list(ChurnModel))
        given = {
            name: self._values.number(*entries[name], lambda value: value > 0, "a number above 0")
            for name in _PARAMETERS
            if name in entries
        }
        missing = [f"`{name}`" for name in _PARAMETERS if name not in given]
        if model == ChurnModel.MBGNBD and missing:
            listed = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
            at = entries["model"][1].at
            self._report.error(at, f"`mbgnbd` needs its parameters: {listed} missing")
        parameters = {name: value for name, value in given.items() if value is not None}
        return Churn(ChurnModel(model or ChurnModel.BGNBD), **parameters)

    def _fields(self, key: Scalar, node: Node) -> dict[Kind, dict[str, FieldType]]:
        declared: dict[Kind, dict[str, FieldType]] = {}
        mapping = self._values.mapping(key, node, "`fields: {click: {score: number}}`")
        for word, (kind_key, kind_node) in self._values.entries(mapping, None, "").items() if mapping else ():
            kind = KINDS.get(word)
            if kind is None:
                self._report.error(kind_key.at, f"unknown kind `{word}`{did_you_mean(word, KINDS)}")
                continue
            inner = self._values.mapping(kind_key, kind_node, f"`{word}: {{score: number}}`")
            for name, entry in self._values.entries(inner, None, "").items() if inner else ():
                declared.setdefault(kind, {})[name] = self._field(kind, name, *entry)
        return declared

    def _field(self, kind: Kind, name: str, key: Scalar, node: Node) -> FieldType:
        if name in FIELDS[kind] or name in UNREAD_FIELDS[kind]:
            self._report.error(key.at, f"`{name}` is a field of `{kind.word}` anyway: it cannot be declared again")
        elif name in COMMON_FIELDS:
            self._report.error(key.at, f"`{name}` is a field of every event: it cannot be declared again")
        elif name in KEYWORDS:
            self._report.error(key.at, f"`{name}` is a word of the language: a field cannot be called so")
        elif not FIELD_NAME.fullmatch(name):
            rule = "a field is called by letters, digits and `_`, not beginning with a digit, at most 64"
            self._report.error(key.at, f"{rule}")
        return FieldType(self._values.choice(key, node, list(FieldType)) or FieldType.TEXT)

    def _features(self, key: Scalar, node: Node) -> dict[str, Feature]:
        features: dict[str, Feature] = {}
        mapping = self._values.mapping(key, node, "each feature's name and its expression")
        for name, (feature_key, value) in self._values.entries(mapping, None, "").items() if mapping else ():
            self._values.check_name(feature_key, "feature")
            features[name] = Feature(name, feature_key, self._values.expression(feature_key, value))
        if len(features) > _MAX_FEATURES:
            self._report.error(key.at, f"at most {_MAX_FEATURES:,} features, and these are {len(features):,}")
        return features

    def _segments(self, key: Scalar, node: Node) -> dict[str, tuple[Scalar, Node]]:
        mapping = self._values.mapping(key, node, SEGMENTS_EXAMPLE, is_required=True)
        if mapping is None:
            return {}
        segments = self._values.entries(mapping, None, "")
        if not segments:
            self._report.error(node.at, f"`segments` is empty: it needs {SEGMENTS_EXAMPLE}")
        if len(segments) > _MAX_SEGMENTS:
            self._report.error(key.at, f"at most {_MAX_SEGMENTS:,} segments, and these are {len(segments):,}")
        for segment_key, _ in segments.values():
            self._values.check_name(segment_key, "segment")
        return segments
