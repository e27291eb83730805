"""kill -9 under live traffic, then the proof that both sides are equal."""

import itertools

import pytest
from live import create, difference, exceptions
from pg import PgServer

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def servers():
    with (
        PgServer(settings={"logical_decoding_work_mem": "64kB", "autovacuum": "off"}) as source,
        PgServer() as target,
    ):
        yield source, target


@pytest.fixture
def shop(servers):
    """A database on each side, of its own for each test."""
    source, target = servers
    name = f"d{next(NUMBERS)}"
    create(source, name)
    target.create_database(name)
    yield source, target, name
    source.sql(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where database = %s and active", (name,)
    )
    for (slot,) in source.sql("select slot_name from pg_replication_slots where database = %s", (name,)):
        source.sql("select pg_drop_replication_slot(%s)", (slot,))
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def prove_equal():
    def prove(task, source, target, name, timeout_s=120):
        task.wait_loaded(timeout_s)
        task.wait_caught_up(timeout_s)
        wrong = difference(source, name, target, name)
        assert not wrong, f"{wrong}\n{task.log_text(400)}"
        assert exceptions(target, name) == [], task.log_text(400)
        assert set(task.phases().values()) == {"joined"}
        assert task.stop() == 0, task.log_text()
        report = task.report()
        assert (report["state"], report["stop_reason"]) == ("stopped", "NORMAL")
        # nothing came after the comparison either
        assert not difference(source, name, target, name)
        assert task.keepers() == [], "a keeper holds its snapshot though nothing is left to load"

    return prove
