"""Models: JSON there and back, what is refused, and who is assigned where."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from stream.errors import ModelError
from stream.personas.model import NOBODY, Floats, Model, Persona, Quality, Training, decode, encode, transformed


def model(**changes: object) -> Model:
    found = Model(
        version=3,
        effective_at="2026-03-01T00:00:00.000Z",
        features=("count(purchase, 30d)", "last(purchase)"),
        scales=(0.5, 2.0),
        personas=(Persona(2, (0.0, 0.0), 0.75, "low orders"), Persona(5, (1.0, 4.0), 0.25, "high orders")),
        quality=Quality(0.9, 0.91, 0.5, 4_000),
        offset=1234,
        next_number=6,
        training=Training((0.1, 1 / 3), (0.25, 4.0), 20_000, 16_000.0, {"more": 1}, {5: 2}),
    )
    return msgspec.structs.replace(found, **changes)


def raw(*places: tuple[float, float]) -> Floats:
    """Raw vectors whose transformed ones are these."""
    found = np.array(places)
    vectors: Floats = np.sign(found) * np.expm1(np.abs(found))
    return vectors


def test_a_model_comes_back_from_json_to_the_last_bit() -> None:
    assert decode(encode(model())) == model()
    assert json.loads(encode(model()))["effective_at"] == "2026-03-01T00:00:00.000Z"
    assert model().effective_ms == 1_772_323_200_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "versions begin with 1"),
        ({"effective_at": "yesterday"}, "expected RFC 3339"),
        ({"scales": [1.0]}, "expected 2 scales above 0"),
        ({"scales": [1.0, 0.0]}, "expected 2 scales above 0"),
        ({"scales": [1.0, None]}, r"Expected `float`, got `null` - at `\$.scales\[1\]`"),
        ({"personas": []}, "a feature and a persona"),
        ({"quantiles": {"count(click)": [0.0, 1.0]}}, "expected 201 quantiles of `count.click.` or none"),
        ({"quantiles": {"count(click)": [1.0] * 200 + [0.0]}}, "not to fall"),
        ({"personas": [{"number": 1, "centre": [0.0], "share": 1.0, "label": ""}]}, "needs 2 coordinates"),
        ({"personas": [{"number": 1, "centre": [0.0, 0.0], "share": 1.5, "label": ""}]}, "shares lie between 0 and 1"),
        ({"next_number": 5}, "between 1 and 4"),
        ({"offset": "12"}, r"Expected `int`, got `str` - at `\$.offset`"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"training": {}}, r"missing required field `means` - at `\$.training`"),
    ],
)
def test_anything_else_is_refused_with_a_reason(change: dict[str, object], message: str) -> None:
    data = json.dumps(json.loads(encode(model())) | change).encode()
    with pytest.raises(ModelError, match=message):
        decode(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b'{"version":"\xff"}'])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="not a model of personas"):
        decode(data)


def test_numbers_are_never_used_twice_in_a_model() -> None:
    twice = (Persona(1, (0.0, 0.0), 0.5, "a"), Persona(1, (1.0, 1.0), 0.5, "b"))
    with pytest.raises(ModelError, match="have to differ"):
        decode(json.dumps(json.loads(encode(model())) | {"personas": msgspec.to_builtins(twice)}).encode())


@pytest.mark.parametrize(
    ("been", "message"),
    [
        ({"3": [0.0, 0.0]}, "is said of others than those that there are"),
        ({"2": [0.0]}, "needs 2 finite coordinates"),
    ],
)
def test_where_personas_have_been_is_said_of_those_that_there_are(been: dict[str, object], message: str) -> None:
    data = json.loads(encode(model()))
    assert decode(json.dumps(data).encode()).training.been == {}
    data["training"]["been"] = {"2": [0.0, 0.0]}
    decode(json.dumps(data).encode())
    data["training"]["been"] = been
    with pytest.raises(ModelError, match=message):
        decode(json.dumps(data).encode())


def test_values_are_transformed_with_their_sign() -> None:
    values = transformed(np.array([0.0, np.e - 1, 1 - np.e]))
    assert values.tolist() == pytest.approx([0, 1, -1])


def test_distances_are_in_scales() -> None:
    found = model().distances(raw((0.0, 0.0), (1.0, 0.0)))
    assert found == pytest.approx(np.array([[0.0, np.sqrt(4 + 4)], [2.0, 2.0]]))


def test_the_nearest_is_told_by_its_number() -> None:
    assert model().nearest(raw((0.1, 0.0), (0.9, 4.0))).tolist() == [2, 5]


@pytest.mark.parametrize(
    ("x", "present", "margin", "after"),
    [
        # On the line between the centres, `x` of the way from persona 2 to persona 5.
        (0.6, NOBODY, 0.5, 5),
        (0.6, 4, 0.5, 5),
        (0.4, NOBODY, 0.5, 2),
        (0.6, 2, 0.0, 5),
        (0.51, 2, 0.1, 2),
        (0.53, 2, 0.1, 5),
        (0.49, 5, 0.1, 5),
        (0.47, 5, 0.1, 2),
        (0.9, 5, 0.1, 5),
    ],
)
def test_who_has_a_persona_keeps_it_unless_another_is_nearer_by_the_margin(
    x: float, present: int, margin: float, after: int
) -> None:
    assert model().reassign(np.array([present]), raw((x, 4 * x)), margin).tolist() == [after]


def test_nobody_switches_at_equal_distances_without_a_margin() -> None:
    assert model().reassign(np.array([2, 5]), raw((0.5, 2.0), (0.5, 2.0)), 0.0).tolist() == [2, 5]
