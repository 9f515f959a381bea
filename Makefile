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
DEV    := $(VENV)/.ready-dev
USED   := onnx,device,dashboard,sentences
ALL    := dev,docs
# What a command needs installed: these have layers of transformers, data of pyarrow, or lie at S3, and need all.
NEEDED  = $(if $(filter w2v_bert% wav2vec2_conformer%,$(EXP))$(filter huggingface,$(DATA))$(findstring s3://,$(ROOT)$(ARGS)),$(DEV),$(READY))
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

setup: $(DEV)  ## make .venv with everything, from pyproject.toml and constraints.txt

$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV): 6 GB, most of it PyTorch with CUDA (see docs/install.md for less)"
	$(PYTHON) -m venv $(VENV)
	$(call install,$(USED))
	@touch $@

$(DEV): $(READY)
	@echo "installing into $(VENV) what tests and pages need: 1 GB"
	$(call install,$(ALL))
	@touch $@

# Bytecode is compiled on all cores, where pip takes one; some files are templates that cannot be.
define install
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[$(1)]"
	@$(BIN)/python -m compileall -qq -j 0 "$(CURDIR)/$(VENV)/lib"; true
endef

train: known $(NEEDED)  ## train EXP on DATA (ROOT=its folder, ARGS="overrides"; RESUME=1 goes on), sweep its depths
	$(BIN)/fold fit --config experiments/$(EXP).yaml --config data/$(DATA).yaml $(if $(ROOT),--data.root="$(ROOT)") $(if $(RESUME),--ckpt_path=last) $(ARGS)

prepare: known $(NEEDED)  ## write the shards of DATA (ROOT=folder of the corpus, ARGS="overrides")
	$(BIN)/fold prepare --config data/$(DATA).yaml $(if $(ROOT),--data.root="$(ROOT)") $(ARGS)

sweep: known $(NEEDED)  ## WER per depth of the newest run of EXP (ARGS="overrides")
	$(BIN)/fold sweep --ckpt_path runs/$(EXP)/latest/checkpoints/last.ckpt $(ARGS)

compare: $(READY)  ## compare RUNS (run folders, sweeps, checkpoints) on one test set: tables, figures, a page
	$(BIN)/fold compare $(RUNS) $(ARGS)

export: $(READY)  ## write the newest run of EXP for devices, int8 (ARGS="--storage=fp32", "--to=sherpa --depth=6", ...)
	$(BIN)/fold export --to onnx --ckpt_path runs/$(EXP)/latest/checkpoints/last.ckpt $(ARGS)

results: $(DEV)  ## train the study of RESULTS.md (hours; goes on where it stopped; ROOT=folder of fsdd), make its tables
	$(BIN)/python -m studies.results $(if $(ROOT),--root="$(ROOT)") $(ARGS)

docs: $(DEV)  ## build the site of all pages in site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

test: $(DEV)  ## run the tests (minutes)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-slow: $(DEV)  ## run the slow tests too
	$(BIN)/python -m pytest $(PARALLEL) -m "not torture and not fuzz" $(ARGS)

torture: $(DEV)  ## kill runs, damage shards, fetch from a hostile server: tried / survived / lost (half an hour)
	$(BIN)/python -m pytest -m torture -s tests/test_torture.py $(ARGS)

fuzz: $(DEV)  ## read mutated audio, lists, transcripts and settings: tried / read / refused (minutes)
	$(BIN)/python -m pytest -m fuzz -s tests/test_fuzz.py $(ARGS)

bench-data: $(DEV)  ## measure the data pipeline against bare decoding and webdataset
	$(BIN)/python -m benchmarks.data $(ARGS)

lint: $(DEV)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)  ## check types
	$(BIN)/python -m mypy

format: $(DEV)  ## fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)  ## measure speed and memory ratios (ARGS="--help" for the choice)
	$(BIN)/python -m benchmarks $(ARGS)

gpu-check: $(DEV)  ## on a machine with a GPU: tests, two updates of each GPU experiment, speed, memory, waits, profile
	$(BIN)/python -m benchmarks.gpu_check $(ARGS)

lock: $(DEV)  ## write the versions in .venv to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:  ## remove .venv and caches (runs and shards stay)
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache *.egg-info

.PHONY: known
known:
	@test -f experiments/$(EXP).yaml || { echo "make: no experiment '$(EXP)'; there are: $(EXPS)" >&2; exit 2; }
	@test -f data/$(DATA).yaml || { echo "make: no corpus '$(DATA)'; there are: $(CORPORA)" >&2; exit 2; }
