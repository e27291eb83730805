"""Goal: what a statement does to a table of MySQL or MariaDB is on the target: in its place of the log where that says
enough, by a new load where it does not. Never a wrong or missing row."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

FLAVOURS = ["mariadb", "mysql"]


def started(source: MyServer, target: PgServer, statements: str) -> tuple[TaskProcess, str]:
    schema = "d" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql(statements, schema)
    task = TaskProcess(source, target, "", "postgres", mappings=select(schema))
    task.start("fresh")
    task.wait_loaded()
    return task, schema


def arrives(task: TaskProcess, what: Callable[[], bool], why: str) -> None:
    task.wait_for(what, 40, why)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_columns_come_and_go(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    task, s = started(
        source, postgres, "create table t (id int primary key, a varchar(20)); insert into t values (1, 'x')"
    )
    with task:
        source.sql(
            "insert into t values (2, 'before'); alter table t add column b int; insert into t values (3, 'y', 7)", s
        )
        arrives(
            task,
            lambda: (
                postgres.sql(f"select id, a, b from {s}.t order by id")
                == [(1, "x", None), (2, "before", None), (3, "y", 7)]
            ),
            "an added column",
        )
        source.sql("alter table t add column c int not null default 5; insert into t (id, c) values (4, 6)", s)
        arrives(
            task,
            lambda: postgres.sql(f"select id, c from {s}.t order by id") == [(1, 5), (2, 5), (3, 5), (4, 6)],
            "a default",
        )
        source.sql("alter table t add column z int first; insert into t (id, z, c) values (40, 41, 42)", s)
        arrives(
            task,
            lambda: (
                postgres.sql(f"select id, z, a, c from {s}.t where id in (1, 40) order by id")
                == [(1, None, "x", 5), (40, 41, None, 42)]
            ),
            "a column in front",
        )
        source.sql("alter table t drop column z; alter table t drop column a; insert into t values (5, 1, 2)", s)
        arrives(
            task, lambda: postgres.sql(f"select id, b, c from {s}.t where id = 5") == [(5, 1, 2)], "a dropped column"
        )
        source.sql("alter table t modify b varchar(10) first; insert into t values ('seven', 6, 3)", s)
        arrives(
            task,
            lambda: postgres.sql(f"select id, b, c from {s}.t where id = 6") == [(6, "seven", 3)],
            "a changed type",
        )
        assert postgres.sql(f"select b from {s}.t where id = 5") == [("1",)]
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_tables_come_and_go(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    task, s = started(
        source,
        postgres,
        "create table t (id int primary key); insert into t values (1); create table u (id int primary key)",
    )
    with task:
        source.sql("truncate table t; insert into t values (9)", s)
        arrives(task, lambda: postgres.sql(f"select id from {s}.t") == [(9,)], "TRUNCATE")
        source.sql("create table fresh (k int, v text); insert into fresh values (1, 'a'), (1, 'a')", s)
        arrives(task, lambda: postgres.sql(f"select k, v from {s}.fresh") == [(1, "a"), (1, "a")], "a new table")
        source.sql("insert into fresh values (2, 'b')", s)
        arrives(task, lambda: postgres.sql(f"select count(*) from {s}.fresh") == [(3,)], "changes of a new table")
        source.sql("drop table u", s)
        arrives(task, lambda: postgres.sql(f"select to_regclass('{s}.u')") == [(None,)], "DROP")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_emptied_partition_is_seen(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """The log has the statement and no rows."""
    source = request.getfixturevalue(flavour)
    task, s = started(
        source,
        postgres,
        "create table t (id int primary key) partition by range (id)"
        " (partition a values less than (10), partition b values less than maxvalue);"
        "insert into t values (1), (2), (11)",
    )
    with task:
        source.sql("alter table t truncate partition a; insert into t values (12)", s)
        arrives(task, lambda: postgres.sql(f"select id from {s}.t order by id") == [(11,), (12,)], "TRUNCATE PARTITION")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_altered_while_stopped(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """Rows of the old definition are in a log that nobody has read yet."""
    source = request.getfixturevalue(flavour)
    task, s = started(
        source, postgres, "create table t (id int primary key, a int, b int); insert into t values (1, 10, 20)"
    )
    with task:
        assert task.stop() == 0
        source.sql("insert into t values (2, 11, 21); alter table t drop column a; insert into t values (3, 22)", s)
        source.sql("alter table t add column z varchar(9) default 'zz' first; insert into t values ('q', 4, 23)", s)
        task.start("resume")
        arrives(
            task,
            lambda: (
                postgres.sql(f"select id, b, z from {s}.t order by id")
                == [(1, 20, "zz"), (2, 21, "zz"), (3, 22, "zz"), (4, 23, "q")]
            ),
            "two ALTERs in an unread log",
        )
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_statement_in_the_log_reloads(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """One session with binlog_format=STATEMENT is enough."""
    source = request.getfixturevalue(flavour)
    task, s = started(source, postgres, "create table t (id int primary key, v int); insert into t values (1, 1)")
    with task:
        source.sql("set session binlog_format = 'STATEMENT'; update t set v = 100; insert into t values (2, 2)", s)
        arrives(task, lambda: postgres.sql(f"select id, v from {s}.t order by id") == [(1, 100), (2, 2)], "a statement")
        source.sql("insert into t values (3, 3)", s)
        arrives(task, lambda: postgres.sql(f"select count(*) from {s}.t") == [(3,)], "rows behind it")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_names_that_come_again(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """A column or table that was dropped and made again under its name has lost its values, and the catalogue looks as
    before."""
    source = request.getfixturevalue(flavour)
    task, s = started(
        source,
        postgres,
        "create table t (id int primary key, a int); insert into t values (1, 10); create table u (k int)",
    )
    with task:
        source.sql("insert into u values (1); alter table t drop column a; alter table t add column a int", s)
        arrives(task, lambda: postgres.sql(f"select id, a from {s}.t") == [(1, None)], "a column that came again")
        source.sql("drop table u; create table u (k int); insert into u values (2)", s)
        arrives(task, lambda: postgres.sql(f"select k from {s}.u") == [(2,)], "a table that came again")
        source.sql("create table _u (k int); insert into _u values (3); rename table u to _old, _u to u", s)
        arrives(
            task, lambda: postgres.sql(f"select k from {s}.u") == [(3,)], "a table that another was put in place of"
        )
        source.sql(
            "alter table t rename column a to b; update t set b = 5"
            if flavour == "mysql"
            else "alter table t change a b int; update t set b = 5",
            s,
        )
        arrives(task, lambda: postgres.sql(f"select id, b from {s}.t") == [(1, 5)], "a renamed column")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_column_that_one_statement_makes_again(
    flavour: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    """Dropped and added at once it has lost its values, whether it stands where it stood or elsewhere."""
    source = request.getfixturevalue(flavour)
    task, s = started(
        source,
        postgres,
        "create table t (id int primary key, a int, b int); insert into t values (1, 10, 20)",
    )
    with task:
        source.sql("alter table t drop column b, add column b int; insert into t values (2, 11, 21)", s)
        arrives(
            task,
            lambda: postgres.sql(f"select id, a, b from {s}.t order by id") == [(1, 10, None), (2, 11, 21)],
            "the last column",
        )
        source.sql("alter table t drop a, add a int; insert into t (id, a, b) values (3, 12, 22)", s)
        arrives(
            task,
            lambda: (
                postgres.sql(f"select id, a, b from {s}.t order by id") == [(1, None, None), (2, None, 21), (3, 12, 22)]
            ),
            "one in front of another",
        )
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_many_names_that_come_again(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """The log tells of a table before the catalogue shows it, and a poll may fall between DROP and CREATE."""
    source = request.getfixturevalue(flavour)
    names = [f"t{i}" for i in range(16)]
    task, s = started(
        source, postgres, "".join(f"create table {n} (k int); insert into {n} values (0);" for n in names)
    )

    def holds(value: int) -> bool:
        got = postgres.sql(" union all ".join(f"select '{n}', k from {s}.{n}" for n in names))
        return sorted(got) == sorted((n, value) for n in names)

    with task:
        for value in (1, 2):
            for n in names:
                source.sql(f"drop table {n}; create table {n} (k int); insert into {n} values ({value})", s)
            arrives(task, lambda value=value: holds(value), "tables that came again")  # type: ignore[misc]
        assert task.stop() == 0


@pytest.mark.parametrize(("from_", "to"), [("mariadb", "postgres"), ("mysql", "mariadb")])
def test_what_a_partial_image_leaves_out(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    """One session with binlog_row_image=MINIMAL is enough: its INSERTs leave out what they do not name."""
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    s = "d" + uuid.uuid4().hex[:8]
    source.create_database(s)
    source.sql(
        "create table t (id int primary key, c int default 5, d int); insert into t values (0, 1, 2);"
        "create table n (id int primary key, d int); create table k (c char(1) default 'a')",
        s,
    )
    if to != "postgres":  # what was left out there would become the target's own default
        target.create_database(s)
        target.sql("create table t (id int primary key, c int default 6, d int default 7)", s)
        target.sql("create table n (id int primary key, d int default 7)", s)
    database = "postgres" if to == "postgres" else ""
    settings = {"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}} if to != "postgres" else {}
    with TaskProcess(source, target, "", database, mappings=select(s), settings=settings) as task:
        task.start("fresh")
        task.wait_loaded()

        def rows(table: str, order: str) -> list[list[str]]:
            if to != "postgres":
                return target.sql(f"select * from {table} order by {order}", s)
            found = target.sql(f"select * from {s}.{table} order by {order}")
            return [["NULL" if v is None else str(v) for v in row] for row in found]

        source.sql(
            "set session binlog_row_image = 'MINIMAL'; insert into n (id) values (1); insert into t (id) values (1);"
            "insert into k values (); insert into t values (2, 3, 4)",
            s,
        )
        arrives(task, lambda: rows("n", "id") == [["1", "NULL"]], "a NULL that was not named")
        whole = [["0", "1", "2"], ["1", "5", "NULL"], ["2", "3", "4"]]
        arrives(task, lambda: rows("t", "id") == whole, "a default")
        arrives(task, lambda: rows("k", "c") == [["a"]], "a row without a column")
        assert "binlog_row_image = 'FULL'" in task.log_text(500)
        source.sql("insert into t (id) values (3)", s)
        arrives(task, lambda: rows("t", "id") == [*whole, ["3", "5", "NULL"]], "rows behind it")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_statement_reaches_through_others(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """A statement in the log names a view, or a table whose trigger writes another."""
    source = request.getfixturevalue(flavour)
    task, s = started(
        source,
        postgres,
        "create table t (id int primary key, x int); insert into t values (1, 10), (2, 20);"
        "create table u (id int primary key, y int); insert into u values (1, 10);"
        "create table calm (id int primary key); insert into calm values (1);"
        "create table log (id int primary key);"
        "create view inner_v as select id, x from t; create view v as select id, x from inner_v;"
        "create trigger act after insert on log for each row update u set y = new.id",
    )
    statement = "set session binlog_format = 'STATEMENT';"
    with task:
        source.sql(f"{statement} update v set x = 11 where id = 1", s)
        rows = f"select id, x from {s}.t order by id"
        arrives(task, lambda: postgres.sql(rows) == [(1, 11), (2, 20)], "a change through views")
        assert "through a view, trigger or function" in task.log_text(500)
        source.sql(f"{statement} insert into log values (77)", s)
        arrives(task, lambda: postgres.sql(f"select y from {s}.u") == [(77,)], "a change by a trigger")
        arrives(task, lambda: postgres.sql(f"select id from {s}.log") == [(77,)], "the statement's own table")
        assert f"table {s}.calm: " not in task.log_text(500)
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_temporary_table_of_its_name(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """One session with binlog_format=STATEMENT is enough: its log speaks of the temporary table as of the other."""
    source = request.getfixturevalue(flavour)
    task, s = started(source, postgres, "create table t (id int primary key); insert into t values (1), (2)")
    with task:
        source.sql("set session binlog_format = 'STATEMENT'; create temporary table t (id int); truncate table t", s)
        source.sql("insert into t values (3)", s)
        rows = f"select * from {s}.t order by id"
        arrives(task, lambda: postgres.sql(rows) == [(1,), (2,), (3,)], "the rows that are there")
        assert task.stop() == 0


def test_a_table_that_is_made_again_before_its_load(mariadb: MyServer, postgres: PgServer) -> None:
    """A poll finds that it is gone; the engine does not leave a table that waits for its load."""
    task, s = started(mariadb, postgres, "create table t (id int primary key)")
    assert task.stop() == 0
    make = "create table u (id int primary key, v int); insert into u values (1, 1)"
    with task:
        task.start("resume", failpoint="reload.begun=sleep:13000")
        task.wait_state("running")
        assert task.control("reload", tables=[{"schema": s, "table": "t"}])["ok"]
        mariadb.sql(make, s)
        task.wait_for(lambda: task.table("u"), 10, "it waits behind another one")
        mariadb.sql("drop table u", s)
        time.sleep(6)
        mariadb.sql(make, s)
        task.wait_for(lambda: task.phases().get("u") == "joined", 30, "it is loaded")
        mariadb.sql("set session binlog_format = 'STATEMENT'; update u set v = 7", s)
        arrives(task, lambda: postgres.sql(f"select v from {s}.u") == [(7,)], "a doubt of the new one")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_default_that_came_later(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """A column that had no default when the table was loaded is not NULL in a partial image for that."""
    source = request.getfixturevalue(flavour)
    task, s = started(source, postgres, "create table t (id int primary key, d int, e int)")
    with task:
        source.sql(
            "alter table t alter d set default 5; alter table t modify e int default 6;"
            "set session binlog_row_image = 'MINIMAL'; insert into t (id) values (1)",
            s,
        )
        arrives(task, lambda: postgres.sql(f"select id, d, e from {s}.t") == [(1, 5, 6)], "defaults that came later")
        assert task.stop() == 0
