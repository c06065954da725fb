"""How much the random tests try: a little and always the same in CI, much more and always new in a campaign.

``HYPOTHESIS_PROFILE=stress`` makes a campaign. ``STRESS_FACTOR`` (20) is how many times as much is tried, and
``STRESS_SEED`` (0) where the seeds begin.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
STRESS = PROFILE == "stress"
FACTOR = int(os.environ.get("STRESS_FACTOR", "20")) if STRESS else 1
FIRST_SEED = int(os.environ.get("STRESS_SEED", "0")) if STRESS else 0


def register_profiles() -> None:
    """Makes the profile of this run that of every test which does not say otherwise."""
    # A case is drawn piece by piece, which Hypothesis finds slow and large.
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    settings.register_profile("default", derandomize=True, deadline=None, suppress_health_check=slow)
    settings.register_profile("stress", deadline=None, suppress_health_check=slow, print_blob=True)
    settings.load_profile(PROFILE)


def examples(count: int) -> settings:
    """Settings for a test of ``count`` examples (in a campaign more)."""
    return settings(max_examples=count * FACTOR, deadline=None)


def seeds(part: int, count: int) -> range:
    """The seeds of one part of a seeded test, ``count`` of them (in a campaign more)."""
    count *= FACTOR
    return range(FIRST_SEED + part * count, FIRST_SEED + (part + 1) * count)
