"""Writes ``schemas/asyncapi.yaml``: all topics and their messages as an AsyncAPI 3 document.

``python -m scripts.asyncapi`` makes it from the table of topics and the JSON Schemas beside it, so that it says nothing
that they do not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from stream import __version__
from stream.contract import TOPICS, Kind
from stream.kafka.topics import (
    CUSTOMER_ERASURES,
    DEAD_LETTERS,
    MEMBERSHIPS,
    PERSONA_EVENTS,
    PERSONA_MODELS,
    PROFILE_SAMPLES,
    PROFILES_TABLE,
    SEGMENT_CHANGES,
    WORKERS,
    Topic,
    all_topics,
)

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
DOCUMENT = SCHEMAS / "asyncapi.yaml"

_BINDING_VERSION = "0.5.0"
_JSON = "application/json"

#: Each message's schemas: of its value, and of its headers. None: any bytes, no headers.
_MESSAGES: dict[str, tuple[str | None, str | None]] = {
    **{kind.word: (kind.word, None) for kind in Kind},
    "customerErasure": ("customer-erasure", None),
    "segmentChange": ("segment-change", "segment-change-headers"),
    "membership": ("membership", None),
    "deadLetter": (None, "dead-letter-headers"),
    "worker": ("worker", None),
    "profileSamples": ("profile-samples", None),
    "personaModel": ("persona-model", None),
    "personaEvent": ("persona-event", None),
}
#: The message in each topic, and whether workers receive or send it.
_TRAFFIC = {
    **{TOPICS[kind]: (kind.word, "receive") for kind in Kind},
    CUSTOMER_ERASURES: ("customerErasure", "receive"),
    SEGMENT_CHANGES: ("segmentChange", "send"),
    MEMBERSHIPS: ("membership", "send"),
    DEAD_LETTERS: ("deadLetter", "send"),
    WORKERS: ("worker", "send"),
    PROFILE_SAMPLES: ("profileSamples", "send"),
    PERSONA_MODELS: ("personaModel", "send"),
    PERSONA_EVENTS: ("personaEvent", "send"),
}
#: What the keys are of records that are not about one customer, by their schemas.
_OTHER_KEYS = {
    "worker": "The worker's `instance`.",
    "profile-samples": "None.",
    "persona-model": "The number of the version, or `pin`.",
    "persona-event": "The persona's id, or nothing.",
}
#: Topics under a segment's `to`, by the definitions file's word for it.
_DESTINATION = "to"


def document() -> dict[str, Any]:
    """The whole document."""
    # The changelog is the workers' own affair.
    topics = [topic for topic in all_topics() if f"-{PROFILES_TABLE}-" not in topic.name]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:segstream",
        "info": {
            "title": "segstream",
            "version": __version__,
            "description": "Real-time customer segmentation: events in, entries and exits out. Every record's key is "
            "the customer's id in UTF-8, and decides about the partition by murmur2; only workers and personas have "
            "keys of their own.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": {**{_camel(topic.name): _channel(topic) for topic in topics}, _DESTINATION: _destination()},
        "operations": dict(_operations(topics)),
        "components": {"messages": {name: _message(name, *schemas) for name, schemas in _MESSAGES.items()}},
    }


def text() -> str:
    """The document as it is written."""
    note = "# Made by `python -m scripts.asyncapi` from the schemas beside it and the table of topics: change those.\n"
    return note + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)


def _camel(topic: str) -> str:
    first, *rest = topic.split("-")
    return first + "".join(word.title() for word in rest)


def _channel(topic: Topic) -> dict[str, Any]:
    message, _ = _TRAFFIC[topic.name]
    settings = {one.name: _setting(one.name, one.value) for one in topic.settings}
    binding = {"bindingVersion": _BINDING_VERSION}
    return {
        "address": topic.name,
        "title": topic.purpose,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topicConfiguration": settings, **binding} if settings else binding},
    }


def _setting(name: str, value: str) -> list[str] | int:
    return value.split(",") if name == "cleanup.policy" else int(value)


def _destination() -> dict[str, Any]:
    return {
        "address": "{topic}",
        "title": "changes of some segments",
        "description": "A topic that segments name in the definitions file: their entries and exits, as they are in "
        f"{SEGMENT_CHANGES}.",
        "parameters": {"topic": {"description": f"What stands under the segment's `{_DESTINATION}`."}},
        "messages": {"segmentChange": {"$ref": "#/components/messages/segmentChange"}},
    }


def _operations(topics: Iterable[Topic]) -> Iterable[tuple[str, dict[str, Any]]]:
    channels = [(_camel(topic.name), *_TRAFFIC[topic.name]) for topic in topics]
    for channel, message, action in [*channels, (_DESTINATION, "segmentChange", "send")]:
        yield (
            f"{action}{channel[0].upper()}{channel[1:]}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
            },
        )


def _message(name: str, payload: str | None, headers: str | None) -> dict[str, Any]:
    described = _schema(payload or headers or "")
    message: dict[str, Any] = {"name": name, "title": described["title"], "description": described["description"]}
    if payload is None:
        message["title"] = "Dead letter"
        message["contentType"] = "application/octet-stream"
    else:
        message["payload"] = {"$ref": f"./{payload}.schema.json"}
    if headers is not None:
        message["headers"] = {"$ref": f"./{headers}.schema.json"}
    message["bindings"] = {"kafka": {"key": _key(payload), "bindingVersion": _BINDING_VERSION}}
    if payload is not None:
        own = _schema(headers)["examples"] if headers is not None else []
        examples = _schema(payload)["examples"]
        message["examples"] = [
            {**({"headers": own[i]} if i < len(own) else {}), "payload": example} for i, example in enumerate(examples)
        ]
    else:
        message["examples"] = [{"headers": example} for example in described["examples"]]
    return message


def _key(payload: str | None) -> dict[str, Any]:
    """The schema of a record's key: a customer's id, but for records that were refused, or are of nobody."""
    if payload is None:
        return {"type": "string", "description": "Whatever the key was; mostly the customer's id."}
    if payload in _OTHER_KEYS:
        return {"type": "string", "description": _OTHER_KEYS[payload]}
    customer = _schema("segment-change")["properties"]["customer_id"]
    limits = {name: customer[name] for name in ("minLength", "maxLength")}
    return {"type": "string", "description": "The customer's id, in UTF-8.", **limits}


def _schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
