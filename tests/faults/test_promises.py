"""What README.md's table says of a task and no other suite would miss."""

import itertools
import json

import pytest
from live import TABLES, Traffic, create, difference, exceptions
from pg import PgServer
from task_process import TaskProcess

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def servers():
    with PgServer(settings={"logical_decoding_work_mem": "64kB"}) as source, PgServer() as target:
        yield source, target


def test_load_order(pair):
    """Tables of a higher load-order are loaded first."""
    source, target, name = pair
    rules = []
    for number, (table, order) in enumerate({"a": 1, "b": 3, "c": 2}.items(), 1):
        source.sql(f"create table {table} (id int primary key)", database=name)
        rules.append(
            {
                "rule-type": "selection",
                "rule-id": str(number),
                "rule-name": str(number),
                "rule-action": "include",
                "load-order": order,
                "object-locator": {"schema-name": "public", "table-name": table},
            }
        )
    with TaskProcess(source, target, name, name, kind="full-load", mappings=json.dumps({"rules": rules})) as task:
        task.spec["workers_max"] = 1
        task.start("fresh")
        assert task.wait_end(20) == 0, task.log_text()
        begun = {t["name"]["table"]: t["full_load_start_us"] for t in task.report()["tables"]}
        assert sorted(begun, key=begun.get) == ["b", "c", "a"], begun


def test_large_values_are_never_cut(pair):
    """Whatever LobMaxSize says, in the load and in changes, with a key and without."""
    source, target, name = pair
    large = "(select string_agg(md5(g::text), '') from generate_series({}, {} + 9000) g)"  # 288 KB
    for table, key in (("keyed", "primary key"), ("keyless", "")):
        source.sql(f"create table {table} (id int {key}, t text, b bytea, j jsonb)", database=name)
        source.sql(f"alter table {table} replica identity full", database=name)
        value = large.format(1, 1)
        source.sql(
            f"insert into {table} select 1, {value}, convert_to({value}, 'UTF8'), to_jsonb({value})", database=name
        )
    limited = {"SupportLobs": True, "FullLobMode": False, "LimitedSizeLobMode": True, "LobMaxSize": 1}
    with TaskProcess(source, target, name, name, settings={"TargetMetadata": limited}) as task:
        task.start("fresh")
        task.wait_loaded()
        value = large.format(2, 2)
        for table in ("keyed", "keyless"):
            source.sql(
                f"insert into {table} select 2, {value}, convert_to({value}, 'UTF8'), to_jsonb({value})", database=name
            )
            source.sql(f"update {table} set t = {value} where id = 1", database=name)
        task.wait_caught_up()
        wrong = difference(source, name, target, name, ("keyed", "keyless"))
        assert not wrong, wrong
        assert target.sql("select min(length(t)), min(length(b)) from keyed", database=name) == [(288032, 288032)]
        assert exceptions(target, name) == []
        assert task.stop() == 0


def test_compare_under_traffic(servers):
    """Both sides at one point of the log while writers go on; one row too many is found, and named."""
    source, target = servers
    name = f"p{next(NUMBERS)}"
    create(source, name)
    target.create_database(name)
    with TaskProcess(source, target, name, name) as task, Traffic(source, name) as traffic:
        task.start("fresh")
        task.wait_loaded()
        task.wait_joined(30)
        before = traffic.commits
        for _ in range(3):
            compared = task.control("compare", 60)
            assert compared["ok"] and compared["equal"], compared
            assert {t["table"] for t in compared["tables"]} == set(TABLES)
        assert traffic.commits > before, "nothing was written meanwhile, so nothing was proved"
        target.sql("insert into keyed values (-1, 0, 'nobody wrote this', now())", database=name)
        compared = task.control("compare", 60)
        assert not compared["equal"]
        (wrong,) = (t for t in compared["tables"] if not t["equal"])
        assert wrong["table"] == "keyed" and any("-1" in key for key in wrong["differing_keys"]), wrong
        traffic.stop()
        assert task.stop() == 0
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')


def test_compare_names_every_table(pair):
    """Also one that joins while the others are compared, which is not compared itself: not equal, rather."""
    source, target, name = pair
    for table in ("first", "second"):
        source.sql(f"create table {table} (id int primary key); insert into {table} values (1)", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.spec["workers_max"] = 1
        task.start("fresh", failpoint="load.table_finished=sleep:3000@2;compare.tables_known=sleep:6000")
        task.wait_for(lambda: "joined" in task.phases().values(), 30, "one has joined")
        compared = task.control("compare", 60)
        assert sorted(t["table"] for t in compared["tables"]) == ["first", "second"], compared
        late = next(t for t in compared["tables"] if t["error"])
        assert not compared["equal"] and late["error"] == "still being loaded", compared
        task.wait_joined(30)
        compared = task.control("compare", 60)
        assert compared["equal"] and len(compared["tables"]) == 2, compared
        assert task.stop() == 0


def test_cutover_waits_for_commits_that_do_not_wait(pair):
    """What an application was told is committed is on the target, also where the server had not written it yet."""
    source, target, name = pair
    source.sql("create table t (id int primary key)", database=name)
    source.sql("alter system set wal_writer_delay = '10s'")
    source.sql("select pg_reload_conf()")
    try:
        with TaskProcess(source, target, name, name) as task, source.connect(name) as application:
            task.start("fresh")
            task.wait_loaded()
            task.wait_caught_up()
            application.execute("set synchronous_commit = off")
            for number in range(1, 4):
                application.execute("insert into t values (%s)", (number,))
                done = task.control("cutover", 60, timeout_ms=30000)
                assert done["ok"], done
                assert target.sql("select count(*) from t", database=name) == [(number,)]
            assert task.stop() == 0
    finally:
        source.sql("alter system reset wal_writer_delay")
        source.sql("select pg_reload_conf()")


def test_truncate_of_a_table_whose_child_is_loaded_anew(pair):
    """The target's foreign key refuses to empty the one without the other."""
    source, target, name = pair
    for server in (source, target):
        server.sql(
            "create table parent (id int primary key); create table child (id int primary key, parent int references "
            "parent)",
            database=name,
        )
    source.sql("insert into parent values (1), (2); insert into child values (1, 1)", database=name)
    settings = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}
    with TaskProcess(source, target, name, name, settings=settings) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        with target.connect(name, autocommit=False) as blocker:
            blocker.execute("lock table child in share row exclusive mode")
            assert task.control("reload", tables=[{"schema": "public", "table": "child"}])["ok"]
            task.wait_for(lambda: task.phases()["child"] != "joined", 20, "the child is loaded anew")
            source.sql("truncate parent, child", database=name)
            source.sql("insert into parent values (3); insert into child values (3, 3)", database=name)
            task.wait_for(
                lambda: target.sql("select id from parent", database=name) == [(3,)], 20, "the parent goes on"
            )
        task.wait_joined(30)
        task.wait_caught_up()
        wrong = difference(source, name, target, name, ("parent", "child"))
        assert not wrong, wrong
        assert task.stop() == 0
