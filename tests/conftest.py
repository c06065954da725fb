"""What all tests share: how much they try, and the brokers that some of them run on."""

from __future__ import annotations

from tests.brokers import broker, brokers_line, own_broker, shared_apache
from tests.effort import register_profiles

__all__ = ["broker", "own_broker", "shared_apache"]  # fixtures

register_profiles()


def pytest_report_header() -> str:
    return brokers_line()
