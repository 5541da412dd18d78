# Each target first lets tools/setup make .venv ready: under a minute on a fresh clone, nothing afterwards.

# Packages are installed without byte code, which halves the set-up; Python may write it for what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo check test faults inputs lint clean

help:
	@echo "make demo    trains on the embedded digits and writes a report; no network needed after the set-up"
	@echo "make check   lint, types and the quick tests"
	@echo "make test    everything that CI checks"
	@echo "make faults  kills, full disks, flipped bits and the like: the full number of trials (docs/reliability.md)"
	@echo "make inputs  50,000 damaged images, floods and odd folders (docs/reliability.md)"
	@echo "make clean   removes what the above made, except runs/"
	@echo "PYTHON=/path/to/python3.12 make ... sets up with that Python"

demo:
	@tools/setup
	.venv/bin/deeper demo
	@echo "deeper is .venv/bin/deeper; this puts it on the path:  . .venv/bin/activate"

check: lint
	.venv/bin/pytest -m "not slow"

test: lint
	.venv/bin/pytest

faults:
	@tools/setup dev
	FAULTS=full .venv/bin/pytest tests/faults

inputs:
	@tools/setup dev
	INPUTS=full .venv/bin/pytest tests/data/inputs

lint:
	@tools/setup dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

clean:
	rm -rf .venv .make dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
