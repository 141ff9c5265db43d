# `make help` lists the targets. Each sets up .venv first, which takes minutes once and then no time.
# PYTHON=/path/to/python make lab    chooses the Python that .venv is made with.
# TORCH_INDEX=ADDRESS make lab       takes torch and torchvision from this index, such as PyTorch's
#                                    own of builds without parts for graphics cards (see README.md).

ifeq ($(OS),Windows_NT)
VENV_PYTHON := .venv/Scripts/python.exe
else
VENV_PYTHON := .venv/bin/python
endif

# .venv's kernel is used even where the user has another one of that name.
export JUPYTER_PREFER_ENV_PATH := 1

# Tests shorten the long loops, show no progress bars, and take one thread each: several run at once.
test test-browser test-site: export QUICK_RUN := 1
test test-browser test-site: export TQDM_DISABLE := 1
test test-browser test-site: export OMP_NUM_THREADS := 1
AT_ONCE := --numprocesses=logical --maxprocesses=4
# File by file in their order: the long ones are among the first, so that no process waits for them.
BY_FILE := --dist=loadfile --no-loadscope-reorder --nbval-lax --nbval-current-env

.DEFAULT_GOAL := help
.PHONY: help lab test test-browser test-site site picture record-neurons recorded run release \
	grade class-report rubrics bench lock setup setup-dev clean lint lint-style \
	lint-types lint-outputs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

# In the file list names are whole, and solutions do not stand before what they solve.
lab: export JUPYTER_CONFIG_PATH := $(CURDIR)/tools/jupyter
lab: setup ## set up and open JupyterLab on the notebooks (ARGS=--no-browser: prints its address)
	$(VENV_PYTHON) -m jupyterlab notebooks/00_start_here.ipynb $(ARGS)

test: setup-dev ## run the unit tests and every notebook (QUICK_RUN=1 shortens the long loops)
	$(VENV_PYTHON) -m pytest $(AT_ONCE) $(BY_FILE) tests notebooks

test-browser: setup-dev ## run the browser tests (they need Chromium)
	$(VENV_PYTHON) -m pytest $(AT_ONCE) tests/browser

test-site: site ## build the web pages of both editions and test them (needs Chromium)
	$(VENV_PYTHON) tools/build_site.py --edition student --to build/site-student
	$(VENV_PYTHON) -m pytest $(AT_ONCE) tests/site

site: setup-dev ## write the course as web pages to build/site (EDITION=student: without answers)
	$(VENV_PYTHON) tools/build_site.py

picture: setup-dev ## draw the README's moving picture again
	$(VENV_PYTHON) tools/build_site.py --picture

record-neurons: setup-dev ## train the networks whose dying neurons the site shows (10 minutes)
	$(VENV_PYTHON) tools/record_runs.py

run: setup-dev ## execute the solutions into build/, with HTML pages (ARGS="03 --in-place": see the tool)
	$(VENV_PYTHON) tools/run_notebooks.py $(ARGS)

recorded: setup-dev ## train what notebook 03 trains and ship it with the package (20 minutes)
	$(VENV_PYTHON) tools/run_notebooks.py --record

lint: lint-style lint-types lint-outputs ## check style, types and the notebooks' outputs

lint-style: setup-dev
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .

lint-types: setup-dev
	$(VENV_PYTHON) -m mypy

lint-outputs: setup-dev
	$(VENV_PYTHON) -m pytest --quiet tests/editions/test_outputs.py

release: setup-dev ## generate the student notebooks from the solutions
	$(VENV_PYTHON) tools/release.py

grade: setup-dev ## grade what was handed in (COURSE=path ASSIGNMENT=name; docs/teaching.md)
	$(VENV_PYTHON) -m tools.teaching.grade "$(COURSE)" "$(ASSIGNMENT)" $(ARGS)

class-report: setup-dev ## write what a class got right and wrong (COURSE=path, ARGS=--names)
	$(VENV_PYTHON) -m tools.teaching.report "$(COURSE)" $(ARGS)

rubrics: setup-dev ## write points by criterion and model answers on one page, into build/
	$(VENV_PYTHON) -m tools.teaching.rubric

bench: setup-dev ## measure search, explorers and verdicts (ARGS=--whole: the search in full)
	$(VENV_PYTHON) -m benchmarks.search $(ARGS)
	$(VENV_PYTHON) -m benchmarks.explorers --json build/bench_explorers.json
	$(VENV_PYTHON) -m benchmarks.verdicts --json build/bench_verdicts.json

# Without torch's parts for graphics cards, which come with it on Linux only.
lock: setup-dev ## write the versions in .venv to requirements.lock (after a green make test)
	{ echo "# Tested together with $$($(VENV_PYTHON) -V); written by make lock."; \
		echo '# To get these very versions: pip install -e . -c requirements.lock'; \
		$(VENV_PYTHON) -m pip freeze --exclude-editable \
		| sed -E '/^(nvidia-|cuda-|triton=)/d; s/\+.*//'; } > requirements.lock

clean: ## delete .venv, build/ and caches; data/ stays
	rm -rf .venv build .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info

# Any Python that tools/setup_env.py accepts can do the set-up, the one of an existing .venv included.
PYTHONS := python3 python $(addprefix python3.,19 18 17 16 15 14 13 12 11 10) $(VENV_PYTHON)
OLDEST := $(shell sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)
ifneq ($(PYTHON),)
# By way of the environment, so that no character of the path means anything to the shell.
setup setup-dev: export PYTHON := $(PYTHON)
SET_UP = "$$PYTHON" tools/setup_env.py python >/dev/null 2>&1 || { \
	echo "PYTHON=$$PYTHON is not a Python $(OLDEST) or newer." >&2; exit 1; }; \
	"$$PYTHON" tools/setup_env.py --insist
else
SET_UP = found=; for python in $(PYTHONS); do \
	if "$$python" tools/setup_env.py python >/dev/null 2>&1; then found=$$python; break; fi; done; \
	test -n "$$found" || { echo 'No Python $(OLDEST) or newer was found: install one' \
	'(python.org), or name it: make PYTHON=/path/to/python ...' >&2; exit 1; }; \
	"$$found" tools/setup_env.py
endif

setup:
	@$(SET_UP) lab

setup-dev:
	@$(SET_UP) dev
