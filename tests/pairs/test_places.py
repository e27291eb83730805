"""Goal: capture begins where the user says (a time, a set of GTIDs), and goes on where it was when another server of
the same history has taken the source's place: nothing lost, nothing twice; what that server lacks is an error."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

FLAVOURS = ["mariadb", "mysql"]
pytestmark = pytest.mark.apart
SETTINGS = {
    "mariadb": {"log-slave-updates": "ON", "gtid-strict-mode": 1},
    "mysql": {"log-slave-updates": "ON", "performance-schema": "OFF"},
}


def follow(replica: MyServer, primary: MyServer) -> None:
    """Native replication by GTIDs."""
    where = f"change master to master_host='{primary.host}', master_port={primary.port}, master_user='root', "
    if replica.flavour == "mariadb":
        replica.sql(f"stop slave; {where} master_use_gtid=slave_pos; start slave")
    else:
        replica.sql(f"stop slave; {where} master_auto_position=1, get_master_public_key=1; start slave")


def promote(replica: MyServer) -> None:
    replica.sql("stop slave; reset slave all")


def wait_rows(server: MyServer, question: str, rows: list[list[str]], limit_s: float = 20) -> None:
    until = time.monotonic() + limit_s
    while True:
        try:
            if server.sql(question) == rows:
                return
        except Exception:
            if time.monotonic() > until:
                raise
        assert time.monotonic() < until, server.sql("show slave status")
        time.sleep(0.05)


@pytest.fixture(params=FLAVOURS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[MyServer, MyServer]]:
    """A primary and a replica with a history of other files and offsets."""
    flavour = request.param
    with (
        MyServer(flavour=flavour, settings=SETTINGS[flavour] | {"server-id": 11}) as primary,
        MyServer(flavour=flavour, settings=SETTINGS[flavour] | {"server-id": 12}) as replica,
    ):
        # what each server did for itself when it was made
        for server in (primary, replica):
            server.sql("reset master")
        primary.sql("flush binary logs; flush binary logs; flush binary logs")
        follow(replica, primary)
        yield primary, replica


def begun(primary: MyServer, target: PgServer, kind: str = "full-load-and-cdc") -> tuple[TaskProcess, str]:
    schema = "f" + uuid.uuid4().hex[:8]
    primary.create_database(schema)
    # without a key: a row that comes twice is there twice
    primary.sql("create table t (id int, v int); insert into t values (1, 1)", schema)
    task = TaskProcess(primary, target, "", "postgres", mappings=select(schema), kind=kind)
    task.start("fresh")
    task.wait_loaded()
    primary.sql("insert into t values (2, 1); insert into t values (3, 1); update t set v = 2 where id = 1", schema)
    arrives(task, target, schema, [(1, 2), (2, 1), (3, 1)])
    return task, schema


def arrives(task: TaskProcess, target: PgServer, schema: str, rows: list[tuple[int, int]]) -> None:
    question = f"select id, v from {schema}.t order by id, v"
    try:
        task.wait_for(lambda: target.sql(question) == rows, 30, question)
    except AssertionError as e:
        raise AssertionError(f"{target.sql(question)} {e}") from None


def point_at(task: TaskProcess, server: MyServer) -> None:
    task.spec["source"]["port"] = server.port


def test_the_task_is_stopped(pair: tuple[MyServer, MyServer], postgres: PgServer) -> None:
    primary, replica = pair
    task, s = begun(primary, postgres)
    with task:
        time.sleep(1.2)  # the position with its GTIDs is acknowledged
        assert task.stop() == 0
        primary.sql("insert into t values (4, 1); alter table t add column w int", s)
        primary.sql("insert into t values (5, 1, 1)", s)
        wait_rows(replica, f"select count(*) from {s}.t", [["5"]])
        primary.kill()
        promote(replica)
        replica.sql("insert into t values (6, 1, 2); update t set v = 3 where id = 2; delete from t where id = 3", s)
        point_at(task, replica)
        task.start("resume")
        arrives(task, postgres, s, [(1, 2), (2, 3), (4, 1), (5, 1), (6, 1)])
        assert postgres.sql(f"select w from {s}.t where id > 4 order by id") == [(1,), (2,)]
        # killed and gone on with, by the new server's own places
        for n in (7, 8):
            task.kill()
            replica.sql(f"insert into t values ({n}, 1, 2); flush binary logs", s)
            task.start("resume")
            arrives(task, postgres, s, [(1, 2), (2, 3), (4, 1), (5, 1), (6, 1), *((k, 1) for k in range(7, n + 1))])
        # and back: the old one, as a replica of the new one
        assert task.stop() == 0
        primary.start()
        follow(primary, replica)
        replica.sql("insert into t values (9, 1, 2)", s)
        wait_rows(primary, f"select count(*) from {s}.t where id = 9", [["1"]])
        replica.kill()
        promote(primary)
        primary.sql("insert into t values (10, 1, 2)", s)
        point_at(task, primary)
        task.start("resume")
        arrives(task, postgres, s, [(1, 2), (2, 3), *((k, 1) for k in range(4, 11))])
        assert not task.table("t").get("reloaded"), task.table("t")
        assert task.stop() == 0


def test_the_task_runs(pair: tuple[MyServer, MyServer], postgres: PgServer) -> None:
    """The replica takes over the address."""
    primary, replica = pair
    task, s = begun(primary, postgres)
    with task:
        time.sleep(1.2)
        primary.sql("insert into t values (4, 1)", s)
        wait_rows(replica, f"select count(*) from {s}.t", [["4"]])
        arrives(task, postgres, s, [(1, 2), (2, 1), (3, 1), (4, 1)])
        port = primary.port
        primary.kill()
        promote(replica)
        replica.stop()
        replica.port = port
        replica.start()
        replica.sql("insert into t values (5, 1)", s)
        replica.sql("update t set v = 7 where id = 4", s)
        if task.wait_end(8) is not None:  # as the service does with a task that lost its source
            task.start("resume")
        arrives(task, postgres, s, [(1, 2), (2, 1), (3, 1), (4, 7), (5, 1)])
        assert not task.table("t").get("reloaded"), task.table("t")
        assert task.stop() == 0


def test_a_replica_that_lacks_something(pair: tuple[MyServer, MyServer], postgres: PgServer) -> None:
    """First what was applied, then, purged, what follows it."""
    primary, replica = pair
    task, s = begun(primary, postgres)
    with task:
        wait_rows(replica, f"select count(*) from {s}.t", [["3"]])
        replica.sql("stop slave")
        primary.sql("insert into t values (4, 1)", s)
        arrives(task, postgres, s, [(1, 2), (2, 1), (3, 1), (4, 1)])
        time.sleep(1.2)
        assert task.stop() == 0
        point_at(task, replica)
        task.start("resume")
        assert task.wait_end(30) is not None
        assert "lacks a part of what is before it" in task.report()["last_error"], task.report()
        replica.sql("start slave")
        wait_rows(replica, f"select count(*) from {s}.t", [["4"]])
        promote(replica)
        replica.sql("insert into t values (5, 1); flush binary logs; insert into t values (6, 1); flush binary logs", s)
        last = replica.sql("show binary logs")[-1][0]
        for _ in range(100):  # a log that somebody still reads is left out with a warning
            replica.sql(f"purge binary logs to '{last}'")
            if replica.sql("show binary logs")[0][0] == last:
                break
            time.sleep(0.1)
        assert replica.sql("show binary logs")[0][0] == last
        task.start("resume")
        assert task.wait_end(30) is not None
        assert "has purged binlogs that follow it" in task.report()["last_error"], task.report()
        assert postgres.sql(f"select count(*) from {s}.t") == [(4,)]


# --- where to begin


def copied(source: MyServer, target: PgServer) -> tuple[TaskProcess, str]:
    """A table that is on both sides, and a task that is to follow its changes."""
    schema = "g" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql("create table t (id int, v int); insert into t values (1, 1)", schema)
    target.sql(f"create schema {schema}; create table {schema}.t (id int, v int)")
    return TaskProcess(source, target, "", "postgres", mappings=select(schema), kind="cdc"), schema


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_from_a_set_of_gtids(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    task, s = copied(source, postgres)
    with task:
        source.sql("insert into t values (2, 1)", s)
        seen = source.sql("select @@global." + ("gtid_executed" if flavour == "mysql" else "gtid_binlog_pos"))[0][0]
        source.sql("insert into t values (3, 1); flush binary logs", s)
        source.sql("insert into t values (4, 1)", s)
        task.spec["cdc_start"] = "gtid:" + seen.replace("\\n", "")
        task.start("fresh")
        arrives(task, postgres, s, [(3, 1), (4, 1)])
        task.kill()
        source.sql("insert into t values (5, 1)", s)
        task.start("resume")
        arrives(task, postgres, s, [(3, 1), (4, 1), (5, 1)])
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_from_a_time(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    task, s = copied(source, postgres)
    with task:
        source.sql("insert into t values (2, 1); flush binary logs", s)
        source.sql("insert into t values (3, 1)", s)
        time.sleep(2.1)
        at = datetime.now(UTC) - timedelta(seconds=1)
        source.sql("flush binary logs; insert into t values (4, 1)", s)
        source.sql("flush binary logs; insert into t values (5, 1)", s)
        task.spec["cdc_start"] = at.strftime("%Y-%m-%dT%H:%M:%S")
        task.start("fresh")
        arrives(task, postgres, s, [(4, 1), (5, 1)])
        assert task.stop() == 0
        # in a file that was begun before it
        other, s2 = copied(source, postgres)
        with other:
            source.sql("insert into t values (2, 1)", s2)
            time.sleep(2.1)
            at = datetime.now(UTC) - timedelta(seconds=1)
            source.sql("insert into t values (3, 1)", s2)
            other.spec["cdc_start"] = at.strftime("%Y-%m-%dT%H:%M:%S")
            other.start("fresh")
            arrives(other, postgres, s2, [(3, 1)])
            assert other.stop() == 0
        task.spec["cdc_start"] = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
        task.start("fresh")
        assert task.wait_end(20) is not None
        assert "future" in task.report()["last_error"], task.report()


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", ["server_time", "commit_time"])
def test_until_a_time(flavour: str, kind: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    task, s = copied(source, postgres)
    with task:
        until = datetime.now(UTC) + timedelta(seconds=3)
        task.spec["cdc_stop"] = f"{kind}:{until.strftime('%Y-%m-%dT%H:%M:%S')}"
        task.start("fresh")
        task.wait_state("running")
        source.sql("insert into t values (2, 1)", s)
        arrives(task, postgres, s, [(2, 1)])
        # the source's clock passes it with nothing to read, or with a transaction behind it
        if kind == "commit_time":
            time.sleep(max(0, (until - datetime.now(UTC)).total_seconds()) + 1.1)
            source.sql("insert into t values (3, 1)", s)
        assert task.wait_end(20) == 0, task.log_text()
        assert task.report()["stop_reason"] == f"STOPPED_AT_{kind.upper()}", task.report()
        assert postgres.sql(f"select id from {s}.t order by id") == [(2,)]
