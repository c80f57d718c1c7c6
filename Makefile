# Kubernetes ports, live. `make` alone lists what there is.
# Each target makes the virtual environment .venv first, where it is missing or old (labs/bootstrap.py).

SHELL := /bin/sh
MODE ?= nftables
ARGS ?=

# The first Python that is new enough; PYTHON=... names another.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
endif
VENV := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help lab test contract notebooks record facts lint lock bench prepare clean venv venv-dev

help: ## This list
	@echo "make lab      opens the course in JupyterLab, with a cluster behind it (ARGS=\"--no-browser --port 8899\")"
	@echo "make test     runs every test that this machine can run, and names those it cannot"
	@echo "make prepare  fetches beforehand all that a class needs, and proves it (LABS_MIRROR=host names a mirror)"
	@echo
	@echo "For maintainers:"
	@echo "make contract MODE=nftables   what any cluster owes the lessons: on kind in that mode, or iptables, or embedded"
	@echo "make notebooks                every notebook, run and compared with its committed outputs"
	@echo "make record                   runs the notebooks and keeps their outputs"
	@echo "make facts                    tries every fact on each cluster, and writes notebooks/facts.md"
	@echo "make lint                     ruff, mypy, import layers"
	@echo "make lock                     renews the requirements' locks, and says what changed"
	@echo "make bench                    the figures: how fast a knob answers, and more"
	@echo "make clean                    removes .venv, caches and test clusters; never course/, your work"
	@echo
	@echo ".venv/bin/python -m labs --help   the command line: doctor, up, status, env, reset, down"

lab: venv
	@$(VENV) -m labs lab $(ARGS)

test: venv-dev
	@$(VENV) -m tests.run test

contract: venv-dev
	@$(VENV) -m tests.run contract --mode=$(MODE)

notebooks: venv-dev
	@$(VENV) -m tests.run notebooks --mode=$(MODE)

facts: venv-dev
	@$(VENV) -m tests.run facts

record: venv-dev
	@$(VENV) -m tests.run record --mode=$(MODE)

lint: venv-dev
	@$(VENV) -m tests.run lint

lock: venv-dev
	@$(VENV) -m tests.lock

bench: venv-dev
	@$(VENV) -m tests.bench

prepare: venv
	@$(VENV) -m labs prepare

clean:
	@if [ -x $(VENV) ]; then $(VENV) -m tests.run clean; fi
	rm -rf .venv wheels .pytest_cache .mypy_cache .ruff_cache .labs-test test-dumps
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv: python
	@"$(PYTHON)" -m labs.bootstrap requirements.lock

venv-dev: python
	@"$(PYTHON)" -m labs.bootstrap requirements-dev.lock

.PHONY: python
python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer is needed (https://www.python.org/downloads); PYTHON=/path/to/python names one." >&2; exit 1; fi
