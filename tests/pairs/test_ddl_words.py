"""Goal: a statement of the log is taken for what it says: TRUNCATE empties the table that it names alone, settings in
front of a statement do not hide it, columns that change places do not change their values."""

from __future__ import annotations

import time
import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

FLAVOURS = ["mariadb", "mysql"]
TABLES = ("t", "orders", "order items", "lager_ä", "lager_ö")


def counts(server: MyServer | PgServer, schema: str) -> dict[str, int]:
    quote = '"' if isinstance(server, PgServer) else "`"
    out = {}
    for table in TABLES:
        rows = server.sql(f"select count(*) from {quote}{schema}{quote}.{quote}{table}{quote}")
        out[table] = int(rows[0][0])
    return out


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_truncate_empties_one_table(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    s = "w" + uuid.uuid4().hex[:8]
    source.create_database(s)
    for table in TABLES:
        source.sql(f"create table `{table}` (id int primary key); insert into `{table}` values (1), (2)", s)
    with TaskProcess(source, postgres, "", "postgres", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        left = dict.fromkeys(TABLES, 2)
        statements = {
            "t": "truncate table t /* orders and order items */",
            "order items": "truncate `order items`",
            "lager_ä": f"use mysql; truncate table {s}.lager_ä",
        }
        if flavour == "mariadb":
            statements["orders"] = "set statement lock_wait_timeout = 5 for truncate table orders"
        for table, statement in statements.items():
            source.sql(statement, s)
            left[table] = 0
            task.wait_caught_up()
            assert counts(postgres, s) == left, statement
        assert not any(t.get("reloaded") for t in task.report()["tables"]), task.log_text()
        assert task.stop() == 0


def test_settings_in_front_of_an_alter(mariadb: MyServer, postgres: PgServer) -> None:
    s = "w" + uuid.uuid4().hex[:8]
    mariadb.create_database(s)
    mariadb.sql("create table t (id int primary key, a int, b int); insert into t values (1, 10, 20)", s)
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        for statement in (
            "set statement lock_wait_timeout = 5, max_statement_time = 0 for alter table t modify a int after b",
            "insert into t values (2, 200, 100)",
            "set statement sql_mode = 'ANSI_QUOTES' for alter table t drop column a, add column a int default 7",
            "insert into t (id, b) values (3, 30)",
        ):
            mariadb.sql(statement, s)
        expected = [(int(i), int(a), int(b)) for i, a, b in mariadb.sql("select id, a, b from t order by id", s)]
        task.wait_for(lambda: postgres.sql(f"select id, a, b from {s}.t order by id") == expected, 30, "both ALTERs")
        assert task.stop() == 0


def test_columns_that_move_behind_unread_rows(terse: MyServer, postgres: PgServer) -> None:
    """The log names no columns, and the catalogue shows another order than the rows were written in."""
    s = "w" + uuid.uuid4().hex[:8]
    terse.create_database(s)
    terse.sql("create table t (id int primary key, a int, b int); insert into t values (1, 10, 20)", s)
    with TaskProcess(terse, postgres, "", "postgres", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.stop() == 0
        terse.sql(
            "alter table t add e enum('x'); insert into t values (2, 10, 20, 'x');"
            "alter table t modify a int after b; insert into t (id, a, b) values (3, 10, 20)",
            s,
        )
        task.start("resume")
        expected = [(1, 10, 20), (2, 10, 20), (3, 10, 20)]
        task.wait_for(lambda: postgres.sql(f"select id, a, b from {s}.t order by id") == expected, 30, "the rows")
        task.wait_caught_up()
        assert postgres.sql(f"select id, a, b from {s}.t order by id") == expected
        assert task.stop() == 0


def test_columns_that_move_as_a_load_begins(terse: MyServer, postgres: PgServer) -> None:
    """Behind the look at the catalogue and before the load's mark: the log does not tell it again."""
    s = "w" + uuid.uuid4().hex[:8]
    terse.create_database(s)
    terse.sql("create table t (id int primary key, a int, b int); insert into t values (1, 10, 20)", s)
    with TaskProcess(terse, postgres, "", "postgres", mappings=select(s)) as task:
        task.start("fresh", failpoint="takeover.before_commit=sleep:2000")
        time.sleep(1)
        terse.sql("alter table t modify a int after b", s)
        task.wait_end(15)
        if not task.running():  # it begins again, as the service has it do
            task.start("resume")
        task.wait_loaded()
        terse.sql("insert into t (id, a, b) values (2, 10, 20)", s)
        task.wait_caught_up()
        expected = [(1, 10, 20), (2, 10, 20)]
        task.wait_for(lambda: postgres.sql(f"select id, a, b from {s}.t order by id") == expected, 20, "the rows")
        assert task.stop() == 0


@pytest.mark.parametrize("to", ["mysql", "mariadb"])
def test_constants_of_new_columns(to: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """Old rows hold what the column was made with, as a load would bring it; what the source computes is left out."""
    target: MyServer = request.getfixturevalue(to)
    s = "w" + uuid.uuid4().hex[:8]
    for statement in (
        f"create schema {s}",
        f"create table {s}.words (id int primary key, q int, total int not null generated always as (q * 2) stored)",
        f"create table {s}.numbers (id int primary key)",
        f"insert into {s}.words select g, g from generate_series(1, 5) g",
        f"insert into {s}.numbers select generate_series(1, 5)",
    ):
        postgres.sql(statement)
    with TaskProcess(postgres, target, "postgres", "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        for statement in (
            f"alter table {s}.words add active boolean not null default false, add c char(9) default 'x',"
            f" add at timestamptz not null default '2024-02-29 12:00:00+00', add note text default 'none'",
            f"alter table {s}.numbers add n numeric(9, 2) not null default -7.5, add v varchar(20) default 'zz'",
            f"insert into {s}.words (id, q) values (10, 10)",
            f"insert into {s}.numbers values (10)",
        ):
            postgres.sql(statement)
        task.wait_for(lambda: target.sql(f"select count(*) from {s}.numbers where v = 'zz'") == [["6"]], 30, "numbers")
        task.wait_for(lambda: target.sql(f"select count(*) from {s}.words where active = 'false'") == [["6"]], 40, "it")
        task.wait_loaded()
        task.wait_joined()
        task.wait_caught_up()
        compared = task.control("compare", timeout_s=60)
        assert compared.get("equal"), f"{compared}\n{task.log_text()}"
        assert "total" not in {row[0] for row in target.sql(f"show columns from {s}.words")}
        assert task.table("words")["reloaded"] and not task.table("numbers")["reloaded"], task.log_text()
        assert task.stop() == 0
