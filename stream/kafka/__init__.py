"""Kafka: the topics and their settings, sending events, reading changes."""
