"""Every rule of exactness is switched off alone; a test must then fail. A rule that nobody misses is not tested."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from server import ROOT

HERE = Path(__file__).parent
pytestmark = pytest.mark.apart
TARGET_LISTS = [ROOT / "tests" / "integration" / folder / "mutants.txt" for folder in ("target", "mytarget")]

KILLERS = {
    "mark.contains": "test_mark_contains",
    "mysql.mark_contains": "../pairs/test_marks.py::test_what_a_reload_holds_is_not_applied_again[mariadb]",
    "mysql.lock_for_mark": "../pairs/test_marks.py::test_the_log_is_ahead_of_the_engine[lock]",
    "mysql.place_of_view": "../pairs/test_marks.py::test_a_view_knows_its_own_place",
    "mysql.range_lower": "../pairs/test_marks.py::test_the_log_is_ahead_of_the_engine[range]",
    "mysql.range_by_image": "../pairs/test_marks.py::test_many_loads_without_a_lock[postgres]",
    "mysql.prepared_pins": "../pairs/test_marks.py::test_a_prepared_transaction_outlives_the_task[mysql]",
    "mysql.same_server": "../pairs/test_places.py::test_the_task_is_stopped[mariadb]",
    "mysql.same_log": "../pairs/test_rotation.py::test_reset_while_it_is_stopped[mysql-same places]",
    "mysql.float_exact": "../pairs/test_types.py::test_load_equals_change_in_postgres[mariadb]",
    "mysql.range_upper": "../pairs/test_marks.py::test_many_loads_without_a_lock[postgres]",
    "mysql.range_check": "../pairs/test_marks.py::test_what_cannot_be_loaded_without_a_lock",
    "mysql.prepared_before_mark": "../pairs/test_marks.py::test_a_prepared_transaction_is_waited_for[mariadb-auto]",
    "mysql.silent_lock": "../pairs/test_marks.py::test_a_lock_ends_with_who_holds_it[mariadb]",
    "mysql.transactional_engines": "../pairs/test_refused.py::test_tables_without_transactions",
    "mysql.schema_history": "../pairs/test_history.py::test_altered_again_and_again_while_stopped[mariadb]",
    "mysql.unsure_reloads": "../pairs/test_statements.py::test_an_emptied_partition_is_seen[mysql]",
    "apply.aborted_again": "../pairs/test_deadlock.py::test_deadlock_on_the_target[second_mariadb]",
    "apply.save_parts": "../pairs/test_ddl_kills.py::test_killed_at_each_step_of_a_change_of_shape[postgres-mariadb]",
    "prepare.acting_keys": "../pairs/test_bound_tables.py::test_every_kind[mysql-mariadb]",
    "apply.keys_off": "../pairs/test_bound_tables.py::test_every_kind[mysql-mariadb]",
    "apply.bound_tables_wait": "../pairs/test_bound_tables.py::test_a_parent_waits_for_its_children[mysql-mariadb]",
    "mysql.same_at_mark": "../pairs/test_ddl_words.py::test_columns_that_move_as_a_load_begins[mysql]",
    "mysql.utc_session": "../pairs/test_zones.py::test_an_instant_stays[mariadb-postgres]",
    "session.utc": "../pairs/test_zones.py::test_an_instant_stays[mysql-mariadb]",
    "apply.bound_reload_waits": (
        "../pairs/test_bound_tables.py::test_killed_while_the_family_leaves_for_a_reload[mysql-mariadb]"
    ),
    "join.after_common": "test_join_after_common",
    "join.position": "test_join_position",
    "catchup.own_position": "test_catchup_own_position",
    "resume.forget_slices_first": "test_resume_forget_slices_first",
    "resume.position_of_new_log": (
        "../pairs/test_pair_kills.py::test_a_load_that_begins_again_under_a_later_mark[mysql-postgres]"
    ),
    "resume.cut_load": "../pairs/test_changes_only.py::test_a_new_table_whose_load_is_cut_short[mariadb]",
    "load.same_table": "../faults/test_resumed.py::test_names_that_change_hands",
    "prepare.single_source": "../pairs/test_refused.py::test_two_tables_under_one_name[postgres]",
    "match.keys_of_log": "../faults/test_catalogue_marks.py::test_rows_that_are_named_otherwise[pgoutput]",
    "identity.reload": "../faults/test_catalogue_marks.py::test_rows_that_are_named_otherwise[test_decoding]",
    "poll.publication_touched": (
        "../faults/test_catalogue_marks.py::test_a_publication_that_was_another_one_for_a_while"
    ),
    "poll.unlogged_meanwhile": "../faults/test_catalogue_marks.py::test_unlogged_while_the_task_stood[all tables]",
    "resume.guarded_load": "../faults/test_resumed.py::test_the_spool_of_a_load_that_is_not_done",
    "resume.same_source": "test_resume_same_source",
    "spool.checksum": "test_spool_checksum",
    "resume.coverage": "test_resume_coverage",
    "reconnect.coverage": "test_reconnect_coverage",
    "resume.timeline": "../faults/test_failover.py::test_what_the_new_primary_never_had_is_fatal",
    "settle.durable": "test_settle_durable",
    "snapshot.table_lock": "test_snapshot_table_lock",
    "compare.hold": "../faults/test_promises.py::test_compare_under_traffic",
    "snapshot.ends_readers": "../faults/test_faults.py::test_ddl_while_the_target_stands_still",
    "snapshot.gives_way": "test_snapshot_gives_way",
    "snapshot.shape_check": "test_snapshot_shape_check",
    "apply.aborted_parts": "test_apply_aborted_parts",
    "publish.identity": "test_publish_identity",
    "shape.once": "test_shape_once[swapped]",
    "session.row_security": "test_session_row_security",
    "apply.key_once_per_statement": "test_apply_key_once_per_statement",
    "apply.row_count_check": "test_apply_row_count_check",
}

# In `make mutants` only: each takes many seconds, most of them for servers, or is missed by chance under load.
FULL = os.environ.get("GODWIT_MUTANTS_FULL") == "1"
LONG = {
    "mysql.float_exact",
    "mysql.mark_contains",
    "mysql.place_of_view",
    "mysql.prepared_pins",
    "mysql.range_by_image",
    "mysql.range_lower",
    "mysql.same_at_mark",
    "mysql.same_log",
    "mysql.same_server",
    "mysql.silent_lock",
    "mysql.utc_session",
    "session.utc",
    "resume.cut_load",
    "resume.position_of_new_log",
    "snapshot.ends_readers",  # and now and then the server ends the reader by itself
}


def rules_in_source():
    found = set()
    for path in (ROOT / "src").rglob("*"):
        if path.suffix in (".cc", ".h") and "failpoint" not in path.name:
            found |= set(re.findall(r'GW_RULE\("([\w.]+)"\)', path.read_text()))
    return found


def test_every_rule_has_a_test():
    listed = {line.split()[0] for path in TARGET_LISTS for line in path.read_text().splitlines()}
    missing = rules_in_source() - listed - set(KILLERS)
    assert not missing, f"no test misses {sorted(missing)}: add one to test_rules.py"
    assert set(KILLERS) <= rules_in_source(), "a rule that is gone from the source"


@pytest.mark.parametrize("rule", sorted(KILLERS if FULL else set(KILLERS) - LONG))
def test_a_test_notices(rule):
    test = KILLERS[rule] if "::" in KILLERS[rule] else f"test_rules.py::{KILLERS[rule]}"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            str(HERE / test),
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
        ],
        cwd=ROOT,
        env={**os.environ, "GODWIT_MUTANT": rule},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, f"{rule} is off and nobody notices\n{done.stdout[-3000:]}"
    assert "1 failed" in done.stdout and "error" not in done.stdout.splitlines()[-1], done.stdout[-3000:]
