# Every target sets up what it needs; only Python 3.11 or later has to be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0

.PHONY: setup demo replay-demo test lint types unit stress bench lock clean

# With LOCKED=1 the exact versions of dev.lock are installed (for Python 3.11), their hashes checked.
$(VENV)/.ready: pyproject.toml dev.lock
	$(PYTHON) -m venv $(VENV)
ifdef LOCKED
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
endif
	touch $@

setup: $(VENV)/.ready

# All of it on this machine: a broker, Redis, a worker, the sink, the dashboard and a simulated shop, until Ctrl-C.
# OPTIONS are those of `segstream demo`.
demo: $(VENV)/.demo
	@$(BIN)/segstream demo $(OPTIONS)

$(VENV)/.demo: $(VENV)/.ready
ifndef LOCKED
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
endif
	touch $@

# Without any of that: ten months of a small shop's traffic through the ready definitions: what happened, as a table.
replay-demo: setup
	@mkdir -p out
	@echo "Simulating 300,000 events: ten months of a small shop ..."
	@$(BIN)/segstream simulate --events 300k --days 300 --duplicates 0.01 --late 0.02 --seed $(SEED) --output out/events.jsonl
	@echo "Replaying them through stream/segments.yaml ..."
	@$(BIN)/segstream replay stream/segments.yaml out/events.jsonl --output out/changes.jsonl
	@echo "Events: out/events.jsonl    Changes, each with its reason: out/changes.jsonl, for example:"
	@tail -n 1 out/changes.jsonl

test: lint types unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal

# The random tests again with other seeds and many more examples; STRESS_FACTOR says how many times as much. Then the
# worker's crashes: in so many simulated worlds, and KILLS times on each broker that can run here. And what Redis holds
# after workers, sinks and Redis itself were killed, on each version that is here.
WORLDS ?= 100000
KILLS ?= 20
stress: setup
	HYPOTHESIS_PROFILE=stress $(BIN)/python -m pytest -n 2 --dist worksteal tests/engine tests/events tests/language
	$(BIN)/python -m tests.worker.campaign --seeds $(WORLDS) --jobs 2
	HYPOTHESIS_PROFILE=stress $(BIN)/python -m pytest tests/live
	$(BIN)/python -m tests.live.campaign --kills $(KILLS) --seed $(SEED)
	HYPOTHESIS_PROFILE=stress $(BIN)/python -m pytest tests/sinks/test_script.py
	$(BIN)/python -m tests.sinks.campaign --events 200000 --seed $(SEED)

# The engine, then the live worker over Apache Kafka; ONLY=common runs one part. docs/performance.md says what they are.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

$(VENV)/.bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

# Writes dev.lock anew, and requirements.lock, which has what the image takes of it; for Python 3.11.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet pip-tools
	build/lock/bin/pip-compile --quiet --upgrade --extra dev --generate-hashes --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file dev.lock pyproject.toml
	build/lock/bin/pip-compile --quiet --upgrade --constraint dev.lock --generate-hashes --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build out .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find stream tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
