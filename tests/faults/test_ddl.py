"""DDL in the stream: what can follow from the log follows, what cannot is loaded anew, and the log says which."""

import itertools
import time

import pytest
from live import difference, exceptions
from task_process import TaskProcess, select

NUMBERS = itertools.count(1)


@pytest.fixture
def task(servers):
    """A running task with three small tables."""
    source, target = servers
    name = f"ddl{next(NUMBERS)}"
    source.create_database(name)
    target.create_database(name)
    source.sql("create table a (id int primary key, v int, note text)", database=name)
    source.sql("create table b (id int primary key, v int)", database=name)
    source.sql("insert into a select g, g, 'n' from generate_series(1, 300) g", database=name)
    source.sql("insert into b select g, g from generate_series(1, 300) g", database=name)
    with TaskProcess(source, target, name, name) as t:
        t.start("fresh")
        t.wait_loaded()
        t.wait_caught_up()
        yield t
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')


def do(task, *statements):
    for s in statements:
        task.source.sql(s, database=task.source_database)


def prove_equal(task, *tables):
    task.wait_loaded()
    task.wait_caught_up()
    name = task.source_database
    wrong = difference(task.source, name, task.target, name, tables)
    assert not wrong, f"{wrong}\n{task.log_text()}"
    assert exceptions(task.target, name) == []
    assert task.stop() == 0, task.log_text()


def test_add_column(task):
    do(
        task,
        "insert into a values (1001, 1, 'before')",
        "alter table a add column extra int default 7",
        "update a set v = v + 1 where id < 10",
        "insert into a values (1002, 2, 'after', 9)",
        "alter table a add column another text",
        "insert into a values (1003, 3, 'after', null, 'x')",
    )
    prove_equal(task, "a", "b")
    assert task.table("a")["reloaded"] is False or "loaded anew" in task.log_text(200)


def test_drop_column(task):
    do(task, "alter table a drop column note", "update a set v = -v", "insert into a values (1001, 1)")
    prove_equal(task, "a", "b")


def test_rename_column(task):
    do(
        task,
        "alter table a rename note to remark",
        "update a set remark = 'r' where id < 50",
        "delete from a where id > 290",
    )
    prove_equal(task, "a", "b")
    columns = "select attname from pg_attribute where attrelid = 'a'::regclass and attnum > 0 and not attisdropped"
    assert {r[0] for r in task.target.sql(columns, database=task.target_database)} == {"id", "v", "remark"}


def test_swapped_names(task):
    do(
        task,
        "alter table a add column w int",
        "update a set w = -id",
        "begin; alter table a rename v to x; alter table a rename w to v; alter table a rename x to w; commit",
        "update a set v = v - 1 where id <= 100",
    )
    task.wait_caught_up()
    do(task, "insert into a (id, v, w) values (5000, 1, 2)")
    query = "select id, v, w, note from a order by id"
    task.wait_for(lambda: not task.table("a").get("state", "").startswith("Table is"), 20)
    task.wait_loaded()
    task.wait_caught_up()
    assert task.source.sql(query, database=task.source_database) == task.target.sql(
        query, database=task.target_database
    )


def test_type_change_reloads(task):
    do(task, "alter table a alter v type bigint using v * 100", "update a set note = 'later' where id = 5")
    task.wait_for(lambda: task.table("a").get("reloaded") and task.phases().get("a") == "joined", 30, "reloaded")
    prove_equal(task, "a", "b")
    assert "loaded anew" in task.log_text(200)


def test_type_change_reloads_after_a_kill(task):
    """The wish to reload outlives the process that had it."""
    do(task, "alter table a alter v type bigint using v * 100", "update a set note = 'later' where id = 5")
    task.wait_for(lambda: task.phases().get("a") in ("suspended", "loading", "waiting"), 20, "noticed")
    task.kill()
    task.start("resume")
    task.wait_state("running")
    task.wait_for(lambda: task.phases().get("a") == "joined", 20, "the table stays behind")
    prove_equal(task, "a", "b")


def test_truncate(task):
    do(
        task,
        "insert into a values (1001, 1, 'x')",
        "truncate a",
        "insert into a values (1, 1, 'after')",
        "truncate a, b",
    )
    do(task, "insert into b values (9, 9)")
    prove_equal(task, "a", "b")
    assert task.target.sql("select count(*) from a", database=task.target_database) == [(0,)]


def test_vacuum_full_changes_nothing(task):
    do(task, "delete from a where id < 200", "vacuum full a", "update a set v = 0")
    prove_equal(task, "a", "b")
    assert task.table("a")["reloaded"] is False


def test_new_table_joins(task):
    do(
        task,
        "create table late (id int primary key, v int)",
        "insert into late select g, g from generate_series(1, 50) g",
    )
    task.wait_for(lambda: task.phases().get("late") == "joined", 30, "the new table joins")
    do(task, "update late set v = v + 1", "insert into late values (1000, 1)")
    prove_equal(task, "a", "b", "late")


def test_types_come_with_their_column(task):
    """Enumerations, composites and domains that the target has never seen, of an added column and of a new table."""
    do(
        task,
        "create schema kinds",
        "create type kinds.mood as enum ('low', 'high')",
        "create domain kinds.score as int check (value >= 0)",
        'create type kinds.pair as (m kinds.mood, s kinds.score, "Odd name" text)',
        "alter table a add column mood kinds.mood default 'low'",
        "alter table a add column pair kinds.pair",
        "update a set mood = 'high', pair = ('high', 7, 'x') where id < 10",
        "insert into a values (1001, 1, 'n', 'high', ('low', null, null))",
        "create domain kinds.label as text",
        "alter table b add column label kinds.label, add column moods kinds.mood[]",
        "insert into b values (1001, 1, 'l', '{low,high}')",
        "create type kinds.late as enum ('x')",
        "create table late (id int primary key, v kinds.late)",
        "insert into late values (1, 'x')",
    )
    task.wait_for(lambda: task.phases().get("late") == "joined", 30, "the new table joins")
    do(task, "insert into late values (2, 'x')")
    prove_equal(task, "a", "b", "late")
    assert task.table("a")["reloaded"] is False or "loaded anew" in task.log_text(200)
    types = "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'a'::regclass and attnum > 3"
    kinds = {r[0] for r in task.target.sql(types, database=task.target_database)}
    assert {"kinds.mood", "kinds.pair"} <= kinds


def restarts_until(task, reached, tries=6):
    """As the supervisor does after recoverable ends."""
    for _ in range(tries):
        try:
            task.wait_for(reached, 20, "reached")
            return
        except AssertionError:
            assert not task.running() and task.report()["stop_reason"] == "RECOVERABLE_ERROR", task.log_text()
            task.start("resume")
            task.wait_state("running")
    raise AssertionError(task.log_text())


def test_a_column_that_may_not_pass_in_binary(task):
    """Its bytes would be the number of a relation of another database: the stream starts again in text."""
    do(task, "alter table a add column r regclass", "insert into a values (1001, 1, 'n', 'b'::regclass)")
    restarts_until(task, lambda: task.phases().get("a") == "joined" and task.table("a").get("reloaded"))
    do(task, "insert into a values (1002, 1, 'n', 'a'::regclass)")
    prove_equal(task, "a", "b")


def test_a_table_that_may_not_pass_in_binary(task):
    do(task, "create table late (id int primary key, r regclass)", "insert into late values (1, 'b'::regclass)")
    restarts_until(task, lambda: task.phases().get("late") == "joined")
    do(task, "insert into late values (2, 'a'::regclass)", "update late set r = 'late'::regclass where id = 1")
    task.wait_caught_up()
    prove_equal(task, "a", "b", "late")


def test_altered_without_later_rows(task):
    """The catalogue tells what no row shows, in its place of the log."""
    do(
        task,
        "insert into a values (1001, 1, 'before')",
        "alter table a add column extra int default 7",
        "alter table a rename column note to remark",
        "alter table b drop column v",
    )
    columns = "select string_agg(attname, ',' order by attname) from pg_attribute where attrelid = '{}'::regclass" + (
        " and attnum > 0 and not attisdropped"
    )

    def followed():
        rows = [task.target.sql(columns.format(t), database=task.target_database)[0][0] for t in ("a", "b")]
        return rows == ["extra,id,remark,v", "id"]

    task.wait_for(followed, 30, "the target has the new shape")
    do(task, "insert into a values (1002, 1, 'after', 8)", "insert into b values (9000)")
    prove_equal(task, "a", "b")
    assert task.table("a")["reloaded"] is False


def test_altered_while_stopped(task):
    assert task.stop() == 0
    do(
        task,
        "insert into a values (2001, 5, 'old shape')",
        "alter table a add column extra int default 7",
        "insert into a values (2002, 5, 'n', 8)",
        "alter table b rename column v to w",
        "update b set w = 0 where id = 1",
    )
    task.start("resume")
    task.wait_state("running")
    prove_equal(task, "a", "b")


def test_a_column_dropped_and_added_again(task):
    """Rows look the same before and after: only the column's number tells."""
    do(task, "alter table b drop column v", "alter table b add column v int", "insert into b (id, v) values (1001, 5)")
    # here the order of the columns tells
    do(task, "alter table a drop column v", "alter table a add column v int", "insert into a (id, v) values (1001, 5)")
    task.wait_for(lambda: task.table("b").get("reloaded") and task.phases().get("b") == "joined", 40, "reloaded")
    name = task.source_database
    task.wait_caught_up()
    for t in ("a", "b"):
        query = f"select id, v from {t} order by id"
        assert task.source.sql(query, database=name) == task.target.sql(query, database=name)


def test_a_rewrite_without_a_new_shape(task):
    do(task, "alter table a alter column note type text using note || id")
    task.wait_for(lambda: task.table("a").get("reloaded") and task.phases().get("a") == "joined", 40, "reloaded")
    prove_equal(task, "a", "b")


SWAP = (
    "begin; alter table {0} rename {1} to x; alter table {0} rename {2} to {1}; alter table {0} rename x to {2}; commit"
)


def test_columns_swapped_for_a_while(task):
    """Rows in between went by other names, and the catalogue shows none of it by the time they are read."""
    do(task, "alter table a add column w int", "update a set w = -id where id < 5")
    task.wait_caught_up()
    assert task.stop() == 0
    swap = SWAP.format("a", "v", "w")
    do(task, swap, "insert into a (id, v, w) values (5000, 1, 2)", swap)
    task.start("resume")
    task.wait_for(lambda: task.table("a").get("reloaded") and task.phases().get("a") == "joined", 40, "reloaded")
    prove_equal(task, "a", "b")


SWAP_TABLES = (
    "begin; alter table {0} rename to x; alter table {1} rename to {0}; alter table x rename to {1};"
    "insert into {0} values ({2}, 1); commit"
)


@pytest.mark.parametrize("times", [1, 2])
def test_tables_swapped(task, times):
    """Each row goes to its table, whatever that is called; the names follow."""
    do(task, "create table c (id int primary key, v int)")
    task.wait_for(lambda: task.phases().get("c") == "joined", 30, "the new table joins")
    do(task, "insert into c values (1, -1)")
    task.wait_caught_up()
    for i in range(times):
        do(task, SWAP_TABLES.format("b", "c", 5000 + i), "insert into c values (7000, 1) on conflict do nothing")
    name = task.source_database
    task.wait_for(lambda: not difference(task.source, name, task.target, name, ("a", "b", "c")), 30, "equal")
    do(task, "insert into b values (8000, 1)", "insert into c values (8001, 1)")
    prove_equal(task, "a", "b", "c")
    assert "loaded anew" not in task.log_text(300)


def test_tables_swapped_while_stopped(task):
    do(task, "create table c (id int primary key, v int)")
    task.wait_for(lambda: task.phases().get("c") == "joined", 30, "the new table joins")
    assert task.stop() == 0
    do(task, SWAP_TABLES.format("b", "c", 5000), "insert into c values (7000, 1)")
    task.start("resume")
    name = task.source_database
    task.wait_for(lambda: not difference(task.source, name, task.target, name, ("a", "b", "c")), 30, "equal")
    prove_equal(task, "a", "b", "c")


def test_tables_swapped_in_a_log_of_names(servers):
    source, target = servers
    name = f"ddl{next(NUMBERS)}"
    for server in servers:
        server.create_database(name)
    for t in ("b", "c"):
        source.sql(f"create table {t} (id int primary key, v int)", database=name)
        source.sql(f"insert into {t} select g, ascii('{t}') from generate_series(1, 100) g", database=name)
    with TaskProcess(source, target, name, name, source_attributes={"pluginname": "test_decoding"}) as task:
        task.start("fresh")
        task.wait_loaded()
        do(task, "insert into b values (1000, 0)", "insert into c values (1001, 0)")
        task.wait_caught_up()
        do(task, SWAP_TABLES.format("b", "c", 5000), "insert into c values (7000, 1)")
        task.wait_for(lambda: not difference(source, name, target, name, ("b", "c")), 40, "equal")
        do(
            task,
            SWAP_TABLES.format("b", "c", 5001),
            SWAP_TABLES.format("b", "c", 5002),
            "insert into c values (7001, 1)",
        )
        task.wait_for(lambda: not difference(source, name, target, name, ("b", "c")), 40, "equal")
        assert task.stop() == 0, task.log_text()


def test_dropped(task):
    """The target's table goes as well; the others go on."""
    do(task, "drop table b", "insert into a values (1001, 1, 'after')")
    name = task.target_database
    task.wait_for(lambda: task.target.sql("select to_regclass('b') is null", database=name) == [(True,)], 40, "b goes")
    task.wait_for(lambda: task.target.sql("select 1 from a where id = 1001", database=name), 20, "a goes on")
    task.wait_for(lambda: task.table("b").get("state") == "Table does not exist", 20, "it is shown")
    assert exceptions(task.target, name) == []
    assert task.stop() == 0, task.log_text()


def test_dropped_and_made_again(task):
    do(task, "drop table b", "create table b (id int primary key, other text)", "insert into b values (1, 'new')")
    task.wait_for(
        lambda: (
            task.phases().get("b") == "joined"
            and task.target.sql(
                "select count(*) from pg_attribute where attrelid = to_regclass('b') and attname = 'other'",
                database=task.target_database,
            )
            == [(1,)]
        ),
        40,
        "the new table joins",
    )
    do(task, "insert into b values (2, 'later')")
    prove_equal(task, "a", "b")


def test_set_schema(servers):
    """A table that moves to another schema moves on the target, and its rows follow."""
    source, target = servers
    name = f"ddl{next(NUMBERS)}"
    for server in servers:
        server.create_database(name)
    source.sql("create schema other", database=name)
    source.sql("create table a (id int primary key, v int)", database=name)
    source.sql("create table b (id int primary key, v int)", database=name)
    source.sql("insert into a select g, g from generate_series(1, 300) g", database=name)
    with TaskProcess(source, target, name, name, mappings=select("%")) as task:
        task.start("fresh")
        task.wait_loaded()
        do(
            task,
            "alter table a set schema other",
            "insert into other.a values (1001, 1)",
            "delete from other.a where id = 1",
        )
        do(task, "alter table b set schema other", "alter table other.b rename to c")
        there = "select to_regclass('public.b') is null and to_regclass('other.c') is not null"
        task.wait_for(lambda: target.sql(there, database=name) == [(True,)], 30, "followed")
        do(task, "insert into other.c values (1, 1)")
        task.wait_caught_up()
        assert difference(source, name, target, name, ("other.a", "other.c")) == {}
        assert target.sql("select to_regclass('public.a') is null", database=name) == [(True,)]
        assert task.stop() == 0
        task.start("resume")
        task.wait_state("running")
        do(task, "insert into other.c values (2, 1)")
        task.wait_caught_up()
        assert difference(source, name, target, name, ("other.a", "other.c")) == {}
        assert task.stop() == 0, task.log_text()


def test_renamed_and_reshaped_in_one_transaction(servers):
    """Its ledger's row is locked by the rename: to suspend it must not mean to wait for ourselves."""
    source, target = servers
    name = f"ddl{next(NUMBERS)}"
    for server in servers:
        server.create_database(name)
    source.sql("create table a (id int primary key, v int)", database=name)
    source.sql("create table b (id int primary key, v int)", database=name)
    source.sql("insert into a select g, g from generate_series(1, 10) g", database=name)
    with TaskProcess(source, target, name, name, mappings=select("public")) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        do(
            task,
            "begin; alter table a rename to c; alter table c alter v type bigint using v * 100;"
            "insert into c values (11, 1); insert into b values (1, 1); commit",
        )
        task.wait_for(lambda: target.sql("select count(*) from b", database=name) == [(1,)], 20, "the others go on")
        task.wait_for(lambda: "Table error" in [t["state"] for t in task.report()["tables"]], 10, "it is said")
        do(task, "insert into b values (2, 1)")
        task.wait_for(lambda: target.sql("select count(*) from b", database=name) == [(2,)], 20, "and on")
        # when its new name is known, a reload mends it
        task.wait_for(lambda: task.table("c"), 20, "its new name")
        assert task.control("reload", tables=[{"schema": "public", "table": "c"}])["ok"]
        task.wait_for(lambda: task.table("c").get("state") == "Table completed", 30, "loaded anew")
        task.wait_caught_up()
        assert difference(source, name, target, name, ("b", "c")) == {}
        assert task.stop() == 0


def test_lost_identity(task):
    """The application's own UPDATE must not fail for long, and the table is shown as insert-only."""
    do(task, "alter table b drop constraint b_pkey")
    task.wait_for(lambda: task.table("b").get("insert_only"), 20, "insert-only")
    do(task, "update b set v = 0 where id = 1", "insert into b values (9001, 1)", "update a set v = 5 where id = 1")
    task.wait_caught_up()
    rows = task.target.sql("select v from b where id in (1, 9001) order by id", database=task.target_database)
    assert rows == [(1,), (1,)]
    assert "lost its replica identity" in task.log_text(200)


def test_deferrable_key(servers):
    """No replica identity: an application's UPDATE never fails, the table is insert-only."""
    source, target = servers
    name = f"ddl{next(NUMBERS)}"
    source.create_database(name)
    target.create_database(name)
    source.sql("create table d (id int primary key deferrable initially deferred, v int)", database=name)
    source.sql("insert into d select g, g from generate_series(1, 100) g", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.table("d")["insert_only"] is True
        source.sql("update d set v = 0 where id = 1", database=name)
        source.sql("insert into d values (500, 1)", database=name)
        task.wait_caught_up()
        assert target.sql("select count(*) from d", database=name) == [(101,)]
        assert task.stop() == 0
    time.sleep(0.1)
