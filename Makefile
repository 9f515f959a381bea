# fold: the commands of the project. `make help` lists them.

EXP    ?= conformer_fold
DATA   ?= commands
ROOT   ?=
ARGS   ?=
RESUME ?=
RUNS   ?=
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
EXPS   := $(sort $(basename $(notdir $(wildcard experiments/*.yaml))))
CORPORA := $(sort $(basename $(notdir $(wildcard data/*.yaml))))
# Tests on all cores, up to four: the tests of a file stay together, so that its fixtures are made once.
PARALLEL := -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup train prepare sweep compare export results docs test test-slow torture fuzz bench-data gpu-check lint types format bench lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  experiments: $(EXPS)"
	@echo "  corpora:     $(CORPORA)"

setup: $(READY)  ## make .venv from pyproject.toml and constraints.txt

$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV): 7 GB, most of it PyTorch with CUDA (see docs/install.md for less)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[dev,docs]"
	@$(BIN)/python -m compileall -qq -j 0 "$(CURDIR)/$(VENV)/lib"; true  # on all cores, where pip takes one; some files are templates
	@touch $@

train: known $(READY)  ## train EXP on DATA (ROOT=its folder, ARGS="overrides"; RESUME=1 goes on), sweep its depths
	$(BIN)/fold fit --config experiments/$(EXP).yaml --config data/$(DATA).yaml $(if $(ROOT),--data.root="$(ROOT)") $(if $(RESUME),--ckpt_path=last) $(ARGS)

prepare: known $(READY)  ## write the shards of DATA (ROOT=folder of the corpus, ARGS="overrides")
	$(BIN)/fold prepare --config data/$(DATA).yaml $(if $(ROOT),--data.root="$(ROOT)") $(ARGS)

sweep: known $(READY)  ## WER per depth of the newest run of EXP (ARGS="overrides")
	$(BIN)/fold sweep --ckpt_path runs/$(EXP)/latest/checkpoints/last.ckpt $(ARGS)

compare: $(READY)  ## compare RUNS (run folders, sweeps, checkpoints) on one test set: tables, figures, a page
	$(BIN)/fold compare $(RUNS) $(ARGS)

export: $(READY)  ## write the newest run of EXP for devices, int8 (ARGS="--storage=fp32", "--to=sherpa --depth=6", ...)
	$(BIN)/fold export --to onnx --ckpt_path runs/$(EXP)/latest/checkpoints/last.ckpt $(ARGS)

results: $(READY)  ## train the study of RESULTS.md (hours; goes on where it stopped; ROOT=folder of fsdd), make its tables
	$(BIN)/python -m studies.results $(if $(ROOT),--root="$(ROOT)") $(ARGS)

docs: $(READY)  ## build the site of all pages in site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

test: $(READY)  ## run the tests (minutes)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-slow: $(READY)  ## run the slow tests too
	$(BIN)/python -m pytest $(PARALLEL) -m "not torture and not fuzz" $(ARGS)

torture: $(READY)  ## kill runs, damage shards, fetch from a hostile server: tried / survived / lost (half an hour)
	$(BIN)/python -m pytest -m torture -s tests/test_torture.py $(ARGS)

fuzz: $(READY)  ## read mutated audio, lists, transcripts and settings: tried / read / refused (minutes)
	$(BIN)/python -m pytest -m fuzz -s tests/test_fuzz.py $(ARGS)

bench-data: $(READY)  ## measure the data pipeline against bare decoding and webdataset
	$(BIN)/python -m benchmarks.data $(ARGS)

lint: $(READY)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## check types
	$(BIN)/python -m mypy

format: $(READY)  ## fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## measure speed and memory ratios (ARGS="--help" for the choice)
	$(BIN)/python -m benchmarks $(ARGS)

gpu-check: $(READY)  ## on a machine with a GPU: tests, two updates of each GPU experiment, speed, memory, waits, profile
	$(BIN)/python -m benchmarks.gpu_check $(ARGS)

lock: $(READY)  ## write the versions in .venv to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:  ## remove .venv and caches (runs and shards stay)
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache *.egg-info

.PHONY: known
known:
	@test -f experiments/$(EXP).yaml || { echo "make: no experiment '$(EXP)'; there are: $(EXPS)" >&2; exit 2; }
	@test -f data/$(DATA).yaml || { echo "make: no corpus '$(DATA)'; there are: $(CORPORA)" >&2; exit 2; }
