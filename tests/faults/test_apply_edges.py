"""Rows whose tables are a little unusual, through a whole task: each arrives, and none is written off."""

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
