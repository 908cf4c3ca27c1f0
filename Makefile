# The way in. `make run` and `make test` are all the set-up a fresh Debian machine needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two test processes, whole files each: most tests wait for a disk or a server, not for a core.
# In the order of their names: with the files of few tests at the end, the longest of them would run alone
PARALLEL ?= --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Compiled tests are kept, whatever the environment says: made anew, they cost each test process 8 s.
export PYTHONDONTWRITEBYTECODE :=
SOURCES := $(shell find src viewer -type f -not -path '*/node_modules/*' -not -path '*/_viewer/*' -not -path 'viewer/build/*' -not -path 'viewer/tests/*' -not -name '*.pyc' 2>/dev/null)

.PHONY: run test check format bench soak viewer clean debian

run: $(VENV)/.run-ready ## install, load the example study, serve
	$(BIN)/gantry example
	$(BIN)/gantry serve

test: debian $(VENV)/.test-ready ## everything, with real peers and a browser
	$(BIN)/python -m pytest tests -m "not soak" $(PARALLEL)

check: $(VENV)/.test-ready ## format, lint, types, import direction, deploy/, unit tests: under two minutes
	$(BIN)/ruff format --check src tests tools benchmarks hatch_build.py
	$(BIN)/ruff check src tests tools benchmarks hatch_build.py
	$(BIN)/mypy
	$(BIN)/python -m pytest tests -q -m "not soak and not peer and not slow" --hypothesis-profile quick $(PARALLEL)

format: $(VENV)/.test-ready
	$(BIN)/ruff check --fix src tests tools benchmarks hatch_build.py
	$(BIN)/ruff format src tests tools benchmarks hatch_build.py

soak: debian $(VENV)/.test-ready ## slow fuzzing and endurance
	$(BIN)/python -m pytest tests -m soak --timeout 3600

bench: debian $(VENV)/.test-ready ## speeds beside the peers, into benchmarks/results.md
	tools/debian.sh orthanc orthanc-dicomweb orthanc-postgresql nginx-light wrk
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[test,dev,bench]'
	$(BIN)/python -m benchmarks

viewer: $(VENV)/.run-ready ## build the viewer again from its sources
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt --editable .

debian: ## what the tests need from Debian
	tools/debian.sh dcmtk dicom3tools libgdcm-tools chromium dcm2niix poppler-utils pgbouncer postgresql \
		haproxy prometheus dnsmasq-base faketime nbdkit libnbd-bin

$(VENV)/bin/python:
	tools/venv.sh $(PYTHON) $(VENV)

# pip reads constraints for build requirements from the environment only.
$(VENV)/.run-ready: $(VENV)/bin/python pyproject.toml constraints.txt $(SOURCES)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet '.[video]'
	touch $@

$(VENV)/.test-ready: $(VENV)/bin/python pyproject.toml constraints.txt $(SOURCES)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[video,test,dev]'
	touch $@ $(VENV)/.run-ready

clean:
	rm -rf $(VENV) build dist src/gantry/server/_viewer artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
