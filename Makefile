# Everything a developer types. uv does the installing where it is there, else venv and pip; `make UV= setup` says pip.
PYTHON ?= python3
VENV ?= .venv
UV ?= $(shell command -v uv 2>/dev/null)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
comma := ,

.DEFAULT_GOAL := help
.PHONY: help setup demo test check oracles speed speed-gpu growth table site gate schemas methods presets networks coverage faults docs blocks studies \
  cluster kills tasks tracking transfer fuzz constraints clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(READY) ## an environment in .venv with what development needs

$(READY): pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $@

demo: $(READY) ## made-up patients, four protocols, one table: three minutes on two cores
	$(BIN)/bench demo

test: $(READY) ## the test suite, a process for each core
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --dist loadfile

check: $(READY) ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

oracles: $(READY) ## compare with nnU-Net, MONAI, MedPy and dcm2niix (installs them: about 1 GB)
	$(call install,.[dev$(comma)oracles])
	$(BIN)/pytest -rs -v tests/oracles

speed: $(READY) ## time us against the peers, side by side (installs them), and write docs/speed.md: 25 minutes
	$(call install,.[dev$(comma)peers])
	$(BIN)/pytest -o addopts="--strict-markers --strict-config" --benchmark-only --benchmark-group-by=group \
	  --speed-json docs/speed.json tests/speed

speed-gpu: $(READY) ## time the training on a GPU: build/speed-gpu, nine minutes
	PYTHON=$(abspath $(BIN))/python sweeps/speed-gpu.sh

growth: $(READY) ## time and memory of every stage against cases, voxels, classes, batch: a quarter of an hour
	OMP_NUM_THREADS=1 $(BIN)/python sweeps/growth.py

table: $(READY) ## write every page that is made of the committed records, and the README's tables
	$(BIN)/bench table --write leaderboards/

site: $(READY) ## the committed records as a web site, in build/site
	$(BIN)/bench site leaderboards/results --out build/site

gate: $(READY) ## train on made-up patients: are the scores no worse than the committed ones? Four minutes
	mkdir -p build/gate
	cd build/gate && PATH="$(abspath $(BIN)):$$PATH" $(CURDIR)/sweeps/gate.sh

schemas: $(READY) ## write docs/schemas from the types
	$(BIN)/python -c "from pathlib import Path; from bench.schemas import publish; publish(Path('docs/schemas'))"

methods: $(READY) ## write docs/methods.md from the classes
	$(BIN)/python -c "from pathlib import Path; from bench.zoo import publish; publish(Path('docs/methods.md'))"

presets: $(READY) ## write the table of docs/presets.md from the records of its comparison
	$(BIN)/python -m docsite.tuning

coverage: $(READY) ## write docs/coverage.md and docs/studies from the committed records
	$(BIN)/python -m docsite.studies
	$(BIN)/python -m docsite.coverage

docs: $(READY) ## the documentation as a web site, in build/docs/site: strictly, links and all (installs mkdocs): three minutes
	$(call install,.[dev$(comma)docs])
	OMP_NUM_THREADS=1 $(BIN)/python -m docsite

blocks: $(READY) ## run the blocks of the documentation's pages on made-up patients: ten minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -m blocks -rs tests/docs tests/test_extend.py

networks: $(READY) ## test MONAI's networks, too (installs it: 10 MB), and write docs/networks.md
	$(call install,.[dev$(comma)monai])
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/baselines/test_networks.py tests/baselines/test_networks_published.py
	$(BIN)/python -c "from pathlib import Path; from bench.networks import publish; publish(Path())"

studies: $(READY) ## both studies on made-up patients, tiny: 32 runs and one: five minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -m studies tests/bench/test_studies.py

faults: $(READY) ## write docs/faults.md from the marks of the tests
	$(BIN)/python tests/faults/fault_table.py

kills: $(READY) ## kill a sweep twenty times, fail every operation of the disk: is all as if nothing had been? Half an hour
	OMP_NUM_THREADS=1 $(BIN)/pytest -m kills tests/faults

tasks: $(READY) ## learn sex, age, a code and a finer image from made-up heads with a planted signal: ten minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -m tasks tests/tasks

tracking: $(READY) ## track runs in TensorBoard and MLflow (installs them: about 600 MB) and read it back: five minutes
	$(call install,.[dev$(comma)track])
	$(BIN)/pytest -rs tests/bench/test_tracking.py tests/bench/test_tracking_stores.py

transfer: $(READY) ## models as ONNX, label maps as DICOM (installs both: 130 MB), read back: two minutes
	$(call install,.[dev$(comma)onnx$(comma)dicomseg])
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/bench/test_export_model.py tests/bench/test_unseen.py tests/converters/test_dicom_seg.py

cluster: $(READY) ## kill a Ray node and a submitit job under a sweep (installs both: 230 MB): five minutes
	$(call install,.[dev$(comma)ray$(comma)slurm])
	OMP_NUM_THREADS=1 $(BIN)/pytest -m cluster -rs -v tests/bench/test_cluster.py

fuzz: $(READY) ## make up files that nobody would send, SECONDS=300 for each of six readers (installs atheris)
	$(call install,.[dev$(comma)fuzz])
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(or $(SECONDS),300)

constraints: ## write down the versions of all extras, those that stand there left alone (needs uv)
	@{ sed -n '/^#/p' constraints.txt; uv pip compile --quiet pyproject.toml --all-extras --constraint constraints.txt \
	  --no-annotate --no-header | grep -Ev '^(setuptools|triton|nvidia-[^=]*|cuda-[^=]*)=='; } > constraints.new
	mv constraints.new constraints.txt

clean: ## remove caches, not data or runs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks build dist *.egg-info

ifeq ($(UV),)
define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '$(1)'
endef
else
define install
	test -x $(BIN)/python || $(UV) venv --quiet --seed --python '>=3.11' $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(1)'
endef
endif
