# The commands of the project; .ci/run calls the same ones.
#   make repro                  the default experiment
#   make repro PRESET=camvid    with presets/camvid.yaml merged into params.yaml
#   make poster                 every row of the Semantic Palette poster, small

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

# No telemetry, figures without a display, and our rooms before anything installed.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MPLBACKEND := Agg
# A machine that is busy takes longer than Prefect's 20 s to start the server of a flow.
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS ?= 180
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help venv check fix test test-slow bench-compute bench-data bench-painters bench-produce bench-train repro poster studio advise endurance publish
.DEFAULT_GOAL := help

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile

venv: .venv/installed  ## create .venv and install what the pipeline needs

check: .venv/installed-dev  ## formatting, lint, types, layers, valid dvc.yaml
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	PYTHONPATH=. $(BIN)/lint-imports
	@$(BIN)/python -m flows.clone.versions
	$(BIN)/dvc stage list --name-only >/dev/null

fix: .venv/installed-dev  ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: .venv/installed-dev  ## the test suite, without the slow part
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/installed-dev  ## servers, kills and whole small pipelines
	$(BIN)/python -m pytest -m slow

bench-data: .venv/installed  ## compare the loader with MMSegmentation's, into docs/benchmarks.md
	$(BIN)/python -m bench.loader

bench-train: .venv/installed  ## compare the training loop with a plain one, into docs/benchmarks.md
	$(BIN)/python -m bench.train

bench-compute: .venv/installed  ## time precision and memory layout on this machine, into docs/benchmarks.md
	$(BIN)/python -m bench.compute

bench-produce: .venv/installed  ## compare production with a plain loop, into docs/benchmarks.md
	$(BIN)/python -m bench.produce

bench-painters: .venv/installed  ## train painters alike, score them on val layouts, into docs/painters.md (ARGS="--images 3600")
	$(BIN)/python -m bench.painters $(ARGS)

repro: .venv/installed  ## run what is not up to date, print where the report is (PRESET=name, WORKERS=n)
	$(BIN)/python -m flows.clone.workspace
	$(if $(PRESET),$(BIN)/python -m data.tools.preset $(PRESET))
	$(BIN)/python -m bench.estimate $(if $(WORKERS),--workers $(WORKERS))
	$(BIN)/python -m flows.pipeline $(if $(WORKERS),--workers $(WORKERS))
	@echo "report: $(CURDIR)/evaluate/report.html"

poster:  ## every row of the Semantic Palette poster, small (WORKERS=n)
	$(MAKE) repro PRESET=poster

studio: .venv/installed  ## a page to play with what is trained (ARTIFACTS=folder, PORT=7860)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[studio]'
	$(BIN)/python -m studio --artifacts $(or $(ARTIFACTS),artifacts) --port $(or $(PORT),7860)

advise: .venv/installed  ## which synthetic pairs help, if any, and what to label next (PRESET=name, MINUTES=60)
	$(BIN)/python -m flows.clone.workspace
	$(if $(PRESET),$(BIN)/python -m data.tools.preset $(PRESET))
	$(BIN)/python -m evaluate.stages.advise --check $(if $(MINUTES),--minutes $(MINUTES))
	$(BIN)/python -m flows.advise $(if $(MINUTES),--minutes $(MINUTES)) $(if $(WORKERS),--workers $(WORKERS))
	@echo "advice: $(CURDIR)/artifacts/advice/advice.md"

endurance: .venv/installed  ## kill the flow at random moments, compare with a run in peace (PRESET=name, KILLS=n)
	$(BIN)/python -m bench.endurance $(if $(PRESET),--preset $(PRESET)) $(if $(KILLS),--kills $(KILLS))

publish: .venv/installed  ## copy the report to evaluate/results/NAME, to be committed (NAME=name)
	@test -n "$(NAME)" || { echo "error: say under which name: make publish NAME=camvid-cpu" >&2; exit 2; }
	$(BIN)/python -m evaluate.stages.publish --name $(NAME)

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13; install one (Debian: python3.11, python3.11-venv) or say make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "error: $(PYTHON) cannot make environments; install python3-venv (Debian, Ubuntu)" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv: about 2 GB, some minutes"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@$(BIN)/python -m segment.opencv
	@$(BIN)/python -m flows.clone.versions
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,ray,studio]'
	@# without torchvision, which it asks for and what is used of it does not need
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps torch-fidelity
	@touch $@
