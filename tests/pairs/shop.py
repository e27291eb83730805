"""A small shop on any server, traffic on it, and what it holds as plain text: two servers are equal when their texts
are. Tables: keyed, composite key, keyless with duplicate rows, large values, a second unique key."""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pymysql
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

Server = PgServer | MyServer
TABLES = ("keyed", "pair", "bag", "wide", "coded")
CUT = (1053, 1317, 1927, 2003, 2006, 2013, 2055, 3169)  # the server has gone away, or is about to

MY_SCHEMA = [
    "create table keyed (id bigint primary key, v int not null, note varchar(60), at datetime(6))",
    "create table pair (a int, b varchar(20), v decimal(12,2), primary key (a, b))",
    "create table bag (k int, v varchar(40))",
    "create table wide (id int primary key, n int not null, big longtext, raw longblob)",
    "create table coded (id int primary key, code int not null unique, v int)",
]
PG_SCHEMA = [
    "create table keyed (id bigint primary key, v int not null, note varchar(60), at timestamp)",
    "create table pair (a int, b varchar(20), v numeric(12,2), primary key (a, b))",
    "create table bag (k int, v varchar(40))",
    "alter table bag replica identity full",
    "create table wide (id int primary key, n int not null, big text, raw bytea)",
    "alter table wide alter big set storage external",  # so that updates leave it out of the log
    "create table coded (id int primary key, code int not null unique, v int)",
]


def connect(server: Server, schema: str) -> Any:
    if isinstance(server, PgServer):
        c = psycopg.connect(server.conninfo("postgres"), autocommit=True)
        c.execute(f"set search_path = {schema}")
        return c
    return pymysql.connect(
        host=server.host, port=server.port, user=server.user, database=schema, autocommit=True, charset="utf8mb4"
    )


def create(server: Server, schema: str, rows: int = 4000) -> None:
    if isinstance(server, PgServer):
        server.sql(f"create schema {schema}")
    else:
        server.create_database(schema)
    with connect(server, schema) as c, c.cursor() as cursor:
        for statement in PG_SCHEMA if isinstance(server, PgServer) else MY_SCHEMA:
            cursor.execute(statement)
        cursor.executemany(
            "insert into keyed values (%s, %s, %s, '2020-01-01 00:00:00')", [(n, n % 97, "k" * 40) for n in range(rows)]
        )
        cursor.executemany(
            "insert into pair values (%s, %s, %s)", [(n, f"b{n % 7}", f"{n / 3:.2f}") for n in range(rows // 2)]
        )
        cursor.executemany("insert into bag values (%s, %s)", [(n % 50, f"dup {n % 10}") for n in range(rows // 4)])
        cursor.executemany(
            "insert into wide values (%s, 0, %s, %s)", [(n, "text " * 900, bytes(range(256)) * 8) for n in range(100)]
        )
        cursor.executemany("insert into coded values (%s, %s, 0)", [(n, n) for n in range(200)])
        c.commit()
        # slices are cut by what the server thinks of its tables
        cursor.execute(f"analyze {'table ' if isinstance(server, MyServer) else ''}{', '.join(TABLES)}")


class Traffic:
    """Writers that insert, update, delete, change keys and roll back, until stopped. They outlast a server that goes
    away. `big_every`: one transaction of so many is large, with a part that is taken back; 0: none."""

    def __init__(
        self,
        server: Server,
        schema: str,
        seed: int = 1,
        writers: int = 2,
        first_id: int = 1_000_000,
        *,
        pause_s: float = 0,
        big_every: int = 0,
    ) -> None:
        self.server, self.schema, self.first_id = server, schema, first_id
        self.pause_s, self.big_every = pause_s, big_every
        self._end = threading.Event()
        self.errors: list[str] = []
        self.transactions = 0
        self._threads = [threading.Thread(target=self._write, args=(seed * 100 + n, n)) for n in range(writers)]

    def __enter__(self) -> Traffic:
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._end.set()
        for t in self._threads:
            t.join()
        assert not self.errors, self.errors
        assert self.transactions > 0

    def _write(self, seed: int, number: int) -> None:
        r = random.Random(seed)
        numbers = itertools.count(self.first_id + number * 10_000_000)
        try:
            while not self._end.is_set():
                try:
                    with connect(self.server, self.schema) as c:
                        self._transactions(c, r, numbers)
                except Exception as e:
                    if not gone(e):
                        raise
                    self._end.wait(0.05)
        except Exception as e:
            self.errors.append(repr(e))

    def _transactions(self, c: Any, r: random.Random, numbers: Iterator[int]) -> None:
        if isinstance(self.server, PgServer):
            c.autocommit = False
        else:
            c.autocommit(False)
        cursor = c.cursor()
        for turn in itertools.count(1):
            if self._end.is_set():
                return
            try:
                if self.big_every and turn % self.big_every == 0:
                    self._large(cursor, numbers)
                for _ in range(r.choice((1, 1, 2, 5, 40))):
                    self._change(cursor, r, next(numbers))
                if r.random() < 0.1:
                    c.rollback()
                else:
                    c.commit()
                self.transactions += 1
            except (psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation):
                c.rollback()
            except pymysql.err.MySQLError as e:
                if e.args[0] not in (0, 1062, 1205, 1213):
                    raise
                c.rollback()
            self._end.wait(self.pause_s)

    @staticmethod
    def _large(cursor: Any, numbers: Iterator[int]) -> None:
        """Large enough to be streamed by PostgreSQL while it is open."""
        ids = [next(numbers) for _ in range(700)]
        cursor.executemany("insert into keyed values (%s, 0, %s, null)", [(n, "L" * 50) for n in ids])
        cursor.execute("savepoint part")
        cursor.executemany("insert into bag values (%s, 'undone')", [(n % 50,) for n in ids[:300]])
        cursor.execute("rollback to savepoint part")
        cursor.execute("update keyed set v = v + 1 where id between %s and %s", (ids[0], ids[300]))
        cursor.execute("delete from keyed where id between %s and %s", (ids[400], ids[-1]))
        cursor.executemany("insert into bag values (%s, 'large')", [(n % 50,) for n in ids[:20]])

    @staticmethod
    def _change(cursor: Any, r: random.Random, fresh: int) -> None:
        some = r.randrange(4000)
        match r.randrange(15):
            case 0 | 1:
                cursor.execute(
                    "insert into keyed values (%s, 1, %s, '2024-02-29 12:34:56.123456')", (fresh, "ü😀\\\t\n'\"")
                )
            case 2 | 3:
                cursor.execute("update keyed set v = v + 1 where id = %s", (some,))
            case 4:
                cursor.execute("delete from keyed where id = %s", (some,))
            case 5:
                cursor.execute("update keyed set id = %s, note = null where id = %s", (fresh, some))
            case 6:
                cursor.execute("update pair set v = v + 0.01 where a = %s", (some % 2000,))
            case 7:
                cursor.execute("update pair set b = %s where a = %s", (f"c{fresh}", some % 2000))
            case 8:
                cursor.execute("insert into bag values (%s, %s)", (some % 50, f"dup {some % 10}"))
            case 9:
                cursor.execute("update bag set v = %s where k = %s and v = %s", ("new", some % 50, f"dup {some % 10}"))
            case 10:
                cursor.execute("delete from bag where k = %s", (some % 50,))
            case 11:
                cursor.execute("update wide set n = n + 1 where id = %s", (some % 100,))
            case 12:
                cursor.execute("update wide set big = %s where id = %s", (f"{fresh} " * 600, some % 100))
            case 13:  # the code goes to another row
                cursor.execute("select code from coded where id = %s", (some % 200,))
                for (code,) in cursor.fetchall():
                    cursor.execute("update coded set code = %s, v = v + 1 where id = %s", (-fresh, some % 200))
                    cursor.execute("update coded set code = %s where id = %s", (code, (some + 1) % 200))
            case 14:
                cursor.execute("select code from coded where id = %s", (some % 200,))
                for (code,) in cursor.fetchall():
                    cursor.execute("delete from coded where id = %s", (some % 200,))
                    cursor.execute("insert into coded values (%s, %s, 0)", (some % 200, code))


def gone(e: Exception) -> bool:
    """Is it the connection that failed, or the server that goes away?"""
    if isinstance(e, pymysql.err.MySQLError):
        return isinstance(e, pymysql.err.InterfaceError) or e.args[0] in CUT
    return isinstance(e, psycopg.OperationalError | OSError)


def content(server: Server, schema: str) -> dict[str, list[str]]:
    """Every row as text, sorted."""
    out = {}
    with connect(server, schema) as c, c.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"select * from {table}")
            rows = [tuple(plain(v) for v in row) for row in cursor.fetchall()]
            if table == "pair":  # MySQL before 8.0.17 has no exact collation: the key is held as bytes there
                rows = [(a, b.decode() if isinstance(b, bytes) else b, v) for a, b, v in rows]
            out[table] = sorted(map(repr, rows))
    return out


def plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def difference(source: Server, target: Server, schema: str) -> dict[str, Any]:
    a, b = content(source, schema), content(target, schema)
    out: dict[str, Any] = {}
    for table in TABLES:
        if a[table] != b[table]:
            left, right = set(a[table]), set(b[table])
            out[table] = {
                "rows": (len(a[table]), len(b[table])),
                "only on the source": sorted(left - right)[:5],
                "only on the target": sorted(right - left)[:5],
            }
    return out


# --- a task on it


def schema_name() -> str:
    return "s" + uuid.uuid4().hex[:8]


def database(server: Server) -> str:
    """Where a task connects to; its tables are in a schema, which on MySQL is a database."""
    return "" if isinstance(server, MyServer) else "postgres"


def shop_task(source: Server, target: Server, schema: str, **more: Any) -> TaskProcess:
    return TaskProcess(source, target, database(source), database(target), mappings=select(schema), **more)


def exceptions(task: TaskProcess) -> list[Any]:
    """Conflicts that apply met: none may occur in an exact pipeline."""
    name = "awsdms_apply_exceptions"
    found = task.on_target(f"select table_schema from information_schema.tables where table_name = '{name}'")
    columns = (
        '"TABLE_NAME", "STATEMENT", "ERROR"' if isinstance(task.target, PgServer) else "TABLE_NAME, STATEMENT, ERROR"
    )
    key = '"TASK_NAME"' if isinstance(task.target, PgServer) else "TASK_NAME"
    return [
        row for (s,) in found for row in task.on_target(f"select {columns} from {s}.{name} where {key} = '{task.id}'")
    ]


def prove_equal(task: TaskProcess, schema: str, timeout_s: float = 60) -> None:
    """The traffic has ended: every table is in step, both sides are equal, and stay so."""
    task.wait_loaded(timeout_s)
    # one that is to be loaded anew is suspended until then
    task.wait_joined(timeout_s)
    task.wait_caught_up(timeout_s)
    wrong = difference(task.source, task.target, schema)
    assert not wrong, f"{wrong}\n{task.log_text(400)}"
    assert exceptions(task) == [], task.log_text(400)
    assert task.stop() == 0, task.log_text()
    report = task.report()
    assert (report["state"], report["stop_reason"]) == ("stopped", "NORMAL"), report
    # nothing came after the comparison either
    assert not difference(task.source, task.target, schema)


def clean_up(source: Server, target: Server, schema: str) -> None:
    """What the suites leave behind on servers that they share."""
    for server in (source, target):
        if isinstance(server, MyServer):
            server.sql(f"drop database if exists `{schema}`")
        else:
            server.sql(f"drop schema if exists {schema} cascade")
            server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")
