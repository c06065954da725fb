"""What all tests share: how much they try."""

from __future__ import annotations

from tests.effort import register_profiles

register_profiles()
