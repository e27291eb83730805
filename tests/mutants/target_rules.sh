#!/bin/sh
# target_rules.sh PROGRAM LIST - each line of the list is a rule and a test of the program, a suite of a target. The rule
# is switched off alone (GODWIT_MUTANT); the test must then fail. A rule whose absence nobody notices is not tested. The
# program is the crash preset's; the servers are in its environment (tests/servers/with_servers.py).
set -u
program=$1
survivors=0
# a test that hangs has noticed too; some tests run once for each kind of server
run() { GODWIT_TEST_REQUIRE_SERVERS=1 GODWIT_MUTANT=$1 timeout 120 "$program" --gtest_brief=1 --gtest_filter="$2:*/$2/*" >/dev/null 2>&1; }
while read -r rule test; do
  if ! run none "$test"; then
    echo "BROKEN   $test fails with every rule in force"
    survivors=$((survivors + 1))
  elif run "$rule" "$test"; then
    echo "SURVIVED $rule ($test)"
    survivors=$((survivors + 1))
  else
    echo "killed   $rule"
  fi
done <"$2"
exit $survivors
