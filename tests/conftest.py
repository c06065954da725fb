"""What all tests share: how much they try, and the brokers that some of them run on."""

from __future__ import annotations

import signal

from tests.brokers import broker, brokers_line, own_broker, shared_apache
from tests.effort import register_profiles

__all__ = ["broker", "own_broker", "shared_apache"]  # fixtures

register_profiles()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what goes on behind it deaf to Ctrl-C, and so would be the commands that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return brokers_line()
