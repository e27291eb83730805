"""kill -9 at every named step (base/failpoint.h) under live traffic; afterwards both sides are equal.

One round of each test in `make test`, several with other passages of the steps in `make crash`.
"""

import os
import signal
import time

import pytest
from kills import FULL
from live import Traffic
from task_process import TaskProcess

ATTRIBUTES = {"sliceblocks": 8}

# passages to choose from, one a round
LOAD_POINTS = {
    "load.slot_created": (1,),
    "prepare.generation_raised": (1, 2),
    "prepare.before_commit": (2, 1, 3),
    "load.table_opened": (1, 4, 2),
    "slice.begun": (2, 9, 20),
    "slice.rows_sent": (1, 7, 15),
    "slice.before_commit": (3, 11, 5),
    "slice.committed": (2, 12, 8),
    "load.slices_in": (1,),
    "finish.keys_open": (1,),
    "finish.keys_built": (1,),
    "finish.before_phase": (1,),
    "load.table_finished": (1,),
    "catchup.committed": (1,),
}


def rounds(many):
    return pytest.mark.parametrize("number", range(many if FULL else 1))


@pytest.fixture
def task(shop):
    source, target, name = shop
    with TaskProcess(source, target, name, name, source_attributes=ATTRIBUTES) as t:
        yield t


def backlog(traffic, commits=25, timeout_s=20):
    """Waits until the writers have committed so much more."""
    wanted, until = traffic.commits + commits, time.monotonic() + timeout_s
    while traffic.commits < wanted:
        assert time.monotonic() < until, "the writers do not get on"
        time.sleep(0.01)


@rounds(6)
def test_every_step_of_the_load(shop, task, kills, prove_equal, number):
    """One load that is killed at every step of it, again and again."""
    source, target, name = shop
    missed = []
    with Traffic(source, name, seed=100 + number) as traffic:
        how = "fresh"
        for point, passages in LOAD_POINTS.items():
            if not kills.at(task, how, f"{point}=kill@{passages[number % len(passages)]}", 15):
                missed.append(point)
            how = "resume"
        # a later passage may lie behind what earlier kills have left to do
        assert missed == [] or number > 0, f"never reached: {missed}"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


@rounds(6)
def test_catching_up(shop, task, kills, prove_equal, number):
    """Changes wait for each table while it loads; the task dies while it applies those that waited."""
    source, target, name = shop
    slow = f"slice.rows_sent=sleep:{400 + 100 * number}@2;"
    with Traffic(source, name, seed=200 + number) as traffic:
        how = "fresh"
        for point in (
            "catchup.change=kill@1",
            f"catchup.change=kill@{5 + 3 * number}",
            "catchup.before_commit=kill@1",
            f"catchup.change=kill@{20 + 10 * number}",
            "catchup.before_commit=kill@2",
            "catchup.committed=kill@2",
            "catchup.change=kill@3",
        ):
            if not kills.at(task, how, slow + point, 15):
                break  # every table has caught up
            how = "resume"
        assert how == "resume", "no table had anything to catch up with"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


@rounds(5)
def test_every_step_of_apply(shop, task, kills, prove_equal, number):
    """`then`: the group that is killed holds several source transactions."""
    source, target, name = shop
    with Traffic(source, name, seed=300 + number) as traffic:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        task.kill()
        for failpoint in (
            "takeover.before_commit=kill",
            "apply.rows_sent=kill",
            f"apply.group=then:apply.rows_sent@{1 + number % 2}",
            "apply.before_commit=kill",
            "apply.group=then:apply.before_commit@1",
            f"apply.group=then:apply.before_commit@{2 + number % 3}",
            "apply.committed=kill",
            "apply.group=then:apply.committed@1",
            f"apply.committed=kill@{6 + number}",
        ):
            backlog(traffic)  # so that transactions are grouped
            assert kills.at(task, "resume", failpoint), f"{failpoint} was never reached\n{task.log_text()}"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


@rounds(5)
def test_large_transactions_that_are_streamed(shop, task, kills, prove_equal, number):
    """Dies between the first change of a streamed transaction and its commit."""
    source, target, name = shop
    with Traffic(source, name, seed=400 + number, big_every=4) as traffic:
        task.start("fresh")
        task.wait_loaded()
        for failpoint in (
            "stream.open=kill@1",
            f"stream.open=kill@{150 + 37 * number}",
            "stream.commit=kill@1",
            f"stream.open=kill@{900 + 211 * number}",
            "stream.commit=kill@2",
            f"stream.open=kill@{30 + number}",
        ):
            if task.running():
                task.kill()
            backlog(traffic)
            assert kills.at(task, "resume", failpoint), f"{failpoint} was never reached\n{task.log_text()}"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


@rounds(4)
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_transaction_that_is_open_at_the_source(shop, task, kills, prove_equal, number, end):
    """It has been streamed, the task dies, and only then does the source decide."""
    source, target, name = shop
    with Traffic(source, name, seed=450 + number) as traffic:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        task.kill()
        with source.connect(name, autocommit=False) as writer:
            writer.execute("insert into journal select 900, g, repeat('o', 60) from generate_series(1, 3000) g")
            writer.execute("update keyed set v = v + 1 where id between 7000 and 8000")
            for at in (1500, 40 + number):
                assert kills.at(task, "resume", f"stream.open=kill@{at}"), task.log_text()
            getattr(writer, end)()
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)
    rows = target.sql("select count(*) from journal where who = 900", database=name)
    assert rows == [(3000 if end == "commit" else 0,)]


@rounds(4)
def test_the_keeper_dies_too(shop, task, kills, prove_equal, number):
    """The snapshot is gone: unfinished tables are emptied and loaded anew, finished ones keep their mark."""
    source, target, name = shop
    with Traffic(source, name, seed=500 + number) as traffic:
        how = "fresh"
        for point in ("slice.rows_sent=kill@6", "load.table_finished=kill@2", "slice.begun=kill@4"):
            assert kills.at(task, how, point), f"{point}: {task.log_text()}"
            assert task.kill_keepers() >= 1, "no keeper outlived its task"
            kills.add("keeper")
            how = "resume"
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


def mended(task):
    """A task whose keeper died under it may go on by itself; else it says that a new start helps."""
    if task.wait_end(20) is None:
        return
    report = task.report()
    assert (report["state"], report["stop_reason"]) == ("failed", "RECOVERABLE_ERROR"), report
    task.start("resume")


@rounds(3)
def test_the_keeper_dies_under_the_running_task(shop, task, kills, prove_equal, number):
    source, target, name = shop
    with Traffic(source, name, seed=550 + number) as traffic:
        task.start("fresh", failpoint="slice.rows_sent=sleep:1500@8")
        task.wait_for(lambda: any(t.get("slices_done", 0) > 0 for t in task.report().get("tables", [])), 30)
        assert task.kill_keepers() == 1
        kills.add("keeper")
        mended(task)
        traffic.stop()
        task.wait_loaded() if task.running() else task.start("resume")
        prove_equal(task, source, target, name)


@rounds(3)
def test_the_keeper_dies_while_it_locks_a_table(shop, task, kills, prove_equal, number):
    """The failpoint is armed in the keeper alone: it inherits the environment of its task."""
    source, target, name = shop
    with Traffic(source, name, seed=570 + number) as traffic:
        task.start("fresh", failpoint=f"keeper.locked=kill@{1 + number}")
        task.wait_for(lambda: (task.folder / "keeper.state").exists(), 30, "the keeper is there")
        task.wait_for(lambda: task.keepers() == [], 30, "the keeper is gone", alive=False)
        kills.add("keeper")
        mended(task)
        traffic.stop()
        task.wait_loaded() if task.running() else task.start("resume")
        prove_equal(task, source, target, name)


@rounds(5)
def test_kill_while_it_stops(shop, task, kills, prove_equal, number):
    source, target, name = shop
    with Traffic(source, name, seed=600 + number) as traffic:
        task.start("fresh")
        task.wait_loaded()
        task.kill()
        for failpoint in ("stop.seen=kill", "stop.applied=kill", "stop.position=kill"):
            task.start("resume", failpoint=failpoint)
            task.wait_state("running")
            backlog(traffic)
            task.control("stop")
            assert kills.awaited(task, failpoint), f"{failpoint} was never reached\n{task.log_text()}"
        for delay_s in (0, 0.001, 0.005):
            task.start("resume")
            task.wait_state("running")
            backlog(traffic)
            task.control("stop")
            time.sleep(delay_s)
            if task.running():
                kills.frozen(task, asked_to_stop=True)
        task.start("resume")
        traffic.stop()
        prove_equal(task, source, target, name)


@rounds(8)
def test_spool_of_the_slot_guard(shop, kills, prove_equal, number):
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
        with Traffic(source, name, seed=700 + number, pause_s=0, big_every=4) as traffic:
            for point in (
                f"spool.write=kill@{3 + number}",
                "spool.before_sync=kill@2",
                f"spool.before_sync=kill@{9 + number}",
                f"spool.write=kill@{40 + 7 * number}",
            ):
                assert kills.at(task, "resume", point, 40), f"{point}: {task.report()} {task.log_text()}"
            traffic.stop()
        # it must be the spool that is gone on with
        slot = source.sql("select count(*) from pg_replication_slots where database = %s and not temporary", (name,))
        assert slot == [(1,)] and os.listdir(task.folder / "spool")
        blocker.rollback()
        blocker.close()
        task.start("resume")
        prove_equal(task, source, target, name)


def test_sigkill_is_what_ended_it(task, kills):
    """The counting itself: an end that is no SIGKILL is an error, never a kill."""
    task.start("fresh", failpoint="load.slot_created=error")
    with pytest.raises(AssertionError, match="the task ended with 1"):
        kills.awaited(task, "load.slot_created=kill")
    assert task.process.returncode != -signal.SIGKILL
