"""The contract's guard: bytes of events to columns, or a reason for refusal."""
