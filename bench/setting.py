"""What all lines share: two PostgreSQL servers, a godwit server, MySQL or MariaDB servers, the table, the figures."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import CHANGED_ROWS, Line, Series, note, number, run_pipe, run_tool
from godwit import GodwitServer
from my import MyServer
from pg import PgServer, bin_folder

if TYPE_CHECKING:
    import changes
    import my_changes
    import pg_changes

CLIENTS = 4
SERVER: dict[str, str | int] = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "512MB",
    "wal_retrieve_retry_interval": "100ms",  # or a subscription that was just disabled waits 5 s
}
# Durable, and the log synchronised as the flavour does by itself.
MY_SERVER: dict[str, dict[str, str | int]] = {
    "mariadb": {"innodb-buffer-pool-size": "1G", "innodb-log-file-size": "1G", "sync-binlog": 0},
    "mysql": {"innodb-buffer-pool-size": "1G", "innodb-log-file-size": "1G", "sync-binlog": 1},
}
NAMES = {"mariadb": "MariaDB", "mysql": "MySQL"}
COLUMNS = """(
    id bigint not null, customer_id integer not null, product_id integer not null, state smallint not null,
    quantity integer not null, price numeric(10,2) not null, placed_at timestamptz not null, paid boolean not null,
    reference text not null, note text)"""
ROWS_OF = """select i, i % 100003, i % 5003, i % 5, 1 + i % 9, (i % 99991) * 0.01,
           timestamptz '2025-01-01' + i * interval '1 s', i % 2 = 0, md5(i::text),
           case when i % 3 <> 0 then 'leave it at the door of number ' || i % 1000 end
    from generate_series({0}, {1}) i"""
FILL = f"insert into orders {ROWS_OF}"
MY_COLUMNS = """(
    id bigint not null primary key, customer_id int not null, product_id int not null, state smallint not null,
    quantity int not null, price decimal(10,2) not null, placed_at timestamp(6) not null,
    paid tinyint not null, reference varchar(64) not null, note text)"""
# the same rows as LOAD DATA of MY_COLUMNS takes them
MY_ROWS = """select i, i % 100003, i % 5003, i % 5, 1 + i % 9, (i % 99991) * 0.01,
           timestamp '2025-01-01' + i * interval '1 s', (i % 2 = 0)::int, md5(i::text),
           case when i % 3 <> 0 then 'leave it at the door of number ' || i % 1000 end
    from generate_series(1, {0}) i"""


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
        self.pg_consumers: tuple[pg_changes.Native, pg_changes.Godwit] | None = None
        self.my_servers: dict[str, MyServer] = {}
        self.my_consumers: dict[str, tuple[my_changes.Writer, list[changes.Consumer]]] = {}

    def add(self, key: str, unit: str, value: float) -> None:
        self.series.setdefault(key, Series(unit)).add(value)
        note(f"{key}: {number(value)} {unit}")

    def median(self, key: str) -> float:
        return self.series[key].median if key in self.series else math.nan

    def text(self, key: str) -> str:
        return self.series[key].text() if key in self.series else "-"

    @contextlib.contextmanager
    def timed(self, key: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.add(key, "s", time.monotonic() - begin)

    def line(self, *arguments: Any, **more: Any) -> None:
        self.lines.append(Line(*arguments, **more))

    def compare(self, name: str, one: str, other: str, bar: float | None = None, at_most: bool = True) -> None:
        """A line of one series divided by another."""
        self.line(name, self.median(one) / self.median(other), "x", bar, at_most, self.beside(one, other))

    def beside(self, *keys: str) -> str:
        return "; ".join(f"{key.rpartition('.')[2]} {self.text(key)}" for key in keys)

    def start(self) -> None:
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
        run_tool(
            [
                *(str(self.tools / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2"),
                *(*size, *more, "-f", str(script), self.source.conninfo(database)),
            ],
            {**os.environ, "PGOPTIONS": f"-c synchronous_commit={sync}"},
        )

    def psql(self, server: PgServer, database: str, command: str) -> list[str]:
        return [str(self.tools / "psql"), "-Xqd", server.conninfo(database), "-c", command]

    # --- MySQL and MariaDB

    def my(self, flavour: str, *roles: str) -> list[MyServer]:
        """Servers by what they are for; those of the other flavour end."""
        for name, server in list(self.my_servers.items()):
            if server.flavour != flavour:
                server.close()
                del self.my_servers[name]
        missing = [role for role in roles if role not in self.my_servers]
        for role in missing:
            server_id = 100 + len(self.my_servers)
            self.my_servers[role] = MyServer(
                self.folder / f"{flavour}-{role}",
                flavour=flavour,
                fsync=True,
                settings={**MY_SERVER[flavour], "server-id": server_id},
            )
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(MyServer.start, [self.my_servers[role] for role in missing]))
        return [self.my_servers[role] for role in roles]

    def pipe(self, query: str, source: PgServer, database: str, target: MyServer, table: str) -> None:
        """psql COPY into one session of LOAD DATA LOCAL."""
        load = f"load data local infile '/dev/stdin' into table {table} character set utf8mb4"
        run_pipe(
            self.psql(source, database, f"copy ({query}) to stdout"),
            [*target.client_command(), "--local-infile=1", "-e", load],
        )

    def fill_my(self, server: MyServer, database: str, rows: int) -> None:
        note(f"{rows:,} rows into {NAMES[server.flavour]}")
        server.sql(f"drop database if exists {database}")
        server.create_database(database)
        server.sql(f"create table orders {MY_COLUMNS}", database)
        self.pipe(MY_ROWS.format(rows), self.source, "postgres", server, f"{database}.orders")
        server.sql("analyze table orders", database)

    def close(self) -> None:
        servers = [self.source, self.target, *self.my_servers.values()]
        for action in (self.godwit.close, *(server.close for server in servers)):
            try:
                action()
            except Exception as error:
                print(f"while cleaning up: {error}", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)
