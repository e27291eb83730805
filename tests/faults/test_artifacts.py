"""Objects in the source database that DMS makes by itself and godwit only on request; they go with the task."""

import pytest
from pg import PgServer
from task_process import TaskProcess


@pytest.fixture(scope="module")
def servers():
    with PgServer() as source, PgServer() as target:
        source.create_database("shop")
        target.create_database("shop")
        source.sql("create schema ops", database="shop")
        source.sql("create table a (id int primary key)", database="shop")
        yield source, target


def exists(server, name):
    return server.sql("select to_regclass(%s) is not null", (name,), "shop")[0][0]


def delete(task):
    task.start("drop")
    assert task.wait_end() == 0, task.log_text()


def test_none_without_asking(servers):
    source, target = servers
    with TaskProcess(source, target, "shop", "shop") as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        made = "select count(*) from pg_class where relname like 'awsdms%%'"
        assert source.sql(made, database="shop") == [(0,)]
        assert source.sql("select count(*) from pg_event_trigger", database="shop") == [(0,)]
        assert task.stop() == 0
        delete(task)


def test_heartbeat(servers):
    source, target = servers
    attributes = {"heartbeatenable": "true", "heartbeatschema": "ops", "heartbeatfrequency": "1"}
    with TaskProcess(source, target, "shop", "shop", source_attributes=attributes) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_for(lambda: exists(source, "ops.awsdms_heartbeat"), 10, "a heartbeat")
        row = "select hb_key, hb_created_at, hb_last_heartbeat_at, hb_last_heartbeat_by from ops.awsdms_heartbeat"
        task.wait_for(lambda: source.sql(row, database="shop"), 10, "its row")
        ((key, created, first, who),) = source.sql(row, database="shop")
        assert (key, created, who) == (1, first, f"godwit/{task.id}")
        assert task.stop() == 0
        task.start("resume")
        task.wait_for(lambda: source.sql(row, database="shop")[0][2] > first, 20, "the next one")
        assert source.sql(row, database="shop")[0][1] == created
        task.wait_caught_up()
        assert not exists(target, "ops.awsdms_heartbeat") and not exists(target, "public.awsdms_heartbeat")
        assert task.stop() == 0
        delete(task)
        assert not exists(source, "ops.awsdms_heartbeat")


def test_ddl_audit(servers):
    source, target = servers
    attributes = {"captureddls": "true", "ddlartifactsschema": "ops"}
    with TaskProcess(source, target, "shop", "shop", source_attributes=attributes) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_for(lambda: exists(source, "ops.awsdms_ddl_audit"), 10, "the audit table")
        source.sql("alter table a add column v int", database="shop")
        source.sql("insert into a values (1, 1)", database="shop")
        assert source.sql("select count(*) from ops.awsdms_ddl_audit", database="shop") == [(0,)]
        assert source.sql("select nextval('ops.awsdms_ddl_audit_c_key_seq')", database="shop")[0][0] > 1
        task.wait_caught_up()
        assert target.sql("select * from a", database="shop") == [(1, 1)]
        assert task.stop() == 0
        delete(task)
        assert not exists(source, "ops.awsdms_ddl_audit")
        assert source.sql("select count(*) from pg_event_trigger", database="shop") == [(0,)]
        source.sql("alter table a drop column v", database="shop")
