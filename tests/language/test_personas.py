"""The key `personas:`: what is read of it, what is wrong in it, and what conditions may say of a persona."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream.contract import Kind
from stream.language.canonical import text
from stream.language.checker import check, load
from stream.language.drafts import parts
from stream.language.meaning import definitions_hash, evidence, meaning
from stream.language.tree import Aggregate, Compare, Function, In, Literal, Personas, Type
from tests.language.marked import assert_problems, file_with, problems

SEGMENTS = "segments:\n  a:\n    enter: never(purchase)\n"
FEATURES = "each feature's name and its expression, such as `orders: count(purchase, 30d)`"
SECTION_IS = "`features:` with names and expressions, and `k:`, how many there are to be"
MOVES = "changes at every moment, which no feature of personas may"
INSTANT = "use the instant itself, such as `last(purchase)`, which counts by its age in days"
MADE_OF = "use what it is made of, such as `last(purchase)` and `count(purchase)`"
TRAIT = "a trait is nothing that events add up to: use aggregates, such as `count(click, 30d)`"
MEMBER = "a membership is no number: use the aggregates that it asks about"
PERSONA = "`persona` follows from these features, so it cannot be in one of them"
NUMBER = "a feature of personas is a number or an instant, and this is"


def section(**keys: str) -> str:
    """A file whose section has these keys, each as it would be written, and what it needs besides."""
    entries = {"features": "{orders: count(purchase)}", "k": "6", **keys}
    written = "".join(f"  {key}: {value}\n" for key, value in entries.items() if value)
    return f"version: 1\npersonas:\n{written}{SEGMENTS}"


def test_everything_of_the_section_is_read() -> None:
    definitions = load(
        """
version: 1
features:
  buying: orders * 2
  orders: count(purchase, 30d)
personas:
  features:
    orders: orders
    recency: last(purchase)
    twice: buying + 1
    pause: gap(click) / 1d
  k: {min: 4, max: 9}
  min_share: 0
  margin: 0.25
  active_within: 30d
  every: 6h
  samples: 500
  aliases: {p12: hunters, p3: regulars}
segments: {a: {enter: never(click)}}
""",
        "f",
    )
    personas = definitions.personas
    assert personas is not None
    orders = Aggregate(Function.COUNT, Kind.PURCHASE, None, None, 30 * 86_400_000, None, Type.NUMBER)
    recency = Aggregate(Function.LAST, Kind.PURCHASE, None, None, None, None, Type.INSTANT)
    assert personas.features[:2] == (("orders", orders), ("recency", recency))
    assert [(name, text(expression)) for name, expression in personas.features[2:]] == [
        ("twice", "count(purchase, 30d) * 2 + 1"),
        ("pause", "gap(click) / 1d"),
    ]
    assert personas == Personas(
        features=personas.features,
        k_min=4,
        k_max=9,
        min_share=0,
        margin=0.25,
        active_within_ms=30 * 86_400_000,
        every_ms=6 * 3_600_000,
        samples=500,
        aliases={"p3": "regulars", "p12": "hunters"},
    )
    assert list(personas.aliases) == ["p3", "p12"]  # by number


def test_defaults() -> None:
    definitions = load(section(), "f")
    assert definitions.personas is not None
    assert definitions.personas == Personas(definitions.personas.features, 6, 6)
    plain = definitions.personas
    assert (plain.min_share, plain.margin, plain.samples, plain.aliases) == (0.01, 0.1, 20_000, {})
    assert (plain.active_within_ms, plain.every_ms) == (90 * 86_400_000, 86_400_000)
    assert load("version: 1\n" + SEGMENTS, "f").personas is None


ERRORS = [
    ("version: 1\n‸personas:\n" + SEGMENTS, f"`personas` is empty: it needs {SECTION_IS}"),
    ("version: 1\npersonas: ‸5\n" + SEGMENTS, f"`personas` is a mapping: {SECTION_IS}"),
    (
        "version: 1\n‸persona: {}\n" + SEGMENTS,
        "unknown key `persona` at the top of the file (did you mean `personas`?)",
    ),
    (section(features="").replace("personas", "‸personas"), f"`personas` has no `features`: it needs {FEATURES}"),
    (section(k="").replace("personas", "‸personas"), "`personas` has no `k`: write `k: 6` or `k: {min: 4, max: 9}`"),
    (section(**{"‸sample": "5"}), "unknown key `sample` of `personas` (did you mean `samples`?)"),
    (section(**{"‸feature": "{}", "features": ""}), "unknown key `feature` of `personas` (did you mean `features`?)"),
    # features
    (section(features="‸{}"), f"`features` is empty: it needs {FEATURES}"),
    (section(features="‸[a]"), f"`features` is a mapping: {FEATURES}"),
    (
        section(features="{" + ", ".join(f"f{n}: count(click) + {n}" for n in range(17)) + "}").replace(
            "features", "‸features"
        ),
        "at most 16 features of personas, and these are 17",
    ),
    (
        section(features="{‸Orders: count(click)}"),
        "a feature is called by small letters, digits and `_`, beginning with a letter, at most 64 (`orders`?)",
    ),
    (section(features="{a: count(click), ‸a: 1}"), "doubled key `a`: it stands in line 3 already"),
    (section(features="{‸a: }"), "`a` is empty: give it a value, or leave the key out"),
    (section(features="{a: ‸[x]}"), "`a` is an expression, not a list"),
    (section(features="{a: count(‸clik)}"), "unknown kind `clik` (did you mean `click`?)"),
    (section(features='{a: "count(click) ‸>"}'), "something is missing after `>`"),
    (section(features="{a: ‸since(last(click))}"), f"`since` {MOVES}: {INSTANT}"),
    (section(features="{a: 2 * (‸since(last(click)) / 1d)}"), f"`since` {MOVES}: {INSTANT}"),
    (section(features="{a: count(click) - ‸p_alive(purchase)}"), f"`p_alive` {MOVES}: {MADE_OF}"),
    (section(features="{a: '‸p_buy(purchase, 90d)'}"), f"`p_buy` {MOVES}: {MADE_OF}"),
    (section(features='{a: ‸trait("age") * count(click)}'), TRAIT),
    (section(features='{a: ‸member("a")}'), MEMBER),
    (section(features="{a: ‸persona}"), PERSONA),
    (section(features="{a: ‸count(click) > 3}"), f"{NUMBER} a boolean"),
    (section(features="{a: ‸last(click.device)}"), f"{NUMBER} text"),
    (
        section(features="{a: ‸gap(click)}"),
        f"{NUMBER} a duration: divide it by a unit, as in `gap(click) / 1d`",
    ),
    (
        section(features="{a: ‸2 + 3}"),
        "this is the same for everybody: a feature of personas asks about events, as `count(click)` does",
    ),
    (
        section(features="{a: count(click), b: ‸a + 1}"),
        "`a` is another feature of personas: to share it, put it under `features:` at the top",
    ),
    # numbers
    (section(k="‸1"), "`k` is a whole number from 2 to 50"),
    (section(k="‸51"), "`k` is a whole number from 2 to 50"),
    (section(k="‸many"), "`k` is a whole number, or the smallest and the largest: `k: 6` or `k: {min: 4, max: 9}`"),
    (section(k="‸[4, 9]"), "`k` is a whole number, or the smallest and the largest: `k: 6` or `k: {min: 4, max: 9}`"),
    (section(k="\n").replace("  k:", "  ‸k:"), "`k` is empty: write `k: 6` or `k: {min: 4, max: 9}`"),
    (section(k="{min: ‸1, max: 9}"), "`min` is a whole number from 2 to 50"),
    (section(k="{min: 4, max: ‸3}"), "`max` is 3, less than `min`, which is 4"),
    (section(k="{min: 4}").replace("  k:", "  ‸k:"), "`k` has no `max`: write `k: 6` or `k: {min: 4, max: 9}`"),
    (section(k="{min: 4, ‸maxi: 9}"), "unknown key `maxi` of `k` (did you mean `max`?)"),
    (section(min_share="‸0.6"), "`min_share` is a share from 0 to 0.5"),
    (section(min_share="‸2%"), "`min_share` is a share from 0 to 0.5"),
    (section(margin="‸0.95"), "`margin` is a share from 0 to 0.9"),
    (section(margin="‸-0.1"), "`margin` is a share from 0 to 0.9"),
    (section(active_within="‸90"), "`active_within` needs a unit: `90` of what? (`90m`, `90h`, `90d`, ...)"),
    (section(active_within="‸999ms"), "`active_within` is at least `1s`"),
    (section(active_within="‸0"), "`active_within` is at least `1s`"),
    (section(every="‸59m"), "`every` is at least `1h`"),
    (section(samples="‸0"), "`samples` is a whole number from 1 to 1000000"),
    (section(samples="‸1e3"), "`samples` is a whole number from 1 to 1000000"),
    # aliases
    (section(aliases="‸[p1]"), "`aliases` is a mapping: `aliases: {p3: regulars}`"),
    (section(aliases="{‸p03: regulars}"), "`p03` is no id of a persona (did you mean `p3`?)"),
    (section(aliases="{‸P3: regulars}"), "`P3` is no id of a persona (did you mean `p3`?)"),
    (section(aliases="{‸3: regulars}"), "`3` is no id of a persona (did you mean `p3`?)"),
    (section(aliases="{‸p0: regulars}"), "`p0` is no id of a persona: ids are `p1`, `p2`, ..."),
    (section(aliases="{p3: ‸5}"), '`p3` is text: put it in quotes, `"5"`'),
    (section(aliases="{p3: ‸p4}"), "`p4` looks like an id: an alias is another name, such as `regulars`"),
    (
        section(aliases="{p3: ‸Bargain Hunters}"),
        "an alias is made of small letters, digits and `_`, beginning with a letter, at most 64 (`bargain_hunters`?)",
    ),
    (
        section(aliases="{p3: ‸'7'}"),
        "an alias is made of small letters, digits and `_`, beginning with a letter, at most 64",
    ),
    (
        section(aliases="{p3: regulars, p4: ‸regulars}"),
        "`regulars` is the alias of `p3` already: each persona has its own",
    ),
    (section(aliases="{p3: regulars, ‸p3: others}"), "doubled key `p3`: it stands in line 5 already"),
    (
        section(aliases="{" + ", ".join(f"p{n}: a{n}" for n in range(1, 1002)) + "}").replace("aliases", "‸aliases"),
        "at most 1,000 aliases, and these are 1,001",
    ),
]


@pytest.mark.parametrize(("marked", "message"), ERRORS)
def test_error_is_told_at_its_place(marked: str, message: str) -> None:
    assert_problems(marked, f"error: {message}")


def test_features_of_the_file_that_do_not_fit_are_told_where_they_are_used() -> None:
    assert_problems(
        "version: 1\n"
        'features: {pause: since(last(click)), who: persona, age: trait("age") * 2, bad: count(‸clik)}\n'
        "personas:\n"
        "  features: {a: ‸pause / 1d, b: ‸who, c: count(click) + ‸age, d: bad}\n"
        "  k: 3\n" + SEGMENTS,
        "error: unknown kind `clik` (did you mean `click`?)",
        f"error: `pause` {MOVES}: {INSTANT}",
        f"error: `who` cannot be used here: {PERSONA}",
        f"error: `age` cannot be used here: {TRAIT}",
    )


def test_features_that_only_the_section_uses_are_used() -> None:
    text = "version: 1\nfeatures: {orders: count(purchase)}\npersonas: {features: {n: orders}, k: 2}\n" + SEGMENTS
    assert problems(text) == []


def test_a_feature_that_is_there_twice_is_warned_of() -> None:
    assert_problems(
        section(features="{a: count(click), ‸b: count( click )}"),
        "warning: `b` is the same as `a`, which thus counts twice",
    )


def test_shares_that_cannot_be_are_warned_of() -> None:
    message = "warning: 6 personas cannot have a share of 0.2 each: some will be given up"
    assert_problems(section(min_share="‸0.2"), message)
    assert problems(section(min_share="0.2", k="{min: 5, max: 50}")) == []


# --- Conditions -------------------------------------------------------------------------------------------------------

ALIASES = "`hunters`, `regulars`"
CONDITIONS = [
    ('persona == ‸"regular"', "no persona is called `regular` (did you mean `regulars`?)"),
    ('persona != ‸"p03"', "no persona is called `p03` (did you mean `p3`?)"),
    ('persona in ["p3", ‸"P7"]', "no persona is called `P7` (did you mean `p7`?)"),
    ('persona not in [‸"cats", "p3"]', f"no persona is called `cats`: there are `p1`, `p2`, ... and {ALIASES}"),
    ('‸"p0" == persona', f"no persona is called `p0`: there are `p1`, `p2`, ... and {ALIASES}"),
]


@pytest.mark.parametrize(("condition", "message"), CONDITIONS)
def test_a_literal_that_no_persona_is_called_by_is_an_error(condition: str, message: str) -> None:
    assert_problems(file_with(condition), f"error: {message}")


def test_without_aliases_the_message_says_where_to_give_one() -> None:
    text = section().replace("never(purchase)", 'persona == ‸"cats"')
    names = "`p1`, `p2`, ..., and names of your own under `aliases:`"
    assert_problems(text, f"error: no persona is called `cats`: there are {names}")


def test_after_a_wrong_alias_no_literal_is_doubted() -> None:
    text = section(aliases="{p3: ‸Regulars}").replace("never(purchase)", 'persona == "regulars"')
    rule = "an alias is made of small letters, digits and `_`, beginning with a letter, at most 64"
    assert_problems(text, f"error: {rule} (`regulars`?)")


@pytest.mark.parametrize("condition", ['‸persona == "p3"', "‸persona exists", 'never(click) or ‸persona in ["p1"]'])
def test_a_persona_without_the_section_is_an_error(condition: str) -> None:
    what = "by what customers are clustered, and into how many"
    assert_problems(
        f"version: 1\nsegments:\n  a:\n    enter: |\n      {condition}\n",
        f"error: `persona` needs `personas:` at the top of the file: {what}",
    )


def test_a_broken_section_is_all_that_is_reported() -> None:
    assert_problems(
        "version: 1\npersonas: ‸5\nsegments: {a: {enter: persona exists}}\n",
        f"error: `personas` is a mapping: {SECTION_IS}",
    )
    assert_problems(
        "version: 1\n‸persona: {}\nsegments: {a: {enter: persona exists}}\n",
        "error: unknown key `persona` at the top of the file (did you mean `personas`?)",
    )


def _enter(condition: str, **keys: Any) -> object:
    personas = {"features": {"clicks": "count(click)"}, "k": 2, "aliases": {"p3": "regulars"}}
    content = {"version": 1, "personas": personas, "segments": {"a": {"enter": condition}}, **keys}
    return load(json.dumps(content), "f").segments[0].enter


def test_the_id_of_a_persona_with_an_alias_means_the_alias() -> None:
    by_id = _enter('persona == "p3"')
    assert isinstance(by_id, Compare)
    assert by_id.right == Literal("regulars", Type.TEXT)
    assert by_id == _enter("persona == 'regulars'")
    assert _enter('"p3" != persona') == _enter('"regulars" != persona')
    assert _enter('who == "p3"', features={"who": "persona"}) == by_id
    listed = _enter('persona not in ["p4", "p3"]')
    assert isinstance(listed, In)
    assert [literal.value for literal in listed.literals] == ["p4", "regulars"]


@pytest.mark.parametrize(
    "condition",
    [
        "persona exists",
        'persona == "p999999999"',
        'persona contains "hunt"',
        'persona starts_with "reg"',
        'persona == trait("persona")',
        "persona != last(click.category)",
        "persona in []",
        'last(click.category) == "regular"',
    ],
)
def test_what_else_may_be_asked_of_a_persona(condition: str) -> None:
    assert [one for one in problems(file_with(condition)) if "error" in one[2]] == []


def test_evidence_of_a_segment_names_the_persona() -> None:
    (only,) = load(section().replace("never(purchase)", 'persona == "p3" or persona == "p4"'), "f").segments
    assert [text(one) for one in evidence(only)] == ["persona"]


# --- Meaning ----------------------------------------------------------------------------------------------------------


def test_meaning_holds_what_decides_a_persona() -> None:
    """Workers of two releases compare these: a change here is a change of the format."""
    definitions = load(section(aliases="{p12: hunters, p3: regulars}"), "f")
    assert json.loads(meaning(definitions))["personas"] == {
        "features": ["count(purchase)"],
        "margin": 0.1,
        "active_within": 7_776_000_000,
        "aliases": {"p3": "regulars", "p12": "hunters"},
    }
    assert "personas" not in meaning(load("version: 1\n" + SEGMENTS, "f"))


def test_hash_differs_with_what_decides_a_persona_and_with_nothing_else() -> None:
    same: list[dict[str, str]] = [
        {},
        {"k": "7"},
        {"k": "{min: 2, max: 3}"},
        {"min_share": "0.02"},
        {"every": "2d"},
        {"samples": "10"},
        {"margin": "0.1"},
        {"aliases": "{}"},
        {"active_within": "2160h"},
        {"features": "{other: count( purchase )}"},
    ]
    assert len({definitions_hash(load(section(**keys), "f")) for keys in same}) == 1
    different: list[dict[str, str]] = [
        {},
        {"features": "{orders: count(purchase), clicks: count(click)}"},
        {"features": "{clicks: count(click), orders: count(purchase)}"},
        {"margin": "0.2"},
        {"active_within": "30d"},
        {"aliases": "{p1: regulars}"},
    ]
    assert len({definitions_hash(load(section(**keys), "f")) for keys in different}) == len(different)


def test_features_of_personas_are_parts_of_what_a_draft_costs() -> None:
    plain = parts(load("version: 1\n" + SEGMENTS, "f"))
    assert parts(load(section(), "f")) == plain + 1


def test_problems_do_not_depend_on_where_the_section_stands() -> None:
    text = section(aliases="{p3: regulars}").replace("never(purchase)", 'persona == "p3"')
    start, end = text.index("personas:"), text.index("segments:")
    moved = text[:start] + text[end:] + text[start:end]
    one, other = check(text, "f"), check(moved, "f")
    assert one.problems == other.problems == []
    assert one.definitions == other.definitions
