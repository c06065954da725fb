"""Whether answers are as the API's document says."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema

from stream.dashboard.openapi import DOCUMENT
from tests.dashboard.shops import Asked


def closed(schema: Any) -> Any:
    """The schema, with no keys allowed that it does not name; keys that clients may meet later are not there yet."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        found["additionalProperties"] = False
    return found


CLOSED = closed(copy.deepcopy(DOCUMENT))


def judge(path: str, method: str, answer: Asked) -> None:
    """Whether an answer is as the document says."""
    responses = CLOSED["paths"][path][method]["responses"]
    content = responses.get(str(answer.status), responses["default"])["content"]
    ((kind, body),) = content.items()
    assert answer.headers["Content-Type"].split(";")[0] == kind
    if kind == "application/json":
        schema = {"$ref": "#/s", "s": body["schema"], "components": CLOSED["components"]}
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        errors = [f"{path}: {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(answer.json)]
        assert not errors
