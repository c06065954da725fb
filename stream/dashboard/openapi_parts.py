"""What the API's document is made of: short ways to write JSON Schemas, and what many answers have."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TRUTH: Schema = {"type": "boolean"}
INSTANT: Schema = {"$ref": "#/components/schemas/Instant"}
NAME: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}


def or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def object_of(description: str, /, **properties: Schema) -> Schema:
    """All of them are always there."""
    found: Schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": description, **found} if description else found


def map_of(values: Schema, names: Schema | None = None) -> Schema:
    found: Schema = {"type": "object", "additionalProperties": values}
    return found if names is None else {**found, "propertyNames": names}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


CLOCK: dict[str, Schema] = {
    "stream_clock": {**or_null(INSTANT), "description": "How far events have come; null before the first."},
    "behind_s": {**or_null(NUMBER), "description": "So far the stream clock is behind the time of day."},
}
