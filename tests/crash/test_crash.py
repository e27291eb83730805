"""kill -9 at every named step and at random moments under live traffic; afterwards both sides are equal.

Each kill counts in the phase it hit, and only when that phase's work was provably in flight: the process died at the
failpoint named for it (exit by SIGKILL that nobody else sent), or the report and the ledger said so at the moment of a
random kill. GODWIT_CRASH_FULL=1 goes on until 500 kills.
"""

import collections
import itertools
import os
import random
import signal
import time

import pytest
from live import Traffic, create, difference, exceptions
from pg import PgServer
from task_process import TaskProcess

FULL = os.environ.get("GODWIT_CRASH_FULL") == "1"
ATTRIBUTES = {"sliceblocks": 8}
NUMBERS = itertools.count(1)
KILLS: collections.Counter[str] = collections.Counter()

# failpoint -> phase; passages to choose from
LOAD_POINTS = {
    "load.slot_created": ("start", (1,)),
    "prepare.generation_raised": ("start", (1, 3)),
    "prepare.before_commit": ("start", (2, 5)),
    "load.table_opened": ("slice", (1, 4)),
    "slice.begun": ("slice", (2, 9, 20)),
    "slice.rows_sent": ("slice", (1, 7, 15)),
    "slice.before_commit": ("slice", (3, 11)),
    "slice.committed": ("slice", (2, 12)),
    "load.slices_in": ("key build", (1, 3)),
    "finish.keys_built": ("key build", (1, 2)),
    "finish.before_phase": ("key build", (1, 4)),
    "load.table_finished": ("key build", (1, 5)),
    "catchup.committed": ("catch-up", (1, 3)),
}
CHANGE_POINTS = {
    "takeover.before_commit": ("start", (1,)),
    "apply.rows_sent": ("grouped apply", (1, 8)),
    "apply.before_commit": ("grouped apply", (1, 6)),
    "apply.committed": ("grouped apply", (1, 9)),
    "stream.commit": ("open stream", (1, 2)),
}


@pytest.fixture(scope="module")
def servers():
    with (
        PgServer(settings={"logical_decoding_work_mem": "64kB", "autovacuum": "off"}) as source,
        PgServer() as target,
    ):
        yield source, target
    print("\nkills by phase:", dict(KILLS), "total", sum(KILLS.values()))


@pytest.fixture
def shop(servers):
    """A database on each side, of its own for each test."""
    source, target = servers
    name = f"d{next(NUMBERS)}"
    create(source, name)
    target.create_database(name)
    yield source, target, name
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')


def prove_equal(task, source, target, name, timeout_s=60):
    task.wait_loaded(timeout_s)
    task.wait_caught_up(timeout_s)
    wrong = difference(source, name, target, name)
    assert not wrong, f"{wrong}\n{task.log_text()}"
    assert exceptions(target, name) == [], task.log_text()
    assert set(task.phases().values()) == {"joined"}
    assert task.stop() == 0, task.log_text()
    report = task.report()
    assert (report["state"], report["stop_reason"]) == ("stopped", "NORMAL")
    # nothing came after the comparison either
    assert not difference(source, name, target, name)
    assert task.keepers() == [], "a keeper holds its snapshot though nothing is left to load"


def die_at(task, how, point, at, phase, timeout_s=20):
    """Starts the task and waits for its death at the failpoint. False: it never came by; then we end it here."""
    task.start(how, failpoint=f"{point}=kill@{at}")
    code = task.wait_end(timeout_s)
    if code == -signal.SIGKILL:
        KILLS[phase] += 1
        return True
    if code is not None:
        raise AssertionError(f"{point}@{at}: the task ended with {code}\n{task.log_text()}")
    task.kill()
    return False


def test_every_step_of_the_load(shop):
    """One load that is killed at every step of it, again and again."""
    source, target, name = shop
    missed = []
    with (
        Traffic(source, name, seed=1) as traffic,
        TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as task,
    ):
        how = "fresh"
        for point, (phase, passages) in LOAD_POINTS.items():
            at = passages[0]
            # a step that lies behind us needs a fresh start
            if not die_at(task, how, point, at, phase, 12):
                missed.append(point)
            how = "resume"
        assert missed == [], f"never reached: {missed}"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


def test_every_step_of_apply(shop):
    source, target, name = shop
    with (
        Traffic(source, name, seed=2) as traffic,
        TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as task,
    ):
        task.start("fresh")
        task.wait_loaded()
        task.kill()
        for point, (phase, passages) in CHANGE_POINTS.items():
            for at in passages:
                time.sleep(0.2)  # a backlog, so that transactions are grouped
                assert die_at(task, "resume", point, at, phase), f"{point}@{at} was never reached\n{task.log_text()}"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


def test_the_keeper_dies_too(shop):
    """The snapshot is gone: unfinished tables are emptied and loaded anew, finished ones keep their mark."""
    source, target, name = shop
    with (
        Traffic(source, name, seed=3) as traffic,
        TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as task,
    ):
        for number, (how, point) in enumerate(
            [
                ("fresh", "slice.rows_sent=kill@6"),
                ("resume", "load.table_finished=kill@2"),
                ("resume", "slice.begun=kill@4"),
            ]
        ):
            task.start(how, failpoint=point)
            assert task.wait_end(20) == -signal.SIGKILL, f"{number}: {task.log_text()}"
            KILLS["slice" if "slice" in point else "key build"] += 1
            assert task.kill_keepers() >= 1, "no keeper outlived its task"
            KILLS["keeper"] += 1
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


def test_the_keeper_dies_under_the_running_task(shop):
    source, target, name = shop
    with (
        Traffic(source, name, seed=4) as traffic,
        TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as task,
    ):
        task.start("fresh", failpoint="slice.rows_sent=sleep:1500@8")
        task.wait_for(lambda: any(t.get("slices_done", 0) > 0 for t in task.report().get("tables", [])), 20)
        assert task.kill_keepers() == 1
        KILLS["keeper"] += 1
        if task.wait_end(10) is None:  # it may have mended itself
            task.wait_loaded()
        else:
            report = task.report()
            assert (report["state"], report["stop_reason"]) == ("failed", "RECOVERABLE_ERROR"), report
            task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


def test_kill_while_it_stops(shop):
    source, target, name = shop
    with (
        Traffic(source, name, seed=5) as traffic,
        TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as task,
    ):
        task.start("fresh")
        task.wait_loaded()
        for delay_s in (0, 0.005, 0.02):
            if not task.running():
                task.start("resume")
                task.wait_state("running")
            time.sleep(0.3)
            task.control("stop")
            time.sleep(delay_s)
            if task.running():
                task.kill()
                KILLS["stop"] += 1
            elif delay_s == 0:
                raise AssertionError("the task had stopped before it could be killed")
        task.wait_end(5)
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


def phase_of(task):
    """What is provably being done right now."""
    report, phases = task.report(), task.phases()
    if any(0 < t.get("slices_done", 0) < t.get("slices", 0) for t in report.get("tables", [])):
        return "slice"
    if "loading" in phases.values():
        return "load, between slices"
    if "loaded" in phases.values():
        return "catch-up"
    return "apply" if report.get("state") == "running" else "start"


@pytest.mark.parametrize("seed", range(20, 40) if FULL else [20])
def test_random_moments(shop, seed):
    source, target, name = shop
    r = random.Random(seed)
    with (
        Traffic(source, name, seed=seed) as traffic,
        TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as task,
    ):
        how = "fresh"
        for _ in range(24 if FULL else 12):
            # slices are slowed down, so that a kill finds them at work
            task.start(how, failpoint=f"slice.rows_sent=sleep:{r.randint(0, 60)}@{r.randint(1, 9)}")
            time.sleep(r.choice((0.05, 0.15, 0.3, 0.45, 0.6, 0.9)) + r.random() * 0.15)
            assert task.running(), task.log_text()
            phase = phase_of(task)
            task.kill()
            KILLS[phase] += 1
            if r.random() < 0.12 and task.kill_keepers():
                KILLS["keeper"] += 1
            # before the first ledger row there is nothing to resume
            how = "resume" if (task.folder / "slot").exists() and task.phases_known() else "fresh"
        task.start(how)
        traffic.stop()
        prove_equal(task, source, target, name)


def test_spool_of_the_slot_guard(shop):
    """The target stands still, the guard spools, the source forgets: what only the spool holds survives kills."""
    source, target, name = shop
    with TaskProcess(source, target, name, name, source_attributes={**ATTRIBUTES, "slotguardmb": 4}) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        task.kill()
        blocker = target.connect(name, autocommit=False)
        # the target stands still: apply waits for a table lock
        blocker.execute("lock table keyed in access exclusive mode")
        with Traffic(source, name, seed=6, pause_s=0, big_every=4) as traffic:
            for number, point in enumerate(
                ["spool.write=kill@3", "spool.before_sync=kill@2", "spool.before_sync=kill@9", "spool.write=kill@40"]
            ):
                task.start("resume", failpoint=point)
                assert task.wait_end(25) == -signal.SIGKILL, f"{number} {point}: {task.report()} {task.log_text()}"
                KILLS["spool"] += 1
            traffic.stop()
        slot = source.sql(
            "select pg_wal_lsn_diff(confirmed_flush_lsn, %s) from pg_replication_slots where slot_name like %s",
            ("0/0", f"%{task.id}%"),
        )
        assert len(slot) == 1
        blocker.rollback()
        blocker.close()
        task.start("resume")
        prove_equal(task, source, target, name)


def test_there_were_enough_kills(request):
    """Of those above, when all of them ran."""
    mine = {i.originalname for i in request.session.items if i.path == request.path}
    every = {n for n, f in globals().items() if n.startswith("test_") and callable(f)}
    if mine != every:
        pytest.skip("only a part of the suite was asked for")
    assert sum(KILLS.values()) >= (500 if FULL else 40), dict(KILLS)
    assert {"start", "slice", "key build", "catch-up", "grouped apply", "open stream", "spool", "stop"} <= set(KILLS)
