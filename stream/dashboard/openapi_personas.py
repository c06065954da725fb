"""What the API's document says of personas."""

from __future__ import annotations

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
    object_of,
    or_null,
    ref,
)

_ID: Schema = {"type": "string", "pattern": "^p[1-9][0-9]{0,8}$"}
_REAL: Schema = {"type": "number"}
_VERSION: Schema = {"type": "integer", "minimum": 1}
_IN_FORCE: Schema = {
    **or_null(_VERSION),
    "description": "The version in force: the newest that fits and holds.",
}
_TROUBLE: Schema = {**or_null(TEXT), "description": "Why nothing new is known of versions."}

#: How one is called.
PERSONA_NAMES: dict[str, Schema] = {
    "id": _ID,
    "segment": {**NAME, "description": "The segment its members are in: `/v1/segments/NAME/members` has them."},
    "alias": {**or_null(NAME), "description": "As the definitions have it."},
    "label": {**or_null(TEXT), "description": "What sets it apart, in a few words; changes with versions."},
    "is_in_version": {**TRUTH, "description": "False: it is gone, and its last members are on their way."},
}
_PERSONA: dict[str, Schema] = {
    **PERSONA_NAMES,
    "members": COUNT,
    "held_out": COUNT,
    "share": {**or_null(SHARE), "description": "Of all who have a persona."},
    "entered_last_hour": COUNT,
    "exited_last_hour": COUNT,
    "week_ago": {**or_null(COUNT), "description": "Members a week before the stream clock; null where not known."},
    "sparkline": list_of(COUNT, maxItems=28, description="Members each six hours of the last week, where known."),
    "values": {
        **or_null(
            list_of(
                object_of(
                    "",
                    value={**_REAL, "description": "At the persona's centre, in the feature's unit."},
                    deviation={**_REAL, "description": "From the mean of all customers, in the version's scales."},
                )
            )
        ),
        "description": "One a feature, in their order; null for a persona that is gone.",
    },
    "words": list_of(TEXT, maxItems=4, description="What sets it apart in sentences, the furthest first."),
}
_FEATURES = list_of(
    object_of(
        "",
        name=TEXT,
        text={**TEXT, "description": "The expression as canonical text."},
        words={**or_null(TEXT), "description": "What it is; null without the definitions."},
        days={**or_null(TRUTH), "description": "Whether the number is an age in days; null where not known."},
        usual={**_REAL, "description": "In the middle of all customers, in the feature's unit."},
    )
)
_POINT: dict[str, Schema] = {"at": INSTANT, "members": COUNT, "entered": COUNT, "exited": COUNT}

PERSONA_SCHEMAS: dict[str, Schema] = {
    "Persona": object_of("A persona in short.", **_PERSONA),
    "Personas": object_of(
        "",
        at=INSTANT,
        **CLOCK,
        state={
            "enum": ["learned", "no_version", "other_features", "not_defined", "unknown"],
            "description": "Whether there is a version, and if not why: none was learned yet, all are by other "
            "features, the definitions have no `personas:`, or the broker does not tell.",
        },
        trouble=_TROUBLE,
        version=_IN_FORCE,
        pinned={**or_null(_VERSION), "description": "The version that the trainer is to stay at."},
        effective_at=or_null(INSTANT),
        members={**COUNT, "description": "All who have a persona."},
        features=_FEATURES,
        personas=list_of(ref("Persona")),
    ),
    "PersonaInFull": object_of(
        "",
        **_PERSONA,
        **CLOCK,
        version=_IN_FORCE,
        features=_FEATURES,
        causes=ref("Causes"),
        median_stay_s=or_null(COUNT),
        overlap=ref("Overlap"),
    ),
    "PersonaHistory": object_of(
        "The oldest first. The last point is of now.", points=list_of(object_of("", **_POINT, share=or_null(SHARE)))
    ),
    "PersonaMoves": object_of(
        "Whoever has changed twice is counted twice.",
        **CLOCK,
        since=or_null(INSTANT),
        known_from={**or_null(INSTANT), "description": "Moves are complete from here on."},
        moves=list_of(
            object_of(
                "",
                **{
                    "from": {**or_null(_ID), "description": "Null: they had none."},
                    "to": {**or_null(_ID), "description": "Null: they have none any more."},
                },
                customers={**COUNT, "minimum": 1},
            ),
            description="Most first.",
        ),
    ),
    "PersonaVersions": object_of(
        "",
        **CLOCK,
        trouble=_TROUBLE,
        version=_IN_FORCE,
        pinned=or_null(_VERSION),
        versions=list_of(
            object_of(
                "",
                version=_VERSION,
                copy_of={**or_null(_VERSION), "description": "The earlier version that it brings back."},
                fits={**TRUTH, "description": "Whether it is by the features of the definitions."},
                effective_at=INSTANT,
                age_s={**or_null({"type": "integer"}), "description": "By the stream clock."},
                distance={**NUMBER, "description": "From the nearest centre, the root of the mean square, in scales."},
                before={**or_null(NUMBER), "description": "The same by the version before."},
                silhouette={"type": "number", "minimum": -1, "maximum": 1},
                samples=COUNT,
                personas=list_of(object_of("", id=_ID, label=TEXT, share=SHARE)),
            ),
            maxItems=30,
            description="The latest first.",
        ),
        events=list_of(
            object_of(
                "",
                id=TEXT,
                at=INSTANT,
                version=_VERSION,
                event={"type": "string", "examples": ["birth", "death", "drift", "shift", "refused"]},
                persona=or_null(_ID),
                label=or_null(TEXT),
                words=TEXT,
            ),
            maxItems=50,
            description="The latest first.",
        ),
    ),
}
