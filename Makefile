# make demo    one batch against the embedded gateway: no account, no network
# make test    all checks: lint, format, types, layers, tests; the core's coverage, from Python 3.12 on all
# make check   only lint, format, types, layers
# make unit    only the tests whose coverage is measured, where Python does so at almost no cost
# make core-coverage  only the core's tests, which must go through every line and branch of it
# make trials  only the tests that kill, cut, flood, and open a browser
# make judge   lets the vendor's SDK judge the embedded gateway, in its own environment
# make bench   the benchmarks, as one table
# make diagram draws ARCHITECTURE.md's diagram from the transition table
# make reach   measures how many files a change touches, and writes it into ARCHITECTURE.md
# make rules   writes docs/rules.md from the explanations in the program
# make install makes the environment in VENV, with `runner` and what development needs
# make wheel   builds the wheel into dist
# make dist    builds sdist and wheel: the same commit gives the same bytes
# make sbom    writes the bill of materials (CycloneDX) into dist
# make docs    builds the documentation's site into build/site: strictly, all links checked
# make release-check  lets hadolint and zizmor judge Containerfile and workflows
# make requirements  pins what is needed by hashes, with the oldest supported Python
# make clean   removes environments, builds and caches
# make man     writes the manual page, build/man/runner.1
# make images  takes the pictures of docs/report.md, in Chromium
# make chaos   plays SEEDS (100000) of the simulation with DRIVER, and FAULTS (1000) against a fleet;
#              the tests play a few
# make fleet   kills a worker of a fleet of three in the middle of a batch; PostgreSQL is brought along
# make guarded rehearses a cut-over with gates, a full queue and a confirmation
# make fuzz    looks for a manifest that breaks the loader, for FUZZ_SECONDS (60), and for an example
#              that breaks a property, drawn anew each time
# Variables: PYTHON (3.11 or newer), VENV, JUDGE, WORKERS (tests at a time), COVERAGE, PYTEST_ARGS.

VENV ?= .venv
JUDGE ?= .venv-judge
WORKERS ?= 6
# The coverage of selected tests means nothing: it is measured on whole runs only. Options that select
# nothing, such as --quiet, leave a run whole.
SELECTED = $(filter-out -q --quiet -v -vv --verbose -x --exitfirst --durations=%,$(PYTEST_ARGS))
COVERAGE ?= $(if $(SELECTED),,$(MEASURED))
# From Python 3.12 on the interpreter can report lines at almost no cost (PEP 669). Before, it takes two
# fifths of all time: the line coverage of the whole is left to `.ci/run`, or to `COVERAGE=--cov`.
MEASURED = $(shell $(BIN)/python -c 'import sys; \
	sys.version_info >= (3, 12) and print("--cov --cov-report=term:skip-covered")')
CORE = $$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')
TRIALS := tests/simulation tests/chaos tests/hazards $(wildcard tests/report/test_browser*.py)
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS)
# The tests start the program hundreds of times: compile it once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
PYTHON ?= $(shell for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
PIN = CUSTOM_COMPILE_COMMAND='make requirements' $(BIN)/pip-compile --quiet --upgrade \
	--generate-hashes --no-strip-extras --allow-unsafe --no-emit-options

FUZZ_SECONDS ?= 60
SEEDS ?= 100000
FIRST_SEED ?= 0
FAULTS ?= 1000
DRIVER ?= interaction-websocket

.PHONY: help demo fleet guarded test check unit core-coverage trials judge bench diagram reach rules man \
	images fuzz chaos install requirements wheel dist sbom release-check docs clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# make /make /p' Makefile

# A fresh journal each time, otherwise the second demonstration finds nothing left to do. Its earlier
# reports are removed, because they record a history that the fresh journal does not have.
demo: $(VENV)/run.stamp
	@rm -rf reports/demo
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/python -m runner apply manifests/demo.yaml \
		--journal "$$folder/demo.db" --report-dir reports && \
	echo "report: $(CURDIR)/reports/demo/latest/report.html"

# Together, because the trials mostly wait; each prints its output when it has ended.
test: $(VENV)/dev.stamp
	@+$(MAKE) --no-print-directory --jobs --keep-going $(TOGETHER) $(ONCE) check unit core-coverage trials
# Without coverage `unit` leaves the core's tests to `core-coverage`.
ONCE = $(if $(strip $(COVERAGE)),,RUN_ELSEWHERE=tests/core)
TOGETHER = $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

fleet: $(VENV)/dev.stamp
	@$(BIN)/python tools/fleet.py

# Its earlier reports are removed, as the demonstration's are.
guarded: $(VENV)/run.stamp
	@rm -rf reports/guarded-cutover
	@$(BIN)/python tools/guarded.py

check: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/dev.stamp
	COVERAGE_CORE=$(CORE) $(PYTEST) $(patsubst %,--ignore=%,$(TRIALS) $(RUN_ELSEWHERE)) \
		$(COVERAGE) $(PYTEST_ARGS)

# The C tracer measures branches on every Python; `sysmon` does so only from 3.14 on. These tests never
# wait: more workers would only load them more often.
core-coverage: WORKERS = 2
core-coverage: $(VENV)/dev.stamp
	COVERAGE_CORE=ctrace COVERAGE_FILE=.coverage-core $(PYTEST) tests/core --cov=runner/core \
		--cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

# One file for each worker: the trials in a file run concurrently already, and mostly wait. They begin
# in the order of TRIALS, because the few tests of the simulation compute longest.
trials: $(VENV)/dev.stamp
	$(PYTEST) --dist loadfile --no-loadscope-reorder $(TRIALS) $(PYTEST_ARGS)

# The SDK is large and brings packages that nothing else needs: it has its own environment.
judge: $(VENV)/dev.stamp $(JUDGE)/judge.stamp
	RUNNER_PYTHON="$(abspath $(BIN)/python)" $(JUDGE)/bin/python -m pytest -c tests/judge/pytest.ini \
		--rootdir tests/judge --confcutdir tests/judge tests/judge $(PYTEST_ARGS)

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/all.py

diagram: $(VENV)/dev.stamp
	$(BIN)/python tools/diagram.py

reach: $(VENV)/dev.stamp
	$(BIN)/python tools/reach.py --write

rules: $(VENV)/dev.stamp
	$(BIN)/python tools/rules.py

man: $(VENV)/dev.stamp
	@$(BIN)/python tools/man.py

images: $(VENV)/dev.stamp
	$(BIN)/python tools/screenshots.py

chaos: $(VENV)/dev.stamp
	$(BIN)/python -m tests.simulation.chaos --driver $(DRIVER) --seeds $(SEEDS) --first $(FIRST_SEED)
	$(BIN)/python -m tests.chaos.nemesis --faults $(FAULTS) --at-once 2

fuzz: $(VENV)/dev.stamp
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python tools/fuzz.py
	$(PYTEST) -m hypothesis --hypothesis-profile=search tests

install: $(VENV)/dev.stamp

wheel: $(VENV)/dev.stamp
	$(BIN)/python -m build --wheel --no-isolation

# The time of the commit, so that it does not matter when it is built.
EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1580601600)

dist: $(VENV)/dev.stamp
	rm -rf dist
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build --no-isolation

sbom: $(VENV)/dev.stamp
	@SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python tools/sbom.py

release-check: $(VENV)/release.stamp
	$(VENV)/release/bin/hadolint Containerfile
	$(VENV)/release/bin/zizmor --offline --no-progress .github/workflows

# Its pages are put together from docs/, README.md, the schema and the commands' help.
docs: $(VENV)/dev.stamp $(VENV)/docs.stamp
	@$(BIN)/python tools/site.py
	$(VENV)/docs/bin/zensical build --strict --clean
	@$(BIN)/python tools/site.py --finish

# The oldest supported Python makes the pins, so that they are valid for newer ones too.
requirements: $(VENV)/dev.stamp
	$(PIN) --output-file requirements/run.txt pyproject.toml
	$(PIN) --output-file requirements/dev.txt requirements/dev.in
	$(PIN) --output-file requirements/judge.txt requirements/judge.in
	$(PIN) --output-file requirements/release.txt requirements/release.in
	$(PIN) --output-file requirements/docs.txt requirements/docs.in

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; set PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/run.txt
	@touch $@

# The sources that `consumers.txt` names are kept beside the environment: the tests read them.
$(VENV)/dev.stamp: requirements/dev.txt requirements/consumers.txt pyproject.toml | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --require-hashes --dest $(VENV)/consumers -r requirements/consumers.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/run.stamp

# What judges a release, and what builds the documentation, have environments of their own.
$(VENV)/%.stamp: requirements/%.txt | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/$*
	$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--require-hashes -r $<
	@touch $@

$(JUDGE)/judge.stamp: requirements/judge.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found; set PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(JUDGE)
	$(JUDGE)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--require-hashes -r requirements/judge.txt
	@touch $@

clean:
	rm -rf $(VENV) $(JUDGE) build dist .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
