"""The dashboard: pages for people, and a JSON API for programs, over Redis and what the workers tell."""
