"""The source's binlog is rotated, purged and reset, while the task runs and while it is stopped: what was read is not
missed, what was not read is said to be lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from my import MyServer
from outcomes import fatal_end
from pg import PgServer
from shop import Traffic, create, prove_equal, schema_name, shop_task
from task_process import TaskProcess

FLAVOURS = ["mariadb", "mysql"]


@pytest.fixture(scope="module", params=FLAVOURS)
def source(request: pytest.FixtureRequest) -> Iterator[MyServer]:
    """Of this module alone: no other task may need its log."""
    with MyServer(flavour=request.param) as server:
        yield server


@pytest.fixture
def shop(source: MyServer, postgres: PgServer) -> Iterator[tuple[MyServer, PgServer, str]]:
    schema = schema_name()
    create(source, schema, rows=400)
    yield source, postgres, schema
    source.sql(f"drop database {schema}")
    postgres.sql(f"drop schema if exists {schema} cascade")


def ready(task: TaskProcess) -> None:
    task.start("fresh")
    task.wait_loaded()
    task.wait_caught_up()


def acknowledged(task: TaskProcess, source: MyServer) -> None:
    """What the task will never ask for again is behind this moment."""
    newest = source.sql("show binary logs")[-1][0]
    bookmark = task.folder / "binlog.position"
    task.wait_for(lambda: f";{newest}:" in bookmark.read_text(), 10, f"{newest} is acknowledged")


def purge(source: MyServer) -> None:
    """All files but the newest. One that somebody still reads is left out with a warning."""
    newest = source.sql("show binary logs")[-1][0]
    deadline = time.monotonic() + 10
    while source.sql("show binary logs")[0][0] != newest:
        assert time.monotonic() < deadline, source.sql("show processlist")
        source.sql(f"purge binary logs to '{newest}'")
        time.sleep(0.05)


def fill(source: MyServer, schema: str, first: int, count: int = 3) -> None:
    rows = ", ".join(f"({n}, 'row')" for n in range(first, first + count))
    source.sql(f"insert into bag values {rows}", schema)


class Again:
    """Does something again and again, on a thread of its own."""

    def __init__(self, act: Callable[[], object], every_s: float) -> None:
        self._act, self._every_s = act, every_s
        self._end = threading.Event()
        self.times = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            self._act()
            self.times += 1

    def __enter__(self) -> Again:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_rotated_again_and_again(shop: tuple[MyServer, PgServer, str]) -> None:
    """Under traffic, with kills between."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        with (
            Traffic(source, schema, pause_s=0.002, big_every=15) as traffic,
            Again(lambda: source.sql("flush binary logs"), 0.02) as rotations,
        ):
            task.start("fresh")
            task.wait_loaded()
            for _ in range(4):
                time.sleep(0.5)
                task.kill()
                task.start("resume")
            task.wait_for(lambda: rotations.times > 5, 60, "the log is rotated")
            traffic.stop()
        prove_equal(task, schema)


def test_what_was_read_may_go(shop: tuple[MyServer, PgServer, str]) -> None:
    """While the task runs, is killed, and is stopped."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        for turn in range(3):
            fill(source, schema, 100 * turn)
            source.sql("flush binary logs")
            acknowledged(task, source)
            if turn == 1:
                task.kill()
            if turn == 2:
                assert task.stop() == 0
            purge(source)
            fill(source, schema, 100 * turn + 50)
            if not task.running():
                task.start("resume")
            task.wait_caught_up()
        assert not any(t.get("reloaded") for t in task.report()["tables"])
        prove_equal(task, schema)


def test_what_was_not_read_is_lost(shop: tuple[MyServer, PgServer, str]) -> None:
    """The task is stopped: the next start says which file is gone, and what to do."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        assert task.stop() == 0
        fill(source, schema, 1)
        source.sql("flush binary logs; flush binary logs")
        purge(source)
        for _ in range(2):  # the refusal is not forgotten
            task.start("resume")
            fatal_end(task, ["the source has purged binlog", "reload-target", "binlog_expire_logs_seconds"])
        task.start("reload")
        prove_equal(task, schema)


def test_what_was_not_read_is_lost_to_a_running_task(shop: tuple[MyServer, PgServer, str]) -> None:
    """It stands still and its connection is cut; meanwhile the log goes."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        acknowledged(task, source)
        os.kill(task.process.pid, signal.SIGSTOP)
        try:
            fill(source, schema, 1)
            source.sql("flush binary logs; flush binary logs")
            for id_, command in source.sql("select id, command from information_schema.processlist"):
                if command.startswith("Binlog Dump"):
                    source.sql(f"kill {id_}")
            purge(source)
        finally:
            os.kill(task.process.pid, signal.SIGCONT)
        assert task.wait_end(20) == 1, task.log_text()
        if task.report()["recoverable"]:  # the lost connection was noticed before the lost file
            task.start("resume")
        fatal_end(task, ["the source has purged binlog", "reload-target"])
        task.start("reload")
        prove_equal(task, schema)


READ = 20  # transactions, after which the task stands


def begun_anew(source: MyServer, schema: str, grown: str) -> None:
    """The log is reset. `same places`: it has as many transactions of the same sizes; `other places`: more of them."""
    file = source.sql("show master status")[0][0]
    source.sql("reset master")
    if not grown:
        return fill(source, schema, 100)
    fill(source, schema, 7000, 1)
    while source.sql("show master status")[0][0] < file:
        source.sql("flush binary logs")
    several = range(8000, 8000 + (READ if grown == "same places" else 30 * READ))
    rows = [f"insert into bag values ({n}, '{'r' * 30}')" for n in several]
    # as wait_caught_up() does behind the rows
    source.sql("; ".join([*rows, "drop database if exists gw_test_end", *rows[:5]]), schema)


def stands_in(task: TaskProcess, source: MyServer, schema: str, grown: str) -> None:
    """The task has read a file of its own up to its end."""
    ready(task)
    source.sql("flush binary logs")
    size = 1 if grown == "same places" else 8
    for n in range(READ):
        rows = ", ".join([f"({1000 + n}, '{'r' * 30}')"] * size)
        source.sql(f"insert into bag values {rows}", schema)
    task.wait_caught_up()
    acknowledged(task, source)


grows = pytest.mark.parametrize("grown", ["", "same places", "other places"])


@grows
def test_reset_while_it_is_stopped(grown: str, shop: tuple[MyServer, PgServer, str]) -> None:
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        stands_in(task, source, schema, grown)
        assert task.stop() == 0
        begun_anew(source, schema, grown)
        for _ in range(2):
            task.start("resume")
            fatal_end(task, ["reset", "reload-target"])
        task.start("reload")
        prove_equal(task, schema)


@grows
def test_reset_while_it_runs(grown: str, shop: tuple[MyServer, PgServer, str]) -> None:
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        stands_in(task, source, schema, grown)
        begun_anew(source, schema, grown)
        assert task.wait_end(20) == 1, task.log_text()
        if task.report()["recoverable"]:  # only the lost connection was noticed
            task.start("resume")
        fatal_end(task, ["reset", "reload-target"])
        task.start("reload")
        prove_equal(task, schema)
