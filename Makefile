# Two commands matter:   make demo [CT=path]   and   make chat.   For those who change the code: make check, make test.
# Everything is installed into .venv; a second run starts at once.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
OUT    ?= out/demo
CT     ?=
ARGS   ?=

# torch is installed first and by number, so that a CPU wheel lying on disk or in TORCH_INDEX is taken instead of
# gigabytes of CUDA. Without a GPU: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
# With one, set TORCH or TORCH_INDEX to the build that fits its driver.
TORCH       ?= 2.13.0
TORCH_INDEX ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo chat test test-all check format build clean
.DELETE_ON_ERROR:

help:
	@echo "make demo [CT=path]  ask a CT four questions; answers, masks, picture and report land in $(OUT)"
	@echo "make chat            open the chat on this machine (ARGS='--port 7861' passes options on)"
	@echo "make test            run the tests (ARGS='-k geometry' narrows them)"
	@echo "make test-all        run the slow ones too"
	@echo "make check           format, lint, types, known advisories and fast tests: before every commit"
	@echo "make format          put the code in order"
	@echo "make build           wheel and source archive in dist/"

demo: $(VENV)/.ready
	@$(BIN)/bodymaps demo --out "$(OUT)" $(if $(CT),--ct "$(CT)") $(ARGS)

chat: $(VENV)/.ready
	@$(BIN)/bodymaps chat $(ARGS)

test: $(VENV)/.ready-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-all: $(VENV)/.ready-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not gpu and not browser" $(ARGS)

check: $(VENV)/.ready-dev
	@$(BIN)/ruff format --check --quiet . || { echo "Some files want 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python recipes/audit.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

format: $(VENV)/.ready-dev
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

build: $(VENV)/.ready-dev
	@$(BIN)/python -m build --outdir dist .

clean:
	rm -rf out build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with PYTHON=, as in: make demo PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml | $(VENV)/bin/python
	@echo "Installing torch $(TORCH)"
	@$(PIP) install "torch==$(TORCH)" $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)")
	@echo "Installing the assistant (about a minute the first time)"
	@$(PIP) install -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Installing the tools for tests"
	@$(PIP) install -e '.[dev,language,train]'
	@touch $@
