# One command per chore; `make` alone lists them. Every target sets up what it needs first: a virtual environment in
# .venv with the package installed editable and its kernel built in place, made again only when their sources changed.

VENV         ?= .venv
BIN          := $(VENV)/bin
ARGS         ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 60
SOAK_ARGS    ?=
SANITIZE_TESTS ?= tests

# The whole suite is spread over the cores there are; a worker that has nothing left takes tests from another. A narrowed
# one is sooner done in one process, where `-s` shows what is printed (ARGS='-n logical …' spreads it, too).
SPREAD := $(if $(strip $(ARGS)),,-n logical --maxprocesses 8 --dist worksteal)
PYTEST := $(BIN)/python -m pytest $(SPREAD)

COMPILED       := src/krakenwire/book src/krakenwire/journal/format
KERNEL_SOURCES := setup.py $(foreach kind,pyx pxd pxi h,$(wildcard $(addsuffix /*.$(kind),$(COMPILED))))
INSTALLED      := $(VENV)/.installed
KERNEL         := $(VENV)/.kernel
BENCH          := $(VENV)/.bench
FOREIGN        := $(VENV)/.foreign
SANITIZED      := build/sanitize

# `make live` on a machine whose name server does not answer still ends; `timeout` is not on every system.
LIVE_SECONDS ?= 60
LIVE_LIMIT   := $(shell command -v timeout >/dev/null && echo timeout 180)
COUNT_EVENTS := import collections, json, sys; \
  found = collections.Counter(event.get("outcome", event["event"]) for event in map(json.loads, sys.stdin)); \
  print(", ".join(f"{count} {name}" for name, count in found.most_common()) or "nothing came"); \
  sys.exit(not found["verified"] or any(found[wrong] for wrong in ("checksum", "crossed", "timestamp")))

MAKEFLAGS     += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test test-long foreign lint types bench fuzz soak sanitize live docs wheel clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*  ## ' Makefile | sed -E 's/^([a-z-]+):.*  ## /\1\t/' | awk -F '\t' '{printf "  %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  ARGS='…' goes to demo, test and bench; PYTHON=… chooses the interpreter of a new $(VENV)."

setup: $(KERNEL)  ## Make .venv and build the kernel (every other target does it when needed)

demo: setup  ## Watch a client hold proven books over a real socket, against the built-in simulator
	@$(BIN)/krakenwire demo $(ARGS)

# What depends on the kernel runs on the pure twin too (tests/book runs both by itself), without the examples that CI
# adds. It comes first, so that the run ends with the summary of the whole suite; a narrowed run (ARGS) leaves it out.
test: setup  ## Run the suite (ARGS='-k checksum' narrows it)
ifeq ($(strip $(ARGS)),)
	@echo "== tests/protocol and tests/client on the pure kernel"
	KRAKENWIRE_PURE=1 HYPOTHESIS_PROFILE=default PYTHONASYNCIODEBUG=1 $(PYTEST) -q -m "not long and not any_kernel" tests/protocol tests/client
	@echo "== the suite"
endif
	env -u KRAKENWIRE_PURE PYTHONASYNCIODEBUG=1 $(PYTEST) -q -m "not long" $(ARGS)

test-long: setup  ## Run the suite with the long form of its tests
	HYPOTHESIS_PROFILE=long PYTHONASYNCIODEBUG=1 $(PYTEST) --timeout=1800 $(ARGS)

foreign: $(FOREIGN)  ## Install the foreign clients that the suite tries the simulator with; it skips them else

lint: setup  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## Check types (that the kernel's stub tells the truth is one of the tests)
	$(BIN)/mypy

bench: $(BENCH)  ## Measure the kernel, as ratios within one run, and the most that the simulator can send
	@set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

fuzz: setup  ## Fuzz each target in turn, FUZZ_SECONDS (60) in all
	@set -e; set -- fuzz/fuzz_*.py; each=$$(( $(FUZZ_SECONDS) / $$# )); \
	for script; do echo "== $$script, $$each s"; $(BIN)/python "$$script" --seconds "$$each"; done

# A copy of its own, so that the kernel in src/ stays the fast one. The interpreter itself is not instrumented: its own
# allocator and what it never frees at exit are none of our business.
sanitize: setup  ## Run the suite under the address and undefined-behaviour sanitizers (SANITIZE_TESTS narrows it)
	rm -rf $(SANITIZED)
	mkdir -p $(SANITIZED)
	cp -R setup.py pyproject.toml README.md LICENSE src $(SANITIZED)
	rm -f $(foreach kind,so c,$(addprefix $(SANITIZED)/,$(addsuffix /*.$(kind),$(COMPILED))))
	cd $(SANITIZED) && KRAKENWIRE_BUILD_SANITIZE=address,undefined $(abspath $(BIN))/python setup.py --quiet build_ext --inplace
	env -u KRAKENWIRE_PURE PYTHONPATH=$(SANITIZED)/src PYTHONMALLOC=malloc \
	  LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  $(PYTEST) -q -m "not long" --timeout=300 $(SANITIZE_TESTS)

docs: setup  ## Check the documentation against the code
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_testing_docs.py tests/examples tests/replay/test_replay_page.py tests/journal/tables/test_page.py

wheel: setup  ## Build the source archive and the wheel into dist/
	$(BIN)/python -m build --outdir dist

soak: setup  ## Prove the client under faults, against the simulator, for SOAK_SECONDS (60)
	$(BIN)/python -m soak --seconds $(SOAK_SECONDS) $(SOAK_ARGS)

# Against Kraken itself, whatever the environment points at, and without an account. Where there is no network it fails:
# what was not tested did not hold.
live: setup  ## Try the public rules of the conformance suite, then a stream, on the real exchange (LIVE_SECONDS)
	@for name in $$(env | sed -n 's/^\(KRAKEN_[A-Z0-9_]*\)=.*/\1/p'); do unset $$name; done; \
	$(LIVE_LIMIT) $(BIN)/krakenwire conform || { code=$$?; \
	  if [ $$code -eq 3 ] || [ $$code -eq 124 ]; then echo "no network, or no Kraken: nothing was tested, or not all of it" >&2; fi; exit $$code; }; \
	echo "streaming for $(LIVE_SECONDS) s"; \
	$(LIVE_LIMIT) $(BIN)/krakenwire stream book trade ticker -s BTC/USD,ETH/USD --depth 100 --seconds $(LIVE_SECONDS) --json \
	  | $(BIN)/python -c '$(COUNT_EVENTS)'

clean:  ## Go back to a fresh clone: remove .venv and everything that was built
	rm -rf $(VENV) build dist benchmarks/build src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f $(foreach kind,so c html,$(addsuffix /*.$(kind),$(COMPILED)))
	find src tests benchmarks fuzz soak examples -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up ----------------------------------------------------------------------------------------------------------

PYTHONS  := $(PYTHON) python3 python3.13 python3.12 python3.11
SUITABLE := import os, sys, sysconfig, venv, ensurepip; \
  headers = os.path.join(sysconfig.get_path("include"), "Python.h"); \
  sys.exit(sys.version_info < (3, 11) or not os.path.exists(headers))

$(VENV)/pyvenv.cfg:
	@for python in $(PYTHONS); do \
	  if command -v "$$python" >/dev/null && "$$python" -c '$(SUITABLE)' 2>/dev/null; then \
	    echo "making $(VENV) with $$python ($$("$$python" --version))"; \
	    "$$python" -m venv $(VENV) && exit 0; rm -rf $(VENV); exit 1; \
	  fi; \
	done; \
	echo "none of these is Python 3.11 or newer with venv and the C headers: $(strip $(PYTHONS))" >&2; \
	echo "install one (on Debian and Ubuntu: python3, python3-venv, python3-dev), or name it: make PYTHON=/path/to/python3" >&2; \
	exit 2

$(INSTALLED): $(VENV)/pyvenv.cfg pyproject.toml setup.py
	@echo "installing the package and its tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(KERNEL): $(INSTALLED) $(KERNEL_SOURCES)
	@echo "building the kernel"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

$(BENCH): $(KERNEL)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@touch $@

$(FOREIGN): $(KERNEL)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,foreign]'
	@touch $@
