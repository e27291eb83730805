"""Rows whose tables are a little unusual, through a whole task: each arrives, and none is written off."""

import time

from live import difference, exceptions
from pg import PgServer
from task_process import TaskProcess

SOURCE = """
create type mood as enum ('sad', 'glad');
create table feels (id int primary key, v mood);
insert into feels select g, 'sad' from generate_series(1, 50) g;
create table computed (k int, v text, up text generated always as (upper(v)) stored);
alter table computed replica identity full;
insert into computed select g % 5, 'v' from generate_series(1, 20) g;
create table numbered (id int generated always as identity primary key, v text);
insert into numbered (v) select 'v' from generate_series(1, 20);
"""

TARGET = """
create table numbered (id int generated always as identity primary key, v text);
"""

CHANGES = """
alter type mood add value 'calm' before 'glad';
update feels set v = 'calm' where id <= 10;
insert into feels values (100, 'calm'), (101, 'glad');
delete from computed where ctid = (select min(ctid) from computed where k = 1);
update computed set v = 'one' where ctid = (select min(ctid) from computed where k = 2);
update numbered set v = 'w' where id = 1;
update numbered set id = default where id = 2;
"""


PARTED = """
create table parts (id int primary key, v int) partition by range (id);
create table parts_1 partition of parts for values from (0) to (1000);
insert into parts select g, g from generate_series(1, 20) g;
"""

ATTACHED = """
create table parts_2 (id int not null, v int, extra int);
insert into parts_2 select g, g, g from generate_series(1001, 1020) g;
alter table parts add column extra int;
alter table parts attach partition parts_2 for values from (1000) to (2000);
insert into parts values (30, 30, 30);
"""


def run(server: PgServer, script: str) -> None:
    for statement in script.split(";"):
        if statement.strip():
            server.sql(statement)


def test_unusual_tables() -> None:
    with PgServer() as source, PgServer() as target:
        run(source, SOURCE + PARTED)
        run(target, TARGET)
        settings = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}
        with TaskProcess(source, target, settings=settings) as task:
            task.start("fresh")
            task.wait_loaded()
            task.wait_caught_up()
            run(source, CHANGES)
            task.wait_caught_up()
            assert set(task.phases().values()) == {"joined"}, task.log_text()
            assert not difference(source, "postgres", target, "postgres", ("feels", "computed", "numbered")), (
                task.log_text()
            )
            assert exceptions(target, "postgres") == []

            # the row that shows the new column comes before the poll that sees the partition
            run(source, ATTACHED)
            task.wait_for(lambda: target.sql("select count(*) from parts") == [(41,)], 30, "the partition's rows")
            task.wait_loaded()
            task.wait_caught_up()
            assert not difference(source, "postgres", target, "postgres", ("parts",)), task.log_text()
            assert exceptions(target, "postgres") == []
            assert task.stop() == 0, task.log_text()


def test_a_table_is_suspended_twice_in_one_transaction() -> None:
    """By a row, and by its new shape: neither waits for what the other holds of the ledger."""
    with PgServer() as source, PgServer() as target:
        run(source, "create table a (id int primary key, v int); create table b (id int primary key)")
        with TaskProcess(
            source, target, settings={"ErrorBehavior": {"ApplyErrorInsertPolicy": "SUSPEND_TABLE"}}
        ) as task:
            task.start("fresh")
            task.wait_loaded()
            task.wait_caught_up()
            run(target, "insert into a values (1, 0)")
            with source.connect(autocommit=False) as c:
                c.execute("insert into a values (1, 1)")
                c.execute("insert into b values (1)")
                c.execute("alter table a alter v type bigint using v * 100")
                c.execute("insert into a values (2, 2)")
                c.commit()
            task.wait_for(
                lambda: task.table("a").get("reloaded") and task.phases().get("a") == "joined", 30, "reloaded"
            )
            task.wait_caught_up()
            assert not difference(source, "postgres", target, "postgres", ("a", "b")), task.log_text()
            assert task.stop() == 0, task.log_text()


def test_identities_that_come_behind_the_load(pair) -> None:
    """CreateSecondaryIndexes makes columns into identities while changes of the first tables are applied already."""
    source, target, name = pair
    for table in ("early", "late"):
        source.sql(
            f"create table {table} (id int primary key, n bigint generated always as identity, v text)", database=name
        )
        source.sql(f"insert into {table} (id, v) select g, 'v' from generate_series(1, 20) g", database=name)
    attributes = {"createsecondaryindexes": "true"}
    with TaskProcess(source, target, name, name, target_attributes=attributes) as task:
        task.spec["workers_max"] = 1
        task.start("fresh", failpoint="load.table_opened=sleep:3000@2")
        task.wait_for(lambda: task.phases().get("early") == "joined", 20, "the first table")
        source.sql("update early set v = 'w' where id = 1", database=name)
        task.wait_for(lambda: target.sql("select v from early where id = 1", database=name) == [("w",)], 10, "a change")
        identities = "select count(*) from pg_attribute where attidentity = 'a'"
        task.wait_for(lambda: target.sql(identities, database=name) == [(2,)], 20, "the identities")
        time.sleep(0.5)
        source.sql("update early set v = 'x' where id < 9; update late set v = 'x' where id < 9", database=name)
        equal = ("early", "late")
        task.wait_for(lambda: not difference(source, name, target, name, equal), 20, "later changes")
        assert set(task.phases().values()) == {"joined"}, task.log_text()
        assert exceptions(target, name) == []
        assert task.stop() == 0
