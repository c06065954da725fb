"""Memberships in Redis: written by ``segstream sink redis``, laid out as docs/redis.md says."""
