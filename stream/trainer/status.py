"""How a trainer is: for probes and metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class TrainerStatus:
    """Its metrics, and whether it is the active one (None: it has not been told yet)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.is_active: bool | None = None
        self.samples = Counter("segstream_trainer_samples", "Samples learned from", registry=self.registry)
        self.passed_over = Counter(
            "segstream_trainer_records_passed_over",
            "Records of samples that are none, or are of other definitions",
            registry=self.registry,
        )
        self.versions = Counter("segstream_trainer_versions", "Versions published", registry=self.registry)
        self.refused = Counter(
            "segstream_trainer_versions_refused", "Versions that were not published", registry=self.registry
        )
        self.version = Gauge("segstream_trainer_version", "The last version", registry=self.registry)
        self.effective = Gauge(
            "segstream_trainer_version_effective_seconds",
            "The instant from which the last version holds, since 1970",
            registry=self.registry,
        )
        self.pinned = Gauge(
            "segstream_trainer_pinned_version", "The version that personas stay at; 0: none", registry=self.registry
        )

    def why_not_ready(self) -> str | None:
        """Whether the group has told it what it has to do."""
        return "the group has not been joined yet" if self.is_active is None else None
