# `make` alone prints the verbs. Paths may hold spaces, so every path is quoted.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
CLAIM ?= examples/01-team/claim.yaml
LIBRARY := examples/library/pdf
# Both tools retry downloads with a growing pause, so that a short network failure does not end the setup.
export UV_HTTP_RETRIES ?= 8
export PIP_RETRIES ?= 8

.PHONY: help setup demo down check lint test bench node attack nightly figures golden docs package clean

help: ## print these verbs
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready .venv-function/.ready ## make .venv with everything, from hashed lists (20 s to 2 min)

# uv installs 200 packages in seconds; it comes from its own hashed list unless it is there already.
.venv/.ready: pyproject.toml lock/laptop.txt lock/uv.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Vellum needs Python 3.11, 3.12 or 3.13; this is " + sys.version.split()[0] + ". Say which: make PYTHON=python3.11 ...")'
	@test -x .tools/bin/uv || { "$(PYTHON)" -m venv .tools && .tools/bin/python -m pip install --quiet --require-hashes -r lock/uv.txt; }
	@.tools/bin/uv venv --quiet --clear --python "$(PYTHON)" .venv
	.tools/bin/uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python lock/laptop.txt
	.tools/bin/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	@touch .venv/.ready

# The function's own environment: Crossplane's SDK wants protobuf 7, Kubeflow's SDKs want less.
FUNCTION := .venv-function/bin
.venv-function/.ready: .venv/.ready lock/function.txt
	@.tools/bin/uv venv --quiet --clear --python $(BIN)/python .venv-function
	.tools/bin/uv pip sync --quiet --require-hashes --compile-bytecode --python $(FUNCTION)/python lock/function.txt
	.tools/bin/uv pip install --quiet --no-deps --python $(FUNCTION)/python --editable .
	@touch .venv-function/.ready

# kfp allows only an old Kubernetes client. The extra `cluster` alone gets the newest, and is tested with it.
CLUSTER := .venv-cluster/bin
.venv-cluster/.ready: .venv/.ready lock/cluster.txt
	@.tools/bin/uv venv --quiet --clear --python $(BIN)/python .venv-cluster
	.tools/bin/uv pip sync --quiet --require-hashes --python $(CLUSTER)/python lock/cluster.txt
	.tools/bin/uv pip install --quiet --no-deps --python $(CLUSTER)/python --editable .
	@touch .venv-cluster/.ready

# The validators of charts and health checks have their own environment. Only the bench's tests use it.
VALIDATORS := .venv-validators/bin
.venv-validators/.ready: .venv/.ready lock/validators.txt
	@.tools/bin/uv venv --quiet --clear --python $(BIN)/python .venv-validators
	.tools/bin/uv pip sync --quiet --require-hashes --python $(VALIDATORS)/python lock/validators.txt
	@touch .venv-validators/.ready

demo: .venv/.ready ## the main job: a platform from one claim, PDFs in, cited answers out; left running
	$(BIN)/vellum up "$(CLAIM)"
	$(BIN)/vellum ingest $(LIBRARY)
	$(BIN)/python examples/library/ask.py
	$(BIN)/vellum status
	@echo "It runs on. Look around: $(BIN)/vellum open, $(BIN)/vellum connect --export. Stop it: make down"

down: .venv/.ready ## stop the demo; its data stays
	$(BIN)/vellum down

lint: setup
	$(BIN)/ruff check --quiet src tests benchmarks examples
	$(BIN)/ruff format --quiet --check src tests benchmarks examples
	$(BIN)/mypy --no-error-summary

check: lint .venv-cluster/.ready ## lint, types and the fast tests; a minute to three, no network
	$(FUNCTION)/pytest -q -m "not slow and not nightly" tests/function
	$(CLUSTER)/pytest -q tests/cluster
	$(BIN)/pytest -q --numprocesses 2 --dist loadfile --durations=20 -m "not laptop and not slow and not nightly and not attack" --ignore tests/function --ignore tests/bench --ignore tests/node

# One process: two platforms at once take each other's time, and tests say how soon things are back.
test: check ## everything: check, then the real services, real PDFs and faults by SIGKILL
	$(FUNCTION)/pytest -q -m "slow and not nightly" tests/function
	$(BIN)/pytest -q --durations=20 -m "(laptop or slow) and not nightly and not attack" --ignore tests/function --ignore tests/bench

bench: setup .venv-validators/.ready ## the tests on the real Crossplane and Kubernetes API (the first time builds them: 10 to 25 min)
	$(BIN)/vellum bench build
	$(BIN)/pytest -q --durations=20 -m "not nightly" tests/bench

node: setup ## the tests on a real kubelet; as root on Linux (the first time builds what is missing)
	$(BIN)/vellum bench build --node
	$(BIN)/pytest -q --durations=20 -m node tests/node

attack: setup ## attacks and faults against a separate platform; prints the table of docs/proofs.md
	$(BIN)/pytest -q tests/attack

nightly: setup .venv-validators/.ready ## the long sweeps: every killed effect, fuzzing, other projects' suites, the bench's figures; hours
	$(FUNCTION)/pytest -q -m nightly tests/function
	VELLUM_FAULTS=all $(BIN)/pytest -q -m "nightly or slow" --ignore tests/function --ignore tests/bench
	$(BIN)/pytest -q -m nightly tests/bench
	$(BIN)/python -m benchmarks function_calls control_plane

figures: setup ## measure the laptop on this machine and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

golden: setup ## write the golden files, the generated reference and a picture anew; read the diff
	VELLUM_GOLDEN=1 $(BIN)/pytest -q tests/compose tests/package tests/reports
	$(BIN)/python -m vellum.api.reference docs/reference
	$(BIN)/python -m tests.shape.proofs

docs: setup ## check every link, command and path that the documents name
	$(BIN)/pytest -q tests/shape

package: setup ## build the wheel and the source archive into dist/
	.tools/bin/uv build --quiet --out-dir dist

clean: ## remove the files that make built; the data of the installation stays
	rm -rf .venv .venv-function .venv-cluster .venv-validators .tools dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
