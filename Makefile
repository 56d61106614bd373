.PHONY: setup demo test lint fuzz kills docs clean

PYTHON ?= python3
BIN := .venv/bin
# A machine with an NVIDIA GPU gets JAX with CUDA, any other the plain one.
REQUIREMENTS := $(if $(shell nvidia-smi -L 2>/dev/null),requirements.txt,requirements-cpu.txt)

setup: .venv/installed

.venv/installed: requirements.txt requirements-cpu.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

demo: setup
	$(BIN)/python -m tools.train smoke --run=runs/demo
	$(BIN)/python -m tools.evaluate --model=runs/demo
	$(BIN)/python -m tools.filter docs/astronaut.jpg --filter=landmarks --output=runs/demo/astronaut.png

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# 20 times the damaged inputs of `make test`, drawn anew: about ten minutes.
fuzz: .venv/installed-dev
	FUZZ=20 $(BIN)/python -m pytest -q tests/test_fuzz.py

# 20 SIGKILLs of training, an export, a filter on a video and an annotation: about 40 minutes.
kills: .venv/installed-dev
	KILLS=20 $(BIN)/python -m pytest -q -m slow -k killed

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf .venv runs site
