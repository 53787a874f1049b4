# The project's habits. Each one makes .venv first where it is missing or out of date.
#   make setup PYTHON=python3.12   choose the Python (3.10 to 3.13)
#   make setup TORCH=cuda|none     accept a CUDA build of torch without a GPU, or go without torch

PYTHON ?=
TORCH ?= auto
TASKS ?= arm_reach mobile_goto
PLAY ?= mobile_follow mobile_ball arm_handover arm_rally
SELF_PLAY ?= arm_rally
ARGS ?=
TEST_PROCESSES ?= 2
BENCHES ?= simulator training wire wire_parity

BOOT := $(or $(PYTHON),python3)
BIN := .venv/bin
# Another installation's packages (ROS sets this) must not stand before the pinned ones.
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup train play test lint format bench pictures unity doctor clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

setup:  ## make .venv and install everything, at the pinned versions
	@command -v $(BOOT) >/dev/null || { echo "set-up stopped: there is no '$(BOOT)'; Companion needs Python 3.10 to 3.13: make setup PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(BOOT) bootstrap.py --torch $(TORCH) $(if $(PYTHON),--python $(PYTHON))

train: setup  ## train both robots, judge them, export them to exported_models/
	@set -e; for task in $(TASKS); do $(BIN)/companion train $$task $$(case ' $(SELF_PLAY) ' in *" $$task "*) echo --self-play;; esac) --run-dir runs/$$task $(if $(findstring --force,$(ARGS)),,--resume) --export-dir exported_models $(ARGS); done

play:  ## the same for the four tasks with people
	@$(MAKE) --no-print-directory train TASKS="$(PLAY)"

test: setup  ## run the tests, two files at a time (ARGS="-n 0": one after the other)
	@$(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile $(ARGS)

lint: setup  ## style, types and the arrows between the rooms
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/lint-imports

format: setup  ## put the style right where a tool can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: setup  ## run the benchmarks that take minutes together; one JSON object per line
	@set -e; for name in $(BENCHES); do echo "# $$name" >&2; $(BIN)/python benchmarks/$$name.py; done

pictures: setup  ## draw the README's pictures anew; the curves are those of runs/
	@$(BIN)/python benchmarks/pictures.py robots
	@$(BIN)/python benchmarks/pictures.py curves

unity: setup  ## write what the Unity project takes from Python: its data, and .meta files
	@$(BIN)/python -m companion.cli.unity_data

doctor: setup  ## say what of this installation works, and how to fix what does not
	@$(BIN)/companion doctor

clean:  ## remove .venv and the tools' caches; runs and models stay
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache
