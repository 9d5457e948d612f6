# HCCR Explained. Everything happens in this folder: .venv, .venv-jax, .venv-peers, _build, book/node_modules, runs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
# TensorFlow without its GPU half. With an NVIDIA GPU: make TENSORFLOW='tensorflow[and-cuda]' lab
TENSORFLOW ?= tensorflow-cpu
BIN := .venv/bin

export TF_CPP_MIN_LOG_LEVEL ?= 3
# TensorFlow leaves these kernels off on processors without AVX-512, where they are faster, too.
export TF_ENABLE_ONEDNN_OPTS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

NOTEBOOKS := $(wildcard notebooks/*.ipynb)
LIBRARY := $(shell find hccr_lib -name '*.py')
BOOK := _build/html/.built
MATHJAX := book/assets/mathjax/tex-chtml.js
DRAW := book/assets/draw-data/manifest.json
ATLAS := book/assets/atlas-data/index.json

.PHONY: help
help:  ## say what there is to make
	@echo "HCCR Explained: what there is to make"; echo
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/  make \1\t\2/p' Makefile | expand -t 24

.PHONY: book
book: $(BOOK)  ## build the book from its executed notebooks
	@echo "The book is built. Open _build/html/index.html, or run: make serve"

.PHONY: serve
serve: $(BOOK)  ## show the book at http://localhost:8000
	$(BIN)/python -m http.server --bind localhost --directory _build/html 8000

.PHONY: lab
# The notebooks are our own: trusted, their steppers work before anything is run.
lab: export JUPYTER_DATA_DIR := $(CURDIR)/.venv/share/jupyter
lab: .venv/.ready  ## open the notebooks in JupyterLab
	$(BIN)/jupyter trust $(NOTEBOOKS) > /dev/null
	$(BIN)/jupyter lab notebooks

.PHONY: test
test: check unit unit-jax notebooks-check book-check draw-check lab-check  ## check and test everything

.PHONY: check
check: .venv/.ready  ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The tests of built pages and of JupyterLab have targets of their own.
without = $(1:%=--ignore=tests/test_%.py)
UNIT := -n 2 --dist worksteal $(call without,book pages reference_pages draw atlas_page lab)

.PHONY: unit
unit: .venv/.ready  ## unit tests, Keras on TensorFlow
	$(BIN)/pytest $(UNIT)

.PHONY: unit-jax
# The tests of texts need what builds the book. Without JAX's optimizations, and with one place
# for all that it compiles, for all processes and files of tests, it takes a third of the time.
unit-jax: export KERAS_BACKEND := jax
unit-jax: export JAX_DISABLE_MOST_OPTIMIZATIONS := 1
unit-jax: export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.venv-jax/compiled
unit-jax: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
unit-jax: export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1
unit-jax: .venv-jax/.ready  ## those that reach Keras once more, on JAX, TensorFlow not installed
	.venv-jax/bin/pytest $(UNIT) --only-keras $(call without,house chapters numbers spelling front_matter)

.PHONY: notebooks-check
notebooks-check: .venv/.ready  ## run every notebook; compare the outputs that must not change
	CI=1 $(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-cell-timeout=900 $(NOTEBOOKS)

.PHONY: book-check
book-check: $(BOOK)  ## test the built pages
	$(BIN)/pytest -n 2 tests/test_book.py tests/test_reference_pages.py tests/test_pages.py

.PHONY: draw-check
draw-check: $(BOOK)  ## draw on the live page and look characters up in the atlas, in a browser
	$(BIN)/pytest tests/test_draw.py tests/test_atlas_page.py

.PHONY: lab-check
lab-check: .venv/.ready  ## drive the explorer in JupyterLab, in a browser
	$(BIN)/pytest tests/test_lab.py

.PHONY: links
links: .venv/.ready $(MATHJAX) $(DRAW) $(ATLAS)  ## follow the links to other sites; names those that are broken
	$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links -q > /dev/null

.PHONY: notebooks
notebooks: .venv/.ready  ## execute every notebook in place, for those who write them
	$(BIN)/python book/execute.py $(NOTEBOOKS)

.PHONY: bench
bench: bench-explain .venv/.ready  ## measure speed; writes data/results/bench
	for script in $(filter-out %/bench_explain.py,$(wildcard benchmarks/bench_*.py)); do \
	  $(BIN)/python $$script; done

.PHONY: bench-explain
bench-explain: .venv-peers/.ready  ## only that of explanations, beside other libraries'
	for backend in tensorflow torch; do \
	  KERAS_BACKEND=$$backend .venv-peers/bin/python benchmarks/bench_explain.py; done

.PHONY: forty
forty: .venv/.ready  ## train on synthetic, then on real handwriting; writes data/results/forty.json
	$(BIN)/python benchmarks/forty.py

.PHONY: weights
# The scale follows the machine unless SCALE says tiny, quick or full.
weights: .venv/.ready  ## train the networks that ship, and write data/weights/synthetic
	$(BIN)/python data/make_weights.py $(if $(SCALE),--scale $(SCALE)) $(if $(OUT),--out $(OUT))

.PHONY: onnx
onnx: .venv/.ready  ## write the ONNX files that ship, of the weights that ship
	for name in student melnyk_net_c; do \
	  $(BIN)/hccr export $$name data/onnx/$$name.onnx --int8; done

.PHONY: atlas
atlas: .venv/.ready  ## look at every character with the student; writes data/atlas.npz, half an hour
	$(BIN)/python data/make_atlas.py

.PHONY: real
real: .venv/.ready  ## read real handwriting with the networks that ship; writes data/results/real.json
	$(BIN)/python benchmarks/real.py

.PHONY: errors
errors: .venv/.ready  ## why real handwriting is misread; writes data/results/errors.json
	$(BIN)/python benchmarks/errors.py

.PHONY: handwriting
handwriting: .venv/.ready  ## what each trait of handwriting is worth; writes data/results/handwriting.json
	$(BIN)/python benchmarks/handwriting.py

.PHONY: constraints
constraints: .venv/.ready .venv-jax/.ready  ## record the installed versions in constraints.txt
	{ echo "# The versions that the tests run with; written by: make constraints"; \
	  { $(BIN)/pip freeze --exclude-editable; .venv-jax/bin/pip freeze --exclude-editable; } \
	  | awk -F== 'NF == 2 && !seen[tolower($$1)]++' | sort -f; } > constraints.new
	mv constraints.new constraints.txt

.PHONY: clean
clean:  ## remove what make has made, but for trained networks (runs)
	rm -rf .venv .venv-jax .venv-peers _build book/node_modules book/assets/mathjax book/assets/*-data

# The environments. A changed requirement installs again; what is there already stays.

.venv/.ready: requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14)' 2> /dev/null || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	sed 's/^tensorflow>/$(TENSORFLOW)>/' requirements.txt > .venv/requirements.txt
	$(BIN)/pip install -q -c constraints.txt -r .venv/requirements.txt -r requirements-dev.txt
	$(BIN)/pip install -q -c constraints.txt --no-deps -e .
	touch $@

.venv-jax/.ready: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv-jax
	sed '/^tensorflow/d' requirements.txt > .venv-jax/requirements.txt
	.venv-jax/bin/pip install -q -c constraints.txt -r .venv-jax/requirements.txt \
	  beautifulsoup4 hypothesis jax pytest pytest-xdist scikit-image
	.venv-jax/bin/pip install -q -c constraints.txt --no-deps -e .
	touch $@

.venv-peers/.ready: requirements.txt requirements-peers.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv-peers
	sed 's/^tensorflow>/$(TENSORFLOW)>/' requirements.txt > .venv-peers/requirements.txt
	.venv-peers/bin/pip install -q -c constraints.txt -r .venv-peers/requirements.txt torch==2.13.0
	.venv-peers/bin/pip install -q --no-deps -r requirements-peers.txt -e .
	touch $@

# The book. MathJax and ONNX Runtime come from npm once and are served with the pages.

book/node_modules/.ready: book/package.json book/package-lock.json .venv/.ready
	$(BIN)/npm ci --prefix book --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(MATHJAX): book/node_modules/.ready
	rm -rf $(@D)
	mkdir -p $(@D)/output/chtml/fonts
	cp -r book/node_modules/mathjax/es5/output/chtml/fonts/woff-v2 $(@D)/output/chtml/fonts/
	cp book/node_modules/mathjax/es5/tex-chtml.js book/node_modules/mathjax/LICENSE $(@D)/

$(DRAW): book/draw.py book/node_modules/.ready data/strokes.npz data/fonts/HCCRSansSC-Regular.otf \
         $(wildcard data/onnx/*.onnx)
	$(BIN)/python book/draw.py

$(ATLAS): book/atlas.py data/atlas.npz data/strokes.npz $(wildcard hccr_lib/datasets/*.py) .venv/.ready
	$(BIN)/python book/atlas.py

$(BOOK): .venv/.ready $(MATHJAX) $(DRAW) $(ATLAS) _config.yml _toc.yml README.md CHANGELOG.md data/README.md $(NOTEBOOKS) $(LIBRARY) \
         $(shell find book data/fonts -type f -not -path '*/node_modules/*' -not -path '*/mathjax/*' \
           -not -path '*/draw-data/*' -not -path '*/atlas-data/*')
	rm -rf _build
# TensorFlow, which the reference of the library loads, introduces itself.
	$(BIN)/jupyter-book build . -n -W --keep-going -q > /dev/null \
	  2> >(grep -v 'absl::InitializeLog\|oneDNN custom operations' >&2)
	touch $@
