"""kill -9 at every named step of every pair with MySQL or MariaDB, under live traffic; afterwards both sides are equal.

One round of some pairs in `make test`, several of all of them in `make crash`; tests/crash does the same from
PostgreSQL to PostgreSQL.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from kills import FULL, Kills
from my import MyServer
from pg import PgServer
from server import ServerError
from shop import Server, Traffic, clean_up, connect, create, prove_equal, schema_name, shop_task
from task_process import TaskProcess

PAIRS = [
    ("mysql", "postgres"),
    ("mariadb", "postgres"),
    ("postgres", "mysql"),
    ("postgres", "mariadb"),
    ("mariadb", "mysql"),
    ("mysql", "mariadb"),
]


def pairs(*chosen: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("from_", "to"), PAIRS if FULL else chosen)


def rounds(many: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("number", range(many if FULL else 1))


@pytest.fixture(scope="module")
def streaming_postgres() -> Iterator[PgServer]:
    """It sends large transactions before they commit."""
    with PgServer(settings={"logical_decoding_work_mem": "64kB"}) as server:
        yield server


class Pair:
    """A shop, a task that moves it, and the kills of that task."""

    def __init__(self, source: Server, target: Server, kills: Kills, **more: object) -> None:
        self.source, self.target, self.schema = source, target, schema_name()
        create(source, self.schema, rows=6000)
        names = (getattr(server, "flavour", "postgres") for server in (source, target))
        self.kills = Kills(kills.node, " → ".join(names))
        self.task = shop_task(source, target, self.schema, **more)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.task.close()
        clean_up(self.source, self.target, self.schema)

    def at(self, how: str, failpoint: str, timeout_s: float = 15) -> bool:
        return self.kills.at(self.task, how, failpoint, timeout_s)

    def traffic(self, seed: int, **more: object) -> Traffic:
        return Traffic(self.source, self.schema, seed, pause_s=0.004, **more)

    def prove_equal(self) -> None:
        prove_equal(self.task, self.schema, 120)


@pytest.fixture
def pair(from_: str, to: str, kills: Kills, request: pytest.FixtureRequest) -> Iterator[Pair]:
    names = ("streaming_postgres" if name == "postgres" else name for name in (from_, to))
    source, target = (request.getfixturevalue(name) for name in names)
    # slices of PostgreSQL and MySQL as small as they can be
    attributes = {"sliceblocks": 8, "sliceKB": 128}
    with Pair(source, target, kills, source_attributes={k.lower(): v for k, v in attributes.items()}) as p:
        yield p


def backlog(traffic: Traffic, transactions: int = 25, timeout_s: float = 20) -> None:
    """Waits until the writers have committed so much more."""
    wanted, until = traffic.transactions + transactions, time.monotonic() + timeout_s
    while traffic.transactions < wanted:
        assert time.monotonic() < until, f"the writers do not get on: {traffic.errors}"
        time.sleep(0.01)


def load_points(p: Pair) -> dict[str, tuple[int, ...]]:
    """Passages to choose from, one a round."""
    begins = (
        {"load.views": (1,), "load.viewed": (1,), "binlog.history_saved": (1, 1, 2)}
        if isinstance(p.source, MyServer)
        else {"load.slot_created": (1,)}
    )
    ends = {"finish.keys_open": (1,), "finish.keys_built": (1,)} if isinstance(p.target, PgServer) else {}
    return {
        **begins,
        "prepare.generation_raised": (1, 2, 4),
        "prepare.before_commit": (2, 1, 5),
        "load.table_opened": (1, 4, 2),
        "slice.begun": (2, 4, 1),
        "slice.rows_sent": (1, 3, 5),
        "slice.before_commit": (3, 1, 4),
        "slice.committed": (2, 4, 3),
        "load.slices_in": (1, 2),
        **ends,
        "finish.before_phase": (1, 2),
        "load.table_finished": (1, 2),
        "catchup.committed": (1,),
    }


@rounds(3)
@pairs(("mysql", "postgres"), ("postgres", "mariadb"))
def test_every_step_of_the_load(pair: Pair, number: int) -> None:
    """One load that is killed at every step of it, again and again."""
    missed = []
    with pair.traffic(100 + number) as traffic:
        how = "fresh"
        for point, passages in load_points(pair).items():
            if not pair.at(how, f"{point}=kill@{passages[number % len(passages)]}"):
                missed.append(point)
                if set(pair.task.phases().values()) == {"joined"}:
                    break  # nothing is left to load
            how = "resume"
        # a later passage may lie behind what earlier kills have left to do
        assert missed == [] or number > 0, f"never reached: {missed}"
        pair.task.start("resume")
        traffic.stop()
        pair.prove_equal()


@pairs(("mysql", "postgres"), ("postgres", "mariadb"))
def test_a_load_that_begins_again_under_a_later_mark(pair: Pair) -> None:
    """The log that came before it is needed by nobody: the next process must not ask for it."""
    task = pair.task
    task.spec["workers_max"] = 1
    task.start("fresh", failpoint="slice.rows_sent=sleep:20000@1")

    table = "gw_pos where pos" if isinstance(pair.target, MyServer) else "gw_progress where position"

    def kept() -> list[Any]:
        task.move_log()
        time.sleep(0.3)  # a position is saved when the log is quiet
        with contextlib.suppress(psycopg.Error, ServerError):  # no ledger yet
            return pair.target.sql(f"select 1 from godwit.{table} is not null and task = '{task.id}'")
        return []

    task.wait_for(kept, 20, "a position is on the target")
    task.kill()
    task.kill_keepers()
    with pair.traffic(800) as traffic:
        backlog(traffic)
        assert pair.at("resume", "load.table_finished=kill")
        task.start("resume")
        traffic.stop()
        pair.prove_equal()


@rounds(3)
@pairs(("mariadb", "mysql"))
def test_catching_up(pair: Pair, number: int) -> None:
    """Changes wait for each table while it loads; the task dies while it applies those that waited."""
    slow = f"slice.rows_sent=sleep:{1500 + 100 * number}@2;"
    with pair.traffic(200 + number) as traffic:
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
            if not pair.at(how, slow + point, 60 if how == "fresh" else 12):
                break  # every table has caught up
            how = "resume"
        assert how == "resume", "no table had anything to catch up with"
        pair.task.start("resume")
        traffic.stop()
        pair.prove_equal()


@rounds(4)
@pairs(("mariadb", "mysql"), ("postgres", "mysql"))
def test_every_step_of_apply(pair: Pair, number: int) -> None:
    """`then`: the group that is killed holds several source transactions."""
    with pair.traffic(300 + number) as traffic:
        pair.task.start("fresh")
        pair.task.wait_loaded()
        pair.task.wait_caught_up()
        pair.task.kill()
        for failpoint in (
            "takeover.before_commit=kill",
            "apply.rows_sent=kill",
            f"apply.group=then:apply.rows_sent@{1 + number % 2}",
            "apply.before_commit=kill",
            f"apply.group=then:apply.before_commit@{1 + number % 3}",
            "apply.committed=kill",
            "apply.group=then:apply.committed@1",
            f"apply.committed=kill@{6 + number}",
            *(["binlog.bookmarked=kill@2"] if isinstance(pair.source, MyServer) else []),
        ):
            backlog(traffic)  # so that transactions are grouped
            assert pair.at("resume", failpoint), f"{failpoint} was never reached\n{pair.task.log_text()}"
        pair.task.start("resume")
        traffic.stop()
        pair.prove_equal()


@rounds(3)
@pairs(("mysql", "mariadb"))
def test_kill_while_it_stops(pair: Pair, number: int) -> None:
    task = pair.task
    with pair.traffic(600 + number) as traffic:
        task.start("fresh")
        task.wait_loaded()
        task.kill()
        points = ["stop.seen=kill", "stop.applied=kill"]
        if isinstance(pair.source, PgServer):
            points.append("stop.position=kill")
        for failpoint in points:
            task.start("resume", failpoint=failpoint)
            task.wait_state("running")
            backlog(traffic)
            task.control("stop")
            assert pair.kills.awaited(task, failpoint), f"{failpoint} was never reached\n{task.log_text()}"
        for delay_s in (0, 0.001, 0.005):
            task.start("resume")
            task.wait_state("running")
            backlog(traffic)
            task.control("stop")
            time.sleep(delay_s)
            if task.running():
                pair.kills.frozen(task, asked_to_stop=True)
        task.start("resume")
        traffic.stop()
        pair.prove_equal()


@rounds(3)
@pairs(("postgres", "mariadb"))
def test_large_transactions(pair: Pair, number: int) -> None:
    """PostgreSQL sends them while they are open: the task dies before their commit, or at it."""
    if isinstance(pair.source, MyServer):
        points = [f"apply.rows_sent=kill@{n + number}" for n in (1, 3, 2)]
    else:
        points = [f"stream.open=kill@{150 + 37 * number}", "stream.commit=kill@1", f"stream.open=kill@{900 + number}"]
    with pair.traffic(400 + number, big_every=4) as traffic:
        pair.task.start("fresh")
        pair.task.wait_loaded()
        for failpoint in points:
            if pair.task.running():
                pair.task.kill()
            backlog(traffic)
            assert pair.at("resume", failpoint, 30), f"{failpoint} was never reached\n{pair.task.log_text()}"
        pair.task.start("resume")
        traffic.stop()
        pair.prove_equal()


@rounds(2)
@pairs(("mysql", "postgres"), ("postgres", "mysql"))
def test_reloads_that_are_killed(pair: Pair, number: int) -> None:
    """A table is loaded anew while its changes go on; the task dies at each step of it."""
    points = ["reload.begun", "prepare.generation_raised", "slice.before_commit", "load.table_finished"]
    if isinstance(pair.source, MyServer):
        points[1:1] = ["load.viewed"]
    with pair.traffic(500 + number) as traffic:
        pair.task.start("fresh")
        pair.task.wait_loaded()
        pair.task.wait_caught_up()
        for n, point in enumerate(points):
            pair.task.kill()
            pair.task.start("resume", failpoint=f"{point}=kill")
            table = ("bag", "coded")[(n + number) % 2]
            # a reload that was killed begins again by itself, and may come to the point first
            with contextlib.suppress(AssertionError, OSError, ValueError):
                pair.task.wait_state("running")
                pair.task.control("reload", tables=[{"schema": pair.schema, "table": table}])
            assert pair.kills.awaited(pair.task, f"{point}=kill", 20), f"{point}: {pair.task.log_text()}"
            pair.task.start("resume")
        traffic.stop()
        pair.prove_equal()


@contextlib.contextmanager
def every(seconds: float, work: Callable[[], None]) -> Iterator[None]:
    """Beside what the block does, on a thread of its own."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(seconds):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@rounds(3)
@pairs(("postgres", "mysql"))
def test_changes_that_wait_on_disk(pair: Pair, number: int) -> None:
    """The target stands still; the spool keeps what memory does not hold, and from PostgreSQL it alone."""
    task = pair.task
    task.spec["memory_bytes_max"] = 64 << 20
    task.spec["source"]["attributes"]["slotguardmb"] = "4"
    task.start("fresh")
    task.wait_loaded()
    task.wait_caught_up()
    task.kill()
    points = [f"spool.write=kill@{2 + number}"]  # reading MySQL stops when memory is full, after four or so
    if isinstance(pair.source, PgServer):
        points += ["spool.before_sync=kill@2", f"spool.write=kill@{20 + 7 * number}"]
    with connect(pair.target, pair.schema) as c, c.cursor() as blocker:
        if isinstance(pair.target, MyServer):
            blocker.execute("lock tables wide write")
        else:
            c.autocommit = False
            blocker.execute("lock table wide in access exclusive mode")
        with connect(pair.source, pair.schema) as w, w.cursor() as writer:
            for turn, point in enumerate(points):
                numbers = itertools.count(turn * 100)

                def write(numbers: itertools.count[int] = numbers) -> None:
                    n = next(numbers)
                    writer.execute("update wide set n = %s, big = %s", (n, f"{n % 10}" * 60_000))
                    w.commit()

                for _ in range(3):
                    write()
                # one sync may hold all of it: the next one comes with new changes
                with every(1, write):
                    assert pair.at("resume", point, 40), f"{point}: {task.report()} {task.log_text()}"
    with pair.traffic(700 + number) as traffic:
        task.start("resume")
        task.wait_state("running")
        traffic.stop()
    pair.prove_equal()


@pytest.mark.parametrize("seed", range(20, 26) if FULL else [20])
@pairs(("mariadb", "postgres"))
def test_random_moments(pair: Pair, seed: int) -> None:
    """The process is stopped first: the target can tell what it was in the middle of."""
    r = random.Random(seed)
    task: TaskProcess = pair.task
    with pair.traffic(seed, big_every=10) as traffic:
        how = "fresh"
        for _ in range(16 if FULL else 6):
            # slices are slowed down, so that a kill finds them at work
            task.start(how, failpoint=f"slice.rows_sent=sleep:{r.randint(0, 60)}@{r.randint(1, 9)}")
            time.sleep(r.choice((0.05, 0.15, 0.3, 0.45, 0.6, 0.9)) + r.random() * 0.15)
            assert task.running(), task.log_text()
            pair.kills.frozen(task)
            task.kill_keepers() if r.random() < 0.2 else None
            # before the first ledger row there is nothing to resume
            begun = (task.folder / "slot").exists() or (task.folder / "binlog.position").exists()
            how = "resume" if begun and task.phases_known() else "fresh"
        task.start(how)
        traffic.stop()
        pair.prove_equal()
