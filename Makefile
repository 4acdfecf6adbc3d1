# `make demo` and `make test` need only Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
ECOSYSTEM := .venv-ecosystem
VERSIONS := .venv-versions
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Hundreds of test processes import the same modules: they are compiled once, whatever is set outside.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-ecosystem test-versions lint zoo bench bench-peers docs site clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# torch first: its CPU build is what constraints.txt pins, and nothing else may pull another one.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,tui]' scikit-learn
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,tui,report,sql]' --requirement requirements-dev.txt
	@touch $@

demo: $(VENV)/.demo  ## train a CNN under trace, healthy and with a planted fault, and diagnose both
	@$(BIN)/python examples/demo.py

lint: $(VENV)/.test  ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Three workers for two cores: many tests wait for a process of theirs.
test: lint  ## everything CI runs
	$(BIN)/python -m pytest -n 3 --dist worksteal

$(ECOSYSTEM)/.ready: constraints.txt requirements-ecosystem.txt pyproject.toml
	$(PYTHON) -m venv $(ECOSYSTEM)
	$(ECOSYSTEM)/bin/pip install --quiet --constraint constraints.txt torch
	$(ECOSYSTEM)/bin/pip install --quiet --constraint constraints.txt --editable '.[torch]' --requirement requirements-ecosystem.txt
	@touch $@

test-ecosystem: $(ECOSYSTEM)/.ready  ## real programs of Lightning, Hugging Face Trainer and Accelerate, in one process and in two, and of Keras on JAX
	$(ECOSYSTEM)/bin/python -m pytest tests/ecosystem

# Nothing is pinned but what WITH names; pip takes the newest of the rest.
test-versions:  ## the tests on other versions: PYTHON=python3.13 WITH="torch==2.15.0 keras==3.15.1"
	$(PYTHON) -m venv --clear $(VERSIONS)
	$(VERSIONS)/bin/pip install --quiet --editable '.[torch,tui,report,sql]' --requirement requirements-dev.txt scikit-learn $(WITH)
	$(VERSIONS)/bin/python -m pytest -n 3 --dist worksteal $(TESTS)

zoo: $(VENV)/.test  ## run every faulty and healthy training program and print what was found
	$(BIN)/python tests/zoo/zoo.py
	$(BIN)/python tests/zoo/check/check_zoo.py
	NNTRACE_WHOLE_CHECKS=1 $(BIN)/python -m pytest tests/test_docs.py -k check

bench: $(VENV)/.test  ## paired overhead measurements (about 20 minutes on an idle machine)
	$(BIN)/python benchmarks/overhead.py

# Its own environment: nothing of nntrace may come to need them.
bench-peers:  ## what a sampled step costs beside TensorBoard and Weights & Biases
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --constraint constraints.txt torch
	.venv-peers/bin/pip install --quiet --constraint constraints.txt --editable '.[torch]' --requirement benchmarks/peers-requirements.txt
	.venv-peers/bin/python benchmarks/peers.py

docs: $(VENV)/.demo  ## regenerate docs/rules.md and docs/recipe.md
	$(BIN)/python -m nntrace rules --format markdown > docs/rules.md
	$(BIN)/python -m nntrace recipe --steps > docs/recipe.md

site: docs  ## build the documentation as a site in build/site
	$(BIN)/pip install --quiet mkdocs
	$(BIN)/mkdocs build --strict

clean:  ## remove the environment and caches
	rm -rf $(VENV) $(ECOSYSTEM) $(VERSIONS) .venv-peers build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
