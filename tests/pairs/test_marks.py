"""Goal: a load and the log meet at one transaction. Tables without a key show every row that comes twice or never."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
import uuid

import psycopg
import pymysql
import pytest
from my import MyServer
from pg import PgServer
from server import ServerError
from shop import Server, connect
from task_process import TaskProcess, select

FLAVOURS = ["mariadb", "mysql"]


class Rows:
    """Writers that insert one row a transaction, and now and then delete one, until stopped."""

    def __init__(self, source: MyServer, schema: str, tables: list[str], writers: int = 6) -> None:
        self.source, self.schema, self.tables = source, schema, tables
        self._end = threading.Event()
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(writers)]

    def _run(self, number: int) -> None:
        try:
            with connect(self.source, self.schema) as c, c.cursor() as cursor:
                n = number
                while not self._end.is_set():
                    n += len(self._threads)
                    table = self.tables[n % len(self.tables)]
                    cursor.execute(f"insert into {table} values (%s, 'row')", (n,))
                    if n % 7 == 0:
                        cursor.execute(f"delete from {table} where k = %s", (n - 4 * len(self._threads),))
        except Exception as e:
            self.errors.append(repr(e))

    def __enter__(self) -> Rows:
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for t in self._threads:
            t.join()
        assert not self.errors, self.errors


def rows(server: PgServer | MyServer, schema: str, table: str) -> list[tuple[str, ...]]:
    return sorted(tuple(map(str, r)) for r in server.sql(f"select k, count(*) from {schema}.{table} group by k"))


def equal(task: TaskProcess, source: MyServer, target: PgServer, schema: str, tables: list[str]) -> None:
    wrong: dict[str, object] = {}

    def same() -> bool:
        wrong.clear()
        for t in tables:
            a, b = rows(source, schema, t), rows(target, schema, t)
            if a != b:
                wrong[t] = (sorted(set(a) - set(b))[:5], sorted(set(b) - set(a))[:5])
        return not wrong

    deadline = time.monotonic() + 20
    while not same():
        assert time.monotonic() < deadline, f"{wrong}\n{task.log_text()}"
        time.sleep(0.2)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_many_loads_meet_the_log(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """Eight tables without a key load and reload while they are written to."""
    source = request.getfixturevalue(flavour)
    schema = "m" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    tables = [f"t{n}" for n in range(8)]
    source.sql(";".join(f"create table {t} (k bigint, v varchar(10))" for t in tables), schema)
    with (
        Rows(source, schema, tables) as traffic,
        TaskProcess(source, postgres, "", "postgres", mappings=select(schema)) as task,
    ):
        time.sleep(0.5)
        task.start("fresh")
        task.wait_loaded()
        for _ in range(14):
            for t in tables:
                assert task.control("reload", tables=[{"schema": schema, "table": t}])["ok"]
            time.sleep(0.9)
        traffic.__exit__()
        task.wait_loaded()
        equal(task, source, postgres, schema, tables)
        assert task.stop() == 0


@pytest.mark.parametrize(("flavour", "how"), [("mariadb", "auto"), ("mysql", "auto"), ("mariadb", "range")])
def test_a_prepared_transaction_is_waited_for(
    flavour: str, how: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    """It was written to the log before the mark and is committed behind it: neither view nor log would bring it."""
    source = request.getfixturevalue(flavour)
    schema = "x" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql("create table t (k int primary key, v varchar(9)); insert into t values (1, 'one')", schema)
    source.sql("xa start 'held'; insert into t values (2, 'two'); xa end 'held'; xa prepare 'held'", schema)
    attributes = {"snapshotmode": how}
    with TaskProcess(source, postgres, "", "postgres", mappings=select(schema), source_attributes=attributes) as task:
        try:
            task.start("fresh")
            time.sleep(2)
            assert task.report()["state"] != "failed", task.log_text()
        finally:
            source.sql("xa commit 'held'")
        task.wait_loaded()
        source.sql("insert into t values (3, 'three')", schema)
        equal(task, source, postgres, schema, ["t"])
        # prepared and committed while the log is read
        source.sql("xa start 'later'; insert into t values (4, 'x'); xa end 'later'; xa prepare 'later'", schema)
        source.sql("insert into t values (5, 'y')", schema)
        source.sql("xa commit 'later'")
        equal(task, source, postgres, schema, ["t"])
        assert task.table("t")["reloaded"] is False  # as it would be were the load not to wait
        assert task.stop() == 0


def test_prepared_before_capture(mariadb: MyServer, postgres: PgServer) -> None:
    """Of a load without a lock: behind the question, and in front of its view. Of changes only: waited for where they
    begin now; where they begin in the past nobody has read its rows, and the tables are loaded anew."""
    prepare = "xa start '{0}'; insert into t values ({1}, 'xa'); xa end '{0}'; xa prepare '{0}'"
    task, schema = task_on(mariadb, postgres, "create table t (k int primary key, v varchar(9))", snapshotmode="range")
    with task:
        task.start("fresh", failpoint="load.views=sleep:2000")
        task.wait_for(lambda: "without a lock" in task.log_text(), 10, "the load begins")
        time.sleep(0.7)
        mariadb.sql(prepare.format("between", 1), schema)
        task.wait_loaded()
        mariadb.sql("xa commit 'between'")
        equal(task, mariadb, postgres, schema, ["t"])
        assert task.stop() == 0
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(schema), kind="cdc") as now:
        mariadb.sql(prepare.format("held", 2), schema)
        try:
            now.start("fresh")
            now.wait_for(lambda: "waiting for 1 prepared" in now.log_text(), 10, "it waits")
        finally:
            mariadb.sql("xa commit 'held'")
        now.wait_state("running")
        assert now.stop() == 0
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(schema), kind="cdc") as past:
        mariadb.sql(prepare.format("old", 3), schema)
        file, offset = mariadb.sql("show master status")[0][:2]
        mariadb.sql("insert into t values (4, 'y'); xa commit 'old'", schema)
        past.spec["cdc_start"] = f"{file}:{offset}"
        past.start("fresh")
        equal(past, mariadb, postgres, schema, ["t"])
        assert past.stop() == 0
        # ... also when another process reads on in between
        mariadb.sql(prepare.format("older", 5), schema)
        try:
            file, offset = mariadb.sql("show master status")[0][:2]
            past.spec["cdc_start"] = f"{file}:{offset}"
            past.start("fresh")
            mariadb.sql("insert into t values (6, 'z')", schema)
            look = f"select k from {schema}.t where k > 4 order by k"
            past.wait_for(lambda: postgres.sql(look) == [(6,)], 20, "what follows")
            assert past.stop() == 0
            past.start("resume")
            past.wait_state("running")
        finally:
            mariadb.sql("xa commit 'older'")
        past.wait_for(lambda: postgres.sql(look) == [(5,), (6,)], 20, "what was prepared before")
        assert past.stop() == 0


class Churn(Rows):
    """Writers that insert, replace, delete and move rows of few keys, each a transaction: a row that is taken from the
    wrong moment shows as a wrong number."""

    def _run(self, number: int) -> None:
        try:
            with connect(self.source, self.schema) as c, c.cursor() as cursor:
                r, n = random.Random(number), number
                while not self._end.is_set():
                    n += len(self._threads)
                    table, k = self.tables[n % len(self.tables)], r.randrange(60)
                    with contextlib.suppress(pymysql.err.IntegrityError, pymysql.err.OperationalError):
                        if n % 4 == 0:
                            cursor.execute(f"delete from {table} where k = %s", (k,))
                        elif n % 4 == 1:
                            cursor.execute(f"update {table} set k = %s, v = %s where k = %s", (r.randrange(60), n, k))
                        else:
                            cursor.execute(
                                f"insert into {table} values (%s, %s) on duplicate key update v = %s", (k, n, n)
                            )
        except Exception as e:
            self.errors.append(repr(e))


def values(server: Server, schema: str, table: str) -> list[tuple[int, int]]:
    return sorted((int(k), int(v)) for k, v in server.sql(f"select k, v from {schema}.{table}"))


@pytest.mark.parametrize("to", ["postgres", "mariadb"])
def test_many_loads_without_a_lock(to: str, mysql: MyServer, request: pytest.FixtureRequest) -> None:
    """The mark is a range of the log, in which the images of rows decide."""
    target = request.getfixturevalue(to)
    schema = "r" + uuid.uuid4().hex[:8]
    mysql.create_database(schema)
    tables = [f"t{n}" for n in range(6)]
    mysql.sql(";".join(f"create table {t} (k int primary key, v bigint)" for t in tables), schema)
    attributes = {"snapshotmode": "range"}
    database = "postgres" if to == "postgres" else ""
    with (
        Churn(mysql, schema, tables) as traffic,
        TaskProcess(mysql, target, "", database, mappings=select(schema), source_attributes=attributes) as task,
    ):
        time.sleep(0.3)
        # much is committed between what bounds the snapshot
        task.start("fresh", failpoint="load.views=sleep:400")
        task.wait_loaded()
        for number in range(6):
            if number == 3:  # marks and what was caught up survive
                task.kill()
                task.start("resume")
                task.wait_state("running")
            for t in tables:
                assert task.control("reload", tables=[{"schema": schema, "table": t}])["ok"]
            time.sleep(0.7)
        traffic.__exit__()
        task.wait_loaded()
        deadline = time.monotonic() + 20

        def differs(table: str) -> bool:
            try:
                return values(mysql, schema, table) != values(target, schema, table)
            except (ServerError, psycopg.errors.UndefinedTable):
                return True  # the last order to load it anew has just begun

        while wrong := [t for t in tables if differs(t)]:
            assert task.running() and time.monotonic() < deadline, f"{wrong}\n{task.log_text()}"
            time.sleep(0.2)
        # strict: nothing met another row than the log speaks of
        for word in ("row by row", "awsdms_apply_exceptions"):
            assert word not in task.log_text(2000), task.log_text(2000)
        assert task.stop() == 0


def test_what_cannot_be_loaded_without_a_lock(mysql: MyServer, postgres: PgServer) -> None:
    """The user lacks LOCK TABLES: tables whose images cannot decide are refused before they are read."""
    schema = "n" + uuid.uuid4().hex[:8]
    mysql.create_database(schema)
    mysql.sql(
        "create table keyed (k int primary key, v int); create table bag (k int, v int);"
        "create table two (k int primary key, v int unique);"
        "insert into keyed values (1, 1); insert into bag values (1, 1); insert into two values (1, 1);"
        f"create user {schema}@'%' identified by ''; grant select on {schema}.* to {schema}@'%';"
        f"grant replication client, replication slave on *.* to {schema}@'%'",
        schema,
    )
    with TaskProcess(mysql, postgres, "", "postgres", mappings=select(schema)) as task:
        task.spec["source"]["user"] = schema
        task.start("fresh")
        task.wait_loaded()
        states = {t["name"]["table"]: t["state"] for t in task.report()["tables"]}
        assert states == {"keyed": "Table completed", "bag": "Table error", "two": "Table error"}, task.log_text()
        for why in ("bag has no primary key", "two has more than one unique key", "GRANT LOCK TABLES"):
            assert why in task.log_text(), task.log_text()
        mysql.sql("insert into keyed values (2, 2)", schema)
        task.wait_for(lambda: values(postgres, schema, "keyed") == [(1, 1), (2, 2)], 20)
        assert postgres.sql(f"select count(*) from {schema}.bag") == [(0,)]
        assert task.stop() == 0
    with TaskProcess(
        mysql, postgres, "", "postgres", mappings=select(schema), source_attributes={"snapshotmode": "lock"}
    ) as task:
        task.spec["source"]["user"] = schema
        task.start("fresh")
        task.wait_state("failed")
        assert "GRANT LOCK TABLES" in task.report()["last_error"]


@pytest.mark.parametrize(("from_", "to"), [("mysql", "postgres"), ("postgres", "mariadb")])
def test_a_reload_that_is_killed_as_it_begins(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    """The table is passed over already and not emptied yet: what was passed over must not be missing for ever."""
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "b" + uuid.uuid4().hex[:8]
    source.sql(f"create schema {schema}")
    databases = ["postgres" if isinstance(s, PgServer) else "" for s in (source, target)]
    source.sql(f"create table {schema}.t (k int primary key, v int)")
    source.sql(f"create table {schema}.other (k int primary key, v int)")
    with TaskProcess(source, target, *databases, mappings=select(schema)) as task:
        task.start("fresh", failpoint="reload.begun=sleep:20000")
        task.wait_loaded()
        assert task.control("reload", tables=[{"schema": schema, "table": "t"}])["ok"]
        time.sleep(0.5)
        for table in ("t", "other"):
            source.sql(f"insert into {schema}.{table} values (1, 1)")
        task.wait_for(lambda: values(target, schema, "other") == [(1, 1)], 20)
        time.sleep(1.5)  # the common position is behind both
        task.kill()
        task.start("resume")
        task.wait_for(lambda: values(target, schema, "t") == [(1, 1)], 20)
        assert task.stop() == 0


@pytest.mark.parametrize(("from_", "to"), [("postgres", "mysql"), ("mariadb", "postgres")])
def test_a_reload_that_was_asked_for_is_not_forgotten(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    """The answer was yes, and the process dies before the target knows of it."""
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "b" + uuid.uuid4().hex[:8]
    source.sql(f"create schema {schema}")
    databases = ["postgres" if isinstance(s, PgServer) else "" for s in (source, target)]
    source.sql(f"create table {schema}.t (k int primary key, v int)")
    source.sql(f"insert into {schema}.t values (1, 1)")
    with TaskProcess(source, target, *databases, mappings=select(schema)) as task:
        task.start("fresh", failpoint="reload.taken=kill")
        task.wait_loaded()
        target.sql(f"update {schema}.t set v = 7")  # somebody has spoilt it: only a load mends that
        assert task.control("reload", tables=[{"schema": schema, "table": "t"}])["ok"]
        assert task.wait_end() == -9, task.log_text()
        task.start("resume")
        task.wait_for(lambda: values(target, schema, "t") == [(1, 1)], 20)
        task.wait_for(lambda: task.table("t")["state"] == "Table completed", 20)
        assert task.stop() == 0
        target.sql(f"update {schema}.t set v = 8")
        task.start("resume")  # it is done: not again
        task.wait_state("running")
        time.sleep(1)
        assert values(target, schema, "t") == [(1, 8)]
        assert task.stop() == 0


def task_on(source: MyServer, target: PgServer, tables: str, **attributes: str) -> tuple[TaskProcess, str]:
    schema = "o" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql(tables, schema)
    return TaskProcess(source, target, "", "postgres", mappings=select(schema), source_attributes=attributes), schema


def reload(task: TaskProcess, schema: str, table: str) -> None:
    before = task.table(table)["full_load_end_us"]
    assert task.control("reload", tables=[{"schema": schema, "table": table}])["ok"]
    task.wait_for(lambda: task.table(table)["full_load_end_us"] not in (0, before), 30, "the reload")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_a_reload_holds_is_not_applied_again(
    flavour: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    """Its changes wait in the log from before its snapshot on."""
    source = request.getfixturevalue(flavour)
    task, schema = task_on(source, postgres, "create table t (k int, v int)")
    with task:
        task.start("fresh", failpoint="reload.begun=sleep:1000")
        task.wait_loaded()
        task.wait_caught_up()
        assert task.control("reload", tables=[{"schema": schema, "table": "t"}])["ok"]
        task.wait_for(lambda: task.phases() == {"t": "suspended"}, 10, "the reload has begun")
        source.sql("insert into t values (1, 1); insert into t values (2, 1); delete from t where k = 1", schema)
        task.wait_for(lambda: task.phases() == {"t": "joined"}, 20, "the reload")
        source.sql("insert into t values (3, 1)", schema)
        task.wait_caught_up()
        assert postgres.sql(f"select k from {schema}.t order by k") == [(2,), (3,)]
        assert task.stop() == 0


@pytest.mark.parametrize("how", ["lock", "range"])
def test_the_log_is_ahead_of_the_engine(how: str, mysql: MyServer, postgres: PgServer) -> None:
    """A transaction is in the log, and for a while no snapshot has it."""
    tables = "create table t (k bigint primary key, v varchar(10))"
    if how == "lock":
        tables = tables.replace(" primary key", "")
    task, schema = task_on(mysql, postgres, tables, snapshotmode=how)
    mysql.sql("set global binlog_group_commit_sync_delay = 300000")
    try:
        with task, Rows(mysql, schema, ["t"]) as traffic:
            task.start("fresh")
            task.wait_loaded()
            for _ in range(3):
                reload(task, schema, "t")
            traffic.__exit__()
            equal(task, mysql, postgres, schema, ["t"])
            assert task.stop() == 0
    finally:
        mysql.sql("set global binlog_group_commit_sync_delay = 0")


def test_a_view_knows_its_own_place(mariadb: MyServer, postgres: PgServer) -> None:
    """Without a lock, while the log goes on."""
    task, schema = task_on(mariadb, postgres, "create table t (k bigint, v varchar(10))", snapshotmode="range")
    with task, Rows(mariadb, schema, ["t"]) as traffic:
        time.sleep(0.2)
        task.start("fresh", failpoint="load.viewed=sleep:400")
        task.wait_loaded()
        traffic.__exit__()
        equal(task, mariadb, postgres, schema, ["t"])
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_lock_ends_with_who_holds_it(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """A host that vanishes says nothing any more: the server ends its session, and writers go on. One that comes back
    finds its lock lost and loads again."""
    source = request.getfixturevalue(flavour)
    task, schema = task_on(source, postgres, "create table t (k bigint, v varchar(10))")
    with task:
        task.start("fresh", failpoint="load.viewed=sleep:26000")
        try:
            for k in range(300):
                source.sql(f"set lock_wait_timeout = 1; insert into t values ({k}, 'x')", schema)
                time.sleep(0.05)
            pytest.fail("nobody locked the table\n" + task.log_text())
        except ServerError as e:
            assert "1205" in str(e), e
        locked = time.monotonic()
        source.sql("insert into t values (-1, 'waited')", schema)
        assert time.monotonic() - locked < 20
        task.wait_end(20)  # it has no mark
        if not task.running():  # it begins again, as the service has it do
            task.start("resume")
        task.wait_loaded()
        source.sql("insert into t values (-2, 'behind')", schema)
        equal(task, source, postgres, schema, ["t"])
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_prepared_transaction_outlives_the_task(
    flavour: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    """It was read, and what was committed behind it is acknowledged; killed now, the task must read it again."""
    source = request.getfixturevalue(flavour)
    task, schema = task_on(source, postgres, "create table t (k int primary key, v varchar(9))")
    with task:
        task.start("fresh")
        task.wait_loaded()
        source.sql("xa start 'open'; insert into t values (1, 'xa'); xa end 'open'; xa prepare 'open'", schema)
        try:
            source.sql("flush binary logs; insert into t values (2, 'y')", schema)
            equal(task, source, postgres, schema, ["t"])
            newest = source.sql("show master status")[0][0]
            kept = task.folder / "binlog.position"
            task.wait_for(lambda: f";{newest}:" in kept.read_text(), 10, "what follows is acknowledged")
            task.kill()
            task.start("resume")
            source.sql("insert into t values (3, 'z')", schema)
            task.wait_caught_up()
        finally:
            source.sql("xa commit 'open'")
        equal(task, source, postgres, schema, ["t"])
        assert postgres.sql(f"select k from {schema}.t order by k") == [(1,), (2,), (3,)]
        assert task.stop() == 0
        assert not task.table("t")["reloaded"], "it was not read again, so the table had to be loaded anew"


def test_a_lock_that_is_not_granted(mysql: MyServer, postgres: PgServer) -> None:
    """A transaction outlives the time that the load waits: it is put off, and the table not given up."""
    task, schema = task_on(mysql, postgres, "create table t (k int primary key, v int)")
    task.spec["settings"] = task.spec["user_settings"] = json.dumps(
        {"FullLoadSettings": {"TransactionConsistencyTimeout": 1}}
    )
    with task, connect(mysql, schema) as holder:
        task.start("fresh")
        task.wait_loaded()
        holder.begin()
        holder.cursor().execute("insert into t values (1, 1)")
        assert task.control("reload", tables=[{"schema": schema, "table": "t"}])["ok"]
        task.wait_for(lambda: f"may lock table {schema}.t (LOCK" in task.log_text(), 20, "the lock is not granted")
        holder.commit()
        task.wait_for(lambda: task.phases() == {"t": "joined"}, 20, "the load")
        equal(task, mysql, postgres, schema, ["t"])
        assert task.stop() == 0


def test_a_key_that_changes_as_a_load_begins(mariadb: MyServer, postgres: PgServer) -> None:
    """Behind the look at the catalogue and before the load's mark: changes are of the rows that the new key names."""
    columns = "a int not null, b int not null, v int"
    task, schema = task_on(mariadb, postgres, f"create table t ({columns}, primary key (a))")
    with task:
        task.start("fresh", failpoint="takeover.before_commit=sleep:2000")
        time.sleep(1)
        mariadb.sql("alter table t drop primary key, add primary key (b); insert into t values (1, 1, 0)", schema)
        task.wait_end(10)
        if not task.running():  # it begins again, as the service has it do
            task.start("resume")
        task.wait_loaded()
        mariadb.sql("insert into t values (1, 2, 0); update t set v = 5 where b = 2; delete from t where b = 1", schema)
        task.wait_for(lambda: postgres.sql(f"select * from {schema}.t") == [(1, 2, 5)], 20, "the rows")
        assert task.stop() == 0


def test_the_place_of_a_prepared_transaction_is_purged(mariadb: MyServer, postgres: PgServer) -> None:
    """It stays open for longer than the log is kept, and nobody knows any more which tables it touches."""
    task, schema = task_on(mariadb, postgres, "create table t (k int, v int)")
    mariadb.create_database(f"{schema}_x")
    mariadb.sql("create table x (k int)", f"{schema}_x")
    with task:
        task.start("fresh")
        task.wait_loaded()
        mariadb.sql("xa start 'open'; insert into x values (1); xa end 'open'; xa prepare 'open'", f"{schema}_x")
        try:
            mariadb.sql("flush binary logs; insert into t values (1, 1)", schema)
            equal(task, mariadb, postgres, schema, ["t"])
            assert task.stop() == 0
            kept = (task.folder / "binlog.position").read_text()
            newest = mariadb.sql("show master status")[0][0]
            assert f";{newest}:" in kept and kept.count("binlog.") == 2, kept
            purge = f"purge binary logs to '{newest}'; show binary logs"
            # not while the session that read it is there
            task.wait_for(lambda: mariadb.sql(purge)[0][0] == newest, 20, "it is purged", alive=False)
            mariadb.sql("insert into t values (2, 1)", schema)
            task.start("resume")
            equal(task, mariadb, postgres, schema, ["t"])
        finally:
            mariadb.sql("xa commit 'open'")
        task.wait_for(lambda: task.table("t")["reloaded"], 20, "the load")
        equal(task, mariadb, postgres, schema, ["t"])
        assert task.stop() == 0


def test_writers_pass_a_load_that_waits(mysql: MyServer, mariadb: MyServer, postgres: PgServer) -> None:
    """A long transaction keeps the load's lock waiting, and nobody who writes."""
    with contextlib.ExitStack() as tasks:
        waiting = []
        for source in (mysql, mariadb):
            task, schema = task_on(source, postgres, "create table t (k int primary key, v int)")
            tasks.enter_context(task)
            holder = tasks.enter_context(connect(source, schema))
            holder.begin()
            holder.cursor().execute("insert into t values (1, 1)")
            task.start("fresh")
            locks = f"select 1 from information_schema.processlist where info like 'lock tables%{schema}%'"
            task.wait_for(lambda source=source, locks=locks: source.sql(locks), 10, "the load waits")
            waiting.append((source, schema, task, holder))
        began = time.monotonic()
        writers = [
            threading.Thread(target=s.sql, args=("insert into t values (2, 2)", name)) for s, name, *_ in waiting
        ]
        for w in writers:
            w.start()
        for w in writers:
            w.join(9)
        waited_s = time.monotonic() - began
        late = [w for w in writers if w.is_alive()]
        for source, schema, task, holder in waiting:
            holder.commit()
            task.wait_loaded()
            equal(task, source, postgres, schema, ["t"])
            assert task.stop() == 0
        assert not late and waited_s < 4, "the writers waited for the load, and the load for a transaction"
