"""A standby takes the source's place. What was applied before it did is still true of it: the task goes on. What was
applied behind that point exists at the new source no more, and its places in the log hold other changes: the task says
so and stops."""

import itertools
import subprocess

import pytest
from live import difference, exceptions
from pg import PgServer, bin_folder
from server import as_server_user, give_to_server_user
from task_process import TaskProcess

NUMBERS = itertools.count(1)


def wait_sql(task, server, query, wanted, timeout_s=30):
    task.wait_for(lambda: server.sql(query)[0][0] == wanted, timeout_s, query, alive=False)


def make_standby(primary):
    standby = PgServer()
    give_to_server_user(standby.folder)
    program = str(bin_folder(primary.version) / "pg_basebackup")
    address = ["-h", primary.host, "-p", str(primary.port), "-U", primary.user]
    subprocess.run(
        as_server_user([program, "-D", str(standby.data), *address, "-R", "-c", "fast", "-X", "stream"]),
        check=True,
        cwd="/",
        capture_output=True,
    )
    return standby.start()


@pytest.fixture
def pair():
    """A primary with a database, and its standby."""
    with PgServer() as primary, PgServer() as target:
        name = f"fo{next(NUMBERS)}"
        primary.create_database(name)
        target.create_database(name)
        primary.sql("create table a (id int primary key, v int)", database=name)
        primary.sql("insert into a select g, g from generate_series(1, 300) g", database=name)
        standby = make_standby(primary)
        try:
            yield primary, standby, target, name
        finally:
            standby.close()


def take_slots_along(primary, standby):
    """As cluster managers do before PostgreSQL 17; both servers are down."""
    for slot in (primary.data / "pg_replslot").iterdir():
        copy = standby.data / "pg_replslot" / slot.name
        subprocess.run(["cp", "-a", str(slot), str(copy)], check=True)


def point_to(task, server):
    task.source = server
    task.spec["source"]["port"] = server.port


def promote(task, standby):
    standby.sql("select pg_promote()")
    wait_sql(task, standby, "select pg_is_in_recovery()", False)


def test_goes_on_after_a_failover(pair):
    primary, standby, target, name = pair
    with TaskProcess(primary, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        primary.sql("update a set v = v + 1 where id < 100", database=name)
        task.wait_caught_up()
        assert task.stop() == 0, task.log_text()
        primary.stop()
        standby.stop()
        take_slots_along(primary, standby)
        standby.start()
        promote(task, standby)
        standby.sql("insert into a select g, 0 from generate_series(1001, 1200) g", database=name)
        point_to(task, standby)
        for _ in range(2):  # the second start finds the new timeline in the ledger
            task.start("resume")
            task.wait_loaded()
            standby.sql("update a set v = v * 2 where id > 1100", database=name)
            task.wait_caught_up()
            assert difference(standby, name, target, name, ("a",)) == {}
            assert exceptions(target, name) == []
            assert task.stop() == 0, task.log_text()
        assert "switched over" in task.log_text(400)
        timelines = target.sql("select source_timeline from godwit.gw_task", database=name)
        assert timelines == [(2,)]


def test_what_the_new_primary_never_had_is_fatal(pair):
    primary, standby, target, name = pair
    with TaskProcess(primary, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        standby.stop()
        primary.sql("insert into a select g, 0 from generate_series(1001, 1200) g", database=name)
        task.wait_caught_up()
        assert task.stop() == 0, task.log_text()
        primary.stop()
        take_slots_along(primary, standby)
        standby.start()
        promote(task, standby)
        standby.sql("insert into a select g, 1 from generate_series(2001, 4000) g", database=name)
        point_to(task, standby)
        task.start("resume")
        assert task.wait_end() == 1
        report = task.report()
        assert (report["state"], report["stop_reason"]) == ("failed", "FATAL_ERROR"), report
        assert "switched over" in report["last_error"] and "reload-target" in report["last_error"], report
        task.start("reload")
        task.wait_loaded()
        task.wait_caught_up()
        assert difference(standby, name, target, name, ("a",)) == {}
        assert task.stop() == 0, task.log_text()


def test_failover_under_a_running_task(pair):
    """The process that loses its source ends; its successor compares."""
    primary, standby, target, name = pair
    with TaskProcess(primary, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        standby.stop()
        primary.sql("insert into a values (1001, 1)", database=name)
        task.wait_caught_up()
        primary.kill()
        assert task.wait_end() == 1
        assert task.report()["stop_reason"] == "RECOVERABLE_ERROR"
        take_slots_along(primary, standby)
        standby.start()
        promote(task, standby)
        standby.sql("insert into a values (2001, 1), (2002, 1)", database=name)
        point_to(task, standby)
        task.start("resume")
        assert task.wait_end() == 1
        assert task.report()["stop_reason"] == "FATAL_ERROR"
        assert "switched over" in task.report()["last_error"]
