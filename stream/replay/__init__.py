"""Files of events in, changes out: the engine over JSON lines."""
