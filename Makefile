# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

# make demo    a home network's firewall in network namespaces, with real packets
# make test    every test; as root a skipped test is a failed one
# make fleet   100 network namespaces as hosts of one play, with molecule
# make bench   the speed of the engine against other tools'
# make matrix  every version of Python, ansible-core and packages that is promised
# make lint    ruff, mypy, ansible-lint, and the linters of documentation, changelog and licences
# make sanity  ansible-test sanity over the collection as Galaxy gets it
# make docs    the documentation as a web site, in .build/site
# make reference  write the pages of docs/ that are made from the code
# make lock    write requirements.txt and requirements-lint.txt from their .in files
# make clean   remove what these made in this directory
#
# Each installs what is missing: Debian packages (as root), a virtual
# environment in .venv, the Python packages that requirements.txt locks. What
# checks the collection and builds its site has an environment of its own, in
# .build/lint, with those of requirements-lint.txt.

PYTHON ?= python3
PYTEST_ARGS ?=
# Tests spend their time waiting for the kernel and for Ansible; two at once do no harm.
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
BUILD := .build
COLLECTION := $(BUILD)/ansible_collections/rempart/netfilter
LINT := $(BUILD)/lint/bin

export PATH := $(CURDIR)/$(BIN):$(PATH):/usr/sbin:/sbin
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(BUILD)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test fleet bench matrix lint sanity docs reference lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(BUILD)/programs $(BUILD)/python $(COLLECTION)

demo: setup
	@$(BIN)/python demo/run.py

test: setup $(BUILD)/test-programs $(BUILD)/lint/requirements
	@$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

fleet: setup
	@cd $(COLLECTION) && MOLECULE_GLOB='molecule/*/molecule.yml' $(CURDIR)/$(BIN)/molecule test -s fleet

bench: setup $(BUILD)/test-programs
	@$(BIN)/python tests/bench/run.py

matrix: setup
	@$(BIN)/python tests/compatibility/run.py

lint: $(BUILD)/python $(BUILD)/typing/rempart lint-collection
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=$(BUILD)/typing $(BIN)/mypy --package rempart
	@MYPYPATH=$(BUILD)/typing $(BIN)/mypy command
	@MYPYPATH=$(BUILD)/typing $(BIN)/mypy --package tests.support
	@$(BIN)/mypy plugins/connection
	@$(BIN)/mypy extensions
	@MYPYPATH=$(BUILD)/typing $(BIN)/mypy --package tests.sanity
	@MYPYPATH=$(BUILD)/typing $(BIN)/mypy --package tests.compatibility
	@$(BIN)/mypy docs/docsite/build.py

reference: $(BUILD)/python
	@$(BIN)/python -m tests.support.reference

# What is no program of this collection's own: its playbooks, plugins' documentation, changelog and licences.
.PHONY: lint-collection
lint-collection: $(BUILD)/lint/requirements $(COLLECTION)
	@$(LINT)/reuse lint --quiet || $(LINT)/reuse lint --lines
	@$(LINT)/antsibull-changelog lint
	@PATH=$(CURDIR)/$(LINT):$$PATH $(LINT)/antsibull-docs lint-collection-docs --plugin-docs .
	@PATH=$(CURDIR)/$(LINT):$$PATH ANSIBLE_HOME=$(CURDIR)/$(BUILD)/ansible-lint \
	  $(LINT)/ansible-lint -q --nocolor --offline --profile production $(LINTED)

# By directory: ansible-lint would also ask galaxy.yml for the address of a repository.
LINTED := roles playbooks plugins extensions molecule demo meta

sanity: setup
	@$(BIN)/python tests/sanity/run.py

docs: $(BUILD)/lint/requirements $(COLLECTION)
	@PATH=$(CURDIR)/$(LINT):$$PATH $(LINT)/python docs/docsite/build.py $(BUILD)/site

# What both environments have is of one version in both.
lock: $(BUILD)/venv
	@$(call lock,requirements)
	@$(call lock,requirements-lint,--constraint requirements.txt)

define lock
rm -rf $(BUILD)/lock
$(PYTHON) -m venv $(BUILD)/lock
$(BUILD)/lock/bin/python -m pip install --quiet --upgrade --requirement $(1).in $(2)
{ sed -n '/^# SPDX/p' $(1).in; \
  printf '\n# Written by `make lock` from $(1).in.\n\n'; \
  $(BUILD)/lock/bin/python -m pip freeze --all | grep -v '^pip=='; } > $(1).txt
rm -rf $(BUILD)/lock
endef

clean:
	@rm -rf $(BUILD) $(VENV) build dist rempart.egg-info plugins/rempart.egg-info \
	  .mypy_cache .ruff_cache .hypothesis .pytest_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call debian,COMMANDS,PACKAGES): install the Debian packages if one of the commands is missing.
define debian
	@missing=; \
	for name in $(1); do \
	  command -v $$name > /dev/null 2>&1 || [ -x $$name ] || missing="$$missing $$name"; \
	done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then \
	    echo "missing:$$missing. Run this as root, or: apt-get install $(2)" >&2; exit 1; \
	  fi; \
	  echo "installing for$$missing: $(2)"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $(2) > $(BUILD)/apt.log 2>&1 \
	    || { cat $(BUILD)/apt.log >&2; exit 1; }; \
	fi
endef

$(BUILD):
	@mkdir -p $@

$(BUILD)/programs: Makefile | $(BUILD)
	$(call debian,nft conntrack ip iptables-nft tcpdump nc ping,\
	  nftables conntrack iproute2 iptables tcpdump netcat-openbsd iputils-ping)
	@touch $@

# The connection plugin's tests run an SSH server in a namespace: dropbear,
# since installing its package starts no service on this machine. The rules
# engine of ansible-rulebook is a Java program. Of systemd only systemd-analyze
# runs, which checks unit files.
$(BUILD)/test-programs: Makefile | $(BUILD)
	$(call debian,ssh dropbear /usr/lib/openssh/sftp-server sudo java systemd-analyze curl sysctl,\
	  openssh-client dropbear-bin openssh-sftp-server sudo openjdk-17-jre-headless systemd curl procps)
	@touch $@

$(BUILD)/venv: | $(BUILD)
	@if ! $(PYTHON) -c 'import ensurepip, venv' > /dev/null 2>&1; then \
	  if [ "$$(id -u)" != 0 ]; then \
	    echo "$(PYTHON) has no venv module. Run this as root, or: apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	  echo "installing for the virtual environment: python3-venv"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends python3 python3-venv \
	    > $(BUILD)/apt.log 2>&1 || { cat $(BUILD)/apt.log >&2; exit 1; }; \
	fi
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(BUILD)/requirements: requirements.txt $(BUILD)/venv
	@echo "installing the Python packages of requirements.txt into $(VENV)"
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.txt
	@touch $@

$(BUILD)/lint/requirements: requirements-lint.txt $(BUILD)/venv
	@echo "installing the Python packages of requirements-lint.txt into $(BUILD)/lint"
	@$(PYTHON) -m venv --clear $(BUILD)/lint
	@$(BUILD)/lint/bin/python -m pip install --quiet --no-deps --requirement requirements-lint.txt
	@touch $@

$(BUILD)/python: $(BUILD)/requirements pyproject.toml setup.py
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Ansible looks for a collection in ansible_collections/NAMESPACE/NAME.
$(COLLECTION):
	@mkdir -p $(@D)
	@ln -sfn ../../.. $@

# The engine under its package name, for mypy, which does not see editable installs.
$(BUILD)/typing/rempart:
	@mkdir -p $(@D)
	@ln -sfn ../../plugins/module_utils $@
