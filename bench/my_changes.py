"""Changes of MySQL and MariaDB: the log decoded to nowhere, applied beside a replica, and their lag."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pg_changes
import pymysql
from changes import Consumer, TaskConsumer, add_lags, lags_ms, write_probes
from figures import CHANGED_ROWS, LAG_S, RUNS, SMALL, built, run_tool
from my import MyServer, client
from setting import NAMES, Bench
from tasks import Task

WRITERS = 4
NOT_YET = (1049, 1146)  # a replica has no such database, no such table so far
# Transactions of two updates, in the order of the key so that they never deadlock.
PROCEDURES = (
    """create procedure bench.pair(top int)
    begin
        declare a, b int;
        set a = 1 + floor(rand() * top), b = 1 + floor(rand() * top);
        start transaction;
        update shop.orders set quantity = quantity + 1 where id = least(a, b);
        update shop.orders set quantity = quantity + 1 where id = greatest(a, b);
        commit;
    end""",
    """create procedure bench.pairs(n int, top int)
    begin
        declare i int default 0;
        while i < n do
            call bench.pair(top);
            set i = i + 1;
        end while;
    end""",
)


def connect(server: MyServer, **more: Any) -> Any:
    return pymysql.connect(host=server.host, port=server.port, user=server.user, autocommit=True, **more)


class Writer:
    """Who writes into the source."""

    def __init__(self, bench: Bench, source: MyServer) -> None:
        self.source, self.marks = source, 0
        source.sql("drop database if exists shop; reset master")  # a replica would repeat what others wrote
        bench.fill_my(source, "shop", CHANGED_ROWS)
        self.connection = connect(source)
        self.run("create table shop.marks (number bigint primary key)")
        self.run("create table shop.probe (id bigint primary key, written double not null)")
        self.run("drop database if exists bench")
        self.run("create database bench")
        for procedure in PROCEDURES:
            self.run(procedure)

    def run(self, statement: str) -> None:
        self.connection.cursor().execute(statement)

    def mark(self) -> int:
        """A commit that comes after all others; when it is there, they are."""
        self.marks += 1
        self.run(f"insert into shop.marks values ({self.marks})")
        return self.marks

    def small(self, transactions: int) -> None:
        """Nobody waits for the source's disk: this is not what is measured."""
        kept = self.source.sql("select @@sync_binlog, @@innodb_flush_log_at_trx_commit")[0]
        self.durability("0", "0")
        try:
            self.run(f"call bench.pairs({transactions}, {CHANGED_ROWS})")
        finally:
            self.durability(*kept)

    def durability(self, log: str, engine: str) -> None:
        self.run(f"set global sync_binlog = {log}")
        self.run(f"set global innodb_flush_log_at_trx_commit = {engine}")

    def large(self, times: int) -> None:
        self.run("begin")
        for _ in range(times):
            self.run("update shop.orders set quantity = quantity + 1")
        self.run("commit")


class Newest(Consumer):
    """Sees the target through its newest rows."""

    def newest(self, column: str, table: str) -> list[tuple[Any, ...]]:
        """A few, the highest number first."""
        raise NotImplementedError

    def arrived(self, mark: int) -> bool:
        rows = self.newest("number", "marks")
        return bool(rows) and rows[0][0] >= mark

    def probes(self, after: int) -> list[tuple[int, float]]:
        return [row for row in self.newest("id", "probe") if row[0] > after]


class OnMysql(Newest):
    def __init__(self, name: str, target: MyServer) -> None:
        super().__init__(name)
        self.connection = connect(target)

    def newest(self, column: str, table: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as c:
            try:
                c.execute(f"select * from shop.{table} order by {column} desc limit 50")
            except pymysql.err.MySQLError as error:
                if error.args[0] in NOT_YET:
                    return []
                raise
            return list(c.fetchall())


class Replica(OnMysql):
    """The server's own replication, with its defaults."""

    def __init__(self, source: MyServer, target: MyServer) -> None:
        super().__init__("native", target)
        place = (
            "master_use_gtid = slave_pos"
            if source.flavour == "mariadb"
            else "master_auto_position = 1, get_master_public_key = 1"
        )
        self.run(
            f"change master to master_host = '{source.host}', master_port = {source.port}, "
            f"master_user = '{source.user}', master_connect_retry = 1, {place}"
        )

    def run(self, statement: str) -> None:
        self.connection.cursor().execute(statement)

    def enable(self) -> None:
        self.run("start slave")

    def disable(self) -> None:
        self.run("stop slave")


class GodwitToMysql(TaskConsumer, OnMysql):
    def __init__(self, bench: Bench, source: MyServer, target: MyServer) -> None:
        OnMysql.__init__(self, "godwit", target)
        self.task = Task(
            *(bench, f"changes-{source.flavour}", "full-load-and-cdc", "", ""),
            source=source,
            target=target,
            schema="shop",
        )


class GodwitToPostgres(TaskConsumer, Newest):
    def __init__(self, bench: Bench, source: MyServer) -> None:
        super().__init__("to_pg")
        database = f"changes_{source.flavour}"
        bench.target.create_database(database)
        self.connection = bench.target.connect(database)
        self.task = Task(
            *(bench, f"changes-{source.flavour}-pg", "full-load-and-cdc", "", database), source=source, schema="shop"
        )

    def newest(self, column: str, table: str) -> list[tuple[Any, ...]]:
        return list(self.connection.execute(f"select * from shop.{table} order by {column} desc limit 50").fetchall())


def consumers(bench: Bench, flavour: str) -> tuple[Writer, list[Consumer]]:
    """Three of them, in step, and none enabled. Made once for each kind of server."""
    if flavour not in bench.my_consumers:
        source, target, replica = bench.my(flavour, "source", "target", "replica")
        writer = Writer(bench, source)
        tasks = [GodwitToMysql(bench, source, target), GodwitToPostgres(bench, source)]
        native = Replica(source, replica)
        for task in tasks:
            task.load()
        native.enable()
        mark = writer.mark()
        everyone = [native, *tasks]
        for c in everyone:
            c.wait_mark(mark)
            c.disable()
        bench.my_consumers[flavour] = writer, everyone
    return bench.my_consumers[flavour]


# ----------------------------------------------------------------------------------------------------- decoding


def measure_my_decode(bench: Bench, flavour: str) -> None:
    """A log of one large transaction and many small ones; mysqlbinlog reads MariaDB's here."""
    if flavour != "mariadb":
        return
    binlog_null = built("binlog_null")
    (source,) = bench.my(flavour, "source")
    writer = Writer(bench, source)
    writer.run("flush binary logs")
    writer.large(1)
    writer.small(SMALL)
    file = source.sql("show master status")[0][0]
    address = ["-h", source.host, "-P", str(source.port), "-u", source.user]
    reader = [client("-binlog"), "--no-defaults", "--read-from-remote-server", *address]
    commands = {
        "godwit": [binlog_null, "--host", source.host, "--port", str(source.port), "--file", file],
        "plain": [*reader, file],
        "verbose": [*reader, "-v", file],
    }
    for _ in range(RUNS):
        for tool, command in commands.items():
            with bench.timed(f"my_decode.{tool}"):
                run_tool(command, stdout=subprocess.DEVNULL)
    for tool, name, bar in (("verbose", "mysqlbinlog -v", 1.0), ("plain", "mysqlbinlog", None)):
        bench.compare(f"MariaDB: log to nowhere, godwit / {name}", "my_decode.godwit", f"my_decode.{tool}", bar)


# ------------------------------------------------------------------------------------------------------ changes


def measure_my_changes(bench: Bench, flavour: str) -> None:
    """What was written while nobody read; each from the command that enables it until the last change is there."""
    writer, everyone = consumers(bench, flavour)
    postgres = pg_changes.consumers(bench)[1]
    key = f"my_changes.{flavour}"
    for _ in range(RUNS):
        for kind in ("small", "large"):
            if kind == "small":
                writer.small(SMALL)
                bench.pgbench(postgres.database, SMALL, sync="off")
            else:
                writer.large(1)
                bench.source.sql("update orders set quantity = quantity + 1", database=postgres.database)
            mark = writer.mark()
            for c in everyone:
                bench.add(f"{key}.{kind}.{c.name}", "s", c.catch_up(mark))
            bench.add(f"{key}.{kind}.pg_pg", "s", postgres.catch_up(postgres.mark()))
            bench.target.sql("vacuum shop.orders", database=f"changes_{flavour}")
            postgres.vacuum()
    writer.large(2)
    mark = writer.mark()
    for c in everyone:
        c.enable()
        c.wait_mark(mark)
        if isinstance(c, TaskConsumer):  # a process of its own: its peak is that of this transaction
            bench.add(f"{key}.peak.{c.name}", "MB", c.task.peak_mb())
        c.disable()
    change_lines(bench, f"{key}.small", NAMES[flavour], f"{SMALL:,} transactions of 2", 1.0)
    change_lines(bench, f"{key}.large", NAMES[flavour], f"1 transaction of {CHANGED_ROWS:,} updates", 3.5)
    for name, end in (("godwit", NAMES[flavour]), ("to_pg", "PostgreSQL")):
        bench.line(
            f"{NAMES[flavour]} to {end}: peak RSS, {2 * CHANGED_ROWS:,} rows",
            bench.median(f"{key}.peak.{name}"),
            "MB",
            256,
        )


def change_lines(bench: Bench, key: str, flavour: str, name: str, replica_bar: float) -> None:
    bench.compare(f"{flavour} to {flavour}: {name} / replica", f"{key}.godwit", f"{key}.native", replica_bar)
    bench.compare(f"{flavour} to PostgreSQL: {name} / from PostgreSQL", f"{key}.to_pg", f"{key}.pg_pg", 1.2)


# ---------------------------------------------------------------------------------------------------------- lag


def measure_my_lag(bench: Bench, flavour: str) -> None:
    writer, everyone = consumers(bench, flavour)
    key = f"my_lag.{flavour}"
    for _ in range(RUNS):
        for c in everyone:
            writer.run("delete from shop.probe")
            c.enable()
            c.wait_mark(writer.mark())
            lags, rate = live_lags_ms(writer, c)
            c.disable()
            bench.add(f"{key}.rate", "rows/s", rate)
            add_lags(bench, key, c, lags)
    rate = bench.median(f"{key}.rate")
    for name, end in (("godwit", NAMES[flavour]), ("to_pg", "PostgreSQL")):
        for p, bar in ((50, None), (99, 25)):
            bench.line(
                f"{NAMES[flavour]} to {end}: lag at {rate:,.0f} rows/s, p{p}",
                bench.median(f"{key}_p{p}.{name}"),
                "ms",
                bar,
                detail=bench.beside(f"{key}_p{p}.{name}", f"{key}_p{p}.native"),
            )


def live_lags_ms(writer: Writer, consumer: Consumer) -> tuple[list[float], float]:
    """Of probes beside a load of small transactions, and the rows of that load per second."""
    port = str(writer.source.port)
    load = subprocess.Popen([sys.executable, __file__, "load", port, str(LAG_S + 2)], stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    prober = subprocess.Popen([sys.executable, __file__, "probe", port, str(LAG_S)])
    try:
        lags = lags_ms(consumer, prober)
    finally:
        prober.wait(LAG_S + 30)
        written_rows = float(load.communicate(timeout=LAG_S + 60)[0])
    return lags, written_rows / (LAG_S + 2)


def write_load(port: int, seconds: float) -> None:
    """1,000 transactions of two updates a second, from a few sessions."""
    done = [0] * WRITERS

    def work(who: int) -> None:
        c = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True).cursor()
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            c.execute(f"call bench.pair({CHANGED_ROWS})")
            done[who] += 1
            time.sleep(max(0, begin + done[who] * WRITERS / 1000 - time.monotonic()))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(WRITERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(2 * sum(done))


def write_probe(port: int, seconds: float) -> None:
    c = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True).cursor()
    write_probes(seconds, lambda i: c.execute(f"insert into shop.probe values ({i}, unix_timestamp(sysdate(6)))"))


if __name__ == "__main__":
    {"load": write_load, "probe": write_probe}[sys.argv[1]](int(sys.argv[2]), float(sys.argv[3]))
