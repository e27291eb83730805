"""Every rule of exactness is switched off alone; a test must then fail. A rule that nobody misses is not tested."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pg import ROOT

HERE = Path(__file__).parent
TARGET_LIST = ROOT / "tests" / "integration" / "target" / "mutants.sh"

KILLERS = {
    "mark.contains": "test_mark_contains",
    "join.after_common": "test_join_after_common",
    "join.position": "test_join_position",
    "resume.coverage": "test_resume_coverage",
    "reconnect.coverage": "test_reconnect_coverage",
    "resume.timeline": "../faults/test_failover.py::test_what_the_new_primary_never_had_is_fatal",
    "settle.durable": "test_settle_durable",
    "snapshot.table_lock": "test_snapshot_table_lock",
    "snapshot.shape_check": "test_snapshot_shape_check",
    "apply.aborted_parts": "test_apply_aborted_parts",
    "publish.identity": "test_publish_identity",
    "session.row_security": "test_session_row_security",
    "apply.key_once_per_statement": "test_apply_key_once_per_statement",
    "apply.row_count_check": "test_apply_row_count_check",
}


def rules_in_source():
    found = set()
    for path in (ROOT / "src").rglob("*"):
        if path.suffix in (".cc", ".h") and "failpoint" not in path.name:
            found |= set(re.findall(r'GW_RULE\("([\w.]+)"\)', path.read_text()))
    return found


def test_every_rule_has_a_test():
    listed = {line.split()[0] for line in TARGET_LIST.read_text().splitlines() if re.match(r"^[a-z]+\.\w+ \w+\.", line)}
    missing = rules_in_source() - listed - set(KILLERS)
    assert not missing, f"no test misses {sorted(missing)}: add one to test_rules.py"
    assert set(KILLERS) <= rules_in_source(), "a rule that is gone from the source"


@pytest.mark.parametrize("rule", sorted(KILLERS))
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
