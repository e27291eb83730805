"""Changes from PostgreSQL to PostgreSQL, beside native logical replication."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from changes import Consumer, TaskConsumer, add_lags, lags_ms, write_probes
from figures import CHANGED_ROWS, LAG_S, RUNS, SMALL, SYNC, TIMEOUT_S, BenchError
from setting import COLUMNS, Bench
from tasks import Task


class OnPostgres(Consumer):
    """From a database of the source to the one of that name on the target."""

    def __init__(self, bench: Bench, database: str) -> None:
        super().__init__(database)
        self.bench, self.database = bench, database
        self.marks = 0

    @functools.cached_property
    def target(self) -> Any:
        return self.bench.target.connect(self.database, prepare_threshold=0)

    def arrived(self, mark: int) -> bool:
        return self.target.execute("select 1 from marks where number = %s", (mark,)).fetchone() is not None

    def probes(self, after: int) -> list[tuple[int, float]]:
        query = "select id, extract(epoch from written)::float8 from probe where id > %s"
        return list(self.target.execute(query, (after,)).fetchall())

    def next_mark(self) -> int:
        self.marks += 1
        return self.marks

    def mark(self) -> int:
        """A commit that comes after all others; when it is there, they are."""
        number = self.next_mark()
        self.bench.source.sql("insert into marks values (%s)", (number,), self.database)
        return number

    def settle(self) -> None:
        self.wait_mark(self.mark())

    def vacuum(self) -> None:
        for server in (self.bench.source, self.bench.target):
            server.sql("vacuum orders", database=self.database)
            server.sql("checkpoint")

    def wait_slot(self, condition: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            rows = self.bench.source.sql(
                f"select count(*) from pg_replication_slots where database = %s and not temporary and {condition}",
                (self.database,),
            )
            if rows[0][0] > 0:
                return
            time.sleep(0.01)
        raise BenchError(f"{self.database}: its replication slot is not as expected: {condition}")


class Native(OnPostgres):
    """PostgreSQL's own logical replication."""

    def create(self) -> None:
        b = self.bench
        b.source.sql("create publication bench for all tables", database=self.database)
        b.target.sql(f"create table orders {COLUMNS}", database=self.database)
        b.target.sql("alter table orders add primary key (id)", database=self.database)
        b.target.sql("create table marks (number bigint primary key)", database=self.database)
        b.target.sql("create table probe (id bigint primary key, written timestamptz)", database=self.database)
        b.target.sql(
            f"create subscription bench connection '{quoted(b.source.conninfo(self.database))}' publication bench "
            f"with (streaming = on, binary = on, synchronous_commit = {SYNC})",
            database=self.database,
        )
        deadline = time.monotonic() + TIMEOUT_S
        while b.target.sql("select 1 from pg_subscription_rel where srsubstate <> 'r'", database=self.database):
            if time.monotonic() > deadline:
                raise BenchError("the subscription's first copy did not end")
            time.sleep(0.05)
        self.settle()

    def enable(self) -> None:
        self.bench.target.sql("alter subscription bench enable", database=self.database)

    def disable(self) -> None:
        self.bench.target.sql("alter subscription bench disable", database=self.database)
        self.wait_slot("not active")


class Godwit(TaskConsumer, OnPostgres):
    def create(self) -> None:
        self.task = Task(self.bench, "changes", "full-load-and-cdc", self.database, self.database)
        self.load()
        self.settle()

    def disable(self) -> None:
        super().disable()
        self.wait_slot("not active")


def quoted(text: str) -> str:
    return text.replace("'", "''")


def consumers(bench: Bench) -> tuple[Native, Godwit]:
    """Both, loaded, in step, and neither enabled. Made once."""
    if bench.pg_consumers is None:
        native, godwit = Native(bench, "native"), Godwit(bench, "godwit")
        for c in (native, godwit):
            bench.fill(c.database, CHANGED_ROWS)
            bench.source.sql("create table marks (number bigint primary key)", database=c.database)
            bench.source.sql("create table probe (id bigint primary key, written timestamptz)", database=c.database)
            bench.target.create_database(c.database)
        for c in (native, godwit):
            c.create()
            bench.target.sql("vacuum analyze orders", database=c.database)
            c.disable()
        bench.pg_consumers = native, godwit
    return bench.pg_consumers


@contextlib.contextmanager
def enabled(bench: Bench, consumer: OnPostgres) -> Iterator[None]:
    consumer.enable()
    consumer.settle()
    yield
    consumer.disable()
    consumer.vacuum()


def large(bench: Bench, consumer: OnPostgres, times: int) -> float:
    """One transaction that updates every row `times` times; from its COMMIT to its being visible."""
    mark = consumer.next_mark()
    with bench.source.connect(consumer.database, autocommit=False) as c:
        for _ in range(times):
            c.execute("update orders set quantity = quantity + 1")
        c.execute("insert into marks values (%s)", (mark,))
        begin = time.monotonic()
        c.commit()
    return consumer.wait_mark(mark) - begin


def faster(bench: Bench, name: str, key: str, bar: float | None = None) -> None:
    bench.compare(name, f"{key}.native", f"{key}.godwit", bar, at_most=False)


def measure_large(bench: Bench) -> None:
    both = consumers(bench)
    for _ in range(RUNS):
        for c in both:
            with enabled(bench, c):
                bench.add(f"large.{c.database}", "s", large(bench, c, 1))
    godwit = both[1]
    with enabled(bench, godwit):  # a process of its own: its peak is that of this transaction
        large(bench, godwit, 2)
        bench.add("large.peak", "MB", godwit.task.peak_mb())
    faster(bench, f"1 transaction of {CHANGED_ROWS:,} updates, native /", "large", 1.2)
    bench.line(f"peak RSS, transaction of {2 * CHANGED_ROWS:,} rows", bench.median("large.peak"), "MB", 256)


def measure_backlog(bench: Bench) -> None:
    both = consumers(bench)
    for _ in range(RUNS):
        for c in both:
            bench.pgbench(c.database, SMALL, sync="off")
            mark = c.mark()
            bench.source.sql("checkpoint")
            bench.add(f"backlog.{c.database}", "s", c.catch_up(mark))
            c.vacuum()
    faster(bench, f"{SMALL:,} transactions of 2, backlog, native /", "backlog", 3.0)


def measure_live(bench: Bench) -> None:
    """Once: beside a writer that is faster than it, native replication takes minutes to come to the end."""
    for c in consumers(bench):
        with enabled(bench, c):
            begin = time.monotonic()
            bench.pgbench(c.database, SMALL)
            over = time.monotonic()
            seen = c.wait_mark(c.mark())
            bench.add(f"live.{c.database}", "s", seen - begin)
            bench.add(f"live_rest.{c.database}", "s", seen - over)
    faster(bench, f"{SMALL:,} live, from the first, native /", "live")
    faster(bench, f"{SMALL:,} live, after the last commit, native /", "live_rest")


def measure_lag(bench: Bench) -> None:
    both = consumers(bench)
    for _ in range(RUNS):
        for c in both:
            with enabled(bench, c):
                add_lags(bench, "lag", c, live_lags_ms(bench, c))
    for p, bar in ((50, None), (99, 25)):
        key = f"lag_p{p}"
        bench.line(
            f"lag at 2,000 rows/s, p{p}",
            bench.median(f"{key}.godwit"),
            "ms",
            bar,
            detail=bench.beside(f"{key}.godwit", f"{key}.native"),
        )


def live_lags_ms(bench: Bench, consumer: OnPostgres) -> list[float]:
    """Of probes beside a load of small transactions."""
    bench.source.sql("delete from probe", database=consumer.database)
    consumer.settle()
    load = threading.Thread(
        target=bench.pgbench, args=(consumer.database, 0, "-R", "1000", "-T", str(LAG_S + 2)), daemon=True
    )
    load.start()
    time.sleep(1)
    # another process: two threads of one would wait for each other
    prober = subprocess.Popen([sys.executable, __file__, bench.source.conninfo(consumer.database), str(LAG_S)])
    try:
        return lags_ms(consumer, prober)
    finally:
        prober.wait(LAG_S + 30)
        load.join(LAG_S + 60)


def probe(conninfo: str, seconds: float) -> None:
    with psycopg.connect(conninfo, autocommit=True) as c:
        write_probes(seconds, lambda i: c.execute("insert into probe values (%s, clock_timestamp())", (i,)))


if __name__ == "__main__":
    probe(sys.argv[1], float(sys.argv[2]))
