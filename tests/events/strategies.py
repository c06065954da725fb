"""Hypothesis strategies for raw events: valid ones with all sorts of changes made to them."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from stream.contract import FIELDS, Kind
from tests.events.making import DECLARED, plain

LIMITS = (0, 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 257, 4095, 4096, 4097)
TIMES = (
    "0", "-0", "-1", "1", "1.0", "1e3", "1E3", "0.5", "253402300799999", "253402300800000", "99999999999999999999",
    '"1970-01-01T00:00:00Z"', '"1969-12-31T23:59:59.999Z"',
    '"1970-01-01T00:30:00+01:00"', '"1969-12-31T23:30:00-01:00"',
    '"9999-12-31T23:59:59.9999Z"', '"9999-12-31T23:30:00-01:00"', '"9999-12-31T23:30:00+01:00"',
    '"2019-10-01T00:31:07Z"', '"2019-10-01t00:31:07.1z"', '"2019-10-01T00:31:07.123456789+02:00"',
    '"2019-10-01 00:31:07Z"', '"2019-10-01T00:31:07"', '"2019-10-01"',
    '"2019-10-01T00:31:60Z"', '"2019-10-01T24:00:00Z"',
    '"2019-02-29T00:00:00Z"', '"2020-02-29T00:00:00Z"', '"2019-13-01T00:00:00Z"', '"2019-10-01T00:31:07.Z"',
    '"2019-10-01T00:31:07Z\\n"', '"2019-10-01T00:31:07+24:00"', '"2019-10-01T00:31:07-00:00"', '"٢٠١٩-10-01T00:31:07Z"',
    '"1569889867000"', '""',
)  # fmt: skip
NUMBERS = (
    "0", "-0", "-0.0", "1", "-1", "12.5", "1e2", "1E-2", "1e-400", "1e11", "100000000000", "100000000000.5", "-1e11",
    "-100000000001", "1e12", "1e400", "-1e400", "9" * 400, "18446744073709551616", "0.1e1",
)  # fmt: skip
WORDS = (
    '"page_view"', '"opened"', '"a"', '"A"', '"a b"', '"a\\n"', '"9a"', '"a9_"', '"EUR"', '"eur"', '"EURO"', '"EUR\\n"',
    '"é"', '"\\u0061"', '"click"', '"purchase"', '"email"', '"Click"', '""',
)  # fmt: skip
OTHERS = ("null", "true", "false", "[]", "{}", '[1,{"a":null}]', '{"plan":"pro"}', '{"plan":[],"age":1e400}')

_texts = st.builds(
    lambda char, length: json.dumps(char * length, ensure_ascii=False),
    st.sampled_from(["a", "é", "本", "😀"]),
    st.sampled_from(LIMITS),
)
raw_values = st.one_of(
    st.sampled_from(TIMES), st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.sampled_from(OTHERS), _texts
)


def names(kind: Kind) -> list[str]:
    """All fields of a kind that the tests' definitions know, and one that nobody does."""
    common = ["event_id", "customer_id", "timestamp", "type", "traits", "unheard_of"]
    return [*common, *FIELDS[kind], *DECLARED, *(["items"] if kind is Kind.PURCHASE else [])]


def escaped(key: str, at: int) -> str:
    """A key with one letter written as an escape."""
    at %= len(key)
    return f"{key[:at]}\\u{ord(key[at]):04x}{key[at + 1 :]}"


@st.composite
def events(draw: st.DrawFn) -> tuple[Kind, list[tuple[str, str]]]:
    """A kind, and a valid event of it as pairs of raw texts, with all sorts of changes made to it."""
    kind = draw(st.sampled_from(Kind))
    pairs = [(key, json.dumps(value)) for key, value in plain(kind).items()]
    fields = st.tuples(st.sampled_from(names(kind)), raw_values)
    for key, value in draw(st.lists(fields, max_size=4)):
        match draw(st.sampled_from(["set", "add", "escape", "drop", "first"])):
            case "set":
                pairs = [*((k, v) for k, v in pairs if k != key), (key, value)]
            case "add":
                pairs.append((key, value))
            case "escape":
                pairs.append((escaped(key, len(value)), value))
            case "first":
                pairs.insert(0, (key, value))
            case "drop":
                pairs = [(k, v) for k, v in pairs if k != key]
    return kind, pairs
