"""Partitions that come, go and are emptied by themselves: none of it is in a log that speaks of the root alone."""

import itertools
import time

import pytest
from live import difference
from task_process import TaskProcess

NUMBERS = itertools.count(1)


@pytest.fixture(params=["pgoutput", "test_decoding"])
def task(servers, request):
    source, target = servers
    name = f"part{next(NUMBERS)}"
    source.create_database(name)
    target.create_database(name)
    for statement in (
        "create table p (id int primary key, v int default 1) partition by range (id)",
        "create table p1 partition of p for values from (0) to (1000)",
        "create table p2 partition of p for values from (1000) to (2000)",
        "insert into p select g, g from generate_series(1, 1999) g",
    ):
        source.sql(statement, database=name)
    with TaskProcess(source, target, name, name, source_attributes={"pluginname": request.param}) as t:
        t.start("fresh")
        t.wait_loaded()
        t.wait_caught_up()
        yield t
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')


def do(task, *statements):
    for s in statements:
        task.source.sql(s, database=task.source_database)


def becomes_equal(task, reloaded):
    name = task.source_database
    task.wait_for(lambda: not difference(task.source, name, task.target, name, ("p",)), 40, "equal")
    if reloaded:
        task.wait_for(lambda: task.table("p").get("reloaded"), 20, "reloaded")
    do(task, "insert into p values (999, 0) on conflict (id) do update set v = 77")
    task.wait_loaded()
    task.wait_caught_up()
    assert difference(task.source, name, task.target, name, ("p",)) == {}, task.log_text()
    assert task.table("p")["reloaded"] is reloaded, task.log_text()
    assert task.stop() == 0, task.log_text()


def test_a_new_partition_costs_no_reload(task):
    """Born as a partition, or attached while empty: all its rows are in the log."""
    do(
        task,
        "create table p3 partition of p for values from (2000) to (3000)",
        "insert into p select g, g from generate_series(2000, 2999) g",
        "create table p4 (like p including all)",
        "alter table p attach partition p4 for values from (3000) to (4000)",
    )
    task.wait_for(
        lambda: (
            "p4"
            in task.source.sql(
                "select string_agg(relid::text, ',') from pg_partition_tree('p')", database=task.source_database
            )[0][0]
        ),
        5,
    )
    time.sleep(6)  # a look at the catalogue
    do(task, "insert into p select g, g from generate_series(3000, 3999) g")
    becomes_equal(task, False)


def test_attach_with_rows(task):
    do(
        task,
        "create table p3 (like p including all)",
        "insert into p3 select g, g from generate_series(2000, 2999) g",
        "alter table p attach partition p3 for values from (2000) to (3000)",
        "insert into p values (2999, 0) on conflict do nothing",
    )
    becomes_equal(task, True)


def test_filled_and_attached_in_one_transaction(task):
    do(
        task,
        "begin; create table p3 (like p including all);"
        "insert into p3 select g, g from generate_series(2000, 2999) g;"
        "alter table p attach partition p3 for values from (2000) to (3000); commit",
    )
    becomes_equal(task, True)


def test_detach(task):
    do(task, "alter table p detach partition p2", "insert into p2 values (15000, 0)")
    becomes_equal(task, True)


def test_drop_of_a_partition_while_stopped(task):
    assert task.stop() == 0
    do(task, "drop table p2", "insert into p values (0, 0)")
    task.start("resume")
    task.wait_state("running")
    becomes_equal(task, True)


def test_truncate_of_a_partition(task):
    do(task, "truncate p1", "insert into p values (5, 5)")
    becomes_equal(task, True)


def test_truncate_of_a_partition_that_is_new(task):
    do(
        task,
        "create table p3 partition of p for values from (2000) to (3000)",
        "insert into p select g, g from generate_series(2000, 2999) g",
        "truncate p3",
    )
    becomes_equal(task, True)
