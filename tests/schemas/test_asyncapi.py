"""The AsyncAPI document says what the schemas and the table of topics say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from scripts import asyncapi
from stream.kafka.topics import all_topics, changelog
from tests.docs.test_docs_examples import schema

DOCUMENT: dict[str, Any] = yaml.safe_load(asyncapi.DOCUMENT.read_text(encoding="utf-8"))
SCHEMAS = sorted(path.name.removesuffix(".schema.json") for path in asyncapi.SCHEMAS.glob("*.schema.json"))
#: They describe files and answers, not messages.
OF_FILES = {"definitions", "rejected-line", "customer", "preview"}


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for one in part.values():
            yield from references(one)
    elif isinstance(part, list):
        for one in part:
            yield from references(one)


def resolve(reference: str) -> Any:
    place: Any = DOCUMENT
    for word in reference.removeprefix("#/").split("/"):
        place = place[word]
    return place


def test_it_is_as_the_script_makes_it() -> None:
    assert asyncapi.DOCUMENT.read_text(encoding="utf-8") == asyncapi.text(), "python -m scripts.asyncapi"


def test_every_reference_leads_somewhere() -> None:
    files = set()
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert isinstance(resolve(reference), dict)
        else:
            assert (asyncapi.SCHEMAS / reference).is_file(), reference
            files.add(reference.removeprefix("./").removesuffix(".schema.json"))
    assert files == set(SCHEMAS) - OF_FILES


def test_every_topic_is_a_channel() -> None:
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == {topic.name for topic in all_topics()} - {changelog().name} | {"{topic}"}
    used = {operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()}
    assert used == {f"#/channels/{name}" for name in DOCUMENT["channels"]}
    sent = {resolve(one["channel"]["$ref"])["address"]: one["action"] for one in DOCUMENT["operations"].values()}
    assert {topic for topic, action in sent.items() if action == "receive"} == {
        "clicks",
        "purchases",
        "emails",
        "customer-erasures",
    }


@pytest.mark.parametrize("name", DOCUMENT["components"]["messages"])
def test_examples_fit_their_schemas(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    assert message["examples"]
    for example in message["examples"]:
        for part in ("payload", "headers"):
            if part in example:
                of = message[part]["$ref"].removeprefix("./").removesuffix(".schema.json")
                jsonschema.Draft202012Validator(schema(of)).validate(example[part])


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$id"] == f"urn:segstream:schema:{name}"
    for example in schema(name).get("examples", []):
        jsonschema.Draft202012Validator(schema(name)).validate(example)
