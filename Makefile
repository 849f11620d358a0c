# Freshet: `make run` serves, `make test` tests, `make fuzz` asks 500 made-up things of each operation that the
# description tells of; nothing has to be installed by hand.
.PHONY: run install test test-fast fuzz clients check bench bench-short soak soak-lane picture clean lock
VENV := .venv
RIVALS := .venv-bench
# Two or three for each core of a small machine, for some tests wait; each worker takes 1 s of CPU time
# before its first test.
WORKERS := 6
FAST_WORKERS := 5
PARALLEL = $(BIN)/python -m pytest --dist worksteal
OTHER_PYTHONS := 3.12 3.13 3.14
AUTOCANNON := autocannon@9.0.0
NU_CHECKER := vnu-jar@26.9.27
TYPESCRIPT := typescript@5.9.3 openapi-typescript@7.13.0 openapi-fetch@0.17.0
POLITE := got@14.6.5 ky@2.1.0
BIN := $(VENV)/bin
UPGRADE :=
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
FIND_PYTHON = for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done

# They are meant for other projects, and would lead pip and Python away from $(VENV).
unexport PYTHONSAFEPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV PIP_PYTHON
# Each process of the tests would compile all modules again: 4 s of CPU time.
unexport PYTHONDONTWRITEBYTECODE

# $(call INSTALL,PYTHON,FILE): with the environment's pip; or with uv, whose environments have none; or
# with a pip that Python brings along, or that is elsewhere.
PIP_INSTALL = install --no-user --quiet --disable-pip-version-check
INSTALL = if $(1) -m pip --version >/dev/null 2>&1; then $(1) -m pip $(PIP_INSTALL) -r $(2); \
	elif command -v uv >/dev/null && uv pip install --quiet --python $(1) -r $(2); then :; \
	elif $(1) -m ensurepip >/dev/null 2>&1; then $(1) -m pip $(PIP_INSTALL) -r $(2); \
	elif python3 -m pip --version >/dev/null 2>&1; then \
	python3 -m pip --python $(1) $(PIP_INSTALL) -r $(2); \
	else echo "There is no pip for $(1) (on Debian: apt install python3-venv), and no uv."; false; fi

run: $(VENV)/.installed
	@exec $(BIN)/python manage.py run

install: $(VENV)/.installed
	@echo "Installed. Next: \`make run\` serves the demo, or the real thing once \`manage.py init\` has asked for a CLIENT_ID."

# All tests but those of `make clients`; build/durations.json has what each took. Those that measure how
# long others wait run alone.
test: $(VENV)/.installed-dev
	@rm -f build/durations.json
	@$(PARALLEL) -n $(WORKERS) -m "not alone" --ignore tests/system/clients
	@$(BIN)/python -m pytest -n 0 -m alone tests/system/attacks

# Unit and integration tests but the slow ones.
test-fast: $(VENV)/.installed-dev
	@$(PARALLEL) -n $(FAST_WORKERS) -m "not slow and not alone" tests/unit tests/integration

fuzz: $(VENV)/.installed-dev
	@FRESHET_SOAK=1 $(BIN)/python -m pytest -n 2 tests/system/processes/test_description.py

# The clients of docs/clients.md, each in its language, and clients that generators make.
clients: $(VENV)/.installed-dev build/typescript build/polite
	@$(BIN)/python -m pytest -n 0 tests/system/clients

check: $(VENV)/.installed-dev $(OTHER_PYTHONS:%=check-%)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy manage.py server handlers models tests
	@$(BIN)/python -m pytest tests/unit/test_layers.py
	@$(BIN)/python -m tests.support.advisories requirements-dev.txt

# All modules can be imported by another Python, where it is installed, and the unit tests pass.
check-%: $(VENV)/.installed-dev
	@if $(BIN)/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$*")'; then exit; fi; \
	for python in python$* $(HOME)/.pyenv/versions/$*.*/bin/python; do \
	"$$python" -c '' 2>/dev/null && break; python=; done; \
	if [ -z "$$python" ]; then echo "Python $* is not installed, so it is not checked."; exit; fi; \
	echo "Checking with $$("$$python" --version)"; \
	$(MAKE) --no-print-directory VENV=.venv-$* PYTHON="$$python" .venv-$*/.installed-dev && \
	.venv-$*/bin/python -m tests.support.imports && \
	.venv-$*/bin/python -m pytest -n 2 tests/unit

bench: $(VENV)/.installed-dev $(RIVALS)/.installed
	@$(BIN)/python -m tests.bench

# A short turn of everything, with what is installed: it fails if a part does not work, not if it is slow.
bench-short: $(VENV)/.installed-dev $(RIVALS)/steady
	@$(BIN)/python -m tests.bench --short

soak: $(VENV)/.installed-dev
	@FRESHET_SOAK=1 $(BIN)/python -m pytest -s -n 0 tests/system/faults tests/system/browser tests/system/attacks

soak-lane: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.bench.soak --minutes 24

# The picture of the start page in README.md, of the demo; it takes Chromium.
picture: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.support.picture docs/start-page.png

# The Nu Html Checker, with which the tests look at every page; it takes npm and java.
build/vnu:
	@npm install --silent --no-audit --no-fund --ignore-scripts --prefix $@ $(NU_CHECKER)

# With which the tests make a client of the API in TypeScript; it takes npm.
build/typescript:
	@npm install --silent --no-audit --no-fund --ignore-scripts --prefix $@ $(TYPESCRIPT)

# What the clients of docs/clients.md in JavaScript build on; it takes npm.
build/polite:
	@npm install --silent --no-audit --no-fund --ignore-scripts --prefix $@ $(POLITE)

# Pins what the .in files allow, for all platforms and with the hashes of all files; it takes uv. Pins
# stay as they are unless UPGRADE says otherwise: `make lock UPGRADE=--upgrade`, or
# `make lock UPGRADE="--upgrade-package tornado"`.
lock:
	@command -v uv >/dev/null || { echo "This takes uv: pip install uv"; false; }
	@$(LOCK) -o requirements.txt requirements.in
	@$(LOCK) -o requirements-dev.txt requirements-dev.in

clean:
	rm -rf $(VENV) $(OTHER_PYTHONS:%=.venv-%) $(RIVALS) .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(FIND_PYTHON); \
	if [ -z "$$python" ]; then echo "Freshet needs Python 3.11 or newer; none was found."; exit 1; fi; \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV) >/dev/null 2>&1 || $$python -m venv --clear --without-pip $(VENV) || { \
	rm -rf $(VENV); \
	echo "This Python cannot make virtual environments (on Debian: apt install python3-venv)."; exit 1; }

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing the packages of requirements.txt"
	@$(call INSTALL,$(BIN)/python,$<)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the packages of requirements-dev.txt"
	@$(call INSTALL,$(BIN)/python,$<)
	@touch $@

# What cannot be installed is left out of `make bench`, and named there.
$(RIVALS)/.installed: tests/bench/requirements.txt requirements.txt $(RIVALS)/steady | $(VENV)/bin/python
	@echo "Installing the servers that Freshet is compared with, and autocannon, in $(RIVALS)"
	@$(BIN)/python -m venv --without-pip $(RIVALS)
	@{ $(call INSTALL,$(RIVALS)/bin/python,$<); } || echo "Not all could be installed."
	@$(BIN)/python -m venv --without-pip $(RIVALS)/user
	@$(call INSTALL,$(RIVALS)/user/bin/python,requirements.txt)
	@npm install --silent --no-audit --no-fund --prefix $(RIVALS) $(AUTOCANNON) || \
	echo "autocannon could not be installed: it takes npm."
	@touch $@

$(RIVALS)/steady: tests/bench/http/steady.c
	@mkdir -p $(RIVALS)
	@cc -O2 -Wall -o $@ $< || echo "There is no load at a constant rate: it takes a C compiler, cc."
