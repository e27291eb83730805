#!/bin/sh
# Each rule of exactness is switched off alone (GODWIT_MUTANT); the suite must then fail, in the test that is named.
# A rule whose absence nobody notices is not tested. Needs the crash preset's pg_target_tests as $1 and the servers in
# GODWIT_TEST_PG_SOURCE and GODWIT_TEST_PG_TARGET.
set -u
program=$1
survivors=0
# a test that hangs has noticed too
run() { GODWIT_TEST_REQUIRE_SERVERS=1 GODWIT_MUTANT=$1 timeout 120 "$program" --gtest_brief=1 --gtest_filter="$2" >/dev/null 2>&1; }
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
done <<RULES
load.generation_check ExactnessTest.StaleGenerationIsRefused
load.generation_check ExactnessTest.SliceBehindAPreparationIsRefused
load.epoch_check ExactnessTest.StaleEpochIsRefused
load.slice_unique ExactnessTest.SecondCopyOfASliceIsSkipped
load.slice_unique ExactnessTest.CopyOfASliceWaitsForTheFirst
load.row_lock ExactnessTest.PreparationWaitsForASlice
load.row_count_check ExactnessTest.RowCountIsChecked
load.relay_rules TypesTest.UnequalColumnsGoAsText
prepare.generation_first ExactnessTest.PreparationWaitsForASlice
takeover.raise_tables ExactnessTest.StaleEpochIsRefused
takeover.raise_tables ExactnessTest.TakeOverWaitsForACommitOnItsWay
takeover.append ExactnessTest.StalePositionIsRefused
takeover.end_sessions ExactnessTest.TakeOverEndsOlderSessions
apply.progress_check ExactnessTest.StalePositionIsRefused
finish.identity_index PreparationTest.KeysFollowTheIdentity
prepare.foreign_rows PreparationTest.DoNothingNeverDeletesForeignRows
session.replica_role PreparationTest.TriggersAndForeignKeysStayQuiet
RULES
exit $survivors
