"""Goal: the same AWS calls that move PostgreSQL move MySQL and MariaDB, into either family."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from godwit import GodwitServer
from my import MyServer
from pg import PgServer
from shop import TABLES, Server, create, difference
from waiting import wait_until


@pytest.mark.parametrize(
    ("from_", "to"), [("mysql", "postgres"), ("mariadb", "postgres"), ("postgres", "mysql"), ("mysql", "mariadb")]
)
def test_a_task_through_the_api(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source: Server = request.getfixturevalue(from_)
    target: Server = request.getfixturevalue(to)
    schema = "a" + uuid.uuid4().hex[:8]
    create(source, schema, rows=500)
    with GodwitServer() as godwit:
        dms = godwit.client()
        instance = dms.create_replication_instance(
            ReplicationInstanceIdentifier="one", ReplicationInstanceClass="dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        ends = {}
        for kind, server in (("source", source), ("target", target)):
            members = server.endpoint("postgres") if isinstance(server, PgServer) else server.endpoint()
            if isinstance(server, MyServer):
                members.pop("Password")
                members["MySQLSettings"] = {"EventsPollInterval": 5}
            endpoint = dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, **members)["Endpoint"]
            ends[kind] = endpoint["EndpointArn"]
        dms.get_waiter("replication_instance_available").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        for arn in ends.values():
            dms.test_connection(ReplicationInstanceArn=instance, EndpointArn=arn)
            connection = wait_until(
                lambda arn=arn: [
                    c
                    for c in dms.describe_connections(Filters=[{"Name": "endpoint-arn", "Values": [arn]}])[
                        "Connections"
                    ]
                    if c["Status"] != "testing"
                ]
            )[0]
            assert connection["Status"] == "successful", connection
        rule = {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "1",
            "rule-action": "include",
            "object-locator": {"schema-name": schema, "table-name": "%"},
        }
        task = dms.create_replication_task(
            ReplicationTaskIdentifier="move",
            SourceEndpointArn=ends["source"],
            TargetEndpointArn=ends["target"],
            ReplicationInstanceArn=instance,
            MigrationType="full-load-and-cdc",
            TableMappings=json.dumps({"rules": [rule]}),
        )["ReplicationTask"]["ReplicationTaskArn"]

        def state() -> dict[str, Any]:
            return dict(dms.describe_replication_tasks()["ReplicationTasks"][0])

        wait_until(lambda: state()["Status"] == "ready")
        dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")

        def statistics() -> list[dict[str, Any]]:
            return list(dms.describe_table_statistics(ReplicationTaskArn=task)["TableStatistics"])

        wait_until(lambda: [t["TableState"] for t in statistics()] == ["Table completed"] * len(TABLES))
        sql = (
            f"insert into {schema}.keyed values (9001, 1, 'new', '2024-01-01 00:00:00');"
            f"update {schema}.keyed set v = 5 where id = 1; delete from {schema}.keyed where id = 2"
        )
        for statement in sql.split(";"):
            source.sql(statement)
        wait_until(lambda: difference(source, target, schema) == {})
        row = wait_until(lambda: [t for t in statistics() if t["TableName"] == "keyed" and t["Deletes"]])[0]
        assert (row["FullLoadRows"], row["Inserts"], row["Updates"], row["Deletes"]) == (500, 1, 1, 1)
        dms.stop_replication_task(ReplicationTaskArn=task)
        wait_until(lambda: state()["Status"] == "stopped")
        checkpoint = state()["RecoveryCheckpoint"]
        assert checkpoint.startswith("checkpoint:V1#"), checkpoint
        if isinstance(source, MyServer):
            assert checkpoint.split("#")[2].startswith("binlog.0"), checkpoint
            assert len(checkpoint.split("#")[2].split(":")) == 7, checkpoint
        source.sql(f"update {schema}.keyed set v = 6 where id = 1")
        dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="resume-processing")
        wait_until(lambda: difference(source, target, schema) == {})
        dms.stop_replication_task(ReplicationTaskArn=task)
        wait_until(lambda: state()["Status"] == "stopped")
        dms.delete_replication_task(ReplicationTaskArn=task)
        wait_until(lambda: dms.describe_replication_tasks()["ReplicationTasks"] == [])
