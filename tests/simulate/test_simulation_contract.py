"""Every line against section 1 of the language's page, checked independently of decoder and schemas."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from stream.contract import FIELDS, KNOWN_ACTIONS, REQUIRED_FIELDS, FieldType, Kind
from tests.simulate.simulated import Traffic, four_weeks

COMMON = {"event_id", "customer_id", "timestamp", "type", "traits"}
#: Fields that the contract leaves to the shop.
OF_THE_SHOP = {
    "click": {"page"},
    "purchase": {"items", "session_id"},
    "email": {"subject", "sender", "list_url"},
}


@pytest.fixture(name="traffic")
def _traffic() -> Traffic:
    return four_weeks()


def broken_rules(event: dict[str, Any]) -> list[str]:
    """What is wrong with an event, in words."""
    wrong = []
    kind = Kind[event["type"].upper()]
    for name, limit in (("event_id", 128), ("customer_id", 256)):
        if not (isinstance(event.get(name), str) and 1 <= len(event[name]) <= limit):
            wrong.append(name)
    if type(event.get("timestamp")) is not int or not 0 <= event["timestamp"] < 253_402_300_800_000:
        wrong.append("timestamp")
    wrong += [f"{name} missing" for name in REQUIRED_FIELDS[kind] if event.get(name) is None]
    for name, value in event.items():
        expected = FIELDS[kind].get(name)
        if expected is FieldType.TEXT:
            if not isinstance(value, str) or len(value) > 4096 or not value:
                wrong.append(name)
        elif expected is FieldType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e11:
                wrong.append(name)
        elif name not in COMMON | OF_THE_SHOP[event["type"]]:
            wrong.append(f"{name} unknown")
    if "action" in event and event["action"] not in KNOWN_ACTIONS[kind]:
        wrong.append("action")
    if kind is Kind.PURCHASE:
        if not re.fullmatch("[A-Z]{3}", event["currency"]) or not 1 <= len(event["order_id"]) <= 128:
            wrong.append("currency or order_id")
        if event["total"] < 0 or any(set(i) != {"product_id", "category", "quantity", "price"} for i in event["items"]):
            wrong.append("total or items")
    for trait in event.get("traits", {}).values():
        if not isinstance(trait, (str, bool, int, float)):
            wrong.append("traits")
    return wrong


def test_every_event_is_valid(traffic: Traffic) -> None:
    found = [(event, wrong) for event in traffic.events if (wrong := broken_rules(event))]
    assert not found[:3]


def test_every_field_and_action_occurs(traffic: Traffic) -> None:
    fields = {(event["type"], name) for event in traffic.events for name in event}
    assert {(kind.word, name) for kind in Kind for name in FIELDS[kind]} <= fields
    assert {("click", "traits"), ("purchase", "traits"), ("email", "traits")} <= fields
    actions = Counter((event["type"], event["action"]) for event in traffic.events if "action" in event)
    assert set(actions) == {(kind.word, action) for kind in KNOWN_ACTIONS for action in KNOWN_ACTIONS[kind]}


def test_customers_and_addresses_are_made_up(traffic: Traffic) -> None:
    for event in traffic.events:
        assert re.fullmatch(r"c\d{6,}", event["customer_id"])
        address = event.get("traits", {}).get("email")
        assert address is None or address == f"{event['customer_id']}@example.com"
        assert not re.search(r"https?://(?![\w.]*\bexample\.(com|net)/)", event.get("url", ""))
