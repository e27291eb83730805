#!/usr/bin/env python3
"""make bench: godwit beside the tools that one would otherwise pick, on one machine, in one run.

Two PostgreSQL servers with fsync on, one table of ten columns. What is compared takes turns (A B C A B C), medians
count. Prints a table with the bar of each line and writes build/bench.json. docs/benchmarks.md says what is measured.

    BENCH_ROWS=5000000    rows of the full load; the change streams are sized by it
    BENCH_RUNS=5          repeats of each line
    BENCH_ONLY=load,...   some lines only: load, large, backlog, live, decode, lag, serve
    BENCH_SYNC=on         synchronous_commit of whoever applies changes, godwit and PostgreSQL alike
    BENCH_OUT=FILE        instead of build/bench.json
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "servers"))

from godwit import GodwitServer, program
from pg import ROOT, PgServer, bin_folder, free_port

ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
PARTS = ["load", "large", "backlog", "live", "decode", "lag", "serve"]
ONLY = [p for p in os.environ.get("BENCH_ONLY", ",".join(PARTS)).split(",") if p]
SYNC = os.environ.get("BENCH_SYNC", "on")
OUT = Path(os.environ.get("BENCH_OUT", ROOT / "build" / "bench.json"))

CHANGED_ROWS = max(1000, ROWS // 5)  # rows of the table that changes, and updates of the large transaction
SMALL = max(400, ROWS // 25)  # transactions of two updates
CLIENTS = 4
LAG_S = 10 if ROWS >= 1_000_000 else 2
TIMEOUT_S = 900
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

SERVER: dict[str, str | int] = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "512MB",
    "wal_retrieve_retry_interval": "100ms",  # or a subscription that was just disabled waits 5 s
}
COLUMNS = """(
    id bigint not null, customer_id integer not null, product_id integer not null, state smallint not null,
    quantity integer not null, price numeric(10,2) not null, placed_at timestamptz not null, paid boolean not null,
    reference text not null, note text)"""
FILL = """insert into orders
    select i, i % 100003, i % 5003, i % 5, 1 + i % 9, (i % 99991) * 0.01, timestamptz '2025-01-01' + i * interval '1 s',
           i % 2 = 0, md5(i::text), case when i % 3 <> 0 then 'leave it at the door of number ' || i % 1000 end
    from generate_series({0}, {1}) i"""


class BenchError(RuntimeError):
    """A line that could not be measured; the text says why."""


def say(text: str = "") -> None:
    print(text, flush=True)


def note(text: str) -> None:
    """What goes on, on the terminal's other stream."""
    print(f"  {text}", file=sys.stderr, flush=True)


# --------------------------------------------------------------------------------------------------- figures


@dataclass
class Series:
    """One figure, measured several times."""

    unit: str
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def median(self) -> float:
        return statistics.median(self.values) if self.values else math.nan

    def text(self) -> str:
        if not self.values:
            return "-"
        return f"{number(self.median)} {self.unit} ({number(min(self.values))}..{number(max(self.values))})"


def number(x: float) -> str:
    if x >= 10_000:
        return f"{x:,.0f}"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


@dataclass
class Line:
    """One line of the table: a figure of godwit, those beside it, and the bar."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = True  # else: at least
    detail: str = ""

    @property
    def met(self) -> bool | None:
        if self.bar is None or math.isnan(self.value):
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    def text(self) -> str:
        bar = "" if self.bar is None else f"{'<=' if self.at_most else '>='} {number(self.bar)}"
        verdict = {True: "met", False: "NOT met", None: ""}[self.met]
        value = "-" if math.isnan(self.value) else f"{number(self.value)} {self.unit}".rstrip()
        return f"{self.name:<46} {value:>14}  {bar:>12}  {verdict:<8} {self.detail}".rstrip()


class Usage:
    """CPU time and peak memory of every task process and keeper of a server while they live.

    What is there is looked for again and again, and each process is read every 5 ms, so that at most that
    much of its end is missed.
    """

    def __init__(self, godwit: GodwitServer) -> None:
        self.godwit = godwit
        self.cpu_s: dict[int, float] = {}
        self.begin_s: dict[int, float] = {}
        self.peak_mb: dict[int, float] = {}
        self.task: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._known: dict[int, bool] = {}

    def __enter__(self) -> Usage:
        self._find()
        self.begin_s = {pid: self.cpu_s.get(pid, 0.0) for pid in self._known}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._read()
        self._stop.set()
        self._thread.join()

    @property
    def total_cpu_s(self) -> float:
        return sum(s - self.begin_s.get(pid, 0.0) for pid, s in self.cpu_s.items())

    @property
    def task_peak_mb(self) -> float:
        return max((self.peak_mb.get(pid, 0.0) for pid in self.task), default=math.nan)

    def _run(self) -> None:
        rounds = 0
        while not self._stop.wait(0.005):
            if rounds % 10 == 0:
                self._find()
            self._read()
            rounds += 1

    def _find(self) -> None:
        """Descendants of the program, by what they run: the processes of tasks and their keepers."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) in self._known or int(entry) == self.godwit.pid:
                continue
            try:
                line = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                if line[0] and Path(os.fsdecode(line[0])).name.startswith("godwit"):
                    ours = f"{self.godwit.mark}".encode() in Path(f"/proc/{entry}/environ").read_bytes()
                    self._known[int(entry)] = ours
                    if ours and b"task-process" in line:
                        self.task.add(int(entry))
            except OSError:
                continue
        self._read()

    def _read(self) -> None:
        for pid, ours in list(self._known.items()):
            if not ours:
                continue
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self.cpu_s[pid] = (int(fields[11]) + int(fields[12])) * TICK_S
                for row in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if row.startswith("VmHWM:"):
                        self.peak_mb[pid] = int(row.split()[1]) / 1024
            except (OSError, ValueError, IndexError):
                continue


# ----------------------------------------------------------------------------------------------------- tasks


class Task:
    """One replication task between two databases, through the DMS API."""

    def __init__(self, bench: Bench, name: str, kind: str, source_database: str, target_database: str) -> None:
        self.godwit, self.name = bench.godwit, name
        self.dms = bench.dms
        ends = []
        for end, server, database in (
            ("source", bench.source, source_database),
            ("target", bench.target, target_database),
        ):
            members = server.endpoint(database)
            if end == "target":
                members["ExtraConnectionAttributes"] = f"synchronousCommit={SYNC}"
            ends.append(
                self.dms.create_endpoint(EndpointIdentifier=f"{name}-{end}", EndpointType=end, **members)["Endpoint"][
                    "EndpointArn"
                ]
            )
        rule = {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "1",
            "rule-action": "include",
            "object-locator": {"schema-name": "public", "table-name": "%"},
        }
        self.arn = self.dms.create_replication_task(
            ReplicationTaskIdentifier=name,
            SourceEndpointArn=ends[0],
            TargetEndpointArn=ends[1],
            ReplicationInstanceArn=bench.instance,
            MigrationType=kind,
            TableMappings=json.dumps({"rules": [rule]}),
            ReplicationTaskSettings=json.dumps({"Logging": {"EnableLogging": True}}),
        )["ReplicationTask"]["ReplicationTaskArn"]
        self.wait(lambda t: t["status"] == "ready", "ready")

    def report(self) -> dict[str, Any]:
        return dict(self.godwit.get(f"/godwit/v1/tasks/{self.name}"))

    def start(self, how: str) -> None:
        self.dms.start_replication_task(ReplicationTaskArn=self.arn, StartReplicationTaskType=how)

    def stop(self) -> None:
        self.dms.stop_replication_task(ReplicationTaskArn=self.arn)
        self.wait(lambda t: t["status"] == "stopped", "stopped")

    def wait(self, done: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            report = self.report()
            if done(report):
                return report
            if report["status"] == "failed" or any(t["state"] == "Table error" for t in report.get("tables", [])):
                detail = [t["detail"] for t in report.get("tables", []) if t["detail"]]
                raise BenchError(f"task {self.name}: {report.get('last_error')} {detail}")
            time.sleep(0.005)
        raise BenchError(f"task {self.name} was not {what} within {TIMEOUT_S} s")


class Consumer:
    """Who brings changes from a database of the source to the one of that name on the target."""

    def __init__(self, bench: Bench, database: str) -> None:
        self.bench, self.database = bench, database
        self.marks = 0

    def enable(self) -> None:
        raise NotImplementedError

    def disable(self) -> None:
        raise NotImplementedError

    def next_mark(self) -> int:
        self.marks += 1
        return self.marks

    def mark(self) -> int:
        """A commit that comes after all others; when it is there, they are."""
        number = self.next_mark()
        self.bench.source.sql("insert into marks values (%s)", (number,), self.database)
        return number

    def wait_mark(self, mark: int) -> float:
        """When it was seen on the target."""
        deadline = time.monotonic() + TIMEOUT_S
        with self.bench.target.connect(self.database) as c:
            while time.monotonic() < deadline:
                if c.execute("select 1 from marks where number = %s", (mark,)).fetchone():
                    return time.monotonic()
                time.sleep(0.002)
        raise BenchError(f"{self.database}: the changes did not arrive within {TIMEOUT_S} s")

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


class Native(Consumer):
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


class Godwit(Consumer):
    """A task of godwit."""

    def create(self) -> None:
        self.task = Task(self.bench, "changes", "full-load-and-cdc", self.database, self.database)
        self.task.start("start-replication")
        self.task.wait(lambda t: t.get("phase") == "change processing", "loaded")
        self.settle()

    def enable(self) -> None:
        self.task.start("resume-processing")

    def disable(self) -> None:
        self.task.stop()
        self.wait_slot("not active")

    def peak_mb(self) -> float:
        pid = self.bench.godwit.task_pid(self.task.arn)
        for row in Path(f"/proc/{pid}/status").read_text().splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) / 1024
        return math.nan


def quoted(text: str) -> str:
    return text.replace("'", "''")


# ----------------------------------------------------------------------------------------------------- bench


class Bench:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="godwit-bench-"))
        self.folder.chmod(0o755)
        self.source = PgServer(self.folder / "source", fsync=True, settings=SERVER)
        self.target = PgServer(self.folder / "target", fsync=True, settings=SERVER)
        self.godwit = GodwitServer(self.folder / "godwit", environment={"GODWIT_MIN_RUNNING_VISIBLE": "0"})
        self.lines: list[Line] = []
        self.series: dict[str, Series] = {}
        self.tools = bin_folder(15)
        self.environment = {**os.environ, "PATH": f"{self.tools}:{os.environ.get('PATH', '')}"}

    def add(self, key: str, unit: str, value: float) -> None:
        self.series.setdefault(key, Series(unit)).add(value)
        note(f"{key}: {number(value)} {unit}")

    def median(self, key: str) -> float:
        return self.series[key].median if key in self.series else math.nan

    def text(self, key: str) -> str:
        return self.series[key].text() if key in self.series else "-"

    def line(self, *arguments: Any, **more: Any) -> None:
        self.lines.append(Line(*arguments, **more))

    def run(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(PgServer.start, [self.source, self.target]))
        self.godwit.start()
        self.dms = self.godwit.client()
        self.instance = self.dms.create_replication_instance(
            ReplicationInstanceIdentifier="bench", ReplicationInstanceClass="dms.c5.xlarge"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        self.dms.get_waiter("replication_instance_available").wait(
            Filters=[{"Name": "replication-instance-arn", "Values": [self.instance]}],
            WaiterConfig={"Delay": 1, "MaxAttempts": 60},
        )
        for part in PARTS:
            if part in ONLY:
                note(f"== {part}")
                getattr(self, f"measure_{part}")()

    def fill(self, database: str, rows: int) -> None:
        note(f"{rows:,} rows into {database}")
        self.source.create_database(database)
        self.source.sql(f"create table orders {COLUMNS}", database=database)
        half = rows // 2
        with ThreadPoolExecutor(2) as pool:
            parts = [(1, half), (half + 1, rows)]
            for done in [pool.submit(self.source.sql, FILL.format(*p), None, database) for p in parts]:
                done.result()
        self.source.sql("alter table orders add primary key (id)", database=database)
        self.source.sql("vacuum (analyze, freeze) orders", database=database)

    # --- full load

    def measure_load(self) -> None:
        self.fill("load", ROWS)
        self.source.sql("checkpoint")
        task = None
        for run in range(RUNS):
            for tool in ("godwit", "psql", "pgcopydb"):
                database = f"load_{tool}"
                if run > 0 and tool == "godwit":  # the task keeps its ledger there
                    self.target.sql("drop table orders", database=database)
                else:
                    self.target.sql(f'drop database if exists "{database}"')
                    self.target.create_database(database)
                self.target.sql("checkpoint")
                if tool == "godwit":
                    task = task or Task(self, "load", "full-load", "load", database)
                    self.load_godwit(task, "start-replication" if run == 0 else "reload-target")
                elif tool == "psql":
                    self.load_psql(database)
                else:
                    self.load_pgcopydb(database)
                rows = self.target.sql("select count(*) from orders", database=database)[0][0]
                keys = self.target.sql(
                    "select count(*) from pg_index where indrelid = 'orders'::regclass and indisprimary",
                    database=database,
                )[0][0]
                if (rows, keys) != (ROWS, 1):
                    raise BenchError(f"{tool} brought {rows} of {ROWS} rows and {keys} primary keys")
        for tool in ("godwit", "psql", "pgcopydb"):
            self.target.sql(f'drop database "load_{tool}" with (force)')
        beside = f"godwit {self.text('load.godwit')}; psql|psql {self.text('load.psql')}"
        self.line(
            "full load / psql COPY | psql COPY",
            self.median("load.godwit") / self.median("load.psql"),
            "x",
            0.80,
            detail=beside,
        )
        self.line(
            "full load / pgcopydb clone",
            self.median("load.godwit") / self.median("load.pgcopydb"),
            "x",
            detail=f"pgcopydb {self.text('load.pgcopydb')}",
        )
        self.line(
            "full load, rows per CPU-second",
            self.median("load.rows_per_cpu_s") / 1e6,
            "M",
            5.0,
            at_most=False,
            detail=f"CPU {self.text('load.cpu')}",
        )
        self.line("full load, peak RSS of the task", self.median("load.peak"), "MB", 64)

    def load_godwit(self, task: Task, how: str) -> None:
        with Usage(self.godwit) as usage:
            begin = time.monotonic()
            task.start(how)
            report = task.wait(lambda t: t["status"] in ("stopped", "failed"), "stopped")
            took = time.monotonic() - begin
        if report["stop_reason"] != "FULL_LOAD_ONLY_FINISHED":
            raise BenchError(f"the load ended with {report['stop_reason']} {report['last_error']}")
        self.add("load.godwit", "s", took)
        self.add("load.cpu", "s", usage.total_cpu_s)
        self.add("load.rows_per_cpu_s", "rows/s", ROWS / max(TICK_S, usage.total_cpu_s))
        self.add("load.peak", "MB", usage.task_peak_mb)

    def load_psql(self, database: str) -> None:
        self.target.sql(f"create table orders {COLUMNS}", database=database)
        self.target.sql("alter table orders add primary key (id)", database=database)
        psql = str(self.tools / "psql")
        begin = time.monotonic()
        reader = subprocess.Popen(
            [psql, "-Xqd", self.source.conninfo("load"), "-c", "copy orders to stdout (format binary)"],
            stdout=subprocess.PIPE,
        )
        writer = subprocess.run(
            [psql, "-Xqd", self.target.conninfo(database), "-c", "copy orders from stdin (format binary)"],
            stdin=reader.stdout,
            check=False,
            timeout=TIMEOUT_S,
        )
        if reader.wait(TIMEOUT_S) != 0 or writer.returncode != 0:
            raise BenchError("psql COPY | psql COPY failed")
        self.add("load.psql", "s", time.monotonic() - begin)

    def load_pgcopydb(self, database: str) -> None:
        work = self.folder / "pgcopydb"
        shutil.rmtree(work, ignore_errors=True)
        begin = time.monotonic()
        done = subprocess.run(
            [
                *("pgcopydb", "clone", "--dir", str(work), "--table-jobs", "4", "--index-jobs", "2"),
                *("--source", self.source.conninfo("load"), "--target", self.target.conninfo(database)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env={**self.environment, "TMPDIR": str(self.folder), "XDG_DATA_HOME": str(self.folder)},
        )
        took = time.monotonic() - begin
        if done.returncode != 0:
            raise BenchError(f"pgcopydb: {done.stderr[-2000:]}")
        self.add("load.pgcopydb", "s", took)

    # --- changes

    def consumers(self) -> tuple[Native, Godwit]:
        """Both, loaded, in step, and neither enabled. Made once."""
        if not hasattr(self, "_consumers"):
            native, godwit = Native(self, "native"), Godwit(self, "godwit")
            for c in (native, godwit):
                self.fill(c.database, CHANGED_ROWS)
                self.source.sql("create table marks (number bigint primary key)", database=c.database)
                self.source.sql("create table probe (id bigint primary key, written timestamptz)", database=c.database)
                self.target.create_database(c.database)
            for c in (native, godwit):
                c.create()
                self.target.sql("vacuum analyze orders", database=c.database)
                c.disable()
            self._consumers = native, godwit
        return self._consumers

    @contextlib.contextmanager
    def enabled(self, consumer: Consumer) -> Iterator[None]:
        consumer.enable()
        consumer.settle()
        yield
        consumer.disable()
        consumer.vacuum()

    def pgbench(self, database: str, transactions: int, *more: str, sync: str = "on") -> None:
        """Transactions of two updates, in the order of the key so that they never deadlock."""
        script = self.folder / "two_updates.sql"
        if not script.exists():
            script.write_text(
                f"\\set a random(1, {CHANGED_ROWS})\n\\set b random(1, {CHANGED_ROWS})\n"
                "\\set lo least(:a, :b)\n\\set hi greatest(:a, :b)\nbegin;\n"
                "update orders set quantity = quantity + 1 where id = :lo;\n"
                "update orders set quantity = quantity + 1 where id = :hi;\ncommit;\n"
            )
        size = ["-t", str(transactions // CLIENTS)] if transactions else []
        done = subprocess.run(
            [
                *(str(self.tools / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2"),
                *(*size, *more, "-f", str(script), self.source.conninfo(database)),
            ],
            env={**os.environ, "PGOPTIONS": f"-c synchronous_commit={sync}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode != 0:
            raise BenchError(f"pgbench: {done.stderr[-2000:]}")

    def large(self, consumer: Consumer, times: int) -> float:
        """One transaction that updates every row `times` times; from its COMMIT to its being visible."""
        mark = consumer.next_mark()
        with self.source.connect(consumer.database, autocommit=False) as c:
            for _ in range(times):
                c.execute("update orders set quantity = quantity + 1")
            c.execute("insert into marks values (%s)", (mark,))
            begin = time.monotonic()
            c.commit()
        return consumer.wait_mark(mark) - begin

    def beside(self, key: str) -> str:
        return f"godwit {self.text(f'{key}.godwit')}; native {self.text(f'{key}.native')}"

    def ratio(self, key: str) -> float:
        return self.median(f"{key}.native") / self.median(f"{key}.godwit")

    def measure_large(self) -> None:
        both = self.consumers()
        for _ in range(RUNS):
            for c in both:
                with self.enabled(c):
                    self.add(f"large.{c.database}", "s", self.large(c, 1))
        godwit = both[1]
        with self.enabled(godwit):  # a process of its own: its peak is that of this transaction
            self.large(godwit, 2)
            self.add("large.peak", "MB", godwit.peak_mb())
        self.line(
            f"1 transaction of {CHANGED_ROWS:,} updates, native /",
            self.ratio("large"),
            "x",
            1.2,
            at_most=False,
            detail=self.beside("large"),
        )
        self.line(f"peak RSS, transaction of {2 * CHANGED_ROWS:,} rows", self.median("large.peak"), "MB", 256)

    def measure_backlog(self) -> None:
        both = self.consumers()
        for _ in range(RUNS):
            for c in both:
                self.pgbench(c.database, SMALL, sync="off")
                mark = c.mark()
                self.source.sql("checkpoint")
                begin = time.monotonic()
                c.enable()
                self.add(f"backlog.{c.database}", "s", c.wait_mark(mark) - begin)
                c.disable()
                c.vacuum()
        self.line(
            f"{SMALL:,} transactions of 2, backlog, native /",
            self.ratio("backlog"),
            "x",
            3.0,
            at_most=False,
            detail=self.beside("backlog"),
        )

    def measure_live(self) -> None:
        """Once: beside a writer that is faster than it, native replication takes minutes to come to the end."""
        for c in self.consumers():
            with self.enabled(c):
                begin = time.monotonic()
                self.pgbench(c.database, SMALL)
                over = time.monotonic()
                seen = c.wait_mark(c.mark())
                self.add(f"live.{c.database}", "s", seen - begin)
                self.add(f"live_rest.{c.database}", "s", seen - over)
        name = f"{SMALL:,} live,"
        self.line(f"{name} from the first, native /", self.ratio("live"), "x", detail=self.beside("live"))
        self.line(
            f"{name} after the last commit, native /", self.ratio("live_rest"), "x", detail=self.beside("live_rest")
        )

    # --- decoding alone

    def measure_decode(self) -> None:
        decode_null = Path(os.environ.get("BENCH_DECODE_NULL", program().parent / "bench" / "decode_null"))
        if not decode_null.exists():
            raise BenchError(f"{decode_null} is not built (cmake -DGODWIT_BENCH=ON, target decode_null)")
        self.fill("decode", CHANGED_ROWS)
        source = self.source
        source.sql("create publication bench for all tables", database="decode")
        source.sql("select pg_create_logical_replication_slot('base', 'pgoutput')", database="decode")
        source.sql("update orders set quantity = quantity + 1", database="decode")
        self.pgbench("decode", SMALL, sync="off")
        end = source.sql("select pg_current_wal_insert_lsn()::text", database="decode")[0][0]
        source.sql("update orders set quantity = 0 where id = 1", database="decode")
        source.sql("checkpoint")
        options = ["-o", "proto_version=2", "-o", "publication_names=bench", "-o", "binary=true", "-o", "streaming=on"]
        commands = {
            "godwit": [
                *(str(decode_null), "--host", source.host, "--port", str(source.port), "--user", source.user),
                *("--database", "decode", "--publications", "bench", "--binary", "true", "--streaming", "true"),
                *("--until", end, "--slot"),
            ],
            "native": [
                *(str(self.tools / "pg_recvlogical"), "-d", source.conninfo("decode"), "--start", "-f", os.devnull),
                *("--no-loop", "--endpos", end, *options, "--slot"),
            ],
        }
        for run in range(RUNS):
            for tool, command in commands.items():
                slot = f"{tool}_{run}"
                source.sql("select pg_copy_logical_replication_slot('base', %s)", (slot,), "decode")
                begin = time.monotonic()
                done = subprocess.run([*command, slot], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
                took = time.monotonic() - begin
                if done.returncode != 0:
                    raise BenchError(f"decoding with {command[0]}: {done.stderr[-2000:]}")
                self.add(f"decode.{tool}", "s", took)
                source.sql("select pg_drop_replication_slot(%s)", (slot,), "decode")
        source.sql("select pg_drop_replication_slot('base')", database="decode")
        self.line(
            "decoding to nowhere, pg_recvlogical /",
            self.median("decode.native") / self.median("decode.godwit"),
            "x",
            0.95,
            at_most=False,
            detail=f"decode_null {self.text('decode.godwit')}; pg_recvlogical {self.text('decode.native')}",
        )

    # --- lag

    def measure_lag(self) -> None:
        both = self.consumers()
        for _ in range(RUNS):
            for c in both:
                with self.enabled(c):
                    values = sorted(self.lags_ms(c))
                    if len(values) < 50:
                        raise BenchError(f"{c.database}: {len(values)} samples only")
                    for p in (50, 99):
                        self.add(f"lag_p{p}.{c.database}", "ms", values[min(len(values) - 1, len(values) * p // 100)])
        self.line(
            "lag at 2,000 rows/s, p50",
            self.median("lag_p50.godwit"),
            "ms",
            detail=f"godwit {self.text('lag_p50.godwit')}; native {self.text('lag_p50.native')}",
        )
        self.line(
            "lag at 2,000 rows/s, p99",
            self.median("lag_p99.godwit"),
            "ms",
            25,
            detail=f"godwit {self.text('lag_p99.godwit')}; native {self.text('lag_p99.native')}",
        )

    def lags_ms(self, consumer: Consumer) -> list[float]:
        """A row every 10 ms that carries its own time, taken just before its commit; when is it seen?"""
        self.source.sql("delete from probe", database=consumer.database)
        consumer.settle()
        load = threading.Thread(
            target=self.pgbench, args=(consumer.database, 0, "-R", "1000", "-T", str(LAG_S + 2)), daemon=True
        )
        load.start()
        time.sleep(1)
        # another process: two threads of one would wait for each other
        prober = subprocess.Popen(
            [sys.executable, __file__, "--probe", self.source.conninfo(consumer.database), str(LAG_S)]
        )
        lags: list[float] = []
        last = 0
        try:
            with self.target.connect(consumer.database, prepare_threshold=0) as c:
                deadline = time.monotonic() + LAG_S + 30
                while time.monotonic() < deadline:
                    ended = prober.poll() is not None
                    rows = c.execute(
                        "select id, extract(epoch from written)::float8 from probe where id > %s", (last,)
                    ).fetchall()
                    seen = time.time()
                    for number_, written in rows:
                        lags.append((seen - written) * 1000)
                        last = max(last, number_)
                    if ended and not rows:
                        break
                    time.sleep(0.0002)
        finally:
            prober.wait(LAG_S + 30)
            load.join(LAG_S + 60)
        return lags

    # --- serve

    def measure_serve(self) -> None:
        for run in range(RUNS):
            port = free_port()
            data = self.folder / f"serve{run}"
            with open(self.folder / "serve.log", "ab") as log:
                begin = time.monotonic()
                process = subprocess.Popen(
                    [str(program()), "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"],
                    stdout=log,
                    stderr=log,
                )
            try:
                while True:
                    try:
                        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                            break
                    except OSError:
                        if time.monotonic() - begin > 30 or process.poll() is not None:
                            raise BenchError("godwit serve did not start") from None
                        time.sleep(0.001)
                self.add("serve.start", "s", time.monotonic() - begin)
                time.sleep(0.5)
                for row in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if row.startswith("VmRSS:"):
                        self.add("serve.rss", "MB", int(row.split()[1]) / 1024)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
        self.line("godwit serve, idle RSS", self.median("serve.rss"), "MB", 64)
        self.line("godwit serve, exec to first answer", self.median("serve.start"), "s", 1)

    # --- the end

    def machine(self) -> dict[str, Any]:
        model = platform.processor()
        with contextlib.suppress(OSError):
            for row in Path("/proc/cpuinfo").read_text().splitlines():
                if row.startswith("model name"):
                    model = row.partition(":")[2].strip()
                    break
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return {
            "cpu": model,
            "cores": os.cpu_count(),
            "memory_gb": round(memory, 1),
            "system": f"{platform.system()} {platform.release()}",
            "load_average": [round(x, 2) for x in os.getloadavg()],
        }

    def document(self, error: str) -> dict[str, Any]:
        def text_of(*command: str) -> str:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            return done.stdout.strip()

        flags = ""
        with contextlib.suppress(OSError):
            for row in (program().parent / "CMakeCache.txt").read_text().splitlines():
                if row.startswith("CMAKE_CXX_FLAGS_RELEASE:"):
                    flags = row.partition("=")[2]
        return {
            "machine": self.machine(),
            "commit": text_of("git", "rev-parse", "HEAD"),
            "changed_files": len(text_of("git", "status", "--porcelain", "--", "src").splitlines()),
            "flags": flags,
            "settings": {
                "rows": ROWS,
                "runs": RUNS,
                "parts": ONLY,
                "synchronous_commit": SYNC,
                "servers": {**SERVER, "fsync": "on", "version": 15},
            },
            "error": error,
            "lines": [
                {
                    "name": x.name,
                    "value": None if math.isnan(x.value) else x.value,
                    "unit": x.unit,
                    "bar": x.bar,
                    "at_most": x.at_most,
                    "met": x.met,
                }
                for x in self.lines
            ],
            "series": {
                key: {
                    "unit": s.unit,
                    "median": s.median,
                    "min": min(s.values),
                    "max": max(s.values),
                    "values": s.values,
                }
                for key, s in self.series.items()
            },
        }

    def print(self) -> None:
        machine = self.machine()
        say()
        say(
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; PostgreSQL 15, fsync on; "
            f"{ROWS:,} rows, medians of {RUNS}"
        )
        say()
        for line in self.lines:
            say(line.text())
        missed = [x for x in self.lines if x.met is False]
        say()
        say(f"{sum(x.met is True for x in self.lines)} bars met, {len(missed)} not met")

    def close(self) -> None:
        for action in (self.godwit.close, self.source.close, self.target.close):
            try:
                action()
            except Exception as error:
                print(f"while cleaning up: {error}", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)


def probe(conninfo: str, seconds: float) -> int:
    """The process that writes a row every 10 ms."""
    import psycopg

    with psycopg.connect(conninfo, autocommit=True) as c:
        begin = time.monotonic()
        for i in range(1, int(seconds * 100) + 1):
            c.execute("insert into probe values (%s, clock_timestamp())", (i,))
            time.sleep(max(0, begin + i * 0.01 - time.monotonic()))
    return 0


def main() -> int:
    if len(sys.argv) == 4 and sys.argv[1] == "--probe":
        return probe(sys.argv[2], float(sys.argv[3]))
    unknown = [p for p in ONLY if p not in PARTS]
    if unknown or RUNS < 1 or ROWS < 1000:
        print(f"bench: not a part: {unknown}" if unknown else "bench: too small", file=sys.stderr)
        return 2

    def interrupted(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    bench = Bench()
    error = ""
    try:
        bench.run()
    except KeyboardInterrupt:
        error = "interrupted"
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        if text := bench.godwit.log_text():
            print(text, file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench.close()
    bench.print()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(bench.document(error), indent=1) + "\n")
    say(f"written to {OUT}")
    if error:
        print(f"bench: {error}", file=sys.stderr)
        return 130 if error == "interrupted" else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
