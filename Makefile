# godwit: everything one needs day to day. A clean clone on Debian 12 needs one command.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build crash-build crash-suites test unit suites check format demo bench crash faults mutants fuzz sanitize clean help

JOBS ?= $(shell nproc)
# Suites wait on servers more than they compute.
SUITE_JOBS ?= $(shell echo $$(( $$(nproc) + 1 )))
SUITES ?= tests
WITH_SERVERS = .venv/bin/python tests/servers/with_servers.py
export GODWIT_PROGRAM ?= $(CURDIR)/build/release/godwit
export GODWIT_CRASH_PROGRAM ?= $(CURDIR)/build/crash/godwit

help:               ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/:/' | awk -F: '{printf "  make %-10s%s\n", $$1, $$2}'

build:              ## the program, at build/release/godwit
	tools/install.sh build
	cmake --preset release >/dev/null
	cmake --build --preset release --parallel $(JOBS) --target godwit

crash-build:
	cmake --preset crash >/dev/null
	cmake --build --preset crash --parallel $(JOBS) --target godwit pg_target_tests my_target_tests

test: unit crash-build crash-suites    ## installs, builds, runs every suite that CI runs
	@$(MAKE) --no-print-directory suites

# the suites that stop the program at its failpoints
crash-suites: crash-build
	tools/install.sh test
	$(WITH_SERVERS) -- ctest --test-dir build/crash -R '^pg_target' --output-on-failure --no-tests=error >build/crash.log || { cat build/crash.log; exit 1; }
	tail -n 4 build/crash.log

unit:               ## the unit tests
	tools/install.sh test
	cmake --preset release >/dev/null
	cmake --build --preset release --parallel $(JOBS)
	$(WITH_SERVERS) --mysql --mariadb -- ctest --test-dir build/release --parallel $(JOBS) --output-on-failure --no-tests=error >build/unit.log || { cat build/unit.log; exit 1; }
	tail -n 4 build/unit.log
	# the suites that need servers once more, from and to newer ones
	$(WITH_SERVERS) --source 18 --target 17 -- ctest --test-dir build/release -R '^pg_' --output-on-failure --no-tests=error >build/unit-18-17.log || { cat build/unit-18-17.log; exit 1; }
	tail -n 4 build/unit-18-17.log

suites:             ## the Python suites against the built programs; SUITES=tests/clients for one folder
	.venv/bin/pytest $(SUITES) -q -rs --strict-markers -n $(SUITE_JOBS) --dist loadgroup --no-loadscope-reorder

check:              ## formatting, includes, Python
	tools/install.sh test
	git ls-files 'src/*.h' 'src/*.cc' 'tests/*.cc' 'tests/*.h' 'bench/*.cc' | xargs -r .venv/bin/clang-format --dry-run --Werror
	python3 tools/arrows.py
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format:             ## formats C++ and Python in place
	tools/install.sh test
	git ls-files 'src/*.h' 'src/*.cc' 'tests/*.cc' 'tests/*.h' 'bench/*.cc' | xargs -r .venv/bin/clang-format -i
	.venv/bin/ruff check --fix-only -q .
	.venv/bin/ruff format -q .

export PAIR ?= postgres-postgres
demo:               ## PAIR=mysql-postgres for others; migrates a live shop between two databases and proves that both sides are equal
	tools/install.sh $(if $(filter postgres-postgres,$(PAIR)),demo,test)
	cmake --preset release >/dev/null
	cmake --build --preset release --parallel $(JOBS) --target godwit
	exec .venv/bin/python demo/demo.py

bench: build        ## godwit beside other tools, in one run
	tools/install.sh bench
	.venv/bin/python bench/run.py

crash: crash-suites    ## 500 kills, counted by the phase that they hit
	GODWIT_CRASH_FULL=1 .venv/bin/pytest tests/crash tests/pairs/test_pair_kills.py tests/pairs/test_ddl_kills.py -q -rs -n $(SUITE_JOBS)

faults: crash-build         ## servers that go away, cut networks, full disks; 4 GB of log while the target is down
	tools/install.sh test
	GODWIT_FAULTS_FULL=1 .venv/bin/pytest tests/faults tests/pairs/test_pair_faults.py -q -rs -s --timeout 3000

mutants: crash-build        ## switches each rule off and expects a test to notice
	tools/install.sh test
	GODWIT_MUTANTS_FULL=1 .venv/bin/pytest tests/mutants -q --timeout 3000
	for suite in pg_target:target my_target:mytarget; do
	  program=build/crash/tests/integration/$${suite%:*}_tests
	  $(WITH_SERVERS) --mysql --mariadb -- sh tests/mutants/target_rules.sh $$program tests/integration/$${suite#*:}/mutants.txt
	done

fuzz:               ## every decoder of outside bytes, FUZZ_SECONDS each; FUZZERS=pgoutput_fuzz for one
	tools/install.sh fuzz
	cmake --preset fuzz >/dev/null
	cmake --build --preset fuzz --parallel $(JOBS)
	found=0
	for fuzzer in $$(find build/fuzz -maxdepth 1 -name '*_fuzz' -type f); do
	  name=$$(basename $$fuzzer)
	  [[ -z "$${FUZZERS:-}" || " $$FUZZERS " = *" $$name "* ]] || continue
	  found=1
	  mkdir -p build/fuzz/corpus/$$name
	  seeds=tests/fuzz/corpus/$$name; [ -d $$seeds ] || { echo "$$name has no seeds in $$seeds"; exit 1; }
	  echo "== $$name"
	  ASAN_OPTIONS=halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1 $$fuzzer -max_total_time=$${FUZZ_SECONDS:-60} -print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/corpus/$$name $$seeds 2>&1 | tail -12
	done
	[ $$found = 1 ] || { echo "no fuzzer was built"; exit 1; }

# A finding ends the process, so the suite that met it fails. Leaks: libpq and OpenSSL keep theirs until the end.
SANITIZED = ASAN_OPTIONS=halt_on_error=1:detect_leaks=0:detect_stack_use_after_return=1 \
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
sanitize:           ## unit tests, the API, killed tasks and all pairs under ASan+UBSan, unit tests and tasks of all pairs under TSan
	tools/install.sh test
	for preset in debug tsan; do
	  cmake --preset $$preset >/dev/null
	  cmake --build --preset $$preset --parallel $(JOBS) --target godwit unit_tests
	done
	$(SANITIZED) build/debug/tests/unit_tests --gtest_brief=1
	$(SANITIZED) build/tsan/tests/unit_tests --gtest_brief=1
	# the memory of a sanitized server says nothing
	$(SANITIZED) GODWIT_PROGRAM=$(CURDIR)/build/debug/godwit .venv/bin/pytest tests/api -q -rs -k "not 100_megabytes and not just_too_large" -n $(SUITE_JOBS) --dist loadfile
	$(SANITIZED) GODWIT_CRASH_PROGRAM=$(CURDIR)/build/debug/godwit .venv/bin/pytest tests/crash/test_steps.py tests/pairs/test_types.py tests/pairs/test_live.py -q -rs -n $(SUITE_JOBS)
	$(SANITIZED) GODWIT_CRASH_PROGRAM=$(CURDIR)/build/tsan/godwit .venv/bin/pytest tests/faults/test_faults.py tests/pairs/test_live.py -q -rs -k "goes_down or network_is_slow or live"

clean:              ## removes what was built
	rm -rf build
