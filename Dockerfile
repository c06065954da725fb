# The command `segstream` with all that runs: workers, sinks, the dashboard. docs/deployment.md says how to use it.
# Base images by exact tag, packages by the hashes of requirements.lock.

FROM python:3.11.13-slim-bookworm AS packages
COPY requirements.lock /tmp/requirements.lock
RUN python -m venv --without-pip /opt/segstream \
 && python -m pip --python /opt/segstream/bin/python install --no-cache-dir --disable-pip-version-check \
    --only-binary :all: --require-hashes --requirement /tmp/requirements.lock

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent segstream \
 && install --directory --owner segstream --group segstream /var/cache/segstream /var/lib/segstream
COPY --from=packages /opt/segstream /opt/segstream
COPY deploy/segstream /usr/local/bin/segstream
COPY stream /opt/segstream-source/stream
# The engine is compiled for the processor that it runs on, and kept in NUMBA_CACHE_DIR: on another kind than this
# build's it is compiled once more, so let that folder be a volume.
ENV PATH=/opt/segstream/bin:$PATH \
    PYTHONPATH=/opt/segstream-source \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/segstream
RUN python -m compileall -q /opt/segstream-source
USER 10001:10001
RUN segstream simulate --events 1000 --output /tmp/events.jsonl \
 && segstream replay /opt/segstream-source/stream/segments.yaml /tmp/events.jsonl --output /dev/null \
 && rm /tmp/events.jsonl
VOLUME ["/var/cache/segstream", "/var/lib/segstream"]
WORKDIR /var/lib/segstream
ENTRYPOINT ["segstream"]
CMD ["--help"]
