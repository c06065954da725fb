"""The whole of it on one machine: a broker, Redis, a worker, the sink, the dashboard, and a simulated shop."""
