"""Where changes go besides Kafka, one folder a destination. It knows the change record, and nothing of the engine."""
