"""The AWS CLI, unmodified, through a migration: its commands, its waiters, its error texts.

All of it twice: with PyPI's by AWS_ENDPOINT_URL, with Debian's by --endpoint-url. One that is missing is a failure.
"""

import json

import pytest
from godwit import GodwitServer
from pg import PgServer
from waiting import wait_until

MAPPINGS = json.dumps(
    {
        "rules": [
            {
                "rule-type": "selection",
                "rule-id": "1",
                "rule-name": "all",
                "rule-action": "include",
                "object-locator": {"schema-name": "app", "table-name": "%"},
            }
        ]
    }
)


@pytest.fixture(scope="module")
def source():
    with PgServer(password="pw'; of source") as server:
        yield server


@pytest.fixture(scope="module")
def target():
    with PgServer(password="pw of target") as server:
        yield server


@pytest.fixture(scope="module", params=["pypi", "debian"])
def godwit(request, godwit_program):
    with GodwitServer(environment={"GODWIT_MIN_RUNNING_VISIBLE": "0"}) as server:
        if request.param == "debian":
            server.use_debians_aws()
        version = server.aws("--version", check=False)
        assert version.stdout.startswith({"pypi": "aws-cli/1.", "debian": "aws-cli/2.9"}[request.param]), version
        yield server


@pytest.fixture(scope="module")
def arns(godwit, source, target):
    """An instance and two tested endpoints."""
    out = {
        "instance": godwit.aws(
            "dms",
            "create-replication-instance",
            "--replication-instance-identifier",
            "Main-1",
            "--replication-instance-class",
            "dms.t3.medium",
        )["ReplicationInstance"]["ReplicationInstanceArn"]
    }
    for kind, server in (("source", source), ("target", target)):
        members = server.endpoint()
        out[kind] = godwit.aws(
            "dms", "create-endpoint", "--endpoint-identifier", f"{kind}-db", "--endpoint-type", kind, "--engine-name",
            members["EngineName"], "--server-name", members["ServerName"], "--port", str(members["Port"]), "--username",
            members["Username"], "--password", members["Password"], "--database-name", members["DatabaseName"],
        )["Endpoint"]["EndpointArn"]  # fmt: skip
    godwit.aws("dms", "wait", "replication-instance-available", *filters("replication-instance-arn", out["instance"]))
    for kind in ("source", "target"):
        godwit.aws("dms", "test-connection", "--replication-instance-arn", out["instance"], "--endpoint-arn", out[kind])
        godwit.aws("dms", "wait", "test-connection-succeeds", *filters("endpoint-arn", out[kind]))
    return out


def filters(name, *values):
    return ["--filters", f"Name={name},Values={','.join(values)}"]


def create_task(godwit, arns, name, kind="full-load", mappings=MAPPINGS, settings=None, check=True):
    more = ["--replication-task-settings", json.dumps(settings)] if settings is not None else []
    done = godwit.aws(
        "dms", "create-replication-task", "--replication-task-identifier", name, "--migration-type", kind,
        "--source-endpoint-arn", arns["source"], "--target-endpoint-arn", arns["target"],
        "--replication-instance-arn", arns["instance"], "--table-mappings", mappings, *more, check=check,
    )  # fmt: skip
    if not check:
        return done
    arn = done["ReplicationTask"]["ReplicationTaskArn"]
    godwit.aws("dms", "wait", "replication-task-ready", *filters("replication-task-arn", arn))
    return arn


def start(godwit, arn, how="start-replication"):
    return godwit.aws(
        "dms", "start-replication-task", "--replication-task-arn", arn, "--start-replication-task-type", how
    )


def delete_task(godwit, arn):
    godwit.aws("dms", "delete-replication-task", "--replication-task-arn", arn)
    godwit.aws("dms", "wait", "replication-task-deleted", *filters("replication-task-arn", arn))


def statistics(godwit, arn):
    rows = godwit.aws("dms", "describe-table-statistics", "--replication-task-arn", arn)["TableStatistics"]
    return {row["TableName"]: row for row in rows}


def fresh_tables(source, target):
    for server in (source, target):
        server.sql("drop schema if exists app cascade")
    source.sql(
        "create schema app; create table app.a (id int primary key, t text); create table app.b (id int primary key);"
        "insert into app.a select i, 'row ' || i from generate_series(1, 1000) i; insert into app.b values (1), (2)"
    )


def test_full_load(godwit, arns, source, target):
    fresh_tables(source, target)
    arn = create_task(godwit, arns, "load")
    assert start(godwit, arn)["ReplicationTask"]["Status"] == "starting"
    godwit.aws("dms", "wait", "replication-task-stopped", *filters("replication-task-arn", arn))
    (task,) = godwit.aws("dms", "describe-replication-tasks", *filters("replication-task-id", "load"))[
        "ReplicationTasks"
    ]
    assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert task["ReplicationTaskStats"]["FullLoadProgressPercent"] == 100
    assert {name: (row["FullLoadRows"], row["TableState"]) for name, row in statistics(godwit, arn).items()} == {
        "a": (1000, "Table completed"),
        "b": (2, "Table completed"),
    }
    assert target.sql("select count(*), sum(id) from app.a") == [(1000, 500500)]
    again = godwit.aws(
        "dms", "start-replication-task", "--replication-task-arn", arn, "--start-replication-task-type",
        "start-replication", check=False,
    )  # fmt: skip
    assert again.returncode != 0
    assert "InvalidParameterCombinationException" in again.stderr
    assert "START_REPLICATION, valid only for tasks running for the first time" in again.stderr
    delete_task(godwit, arn)


def test_changes_reload_and_resume(godwit, arns, source, target):
    fresh_tables(source, target)
    arn = create_task(godwit, arns, "follow", "full-load-and-cdc")
    start(godwit, arn)
    godwit.aws("dms", "wait", "replication-task-running", *filters("replication-task-arn", arn))
    wait_until(lambda: {r["TableState"] for r in statistics(godwit, arn).values()} == {"Table completed"})
    source.sql("insert into app.b values (3); update app.a set t = 'new' where id = 1; delete from app.a where id = 2")
    wait_until(lambda: target.sql("select count(*) from app.b") == [(3,)])
    assert target.sql("select id, t from app.a where id < 3") == [(1, "new")]
    wait_until(lambda: statistics(godwit, arn)["a"]["Deletes"] == 1)
    row = statistics(godwit, arn)["a"]
    assert (row["Inserts"], row["Updates"], row["Deletes"]) == (0, 1, 1)

    target.sql("delete from app.b")
    godwit.aws(
        "dms", "reload-tables", "--replication-task-arn", arn, "--tables-to-reload", "SchemaName=app,TableName=b"
    )
    wait_until(lambda: target.sql("select count(*) from app.b") == [(3,)])

    godwit.aws("dms", "stop-replication-task", "--replication-task-arn", arn)
    godwit.aws("dms", "wait", "replication-task-stopped", *filters("replication-task-arn", arn))
    source.sql("insert into app.b values (4)")
    start(godwit, arn, "resume-processing")
    wait_until(lambda: target.sql("select count(*) from app.b") == [(4,)])
    assert godwit.cli("task", "compare", "follow").returncode == 0
    target.sql("update app.a set t = 'tampered' where id = 500")
    differs = godwit.cli("task", "compare", "follow")
    assert differs.returncode == 4, differs.stdout + differs.stderr
    godwit.aws("dms", "stop-replication-task", "--replication-task-arn", arn)
    godwit.aws("dms", "wait", "replication-task-stopped", *filters("replication-task-arn", arn))
    delete_task(godwit, arn)
    assert source.sql("select slot_name from pg_replication_slots") == []
    assert source.sql("select pubname from pg_publication") == []


def test_settings_are_merged_and_kept(godwit, arns, source, target):
    arn = create_task(godwit, arns, "settings", settings={"FullLoadSettings": {"CommitRate": "5000"}})

    def stored():
        (task,) = godwit.aws("dms", "describe-replication-tasks", *filters("replication-task-arn", arn))[
            "ReplicationTasks"
        ]
        return json.loads(task["ReplicationTaskSettings"])

    first = stored()
    assert first["FullLoadSettings"]["CommitRate"] == 5000
    assert first["FullLoadSettings"]["TargetTablePrepMode"] == "DROP_AND_CREATE"
    assert len(first["Logging"]["LogComponents"]) == 19
    godwit.aws(
        "dms", "modify-replication-task", "--replication-task-arn", arn, "--replication-task-settings",
        json.dumps({"FullLoadSettings": {"MaxFullLoadSubTasks": 2}}),
    )  # fmt: skip
    godwit.aws("dms", "wait", "replication-task-ready", *filters("replication-task-arn", arn))
    first["FullLoadSettings"]["MaxFullLoadSubTasks"] = 2
    assert stored() == first
    delete_task(godwit, arn)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"FullLoadSettings": {"CommitRate": 50001}}, "Invalid task settings JSON"),
        ({"Logging": {"CloudWatchLogGroup": "x"}}, "cannot be set on create."),
        ({"ValidationSettings": {"EnableValidation": True}}, "ValidationSettings.EnableValidation"),
        ({"TargetMetadata": {"SupportLobs": False}}, "TargetMetadata.SupportLobs"),
    ],
)
def test_settings_refused(godwit, arns, settings, text):
    done = create_task(godwit, arns, "refused", settings=settings, check=False)
    assert done.returncode != 0
    assert "(InvalidParameterValueException)" in done.stderr
    assert text in done.stderr


@pytest.mark.parametrize(
    ("mappings", "text"),
    [
        ("{}", "Invalid Table Mappings document"),
        ('{"rules":[]}', "Error in mapping rules. At least one selection rule is required."),
        (
            MAPPINGS.replace('"app", "table-name": "%"}', '"app", "table-name": "%"}, "filters": 5'),
            "Rule with ruleId = 1 failed validation.",
        ),
        (
            json.dumps(
                {
                    "rules": [
                        *json.loads(MAPPINGS)["rules"],
                        {
                            "rule-type": "transformation",
                            "rule-id": "2",
                            "rule-name": "t",
                            "rule-target": "schema",
                            "rule-action": "rename",
                            "object-locator": {"schema-name": "app"},
                            "value": "other",
                        },
                    ]
                }
            ),
            "Rule with ruleId = 2 failed validation. transformation rules are not available in godwit yet",
        ),
    ],
)
def test_mappings_refused(godwit, arns, mappings, text):
    done = create_task(godwit, arns, "refused", mappings=mappings, check=False)
    assert done.returncode != 0
    assert "(InvalidParameterValueException)" in done.stderr
    assert text in done.stderr


def test_a_wrong_password_is_told(godwit, arns, source):
    endpoint = godwit.aws(
        "dms", "create-endpoint", "--endpoint-identifier", "wrong", "--endpoint-type", "source", "--engine-name",
        "postgres", "--server-name", "127.0.0.1", "--port", str(source.port), "--username", "postgres", "--password",
        "not-this", "--database-name", "postgres",
    )["Endpoint"]["EndpointArn"]  # fmt: skip
    done = godwit.cli("endpoint", "test", "wrong")
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert "not-this" not in done.stderr + done.stdout + godwit.log_text(1000)
    godwit.aws("dms", "delete-endpoint", "--endpoint-arn", endpoint)


def test_our_own_client_on_the_real_server(godwit, arns, source, target, tmp_path):
    fresh_tables(source, target)
    file = tmp_path / "task.json"
    file.write_text(
        json.dumps(
            {
                "ReplicationTaskIdentifier": "own",
                "MigrationType": "full-load-and-cdc",
                "SourceEndpointArn": "source-db",
                "TargetEndpointArn": "target-db",
                "ReplicationInstanceArn": "main-1",
                "TableMappings": json.loads(MAPPINGS),
            }
        )
    )

    def good(*arguments):
        done = godwit.cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "successful" in good("endpoint", "list")
    assert "main-1" in good("instance", "list")
    west = godwit.client(region_name="eu-west-2")
    west.create_replication_instance(
        ReplicationInstanceIdentifier="in-the-west", ReplicationInstanceClass="dms.t3.micro"
    )
    assert "main-1" in (everywhere := good("instance", "list")) and "in-the-west" in everywhere
    assert "main-1" not in good("--region", "eu-west-2", "instance", "list")
    assert "deleting" in good("instance", "delete", "in-the-west")
    assert "ready" in good("task", "create", "-f", str(file))
    assert "running" in good("task", "start", "own", "--wait")
    assert "own" in good("task", "watch", "own", "--until", "caught-up", "--interval", "0.1", "--timeout", "60")
    assert "app.a" in good("task", "show", "own")
    assert json.loads(good("task", "show", "own", "--json"))["Report"]["status"] == "running"
    assert "both sides are equal" in good("task", "compare", "own")
    assert good("task", "logs", "own").strip()
    assert "reloading" in good("task", "reload", "own", "app.b")
    good("task", "watch", "own", "--until", "caught-up", "--interval", "0.1", "--timeout", "60")
    assert "point the application at it" in good("task", "cutover", "own", "--timeout", "60")
    done = godwit.cli("task", "stop", "own", "--wait")
    assert done.returncode in (0, 1)  # a cutover may have stopped it
    assert "deleted" in good("task", "delete", "own", "--wait")
    assert "no task 'own'" in godwit.cli("task", "show", "own").stderr
