"""The API as an OpenAPI 3.1 document. Tests hold real answers against it."""

from __future__ import annotations

from stream import __version__
from stream.dashboard.openapi_parts import (
    CLOCK,
    COUNT,
    INSTANT,
    NAME,
    NUMBER,
    SHARE,
    TEXT,
    TRUTH,
    Schema,
    list_of,
    map_of,
    object_of,
    or_null,
    ref,
)
from stream.dashboard.openapi_personas import PERSONA_NAMES, PERSONA_SCHEMAS

_CAUSES = ("event", "timer", "definitions", "erasure", "model")

_SEGMENT: dict[str, Schema] = {
    "name": NAME,
    "description": or_null(TEXT),
    "tags": list_of(TEXT),
    "owner": or_null(TEXT),
    "goal": or_null(TEXT),
    "review_by": or_null({"type": "string", "format": "date"}),
    "min_size": or_null(COUNT),
    "members": {**COUNT, "description": "Members now, those who are held out among them."},
    "held_out": {**COUNT, "description": "How many of the members are held out."},
    "share": {**or_null(SHARE), "description": "Of all customers; null where no worker is known."},
    "entered_last_hour": {**COUNT, "description": "Of the stream clock."},
    "exited_last_hour": {**COUNT, "description": "Of the stream clock."},
    "week_ago": {**or_null(COUNT), "description": "Members a week before the stream clock; null where not known."},
    "sparkline": list_of(
        COUNT, minItems=24, maxItems=24, description="Members at the end of each of the last 24 hours of the clock."
    ),
    "alerts": list_of(object_of("", kind={"enum": ["moved", "below_min_size", "review_due"]}, message=TEXT)),
}
_FLOWS = object_of("By cause.", **dict.fromkeys(_CAUSES, COUNT))

_SCHEMAS: dict[str, Schema] = {
    "Instant": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        "examples": ["2025-10-09T09:36:15.913Z"],
    },
    "Error": object_of("Why there is no answer: a code for programs, a reason for people.", error=TEXT, message=TEXT),
    "Settings": object_of(
        "",
        time_zone=TEXT,
        version=TEXT,
        definitions=or_null(TEXT),
        login={**TRUTH, "description": "Is needed."},
        aliases=map_of(NAME, PERSONA_NAMES["id"]),
    ),
    "Segment": object_of("A segment in short.", **_SEGMENT),
    "Segments": object_of("", at=INSTANT, **CLOCK, customers=or_null(COUNT), segments=list_of(ref("Segment"))),
    "SegmentInFull": object_of(
        "",
        **_SEGMENT,
        enter={**or_null(TEXT), "description": "The condition as canonical text."},
        exit={**or_null(TEXT), "description": "The condition as canonical text."},
        source={**or_null(TEXT), "description": "The segment as it was written, in YAML."},
        words=list_of(TEXT, description="The same in plain sentences."),
        causes=ref("Causes"),
        median_stay_s={**or_null(COUNT), "description": "Of stays that have ended, to about 10 %."},
        overlap=ref("Overlap"),
    ),
    "Causes": object_of("Who entered and left within the last 24 hours of the clock.", **{"in": _FLOWS, "out": _FLOWS}),
    "Overlap": list_of(object_of("Members of both.", name=NAME, members=COUNT, share=SHARE)),
    "History": object_of(
        "The oldest first. The last point is of now.",
        points=list_of(object_of("", at=INSTANT, members=COUNT, entered=COUNT, exited=COUNT)),
    ),
    "Members": object_of(
        "",
        members=list_of(object_of("", customer_id=TEXT, since=or_null(INSTANT), holdout=TRUTH)),
        cursor={**or_null(TEXT), "description": "Where to go on; null: that was all."},
    ),
    "Memberships": map_of(object_of("", since=INSTANT, holdout=TRUTH), NAME),
    "Lookup": object_of("", customer_id=TEXT, sequence=COUNT, segments=ref("Memberships")),
    "Change": object_of(
        "As in the topic segment-changes, with words.",
        id=TEXT,
        customer_id=TEXT,
        segment=or_null(NAME),
        change={"enum": ["entered", "exited", "erased"]},
        at=INSTANT,
        sequence=COUNT,
        cause={"enum": list(_CAUSES)},
        event_id=or_null(TEXT),
        values=map_of({"type": ["number", "string", "boolean", "null"]}),
        holdout=TRUTH,
        quiet=TRUTH,
        definitions=TEXT,
        words={**TEXT, "description": "The evidence in plain English."},
    ),
    "Changes": object_of("The newest first.", changes=list_of(ref("Change"))),
    "Condition": {
        "description": "A comparison with its values, or several conditions joined.",
        "oneOf": [
            {
                **object_of("", text=TEXT, words=TEXT, values=map_of({}), truth=or_null(TRUTH)),
                "properties": {
                    "text": TEXT,
                    "words": TEXT,
                    "values": map_of({}),
                    "truth": or_null(TRUTH),
                    "durations": list_of(TEXT),
                },
            },
            object_of("", op={"enum": ["and", "or", "not"]}, parts=list_of(ref("Condition")), truth=or_null(TRUTH)),
        ],
    },
    "Portrait": {
        "description": "What the owning worker answers (schemas/customer.schema.json), with words.",
        "type": "object",
        "required": ["customer_id", "at", "features", "features_in_words", "next_timer", "why"],
        "properties": {
            "customer_id": TEXT,
            "at": INSTANT,
            "features": map_of({"type": ["number", "string", "boolean", "null"]}),
            "features_in_words": list_of(TEXT),
            "next_timer": or_null(INSTANT),
            "why": list_of(
                {
                    "type": "object",
                    "required": ["segment", "member", "enter", "exit"],
                    "properties": {
                        "segment": NAME,
                        "member": TRUTH,
                        "enter": list_of(ref("Condition")),
                        "exit": list_of(ref("Condition")),
                    },
                    "additionalProperties": True,
                }
            ),
        },
        "additionalProperties": True,
    },
    "Customer": object_of(
        "",
        customer_id=TEXT,
        persona=or_null(object_of("", **PERSONA_NAMES, since=INSTANT)),
        segments=ref("Memberships"),
        changes=list_of(ref("Change"), description="The last 10, the newest first."),
        worker=or_null(ref("Portrait")),
        worker_error={**or_null(TEXT), "description": "Why no worker has answered."},
    ),
    "Worker": object_of(
        "What a worker says of itself each second.",
        instance=TEXT,
        worker=TEXT,
        url=or_null(TEXT),
        at_ms=COUNT,
        definitions=TEXT,
        version=TEXT,
        partitions=list_of(
            object_of(
                "",
                partition=COUNT,
                phase=TEXT,
                stream_ms=or_null(COUNT),
                lag_records=map_of(COUNT),
                profiles=COUNT,
                members=map_of(COUNT),
                remaining_records=COUNT,
            )
        ),
        events_per_s=NUMBER,
        changes_per_s=NUMBER,
        change_delay_ms=object_of("", p50=or_null(NUMBER), p99=or_null(NUMBER)),
        dead_letters_total=COUNT,
    ),
    "DeadLetter": object_of(
        "",
        code=TEXT,
        reason=TEXT,
        source_topic=TEXT,
        partition={"type": "integer"},
        offset={"type": "integer"},
        value={**TEXT, "description": "A long one is cut."},
        at=INSTANT,
    ),
    "Pipeline": object_of(
        "",
        workers=list_of(ref("Worker")),
        events_per_s=NUMBER,
        changes_per_s=NUMBER,
        lag_records=COUNT,
        dead_letters=or_null(object_of("", total=COUNT, latest=list_of(ref("DeadLetter")))),
        sink=object_of("", lag_records=or_null(COUNT), gaps=COUNT, filled=TRUTH),
        redis=object_of("", used_memory=COUNT, version=TEXT),
        broker_error={**or_null(TEXT), "description": "Why the broker's part is missing."},
    ),
    **PERSONA_SCHEMAS,
    "Problem": object_of("", line=COUNT, column=COUNT, severity={"enum": ["error", "warning"]}, message=TEXT),
    "Draft": object_of(
        "",
        problems=list_of(ref("Problem"), description="As `segstream check` says them."),
        segments={
            **or_null(
                list_of(
                    object_of(
                        "",
                        name=NAME,
                        members=COUNT,
                        held_out=COUNT,
                        eligible={**COUNT, "description": "Who would enter when `for` or `cooldown` is over."},
                        before={**or_null(COUNT), "description": "Members now; null for a name that is new."},
                        of=COUNT,
                        sample=list_of(TEXT, maxItems=20),
                        without_history=list_of(TEXT),
                    )
                )
            ),
            "description": "Who would be a member now; null where there is an error, or no worker answers.",
        },
        partitions=list_of(COUNT),
        workers=COUNT,
        took_ms=or_null(NUMBER),
        preview_error=or_null(TEXT),
    ),
}

_LIMIT: Schema = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}
_CURSOR: Schema = {"name": "cursor", "in": "query", "schema": TEXT}
_HOURS: Schema = {"name": "hours", "in": "query", "schema": {"enum": [24, 168, 2160]}}
_OF: Schema = {
    "name": "of",
    "in": "query",
    "schema": {"enum": ["all", "segments", "personas"]},
    "description": "Only those, among the latest 1,000.",
}
_INCLUDE: Schema = {
    "name": "include",
    "in": "query",
    "schema": {"enum": ["holdout"]},
    "description": "Also memberships that are held out.",
}
_OF_SEGMENT: Schema = {"name": "name", "in": "path", "required": True, "schema": NAME}
_OF_PERSONA: Schema = {"name": "id", "in": "path", "required": True, "schema": PERSONA_NAMES["id"]}
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


_ERROR = {"default": _answer("No answer.", "application/json", ref("Error"))}


def _get(summary: str, schema: str, *parameters: Schema) -> Schema:
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "responses": {"200": _answer("OK", "application/json", ref(schema)), **_ERROR},
        }
    }


def _text(summary: str, content: str, *parameters: Schema) -> Schema:
    answer = _answer("OK", content, TEXT)
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": {"200": answer, **_ERROR}}}


_DRAFT: Schema = {
    "post": {
        "summary": "Check a draft of segments, and count who would be in them now.",
        "requestBody": {"required": True, "content": {"text/yaml": {"schema": TEXT}}},
        "responses": {"200": _answer("OK", "application/json", ref("Draft")), **_ERROR},
    }
}

_SEGMENT_PATH, _CUSTOMER_PATH, _PERSONA_PATH = "/v1/segments/{name}", "/v1/customers/{id}", "/v1/personas/{id}"

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
        "/v1/personas": _get("All personas, and what sets them apart.", "Personas"),
        "/v1/personas/moves": _get("Who moved from which to which.", "PersonaMoves", _HOURS),
        "/v1/personas/versions": _get("The versions, and what happened.", "PersonaVersions"),
        _PERSONA_PATH: _get("One persona.", "PersonaInFull", _OF_PERSONA),
        f"{_PERSONA_PATH}/history": _get("Its size and share over time.", "PersonaHistory", _OF_PERSONA, _HOURS),
        "/v1/pipeline": _get("How events flow.", "Pipeline"),
        "/v1/changes": _get("The latest changes.", "Changes", _LIMIT, _OF),
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
