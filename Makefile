.PHONY: setup demo web test test-all lint fuzz kills mutants docs clean

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder
# A machine with an NVIDIA GPU gets JAX with CUDA, any other the plain one.
REQUIREMENTS := $(if $(shell nvidia-smi -L 2>/dev/null),requirements.txt,requirements-cpu.txt)

# Yes where Node.js is new enough for the tools of the browser page.
NODE := $(shell node -e 'const [a, b] = process.versions.node.split("."); \
	console.log(+a > 20 || (+a === 20 && +b >= 19) ? "yes" : "")' 2>/dev/null)
PAGE := keypoints/web/page/index.html

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

web: .venv/installed $(PAGE)

$(PAGE): web/generated/constants.json web/node_modules/.installed \
		$(wildcard web/*.ts web/*.html web/src/* web/src/*/*)
	cd web && npm run --silent build -- --logLevel=warn
	touch $@

# All Python files: constants come from many of them.
web/generated/constants.json: .venv/installed $(shell find keypoints tools/page -name '*.py' -o -name '*.toml')
	$(BIN)/python -m tools.page web/generated

web/node_modules/.installed: web/package.json web/package-lock.json
	@test -n "$(NODE)" || { echo 'the browser page needs Node.js 20.19 or newer, with npm' >&2; exit 1; }
	cd web && npm ci --no-audit --no-fund --silent
	touch $@

lint: .venv/installed-dev $(if $(NODE),web/generated/constants.json web/node_modules/.installed)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(NODE),cd web && npm run --silent lint,@echo 'the browser page is not checked: no Node.js 20.19')

# All but the long tests: about eight minutes on two idle cores.
test: lint $(if $(NODE),$(PAGE))
	$(PYTEST) -m 'not long'

# What every change must pass.
test-all: lint $(if $(NODE),$(PAGE))
	$(PYTEST)

# 20 times the damaged inputs of `make test`, drawn anew: about ten minutes.
fuzz: .venv/installed-dev
	FUZZ=20 $(BIN)/python -m pytest -q tests/test_fuzz.py

# 20 SIGKILLs of training, an export, a filter on a video and an annotation: about 40 minutes.
kills: .venv/installed-dev
	KILLS=20 $(BIN)/python -m pytest -q -m slow -k killed

# Some 350 wrong changes to the Python code, and 100 to the page's, one at a time: a test must fail
# with each. About an hour.
mutants: .venv/installed-dev $(if $(NODE),web/generated/constants.json web/node_modules/.installed)
	$(BIN)/python -m tests.mutants
	$(if $(NODE),$(BIN)/python -m tests.web.mutants)

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf .venv runs site web/node_modules web/generated keypoints/web/page
	@echo 'left outside the checkout: compiled programs in ~/.cache/keypoints, data sets in ~/tensorflow_datasets,'
	@echo '  settings of Keras in ~/.keras, fonts of Matplotlib in ~/.cache/matplotlib, downloads of npm in ~/.npm and of pip in its cache;'
	@echo '  `keypoints doctor` of an installation prints the folders of keypoints'
