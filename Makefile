# The front door. Every target sets up what it needs, on a fresh Debian machine too; `make help` lists them.
# The work is done elsewhere: deps/build.sh and guest/*/build.sh (dependencies, cached by a hash of their
# inputs), CMake (C), tools/lint (checks).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
JOBS ?= $(shell nproc)
CMAKE_OPTIONS = --log-level=NOTICE -DCAPSULE_WERROR=$(if $(CI),ON,OFF)

.PHONY: all
all: guests program ## build everything (the default); the program is build/capsule

.PHONY: run
run: all ## run the main example
	@build/capsule run examples/report/main.py

.PHONY: test
test: all stress asan tsan ## build everything and run every test
	@ctest --test-dir build/cmake/release --output-on-failure -j $(JOBS)

.PHONY: lint
lint: deps ## check style, size, complexity, types and the rules of the rooms
	@tools/lint/run

.PHONY: format
format: deps ## lay out the C sources as `make lint` wants them
	@tools/lint/format.sh --write

.PHONY: bench
bench: all ## measure; prints a table and writes build/bench.json
	@bench/run

.PHONY: clean
clean: ## remove build/ (the cache of dependencies stays)
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

# --- the parts ---

.PHONY: deps
deps: ## prepare what the C parts stand on
	@deps/build.sh build/deps.cmake

.PHONY: guests
guests: deps ## build the interpreters that run inside the sandbox
	@for recipe in guest/*/build.sh; do "$$recipe" build/lib/capsule; done

# A JavaScript guest for tests that collects garbage before every allocation.
.PHONY: stress
stress: program
	@guest/js/build.sh build/lib/capsule-stress stress
	@ln -sfn ../capsule/curl.so build/lib/capsule-stress/curl.so

# One build at a time per tree: two makes must not configure and compile into the same folder.
define build_c
	@exec 9>build/$(1).lock; flock 9; \
	cmake --preset $(1) $(CMAKE_OPTIONS) >build/$(1).log 2>&1 || { cat build/$(1).log; exit 1; }; \
	cmake --build --preset $(1) -- -j $(JOBS) --quiet
endef

.PHONY: program
program: deps ## build the C parts only
	$(call build_c,release)

.PHONY: debug asan tsan
debug asan tsan: deps ## build the C parts under build/cmake/NAME with extra checks
	$(call build_c,$@)
