"""Brokers of our own, for development, tests and the demo: processes on loopback, on free ports."""
