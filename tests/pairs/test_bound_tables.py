"""Goal: between servers of one family, rows that the source changes by its foreign keys alone, without a trace in its
log, are changed on the target as well: under traffic, while tables load, and across kills and reloads."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from typing import Any

import pymysql
import pytest
from my import MyServer
from task_process import TaskProcess, select

PAIRS = [("mysql", "mysql"), ("mariadb", "mariadb"), ("mysql", "mariadb"), ("mariadb", "mysql")]
TABLES = ("parent", "child", "grandchild", "tree", "pet")

SCHEMA = """
create table parent (id int primary key, name varchar(20), other int);
create table child (id int primary key, p int, v int,
  foreign key (p) references parent (id) on delete cascade on update cascade);
create table grandchild (c int, n int, v int, primary key (c, n),
  foreign key (c) references child (id) on delete cascade on update cascade);
create table tree (id int primary key, up int, v int, foreign key (up) references tree (id) on delete cascade);
create table pet (id int primary key, owner int, v int,
  foreign key (owner) references parent (id) on delete set null on update set null);
"""


def family(server: MyServer, rows: int = 60) -> str:
    schema = "b" + uuid.uuid4().hex[:8]
    server.create_database(schema)
    statements = SCHEMA
    for p in range(1, rows + 1):
        statements += (
            f"insert into parent values ({p}, 'p', {p});"
            f"insert into child values ({p * 10}, {p}, 0), ({p * 10 + 1}, {p}, 0);"
            f"insert into grandchild values ({p * 10}, 1, 0), ({p * 10}, 2, 0), ({p * 10 + 1}, 1, 0);"
            f"insert into tree values ({p}, {'null' if p < 4 else p // 4}, 0);"
            f"insert into pet values ({p}, {p}, 0);"
        )
    server.sql(statements, schema)
    return schema


def content(server: MyServer, schema: str) -> list[list[str]]:
    return sorted(server.sql("; ".join(f"select '{t}', x.* from {t} x" for t in TABLES), schema))


def exceptions(target: MyServer, task: TaskProcess) -> list[list[str]]:
    """By table and kind, with one statement of each."""
    return target.sql(
        "select TABLE_NAME, ERROR, count(*), min(STATEMENT) from awsdms_control.awsdms_apply_exceptions "
        f"where TASK_NAME = '{task.id}' group by 1, 2"
    )


def other_server(request: pytest.FixtureRequest, from_: str, to: str) -> tuple[MyServer, MyServer]:
    """Two servers, also of one flavour."""
    source = request.getfixturevalue(from_)
    return source, request.getfixturevalue("second_" + to if from_ == to else to)


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_every_kind(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = other_server(request, from_, to)
    s = family(source, 20)
    with TaskProcess(source, target, "", "", mappings=select(s), source_attributes={"cascade": "fail"}) as task:
        task.start("fresh")
        task.wait_loaded()
        assert {t["state"] for t in task.report()["tables"]} == {"Table completed"}, task.log_text()
        assert content(target, s) == content(source, s)
        for statement in (
            "delete from parent where id = 1",  # over three tables, and SET NULL
            "update parent set id = 1002 where id = 2",
            "update child set id = 3333 where id = 30",  # the key of a key
            "delete from tree where id = 1",  # itself, two levels
            "update parent set name = 'x' where id in (3, 4)",
            "begin; insert into child values (9000, 5, 1); delete from parent where id = 5;"
            "insert into parent values (5, 'again', 0); insert into child values (9001, 5, 2); commit",
            "begin; update parent set id = 1006 where id = 6; update child set v = 7 where p = 1006;"
            "update child set p = 7 where id = 60; delete from parent where id = 1006; commit",
            "delete from parent where id in (7, 8, 9)",
            # who switches the keys off changes one table alone, also here
            "set foreign_key_checks = 0; delete from parent where id = 10; update parent set id = 1011 where id = 11",
            "set foreign_key_checks = 0; delete from child where id = 120; replace into parent values (12, 'r', 0)",
            "replace into parent values (13, 'replaced', 0)",
        ):
            source.sql(statement, s)
            task.wait_for(lambda: content(target, s) == content(source, s), 20, statement)
        assert task.stop() == 0
        assert content(target, s) == content(source, s)


@pytest.mark.parametrize(("from_", "to"), [("mysql", "mariadb"), ("mariadb", "mysql")])
def test_a_parent_waits_for_its_children(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    """A parent that is loaded and deleted while its children still load: they would stay behind, the log lacks them."""
    source, target = other_server(request, from_, to)
    s = family(source, 20)
    rules = [
        {
            "rule-type": "selection",
            "rule-id": str(order),
            "rule-name": str(order),
            "rule-action": "include",
            "load-order": order,
            "object-locator": {"schema-name": s, "table-name": table},
        }
        for order, table in enumerate(("grandchild", "child", "pet", "tree", "parent"), 1)
    ]
    with TaskProcess(source, target, "", "", mappings=json.dumps({"rules": rules})) as task:
        task.spec["workers_max"] = 1
        task.start("fresh", failpoint="slice.begun=sleep:3000@4")  # the child's, after parent, tree and pet
        task.wait_for(lambda: task.table("pet").get("state") == "Table completed", 20, "the parent is in")
        task.wait_for(lambda: task.table("child").get("state") == "Full load", 20, "the child loads")
        source.sql("delete from parent where id in (1, 2)", s)
        time.sleep(1)
        assert task.table("child")["state"] == "Full load", "the change came too late to prove anything"
        task.wait_loaded()
        task.wait_caught_up()
        assert content(target, s) == content(source, s)
        assert task.stop() == 0


@pytest.mark.parametrize(("from_", "to"), [("mysql", "mariadb"), ("mariadb", "mysql")])
def test_killed_while_the_family_leaves_for_a_reload(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    """One is marked for the reload on the target and its children are not yet: they must wait for it."""
    source, target = other_server(request, from_, to)
    s = family(source, 20)
    with TaskProcess(source, target, "", "", mappings=select(s)) as task:
        task.start("fresh", failpoint="reload.left_one=kill")
        task.wait_loaded()
        task.wait_caught_up()
        assert task.control("reload", tables=[{"schema": s, "table": "parent"}])["ok"]
        assert task.wait_end() == -9, task.log_text()
        # what has been there comes again: it would meet the children's rows, which the parent's end did not take
        source.sql(
            "delete from parent where id = 1; insert into parent values (1, 'again', 1);"
            "insert into child values (10, 1, 1), (11, 1, 1); insert into grandchild values (10, 1, 1), (11, 1, 1)",
            s,
        )
        task.start("resume", failpoint="reload.taken=sleep:4000")  # time enough to go on without it
        task.wait_for(lambda: content(target, s) == content(source, s), 30, "both sides equal")
        task.wait_for(lambda: task.table("parent").get("state") == "Table completed", 20, "reloaded")
        assert exceptions(target, task) == [], task.log_text()
        assert task.stop() == 0
        assert content(target, s) == content(source, s)


class Traffic:
    def __init__(self, server: MyServer, schema: str, seed: int) -> None:
        self.server, self.schema = server, schema
        self.end, self.errors, self.done = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.write, args=(seed * 10 + n, n)) for n in range(2)]

    def __enter__(self) -> Traffic:
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.end.set()
        for t in self.threads:
            t.join()
        assert not self.errors, self.errors

    def write(self, seed: int, number: int) -> None:
        r = random.Random(seed)
        fresh = 100_000 * (number + 1)
        try:
            c = pymysql.connect(
                host=self.server.host, port=self.server.port, user=self.server.user, database=self.schema
            )
            cursor = c.cursor()
            while not self.end.is_set():
                try:
                    for _ in range(r.choice((1, 2, 5))):
                        fresh += 10
                        self.change(cursor, r, fresh)
                    c.rollback() if r.random() < 0.1 else c.commit()
                    self.done += 1
                except pymysql.err.MySQLError as e:
                    c.rollback()
                    if e.args[0] not in (1062, 1205, 1213, 1451, 1452, 1761):
                        raise
        except Exception as e:
            self.errors.append(repr(e))

    @staticmethod
    def change(cursor: Any, r: random.Random, fresh: int) -> None:
        p, q = r.randint(1, 60), r.randint(1, 60)
        match r.randrange(10):
            case 0:
                cursor.execute("delete from parent where id = %s", (p,))
            case 1 | 2:  # the same names come again, so that rows of then and now can be taken for each other
                cursor.execute("insert ignore into parent values (%s, 'again', %s)", (p, fresh))
                cursor.execute("insert ignore into child values (%s, %s, %s)", (p * 10, p, fresh))
                cursor.execute("insert ignore into grandchild values (%s, %s, %s)", (p * 10, fresh % 3, fresh))
            case 3:
                cursor.execute("update parent set id = %s where id = %s", (q, p))
            case 4:
                cursor.execute("update child set p = %s, v = v + 1 where id = %s", (q, p * 10))
            case 5:
                cursor.execute("update child set v = v + 1 where p = %s", (p,))
            case 6:
                cursor.execute("update grandchild set v = v + 1 where c = %s", (p * 10,))
            case 7:
                cursor.execute("insert ignore into tree values (%s, %s, %s)", (fresh % 200, q, fresh))
                cursor.execute("update tree set v = v + 1 where up = %s", (q,))
            case 8:
                cursor.execute("delete from tree where id = %s", (r.randint(1, 200),))
            case 9:
                cursor.execute("insert ignore into pet values (%s, %s, %s)", (fresh % 300, p, fresh))
                cursor.execute("update pet set v = v + 1 where owner = %s", (q,))


@pytest.mark.parametrize(("from_", "to"), PAIRS[2:])
def test_killed_and_reloaded_under_traffic(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = other_server(request, from_, to)
    s = family(source)
    r = random.Random(3)
    with (
        Traffic(source, s, 5) as traffic,
        TaskProcess(source, target, "", "", mappings=select(s)) as task,
    ):
        task.start("fresh")
        time.sleep(0.4)
        task.kill()
        task.start("resume" if task.report().get("state") == "running" else "fresh")
        for table in ("child", "parent"):
            task.wait_loaded()
            time.sleep(r.uniform(0.1, 0.6))
            tables = [{"schema": s, "table": table}]  # refused until the new process runs
            task.wait_for(lambda tables=tables: task.control("reload", tables=tables)["ok"], 20, "a reload")
            time.sleep(r.uniform(0.02, 0.3))
            task.kill()
            task.start("resume")
        task.wait_loaded()
        time.sleep(0.5)
        traffic.stop()
        task.wait_for(lambda: content(target, s) == content(source, s), 40, "both sides equal")
        time.sleep(0.5)
        assert content(target, s) == content(source, s)
        assert {t["state"] for t in task.report()["tables"]} == {"Table completed"}, task.log_text()
        assert exceptions(target, task) == [], task.log_text()
        assert task.stop() == 0


def test_a_key_that_goes_is_followed(mariadb: MyServer, second_mariadb: MyServer) -> None:
    source, target = mariadb, second_mariadb
    s = family(source, 10)
    with TaskProcess(source, target, "", "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        name = source.sql(
            f"select constraint_name from information_schema.table_constraints where table_schema = '{s}'"
            " and table_name = 'child' and constraint_type = 'FOREIGN KEY'"
        )[0][0]
        source.sql(f"alter table child drop foreign key {name}; delete from parent where id = 1", s)
        task.wait_for(lambda: content(target, s) == content(source, s), 40, "children that stay")
        assert task.stop() == 0


def test_a_target_without_the_key_is_named(mysql: MyServer, mariadb: MyServer) -> None:
    s = family(mysql, 3)
    mariadb.create_database(s)
    mariadb.sql("create table child (id int primary key, p int, v int)", s)
    settings = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}
    for how, state in (("warn", "Table completed"), ("fail", "Table error")):
        with TaskProcess(
            mysql, mariadb, "", "", mappings=select(s), settings=settings, target_attributes={"cascade": how}
        ) as task:
            task.start("fresh")
            task.wait_loaded()
            assert f"table {s}.child lacks a foreign key of the source" in task.log_text(200)
            assert task.table("child")["state"] == state
            task.stop()


def test_one_leaves_the_family_while_it_is_loaded(mariadb: MyServer, second_mariadb: MyServer) -> None:
    """Its load is void, and the next one is of the others alone: it must not stay behind, with all standing for it."""
    source, target = mariadb, second_mariadb
    s = family(source, 10)
    with TaskProcess(source, target, "", "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        task.kill()
        task.start("resume", failpoint="load.viewed=sleep:2000")
        task.wait_state("running")
        assert task.control("reload", tables=[{"schema": s, "table": "parent"}])["ok"]
        task.wait_for(lambda: task.table("child").get("state") == "Table is being reloaded", 20, "the reload begins")
        time.sleep(1)
        name = source.sql(
            "select constraint_name from information_schema.referential_constraints where constraint_schema = "
            f"'{s}' and table_name = 'child'"
        )[0][0]
        source.sql(f"alter table child drop foreign key {name}, add column y int; update pet set v = 5", s)
        task.wait_loaded(60)
        task.wait_caught_up()
        source.sql("insert into child values (900, 1, 1, 7); update parent set other = 8", s)
        task.wait_for(lambda: content(target, s) == content(source, s), 40, "all go on")
        assert task.stop() == 0
