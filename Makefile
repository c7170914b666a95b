# Everything from a bare machine: Python 3.11 or later and make. The environment is made in .venv at first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo federation test attack crash privacy lint bench gallery docs clean up down reset images base-image e2e service-e2e lock supply

help:
	@echo "make demo        hospitals and a researcher on this machine, from private tables to a plot"
	@echo "                 DATA=path/to/diabetic_data.csv.gz SITES=3|5|20 SEED=0 ROUNDS=12 for other data"
	@echo "make federation  the same hospitals, left serving, for the notebooks (Ctrl-C ends it)"
	@echo "make test        lint, types, import contracts and tests"
	@echo "make attack      every attack, and a table of what was tried and what held"
	@echo "make bench       all benchmarks; ONLY=round_overhead for one"
	@echo "make docs        these pages as a site in site/, every warning an error"
	@echo "make gallery     the review page, a notebook's buttons, all notebooks executed, and the data owner's terminal,"
	@echo "                 into gallery/ (needs Chromium; some minutes) PART=review|buttons|notebooks|terminal for one"
	@echo "make crash       kill -9 at 200 random points and at lines of every critical section; RUNS=200 SEED=0"
	@echo "make privacy     attacks on the private tier, its ledger and what it costs; SEED=0"
	@echo "make up          three hospitals, a store and a researcher in containers (compose/README.md)"
	@echo "                 BASE=image to build on; DATA= as above; make down stops it, make reset removes all of it"
	@echo "                 MONITORING=1: a Prometheus for each hospital"
	@echo "make e2e         the same, tried as a whole: a study, two of the containers killed in the middle"
	@echo "make service-e2e the agent as a service of a live systemd, killed, stopped, started with its machine"
	@echo "make lock        versions and hashes of what the images install, from this environment"
	@echo "make supply      what the images hold, under which licences, with which known holes; into supply/"
	@echo "make clean       remove the environment and what the demo wrote"

# torch comes first: what depends on it would otherwise bring a build of several gigabytes
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -e ".[test,notebooks]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m notebooks.demo $(if $(DATA),--data $(DATA)) $(if $(SITES),--sites $(SITES)) \
		$(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS))

federation: $(STAMP)
	$(BIN)/python -m notebooks.demo.federation $(if $(DATA),--data $(DATA)) $(if $(SITES),--sites $(SITES))

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile $(TESTS)

attack: $(STAMP)
	$(BIN)/python -m tests.attacks

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ONLY)

gallery: $(STAMP)
	$(BIN)/python -m tests.gallery $(if $(PART),--only $(PART))

DOCS := $(VENV)/.docs
$(DOCS): $(STAMP)
	$(BIN)/pip install -q -e ".[docs]"
	touch $(DOCS)

docs: $(DOCS)
	$(BIN)/python -m docs.build

crash: $(STAMP)
	$(BIN)/python -m tests.crash $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

privacy: $(STAMP)
	$(BIN)/python -m tests.privacy $(if $(SEED),--seed $(SEED))

# podman-compose does for podman what Docker has built in
COMPOSE := $(VENV)/.compose
$(COMPOSE): $(STAMP)
	if command -v podman >/dev/null; then $(BIN)/pip install -q -e ".[compose]"; fi
	touch $(COMPOSE)

base-image: $(STAMP)
	$(BIN)/python -m compose.images base

images: $(STAMP)
	$(BIN)/python -m compose.images $(if $(BASE),--base $(BASE)) \
		$(if $(MONITORING),datasite researcher store prometheus)

up: $(COMPOSE) images
	$(BIN)/python -m compose.provision $(if $(DATA),--data $(DATA))
	$(BIN)/python -m compose up $(if $(MONITORING),--monitoring)

down: $(COMPOSE)
	$(BIN)/python -m compose down

reset: $(COMPOSE)
	$(BIN)/python -m compose reset

e2e: $(COMPOSE)
	$(BIN)/python -m compose.e2e $(if $(BASE),--base $(BASE)) $(if $(DATA),--data $(DATA))

service-e2e: $(STAMP)
	$(BIN)/python -m compose.e2e.service

SUPPLY := $(VENV)/.supply
$(SUPPLY): $(STAMP)
	$(BIN)/pip install -q -e ".[supply]"
	touch $(SUPPLY)

lock: $(SUPPLY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m compose.lock

supply: $(SUPPLY)
	$(BIN)/python -m compose.supply

clean:
	rm -rf $(VENV) .venv-flower demo-run gallery site supply docs/reference build *.egg-info .mypy_cache .ruff_cache .pytest_cache
