.DEFAULT_GOAL := help
PYTHON ?= python3.11
PYTHON := $(shell command -v $(PYTHON) || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --no-input

.PHONY: help install run test check lint types readers bench soak chaos fuzz clean lock connector reference manifests images compose-env sbom audit

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fleetprice needs Python 3.11 or newer: make install PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.local: .venv/.python requirements.lock pyproject.toml $(wildcard deploy/wheel/*.py)
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.local requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

install: .venv/.local ## Create .venv with everything the local stack needs

run: install ## Start the whole embedded stack with a simulated fleet (Ctrl-C drains and ends it)
	@$(BIN)/fleetprice up

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.dev
	$(BIN)/mypy

check: lint types ## Run only lint and types

# The tests of JavaScript's SDK need npm; without it they are skipped and say so.
CONFORMANCE_JS := tests/integration/emulator/conformance_js
$(CONFORMANCE_JS)/node_modules/.installed: $(CONFORMANCE_JS)/package-lock.json
	@if ! command -v npm >/dev/null; then echo "npm is not installed: JavaScript's SDK is not tested"; \
	elif (cd $(CONFORMANCE_JS) && npm ci --no-audit --no-fund --loglevel=error); then touch $@; \
	else echo "npm cannot install JavaScript's SDK: it is not tested"; fi

# The tests of the manifests need a kubectl; if it cannot be fetched, they are skipped and say so.
build/tools/.kubectl: deploy/k8s/checks/kubectl.lock | .venv/.dev
	@mkdir -p $(@D)
	@if $(BIN)/python -m deploy.k8s.checks.kubectl; then touch $@; \
	else echo "kubectl cannot be fetched: the manifests are not rendered"; fi

# Each tool has its own environment, because its pins conflict with ours.
build/tools/%/.installed: deploy/k8s/checks/%.txt
	$(PYTHON) -m venv build/tools/$*
	build/tools/$*/bin/pip --disable-pip-version-check install --quiet --no-input -r $<
	@touch $@

# The readers of the lake that people have, each as it comes.
READERS := tests/integration/readers
build/tools/%/.installed: $(READERS)/%.txt
	$(PYTHON) -m venv build/tools/$*
	build/tools/$*/bin/pip --disable-pip-version-check install --quiet --no-input -r $<
	@touch $@

$(READERS)/node_modules/.installed: $(READERS)/package-lock.json
	@if ! command -v npm >/dev/null; then echo "npm is not installed: hyparquet is not tested"; \
	elif (cd $(READERS) && npm ci --no-audit --no-fund --loglevel=error); then touch $@; \
	else echo "npm cannot install hyparquet: it is not tested"; fi

readers: .venv/.dev $(READERS)/node_modules/.installed $(patsubst %,build/tools/%/.installed,spark-3 spark-4 fastparquet) ## Read the lake with Spark 3.5 and 4 (which need Java), fastparquet and hyparquet
	$(BIN)/pytest $(READERS)

manifests: build/tools/.kubectl build/tools/schemas/.installed build/tools/checkov/.installed ## Render deploy/k8s and check it by schemas and policies (CRDS="FOLDER ...": those of KEDA and the secrets driver)
	@mkdir -p build/manifests
	@for overlay in local azure; do build/tools/kubectl kustomize deploy/k8s/overlays/$$overlay > build/manifests/$$overlay.yaml || exit 1; done
	build/tools/schemas/bin/python deploy/k8s/checks/schemas.py build/manifests/local.yaml build/manifests/azure.yaml --crds $(CRDS)
	build/tools/checkov/bin/checkov --framework kubernetes --compact --quiet --skip-download -f build/manifests/local.yaml -f build/manifests/azure.yaml
	$(BIN)/pytest -q tests/unit/deploy -k k8s

test: check $(CONFORMANCE_JS)/node_modules/.installed build/tools/.kubectl ## Run lint, types and all tests
	$(BIN)/pytest tests/unit tests/integration -n 6 --dist worksteal -m "not long"
	$(BIN)/pytest tests/e2e -n 2 --dist worksteal -m "not long"

bench: .venv/.dev ## Run the benchmarks, each beside its lower bound
	$(BIN)/fleetprice bench
	$(BIN)/python -m services.cli.bench.scorer.latency
	$(BIN)/python -m services.cli.bench.http.latency
	$(BIN)/python -m services.cli.bench.ingest.large_events
	$(BIN)/python -m services.cli.bench.scale_out
	$(BIN)/python -m services.cli.bench.micro

soak: .venv/.dev ## Measure the memory of ingest under a steady load for half an hour (MINUTES=30)
	$(BIN)/python -m services.cli.bench.ingest.soak --minutes $(or $(MINUTES),30)

chaos: .venv/.dev ## Run the long fault tests: 100 schedules, then 25 kills at each failpoint under load
	$(BIN)/fleetprice chaos --schedules 100 --seconds 20 --at-once 2
	$(BIN)/pytest tests/integration -n 4 -m long
	$(BIN)/pytest tests/e2e/test_chaos.py
	$(BIN)/pytest tests/e2e/test_kills.py -k named_point -n 2 --kills 25
	$(MAKE) readers

fuzz: .venv/.dev ## Send random frames to a running hub for a minute (FUZZ_SECONDS=60 SEED=...)
	$(BIN)/python -m services.emulator.fuzz.amqp --seconds $(or $(FUZZ_SECONDS),60) $(if $(SEED),--seed $(SEED))

reference: .venv/.local ## Write the pages of docs/ that are generated from the code
	@$(BIN)/python -m shared.contract
	@$(BIN)/python -m docs.reference

connector: .venv/.local ## Regenerate deploy/power-platform from the scorer's API
	@$(BIN)/python -m services.scorer.power_platform

images: .venv/.dev ## Build every image with buildah and debootstrap, and run them all (needs root; LISTINGS=FILE trains too)
	deploy/images/build.sh
	deploy/images/try.sh $(if $(LISTINGS),--listings $(abspath $(LISTINGS)))

compose-env: ## Write new keys for docker-compose.yml to .env, without overwriting it
	@python3 deploy/compose/keys.py .env

# They have their own environment, because their pins are independent of ours.
build/tools/audit/.installed: deploy/images/audit.lock
	$(PYTHON) -m venv build/tools/audit
	build/tools/audit/bin/pip --disable-pip-version-check install --quiet --no-input --require-hashes -r $<
	@touch $@

sbom: build/tools/audit/.installed ## Write build/sbom/SERVICE.cdx.json (CycloneDX), the packages of each image
	deploy/images/sbom.sh build/tools/audit/bin $(PYTHON)

audit: build/tools/audit/.installed ## Fail if a package of the images has a known vulnerability or cannot be looked up
	@python3 deploy/images/audit.py build/tools/audit/bin/pip-audit deploy/images/locks/*.lock

lock: ## Pin the dependencies of pyproject.toml, with hashes and without host names
	$(BIN)/uv pip compile -q pyproject.toml --extra local --extra build --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --extra build --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c requirements.lock -o requirements-dev.lock
	@for service in emulator simulator ingest scorer trainer; do \
	$(BIN)/uv pip compile -q pyproject.toml --extra $$service --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c requirements.lock -o deploy/images/locks/$$service.lock || exit 1; done
	echo 'hatchling==1.33.0' | $(BIN)/uv pip compile -q - --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c requirements.lock -o deploy/images/locks/build.lock
	printf 'cyclonedx-bom>=7.5,<8\npip-audit>=2.10,<3\n' | $(BIN)/uv pip compile -q - --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o deploy/images/audit.lock

clean: ## Remove everything built and the local stack's data
	rm -rf .venv .fleetprice $(CONFORMANCE_JS)/node_modules $(READERS)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
