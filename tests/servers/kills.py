"""Kills, counted by the phase that they hit.

A kill counts for a phase only when work of that phase was provably in flight: the process died at a failpoint that
lies inside it (by a SIGKILL that nobody else sent), or it was stopped (SIGSTOP) first and the servers then showed its
open transaction. The counts of all workers are added up and printed at the end of the run; `make crash` demands 500
and one of each phase at least.
"""

from __future__ import annotations

import collections
import os
import signal
from typing import Any

from task_process import TaskProcess

FULL = os.environ.get("GODWIT_CRASH_FULL") == "1"
WANTED = 500 if FULL else 40
# What must occur. Others are shown beside them.
PHASES = ("slice", "key build", "catch-up", "grouped apply", "open stream", "spool", "stop", "keeper", "server")
# Of each pair of engines that was killed at all; in `make crash` only.
PAIR_PHASES = ("start", "slice", "catch-up", "grouped apply", "stop")
WANTED_OF_PAIR = 50
PROPERTY = "killed in"

# A process that dies there was in the middle of it.
POINTS = {
    "load.slot_created": "start",
    "load.views": "start",
    "load.viewed": "start",
    "binlog.history_saved": "start",
    "reload.taken": "start",
    "reload.left_one": "start",
    "reload.begun": "start",
    "prepare.generation_raised": "start",
    "prepare.before_commit": "start",
    "takeover.before_commit": "start",
    "load.table_opened": "slice",
    "slice.begun": "slice",
    "slice.rows_sent": "slice",
    "slice.before_commit": "slice",
    "slice.committed": "slice",
    "load.slices_in": "key build",
    "finish.keys_open": "key build",
    "finish.keys_built": "key build",
    "finish.before_phase": "key build",
    "load.table_finished": "key build",
    "catchup.change": "catch-up",
    "catchup.before_commit": "catch-up",
    "catchup.committed": "join",
    "apply.group": "grouped apply",
    "apply.rows_sent": "apply",
    "apply.before_commit": "apply",
    "apply.committed": "apply",
    "stream.open": "open stream",
    "stream.commit": "stream commit",
    "spool.write": "spool",
    "spool.before_sync": "spool",
    "binlog.bookmarked": "acknowledgement",
    "stop.seen": "stop",
    "stop.applied": "stop",
    "stop.position": "stop",
    "keeper.locked": "keeper",
    "store.before_put": "server",
    "store.put": "server",
    "serve.spawning": "server",
    "serve.unnoted": "server",
    "serve.spawned": "server",
    "serve.stop_wanted": "server",
}


class Kills:
    """The kills of one test. `pair`: of these engines, counted by themselves; empty: PostgreSQL on both sides."""

    def __init__(self, node: Any, pair: str = "") -> None:
        self.node, self.pair = node, pair

    def add(self, phase: str) -> None:
        self.node.user_properties.append((PROPERTY, f"{phase}, {self.pair}" if self.pair else phase))

    def at(self, task: TaskProcess, how: str, failpoint: str, timeout_s: float = 30) -> bool:
        """Starts the task and waits for its death at the last failpoint named. False: it never came by, and is ended
        here."""
        task.start(how, failpoint=failpoint)
        return self.awaited(task, failpoint, timeout_s)

    def awaited(self, task: TaskProcess, failpoint: str, timeout_s: float = 30) -> bool:
        code = task.wait_end(timeout_s)
        if code == -signal.SIGKILL:
            # apply.group=then:apply.before_commit dies at the second, inside the first
            self.add(POINTS[failpoint.split(";")[-1].split("=")[0]])
            return True
        if code is not None:
            raise AssertionError(f"{failpoint}: the task ended with {code}\n{task.log_text()}")
        task.kill()
        return False

    def frozen(self, task: TaskProcess, asked_to_stop: bool = False) -> str:
        """Stops the process where it is, sees what it was at, and kills it."""
        os.kill(task.process.pid, signal.SIGSTOP)
        phase = in_flight(task)
        if asked_to_stop and task.running():
            phase = "stop"
        task.kill()
        self.add(phase)
        return phase


def in_flight(task: TaskProcess) -> str:
    """What the target's sessions of a stopped process are in the middle of: a transaction that has written."""
    writing, words = _written_by_mysql(task) if hasattr(task.target, "flavour") else _written_by_postgres(task)
    if not writing:
        return "between" if task.report().get("state") == "running" else "start"
    if "gw_slice" in words or "copy " in words:
        return "slice"
    if ("create" in words and "index" in words) or "primary key" in words or "analyze" in words:
        return "key build"
    if "create" in words or "gw_task" in words:
        return "start"
    return "apply"


def _written_by_postgres(task: TaskProcess) -> tuple[bool, str]:
    sessions = task.target.sql(
        "select query from pg_stat_activity where datname = %s and starts_with(application_name, %s)"
        " and backend_xid is not null",
        (task.target_database, f"godwit/{task.id}/"),
    )
    return bool(sessions), " ".join(q.lower() for (q,) in sessions)


def _written_by_mysql(task: TaskProcess) -> tuple[bool, str]:
    """A session that does nothing just now shows no statement, but its claim of a slice can be seen."""
    if not task.phases_known():
        return False, ""
    sessions = task.on_target(
        "select lower(coalesce(p.info, '')) from information_schema.innodb_trx t"
        " join information_schema.processlist p on p.id = t.trx_mysql_thread_id"
        f" join godwit.gw_session s on s.connection = p.id and s.task = '{task.id}'"
        " where t.trx_rows_modified > 0"
    )
    slices = f"select count(*) from godwit.gw_slice where task = '{task.id}'"
    uncommitted = task.on_target(f"set session transaction isolation level read uncommitted; {slices}")
    claimed = uncommitted != task.on_target(slices)
    return bool(sessions), " ".join([*(words for (words,) in sessions), "gw_slice" if claimed else ""])


# --- the sum over all workers


def counted(reports: Any) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for report in reports:
        if getattr(report, "when", "") == "call":
            counts.update(v for k, v in report.user_properties if k == PROPERTY)
    return counts


def of_pair(phase: str) -> str:
    """Empty: PostgreSQL on both sides."""
    return phase.partition(", ")[2]


def too_few(counts: collections.Counter[str]) -> list[str]:
    out = [f"no kill hit the phase '{p}'" for p in PHASES if not counts[p]]
    own = sum(n for phase, n in counts.items() if not of_pair(phase))
    if own < WANTED:
        out.append(f"{own} kills, {WANTED} are wanted")
    for pair in sorted({of_pair(phase) for phase in counts} - {""}) if FULL else []:
        out += [f"no kill of {pair} hit the phase '{p}'" for p in PAIR_PHASES if not counts[f"{p}, {pair}"]]
        killed = sum(n for phase, n in counts.items() if of_pair(phase) == pair)
        if killed < WANTED_OF_PAIR:
            out.append(f"{killed} kills of {pair}, {WANTED_OF_PAIR} are wanted")
    return out


def table(counts: collections.Counter[str]) -> list[str]:
    names = [*PHASES, *sorted(set(counts) - set(PHASES), key=lambda phase: (of_pair(phase), phase))]
    return [f"{n:36}{counts[n]:6}" for n in names] + [f"{'all':36}{sum(counts.values()):6}"]
