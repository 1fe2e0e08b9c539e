# Two commands do all the set-up on a fresh Debian 12: make run, make test.
# PYTHON=/usr/bin/python3 chooses another interpreter (3.11 or later).
# TESTS=tests.functional.test_waits runs some of the tests in the laboratory.
# BENCH="--records 100000 --many 0 --rounds 1" makes the benchmarks short.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test unit exhaustive lint bench latency chaos clean

help:
	@echo "make run    install into $(VENV) and run stationd in the foreground, its state in ./var"
	@echo "make test   install what the tests need, then run all of them"
	@echo "make unit   only the quick tests that need no Docker and no LXC; a minute at most"
	@echo "make exhaustive those of every bit, every operation of the disk and many seeds; some minutes"
	@echo "make lint   style, types, layers, complexity"
	@echo "make bench  speed and memory beside SQLite and journald, as a table; ten minutes, 4 GB of disk"
	@echo "make latency how soon an event is told, beside docker events and lxc-monitor; a minute, as root"
	@echo "make chaos  two minutes of containers, engine and daemon being killed at random (STATIOND_CHAOS_SECONDS)"
	@echo "make clean  remove what the others made, except ./var"

run: $(VENV)/run.stamp
	@$(BIN)/python -m stationd.cli.first_run var
	@exec $(BIN)/twistd --nodaemon --pidfile= stationd --config var/stationd.toml

test: $(VENV)/test.stamp
	@$(BIN)/python -m tests.functional.lab \
	  $(BIN)/python -m $(if $(TESTS),twisted.trial $(TESTS),tests.run)

unit: $(VENV)/test.stamp
	@$(BIN)/python -m twisted.trial -j 2 `$(BIN)/python -c 'from tests.run import unit_tests; print(*unit_tests())'`

exhaustive: $(VENV)/test.stamp
	@$(BIN)/python -m twisted.trial tests.exhaustive

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m twisted.trial tests.test_layers tests.test_complexity

chaos: $(VENV)/test.stamp
	@STATIOND_CHAOS_SECONDS=$${STATIOND_CHAOS_SECONDS:-120} \
	  $(BIN)/python -m tests.functional.lab $(BIN)/python -m twisted.trial \
	  tests.functional.test_chaos tests.functional.test_lxc_chaos

latency: $(VENV)/test.stamp
	@$(BIN)/python -m tests.functional.lab $(BIN)/python -m benchmarks.latency

bench: $(VENV)/test.stamp
	@$(BIN)/python -m benchmarks $(BENCH)

$(VENV)/bin/pip:
	@if ! $(PYTHON) -m venv $(VENV) >/dev/null 2>&1; then \
	  rm -rf $(VENV); \
	  if [ "`id -u`" = 0 ]; then \
	    echo "installing python3-venv"; \
	    { apt-get update && apt-get install -y --no-install-recommends python3-venv; } >/tmp/stationd-apt.log 2>&1 \
	      || { cat /tmp/stationd-apt.log; exit 1; }; \
	    $(PYTHON) -m venv $(VENV); \
	  else \
	    echo "Python's venv module is missing; as root: apt-get install python3-venv"; exit 1; \
	  fi; \
	fi

$(VENV)/run.stamp: $(VENV)/bin/pip setup.py
	@echo "installing stationd into $(VENV)"
	@$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/bin/pip setup.py
	@echo "installing stationd and its tests' tools into $(VENV)"
	@$(BIN)/pip install --quiet --editable '.[test,lint]'
	@touch $@ $(VENV)/run.stamp

clean:
	rm -rf $(VENV) build *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
