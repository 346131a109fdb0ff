# `make report` and `make test` are all a newcomer needs; `make help` lists the rest.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Runs and their tests start many processes: what Python compiles for one is kept for the next.
export PYTHONDONTWRITEBYTECODE :=

# Libraries write what they log to stderr as well, which pytest keeps. That it also listens to all of
# torch's loggers, anew in each phase of each case, shows in the time: `python -m benchmarks overhead`.
BATCH := -p no:logging

.DEFAULT_GOAL := help
.PHONY: help env report faults test lint unit suite picture clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

$(STAMP): pyproject.toml constraints.txt
	@echo "==> creating the environment in $(VENV): about two minutes, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

env: $(STAMP)  ## create the pinned environment

report: $(STAMP)  ## run every check on the twins of the whole registry and write reports/index.html
	@echo "==> teaching the twins that are not in the cache yet"
	@$(BIN)/compat twin --all --workers $(WORKERS)
	@$(MAKE) --no-print-directory faults
	@echo "==> running every check in every mode on $(WORKERS) workers"
	@$(BIN)/pytest tests/test_compat.py $(BATCH) -n $(WORKERS) --compat-report

faults: $(STAMP)  ## try every fault on the check that is there for it and write reports/sick.json
	@echo "==> trying every fault"
	-@$(BIN)/pytest tests/sick -k the_named_check -n $(WORKERS) --quiet --fault-table reports/sick.json

test: lint unit suite  ## formatting, lint, types, own tests, and one twin a family in fp32 and nf4

lint: $(STAMP)
	@echo "==> formatting, lint and types"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@# Actions are named by their tags: all of them are GitHub's own.
	@$(BIN)/jactionlint --profile default --ignore unpinned-uses --shellcheck $(BIN)/shellcheck
	@$(BIN)/shellcheck .ci/run docs/slurm.sh

unit: $(STAMP)
	@echo "==> the project's own tests"
	@$(BIN)/pytest tests --ignore tests/test_compat.py -n $(WORKERS)

suite: $(STAMP)
	@echo "==> the suite on one twin a family in fp32 and nf4"
	@$(BIN)/pytest tests/test_compat.py $(BATCH) -n $(WORKERS) --compat-per-family 1 --compat-modes fp32,nf4,meta

picture:  ## photograph reports/index.html for the README
	@mkdir -p docs
	@chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1400,1050 \
		--screenshot=docs/report.png "file://$(CURDIR)/reports/index.html" 2>/dev/null

clean:  ## remove the environment and what runs have written; the twins stay in their cache
	rm -rf $(VENV) reports/index.html reports/results.jsonl reports/sick.json reports/SUPPORTED_MODELS.md reports/runs
