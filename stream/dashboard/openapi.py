"""The API as an OpenAPI 3.1 document. Tests hold real answers against it."""

from __future__ import annotations

from typing import Any

from stream import __version__

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_TRUTH: Schema = {"type": "boolean"}
_INSTANT: Schema = {"$ref": "#/components/schemas/Instant"}
_NAME: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}
_CAUSES = ("event", "timer", "definitions", "erasure", "model")


def _or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _object(description: str, /, **properties: Schema) -> Schema:
    """All of them are always there."""
    found: Schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": description, **found} if description else found


def _map(values: Schema, names: Schema | None = None) -> Schema:
    found: Schema = {"type": "object", "additionalProperties": values}
    return found if names is None else {**found, "propertyNames": names}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_SEGMENT: dict[str, Schema] = {
    "name": _NAME,
    "description": _or_null(_TEXT),
    "tags": _list(_TEXT),
    "owner": _or_null(_TEXT),
    "goal": _or_null(_TEXT),
    "review_by": _or_null({"type": "string", "format": "date"}),
    "min_size": _or_null(_COUNT),
    "members": {**_COUNT, "description": "Members now, those who are held out among them."},
    "held_out": {**_COUNT, "description": "How many of the members are held out."},
    "share": {**_or_null(_SHARE), "description": "Of all customers; null where no worker is known."},
    "entered_last_hour": {**_COUNT, "description": "Of the stream clock."},
    "exited_last_hour": {**_COUNT, "description": "Of the stream clock."},
    "week_ago": {**_or_null(_COUNT), "description": "Members a week before the stream clock; null where not known."},
    "sparkline": _list(
        _COUNT, minItems=24, maxItems=24, description="Members at the end of each of the last 24 hours of the clock."
    ),
    "alerts": _list(_object("", kind={"enum": ["moved", "below_min_size", "review_due"]}, message=_TEXT)),
}
_CLOCK: dict[str, Schema] = {
    "stream_clock": {**_or_null(_INSTANT), "description": "How far events have come; null before the first."},
    "behind_s": {**_or_null(_NUMBER), "description": "So far the stream clock is behind the time of day."},
}
_FLOWS = _object("By cause.", **dict.fromkeys(_CAUSES, _COUNT))

_SCHEMAS: dict[str, Schema] = {
    "Instant": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        "examples": ["2025-10-09T09:36:15.913Z"],
    },
    "Error": _object("Why there is no answer: a code for programs, a reason for people.", error=_TEXT, message=_TEXT),
    "Settings": _object(
        "", time_zone=_TEXT, version=_TEXT, definitions=_or_null(_TEXT), login={**_TRUTH, "description": "Is needed."}
    ),
    "Segment": _object("A segment in short.", **_SEGMENT),
    "Segments": _object("", at=_INSTANT, **_CLOCK, customers=_or_null(_COUNT), segments=_list(_ref("Segment"))),
    "SegmentInFull": _object(
        "",
        **_SEGMENT,
        enter={**_or_null(_TEXT), "description": "The condition as canonical text."},
        exit={**_or_null(_TEXT), "description": "The condition as canonical text."},
        source={**_or_null(_TEXT), "description": "The segment as it was written, in YAML."},
        words=_list(_TEXT, description="The same in plain sentences."),
        causes=_object("Who entered and left within the last 24 hours of the clock.", **{"in": _FLOWS, "out": _FLOWS}),
        median_stay_s={**_or_null(_COUNT), "description": "Of stays that have ended, to about 10 %."},
        overlap=_list(_object("Members of both.", name=_NAME, members=_COUNT, share=_SHARE)),
    ),
    "History": _object(
        "The oldest first. The last point is of now.",
        points=_list(_object("", at=_INSTANT, members=_COUNT, entered=_COUNT, exited=_COUNT)),
    ),
    "Members": _object(
        "",
        members=_list(_object("", customer_id=_TEXT, since=_or_null(_INSTANT), holdout=_TRUTH)),
        cursor={**_or_null(_TEXT), "description": "Where to go on; null: that was all."},
    ),
    "Memberships": _map(_object("", since=_INSTANT, holdout=_TRUTH), _NAME),
    "Lookup": _object("", customer_id=_TEXT, sequence=_COUNT, segments=_ref("Memberships")),
    "Change": _object(
        "As in the topic segment-changes, with words.",
        id=_TEXT,
        customer_id=_TEXT,
        segment=_or_null(_NAME),
        change={"enum": ["entered", "exited", "erased"]},
        at=_INSTANT,
        sequence=_COUNT,
        cause={"enum": list(_CAUSES)},
        event_id=_or_null(_TEXT),
        values=_map({"type": ["number", "string", "boolean", "null"]}),
        holdout=_TRUTH,
        quiet=_TRUTH,
        definitions=_TEXT,
        words={**_TEXT, "description": "The evidence in plain English."},
    ),
    "Changes": _object("The newest first.", changes=_list(_ref("Change"))),
    "Condition": {
        "description": "A comparison with its values, or several conditions joined.",
        "oneOf": [
            {
                **_object("", text=_TEXT, words=_TEXT, values=_map({}), truth=_or_null(_TRUTH)),
                "properties": {
                    "text": _TEXT,
                    "words": _TEXT,
                    "values": _map({}),
                    "truth": _or_null(_TRUTH),
                    "durations": _list(_TEXT),
                },
            },
            _object("", op={"enum": ["and", "or", "not"]}, parts=_list(_ref("Condition")), truth=_or_null(_TRUTH)),
        ],
    },
    "Portrait": {
        "description": "What the owning worker answers (schemas/customer.schema.json), with words.",
        "type": "object",
        "required": ["customer_id", "at", "features", "features_in_words", "next_timer", "why"],
        "properties": {
            "customer_id": _TEXT,
            "at": _INSTANT,
            "features": _map({"type": ["number", "string", "boolean", "null"]}),
            "features_in_words": _list(_TEXT),
            "next_timer": _or_null(_INSTANT),
            "why": _list(
                {
                    "type": "object",
                    "required": ["segment", "member", "enter", "exit"],
                    "properties": {
                        "segment": _NAME,
                        "member": _TRUTH,
                        "enter": _list(_ref("Condition")),
                        "exit": _list(_ref("Condition")),
                    },
                    "additionalProperties": True,
                }
            ),
        },
        "additionalProperties": True,
    },
    "Customer": _object(
        "",
        customer_id=_TEXT,
        segments=_ref("Memberships"),
        changes=_list(_ref("Change"), description="The last 10, the newest first."),
        worker=_or_null(_ref("Portrait")),
        worker_error={**_or_null(_TEXT), "description": "Why no worker has answered."},
    ),
    "Worker": _object(
        "What a worker says of itself each second.",
        instance=_TEXT,
        worker=_TEXT,
        url=_or_null(_TEXT),
        at_ms=_COUNT,
        definitions=_TEXT,
        version=_TEXT,
        partitions=_list(
            _object(
                "",
                partition=_COUNT,
                phase=_TEXT,
                stream_ms=_or_null(_COUNT),
                lag_records=_map(_COUNT),
                profiles=_COUNT,
                members=_map(_COUNT),
                remaining_records=_COUNT,
            )
        ),
        events_per_s=_NUMBER,
        changes_per_s=_NUMBER,
        change_delay_ms=_object("", p50=_or_null(_NUMBER), p99=_or_null(_NUMBER)),
        dead_letters_total=_COUNT,
    ),
    "DeadLetter": _object(
        "",
        code=_TEXT,
        reason=_TEXT,
        source_topic=_TEXT,
        partition={"type": "integer"},
        offset={"type": "integer"},
        value={**_TEXT, "description": "A long one is cut."},
        at=_INSTANT,
    ),
    "Pipeline": _object(
        "",
        workers=_list(_ref("Worker")),
        events_per_s=_NUMBER,
        changes_per_s=_NUMBER,
        lag_records=_COUNT,
        dead_letters=_or_null(_object("", total=_COUNT, latest=_list(_ref("DeadLetter")))),
        sink=_object("", lag_records=_or_null(_COUNT), gaps=_COUNT, filled=_TRUTH),
        redis=_object("", used_memory=_COUNT, version=_TEXT),
        broker_error={**_or_null(_TEXT), "description": "Why the broker's part is missing."},
    ),
    "Problem": _object("", line=_COUNT, column=_COUNT, severity={"enum": ["error", "warning"]}, message=_TEXT),
    "Draft": _object(
        "",
        problems=_list(_ref("Problem"), description="As `segstream check` says them."),
        segments={
            **_or_null(
                _list(
                    _object(
                        "",
                        name=_NAME,
                        members=_COUNT,
                        held_out=_COUNT,
                        eligible={**_COUNT, "description": "Who would enter when `for` or `cooldown` is over."},
                        before={**_or_null(_COUNT), "description": "Members now; null for a name that is new."},
                        of=_COUNT,
                        sample=_list(_TEXT, maxItems=20),
                        without_history=_list(_TEXT),
                    )
                )
            ),
            "description": "Who would be a member now; null where there is an error, or no worker answers.",
        },
        partitions=_list(_COUNT),
        workers=_COUNT,
        took_ms=_or_null(_NUMBER),
        preview_error=_or_null(_TEXT),
    ),
}

_LIMIT: Schema = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}
_CURSOR: Schema = {"name": "cursor", "in": "query", "schema": _TEXT}
_HOURS: Schema = {"name": "hours", "in": "query", "schema": {"enum": [24, 168, 2160]}}
_INCLUDE: Schema = {
    "name": "include",
    "in": "query",
    "schema": {"enum": ["holdout"]},
    "description": "Also memberships that are held out.",
}
_OF_SEGMENT: Schema = {"name": "name", "in": "path", "required": True, "schema": _NAME}
_OF_CUSTOMER: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    "description": "Each byte that is not a letter or a digit as %XX.",
}
_BY_ID: Schema = {key: value for key, value in _OF_CUSTOMER.items() if key != "description"} | {"in": "query"}


def _answer(description: str, content: str, schema: Schema) -> Schema:
    return {"description": description, "content": {content: {"schema": schema}}}


_ERROR = {"default": _answer("No answer.", "application/json", _ref("Error"))}


def _get(summary: str, schema: str, *parameters: Schema) -> Schema:
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "responses": {"200": _answer("OK", "application/json", _ref(schema)), **_ERROR},
        }
    }


def _text(summary: str, content: str, *parameters: Schema) -> Schema:
    answer = _answer("OK", content, _TEXT)
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": {"200": answer, **_ERROR}}}


_DRAFT: Schema = {
    "post": {
        "summary": "Check a draft of segments, and count who would be in them now.",
        "requestBody": {"required": True, "content": {"text/yaml": {"schema": _TEXT}}},
        "responses": {"200": _answer("OK", "application/json", _ref("Draft")), **_ERROR},
    }
}

_SEGMENT_PATH, _CUSTOMER_PATH = "/v1/segments/{name}", "/v1/customers/{id}"

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "segstream",
        "version": __version__,
        "description": "Who is in which segment, since when, and why. It changes nothing. Instants are in UTC.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "paths": {
        "/v1/settings": _get("What pages have to know.", "Settings"),
        "/v1/segments": _get("All segments.", "Segments"),
        _SEGMENT_PATH: _get("One segment.", "SegmentInFull", _OF_SEGMENT),
        f"{_SEGMENT_PATH}/history": _get("Its size over time.", "History", _OF_SEGMENT, _HOURS),
        f"{_SEGMENT_PATH}/members": _get("Some of its members.", "Members", _OF_SEGMENT, _LIMIT, _CURSOR),
        f"{_SEGMENT_PATH}/members.csv": _text("All of its members.", "text/csv", _OF_SEGMENT),
        f"{_CUSTOMER_PATH}/segments": _get(
            "A customer's segments, quickly: what a website asks.", "Lookup", _OF_CUSTOMER, _INCLUDE
        ),
        _CUSTOMER_PATH: _get("All that is known of a customer.", "Customer", _OF_CUSTOMER),
        "/v1/customers": _get(
            "The same; for browsers, which can't ask for `.` and `..` in a path.", "Customer", _BY_ID
        ),
        "/v1/pipeline": _get("How events flow.", "Pipeline"),
        "/v1/changes": _get("The latest changes.", "Changes", _LIMIT),
        "/v1/stream": _text("Server-sent events: `counts`, `change`, `trouble`, `end`.", "text/event-stream"),
        "/v1/drafts": _DRAFT,
        "/v1/openapi.json": {
            "get": {
                "summary": "This document.",
                "responses": {"200": _answer("OK", "application/json", {"type": "object"}), **_ERROR},
            }
        },
    },
    "components": {
        "schemas": _SCHEMAS,
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "segstream_session"},
        },
    },
    "security": [{}, {"token": []}, {"session": []}],
}
