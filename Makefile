# make demo | make test: all that is needed beforehand is git, make and Python 3.11 or newer with venv.
# Everything is installed into .venv, from constraints.txt, and again only when that or pyproject.toml changes.
VENV   ?= .venv
PYTHON ?=
JOBS   ?= 2
ARGS   ?=
BIN    := $(VENV)/bin

# An environment remembers where it was made: one that was moved with its checkout would run the old place's code.
ifneq ($(shell cat $(VENV)/.made-in 2>/dev/null),$(shell pwd))
$(shell rm -f $(VENV)/.made-in $(VENV)/.ready $(VENV)/.ready-test $(VENV)/.ready-dev)
endif

.PHONY: demo test check bench sweep screenshots clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.ready
	@$(BIN)/swarm-tui demo $(ARGS)

test: $(VENV)/.ready-test
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.ready-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.ready-test
	@missed=0; for file in $$(grep -l '^if __name__' benchmarks/*.py); do \
		$(BIN)/python -m "benchmarks.$$(basename "$$file" .py)" || missed=1; \
	done; exit $$missed

# Every crash, error and changed bit of the journal's sweeps, and many random lives: some minutes.
sweep: $(VENV)/.ready-test
	@SWARM_SWEEP=full $(BIN)/python -m pytest -q -s tests/crash/test_journal_sweep.py tests/crash/test_journal_mutants.py \
		tests/crash/test_engine_sweep.py tests/reliability/test_scale.py

screenshots: $(VENV)/.ready-dev
	@$(BIN)/python -m screenshots.take

clean:
	@[ ! -e $(VENV)/pyvenv.cfg ] || rm -rf $(VENV)
	@rm -rf dist .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.made-in:
	@.ci/venv "$(VENV)" "$(PYTHON)"
	@pwd > $@

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/.made-in
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.ready-%: pyproject.toml constraints.txt | $(VENV)/.made-in
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@ $(VENV)/.ready
