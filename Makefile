# Two commands do everything on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check docs package fuzz audit lock library-images clean

demo: $(VENV)/installed
	$(BIN)/labelclean demo demo --force
	$(BIN)/labelclean filter demo/images demo/labels.csv --out demo/report.csv --force
	$(BIN)/labelclean evaluate demo/report.csv --truth demo/truth.csv

test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A warning is an error: also a link within the pages that leads nowhere.
docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

# The sdist, the wheel from it, and the wheel at work in an environment of its own: the libraries
# are those of $(VENV), labelclean is not.
package: $(VENV)/installed-test
	rm -rf dist package-test
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv package-test
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > package-test/libraries
	cp package-test/libraries $$(package-test/bin/python -c "import site; print(site.getsitepackages()[0])")/libraries.pth
	package-test/bin/pip install --quiet --no-deps dist/*.whl
	cd package-test && bin/python -c "import labelclean; assert 'package-test' in labelclean.__file__, labelclean.__file__"
	cd package-test && bin/labelclean demo demo
	cd package-test && bin/labelclean inject-noise demo/images demo/truth.csv --symm 20% --out noisy
	cd package-test && bin/python -c "from labelclean.review.markup import read_asset; assert read_asset('app.js')"
	rm -rf package-test

# Ten minutes of changed files for all readers and of drawn layouts, with new seeds: half of them guided
# by what code they reach (atheris, where it is installed), half at random. One that fails is printed.
FUZZ_SECONDS ?= 600
fuzz: $(VENV)/installed-test
	mkdir -p .tools/fuzz
	if $(BIN)/python -c "import atheris" 2> /dev/null; then \
	    PYTHONPATH=.:tests $(BIN)/python tests/faults/fuzz_readers.py .tools/fuzz tests/faults/corpus \
	        -max_total_time=$$(($(FUZZ_SECONDS) / 2)) -verbosity=0 -print_final_stats=1 || exit 1; \
	else \
	    echo "atheris is not installed (pip install atheris): files are changed at random only"; \
	fi
	end=$$(($$(date +%s) + $(FUZZ_SECONDS) / 2)); seed=$$(date +%s); \
	while [ $$(date +%s) -lt $$end ]; do \
	    echo "LABELCLEAN_FAULTS_SEED=$$seed"; \
	    LABELCLEAN_FAULTS_SEED=$$seed MUTANTS=1000 OMP_NUM_THREADS=1 \
	        $(BIN)/python -m pytest -q -x tests/faults/test_mutants.py || exit 1; \
	    LAYOUTS=2000 $(BIN)/python -m pytest -q -x tests/sources/test_any_layout.py || exit 1; \
	    seed=$$((seed + 1)); \
	done

# The versions of constraints.txt with the hashes of their files.
lock: $(VENV)/installed-test
	$(BIN)/python .ci/lock.py

audit: $(VENV)/installed
	PYTHON=$(PYTHON) VENV=$(VENV) .ci/audit

# The test images of two image libraries, for tests/data/test_library_images.py.
LIBRARIES ?= https://github.com/python-pillow/Pillow https://github.com/image-rs/image
library-images:
	mkdir -p .tools/library-images
	for url in $(LIBRARIES); do \
	    folder=.tools/library-images/$$(basename $$url); \
	    [ -d $$folder ] || git clone --quiet --depth 1 $$url $$folder || exit 1; \
	done

clean:
	rm -rf $(VENV) $(VENV)-audit docs/_build demo dist package-test sbom.json

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@
