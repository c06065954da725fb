"""What exists is in the docs, and what the docs name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import click
import pytest

import stream.cli
from stream import contract, errors
from stream.contract import FIELDS, KINDS, KNOWN_ACTIONS, REQUIRED_FIELDS, TOPICS, UNREAD_FIELDS, Kind
from stream.events.reasons import Code
from stream.kafka.topics import Bound, all_topics
from stream.language import aliases, checker, expression_state, personas, scope, segments, source, types, words
from stream.language.literals import write_duration
from stream.language.tree import ChurnModel, Definitions, Function, Literal, Personas, Segment, Type
from stream.replay.run import rejected_line
from tests.docs.examples import context
from tests.docs.pages import ROOT, blocks, code, codes, first_column, page, page_id, pages, rows_of, section
from tests.docs.test_docs_examples import schema


def first_codes(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """All words in code in the first cells."""
    return [word for row in rows for word in codes(row[0])]


def words_in(text: str) -> set[str]:
    """All words in anything that is set in code, blocks included."""
    return {
        word for one in [*codes(text), *re.findall(r"```.*?```", text, re.DOTALL)] for word in re.findall(r"\w+", one)
    }


# --- the language -----------------------------------------------------------------------------------------------------


def test_every_function_is_described() -> None:
    assert first_codes(rows_of("language", "call")) == [*in_order(words.FUNCTIONS.values()), words.PERSONA]
    assert {function.value for function in Function} <= words.FUNCTIONS.keys()


def in_order(usages: Iterable[str]) -> list[str]:
    """The usages in the order of the page, which has those over events first."""
    shown = first_codes(rows_of("language", "call"))
    return sorted(usages, key=shown.index)


def test_every_keyword_is_described() -> None:
    shown = words_in(section("language", "## Expressions") + section("language", "## Asking about events"))
    assert not words.KEYWORDS - shown


def test_every_function_and_kind_of_comparison_has_an_example() -> None:
    shown = [one for head in ("expression", "condition") for one in first_codes(rows_of("language", head))]
    used = set(re.findall(r"\w+", " ".join(shown)))
    assert words.FUNCTIONS.keys() | words.KEYWORDS | {words.PERSONA} <= used | {"false"}


def test_every_unit_is_in_an_example() -> None:
    durations = " ".join(first_codes(row for row in rows_of("language", "literal") if "duration" in row[1]))
    assert set(re.findall(r"[a-z]+", durations)) == set(words.UNITS)


def test_every_key_of_the_file_is_described() -> None:
    table = section("language", "## The file").split("###")[0]
    assert sorted(first_column(table)) == sorted(checker.KEYS)
    assert {"events", "orders", "model", *checker._PARAMETERS} <= words_in(table)


def test_every_key_of_a_segment_is_described() -> None:
    assert sorted(first_column(section("language", "## Segments").split("###")[0])) == sorted(segments._KEYS)


def test_every_key_of_personas_is_described() -> None:
    text = section("language", "## Personas")
    rows = {code(row[0]): row for row in rows_of("language", "key") if f"| `{code(row[0])}` | {row[1]} |" in text}
    assert sorted(rows) == sorted(personas.KEYS)
    plain = Personas(features=(), k_min=2, k_max=2)
    assert {key: row[2] for key, row in rows.items()} == {
        "features": "an error",
        "k": "an error",
        "min_share": f"`{plain.min_share}`",
        "margin": f"`{plain.margin}`",
        "active_within": f"`{write_duration(plain.active_within_ms)}`",
        "every": f"`{write_duration(plain.every_ms)}`",
        "samples": f"`{plain.samples}`",
        "aliases": "none",
    }
    limits = {
        "features": f"{personas._MAX_FEATURES} expressions",
        "k": f"{personas._K_LEAST} to {personas._K_MOST};",
        "min_share": f"0 to {personas._MAX_MIN_SHARE}",
        "margin": f"0 to {personas._MAX_MARGIN}",
        "active_within": f"at least {personas._MIN_ACTIVE_WITHIN.replace('s', ' s')}",
        "every": f"at least {personas._MIN_EVERY.replace('h', ' h')}",
        "samples": f"to {personas._MAX_SAMPLES:,}",
    }
    for key, limit in limits.items():
        assert limit in rows[key][1], key


def test_every_key_is_in_the_large_example() -> None:
    for key in (*checker.KEYS, *segments._KEYS, *personas.KEYS, "events", "orders", "model", *checker._PARAMETERS):
        assert re.search(rf"\b{key}:", context()), key


def test_defaults_are_as_shown() -> None:
    plain = Definitions(segments=())
    shown = {code(row[0]): row[2] for row in rows_of("language", "key") if len(row) == 3}
    assert shown["buckets"] == f"`{plain.buckets}`"
    assert shown["dedupe"] == f"`{{events: {plain.dedupe_events}, orders: {plain.dedupe_orders}}}`"
    assert shown["max_ahead"] == f"`{write_duration(plain.max_ahead_ms)}`"
    churn = plain.churn
    text = section("language", "## Churn models")
    for name in checker._PARAMETERS:
        assert f"`{name}: {getattr(churn, name)}`" in text
    assert set(ChurnModel) <= words_in(text)
    segment = Segment("a", Literal(True, Type.BOOLEAN), Literal(False, Type.BOOLEAN))
    assert (segment.for_ms, segment.min_stay_ms, segment.cooldown_ms, segment.once, segment.holdout) == (
        0,
        0,
        0,
        False,
        0,
    )
    for name, default in (("for", "0"), ("min_stay", "0"), ("cooldown", "0"), ("once", "false"), ("holdout", "0")):
        assert shown[name] == f"`{default}`"


def test_what_goes_together_in_a_calculation_is_as_shown() -> None:
    shown = {
        (left, operator, right): result
        for left, operators, right, result in rows_of("language", "left")
        for operator in codes(operators)
    }
    known = {(left.value, op, right.value): result.value for (left, op, right), result in types._RESULTS.items()}
    assert shown == known


def test_limits_of_the_language_are_as_shown() -> None:
    text = section("language", "## Limits")
    numbers = (
        source.MAX_CHARACTERS,
        source.MAX_NESTING,
        checker._MAX_SEGMENTS,
        checker._MAX_FEATURES,
        expression_state.MAX_DEPTH,
        expression_state.MAX_PARTS,
        contract.MAX_DURATION_MS // 86_400_000,
        scope._MAX_MESSAGE,
    )
    for number in numbers:
        assert f" {number:,} " in text, number
    assert f" {personas._MAX_FEATURES}; {personas._K_MOST}; {aliases._MAX_ALIASES:,} " in text
    assert "{0,63}" in words.NAME.pattern
    assert "{0,63}" in words.FIELD_NAME.pattern
    assert " 64 characters " in text
    assert "{1,249}" in words.TOPIC_NAME.pattern
    assert " 249 characters " in text


# --- events -----------------------------------------------------------------------------------------------------------


def test_every_kind_is_described() -> None:
    shown = {code(kind): (code(topic), codes(fields)) for kind, topic, fields in rows_of("language", "kind")}
    assert shown == {kind.word: (TOPICS[kind], list(FIELDS[kind])) for kind in Kind}
    assert set(KINDS) == set(shown)


_HEADINGS = [(Kind.CLICK, "### Of a click"), (Kind.PURCHASE, "### Of a purchase"), (Kind.EMAIL, "### Of an e-mail")]


@pytest.mark.parametrize(("kind", "heading"), _HEADINGS)
def test_every_field_is_described(kind: Kind, heading: str) -> None:
    text = section("events", heading)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    assert {name: type_ for name, type_, _ in rows} == (
        {name: type_.value for name, type_ in FIELDS[kind].items()} | dict.fromkeys(UNREAD_FIELDS[kind], "anything")
    )
    assert {name for name, _, what in rows if what.startswith("required")} == set(REQUIRED_FIELDS[kind])
    assert set(KNOWN_ACTIONS.get(kind, ())) <= words_in(text)


def test_every_common_field_is_described() -> None:
    rows = [row for row in rows_of("events", "field") if len(row) == 2]
    assert tuple(first_codes(rows)) == contract.COMMON_FIELDS


def test_limits_of_events_are_as_shown() -> None:
    shown = {codes(row[0])[0] if codes(row[0]) else row[0]: row[1] for row in rows_of("events", "what")}
    assert contract.EVENT_ID_LENGTH == contract.ORDER_ID_LENGTH == 128
    assert f"to {contract.EVENT_ID_LENGTH} " in shown["event_id"]
    assert f"to {contract.CUSTOMER_ID_LENGTH} " in shown["customer_id"]
    assert f"{contract.TEXT_LENGTH:,} " in shown["other text that is looked at, traits too"]
    assert f"{contract.NUMBER_LIMIT:,.0f}" in shown["price"]
    assert f"{contract.NUMBER_LIMIT:,.0f}" in shown["total"]
    assert f"{contract.NESTING_LIMIT} " in shown["nesting"]


def test_every_reason_is_described() -> None:
    assert first_codes(row[:1] for row in rows_of("events", "code")) == [reason.value for reason in Code]


def test_every_schema_is_linked() -> None:
    for path in sorted((ROOT / "schemas").glob("*.json")):
        assert f"](../schemas/{path.name})" in page("events"), path.name


# --- what comes out -------------------------------------------------------------------------------------------------


def test_every_key_of_a_change_is_described() -> None:
    shown = first_column(section("language", "## Changes").split("###")[0])
    assert shown == list(schema("segment-change")["properties"])


def test_every_key_of_a_rejected_line_is_described() -> None:
    from stream.replay.lines import Lines

    lines = Lines("-", [b"x", b"\xff"], [1, 2])
    written = {**rejected_line(lines, 0, "why"), **rejected_line(lines, 1, "why")}
    assert first_column(section("replay", "### Rejected lines")) == list(written)
    assert written.keys() <= schema("rejected-line")["properties"].keys()


# --- Kafka ------------------------------------------------------------------------------------------------------------


def test_every_topic_is_described_with_its_settings() -> None:
    signs = {Bound.EXACTLY: "=", Bound.AT_LEAST: "≥", Bound.AT_MOST: "≤"}
    shown = {name: settings for names, _, settings in rows_of("kafka", "topic") for name in codes(names)}
    assert shown == {
        topic.name: ", ".join(f"`{one.name}` {signs[one.bound]} {one.value}" for one in topic.settings)
        for topic in all_topics()
    }


# --- the command ------------------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, click.Command]]:
    """All commands by name; those of a group have its name in front."""
    found: list[tuple[str, click.Command]] = []
    for name, command in sorted(stream.cli.cli.commands.items()):
        if isinstance(command, click.Group):
            found += [(f"{name} {part}", one) for part, one in sorted(command.commands.items())]
        else:
            found.append((name, command))
    return found


def page_of(command: str) -> str:
    """The page with the command's help."""
    (found,) = [
        path.stem
        for path in pages()
        for block in blocks(path)
        if block.words == ("console", "help") and block.text.startswith(f"$ segstream {command} --help\n")
    ]
    return found


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_option_is_described(name: str, command: click.Command) -> None:
    rows = re.findall(r"^\| `(--[^`]+)` \|", section(page_of(name), f"## {name}"), re.MULTILINE)
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    takes = ["" if option.is_flag else f" {(option.metavar or option.type.name).upper()}" for option in options]
    assert rows == [f"{option.opts[0]}{value}" for option, value in zip(options, takes, strict=True)]


def test_every_exit_code_is_described() -> None:
    known = {0, *(value for name, value in vars(stream.cli).items() if name.startswith("EXIT_"))}
    assert {int(row[0]) for row in rows_of("replay", "code")} == known


def test_every_environment_variable_of_the_sources_is_described() -> None:
    for path in sorted((ROOT / "stream").rglob("*.py")):
        for name in re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", path.read_text(encoding="utf-8")):
            assert name == "XDG_CACHE_HOME" or f"`{name}`" in page("replay"), f"{path.name}: {name}"


# --- the sources ------------------------------------------------------------------------------------------------------


def test_every_exception_is_described() -> None:
    known = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    everywhere = "\n".join(path.read_text(encoding="utf-8") for path in pages())
    for name in known:
        assert f"`{name}`" in everywhere, name


@lru_cache
def names_of_sources() -> dict[str, set[str]]:
    """All names that each module defines, by the module's file name."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "stream").rglob("*.py")):
        names = found.setdefault(path.stem, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
    return found


@pytest.mark.parametrize("path", pages(), ids=page_id)
def test_paths_and_names_of_the_sources_exist(path: Path) -> None:
    for word in codes(path.read_text(encoding="utf-8")):
        if re.fullmatch(r"(?:stream|tests|schemas|docs)/[\w./-]*", word):
            assert (ROOT / word).exists(), word
        match = re.fullmatch(r"([a-z_]+)\.([A-Za-z_]+)", word)
        if match and match[1] in names_of_sources() and match[2] not in {"py", "md", "yaml", "lark"}:
            assert match[2] in names_of_sources()[match[1]], word


def test_names_in_the_walk_throughs_exist() -> None:
    everything = set().union(*names_of_sources().values())
    future = {"V_MEDIAN", "S_"}
    for word in codes(section("engine", "## Changing things")):
        if re.fullmatch(r"_?[A-Z]+[A-Z_]+|_[a-z_]+|[A-Z][a-z]+", word) and word not in future:
            assert word in everything, word


def test_every_room_is_described() -> None:
    rooms = {f"stream/{path.name}/" for path in (ROOT / "stream").iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(first_codes(rows_of("engine", "folder")))
