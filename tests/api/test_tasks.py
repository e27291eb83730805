"""Tasks on real servers: waiters, start types, statistics, checkpoints, and a service that dies meanwhile."""

import json
import os
import re
import signal
import time
from types import SimpleNamespace

import pytest
from answers import by, checked_client, mappings, refused
from godwit import GodwitServer
from waiting import wait_until

QUICK = {"Delay": 1, "MaxAttempts": 40}
STATE = "InvalidResourceStateFault"
COMBINATION = "InvalidParameterCombinationException"
FIRST_ONLY = "Start Type : START_REPLICATION, valid only for tasks running for the first time"
CHECKPOINT = re.compile(r"checkpoint:V1#\d+#([0-9A-F]{8}/[0-9A-F]{8})#0#0#\*#0#\d+")
COUNTS = "FullLoadProgressPercent ElapsedTimeMillis TablesLoaded TablesLoading TablesQueued TablesErrored".split()


def wait(dms, what, arn):
    dms.get_waiter(f"replication_task_{what}").wait(**by("replication-task-arn", arn), WaiterConfig=QUICK)


def the_task(dms, arn):
    (one,) = dms.describe_replication_tasks(**by("replication-task-arn", arn))["ReplicationTasks"]
    return one


def start(dms, arn, how="start-replication", **more):
    started = dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=how, **more)
    assert started["ReplicationTask"]["Status"] == "starting"


def stop(dms, arn):
    assert dms.stop_replication_task(ReplicationTaskArn=arn)["ReplicationTask"]["Status"] == "stopping"
    wait(dms, "stopped", arn)
    return the_task(dms, arn)


def completed(dms, arn):
    rows = dms.describe_table_statistics(ReplicationTaskArn=arn)["TableStatistics"]
    return rows and {r["TableState"] for r in rows} == {"Table completed"}


def delete(dms, arn):
    deleted = dms.delete_replication_task(ReplicationTaskArn=arn)["ReplicationTask"]
    wait(dms, "deleted", arn)
    return deleted


@pytest.fixture(scope="module")
def ends(dms, instance, source, target):
    source.sql(
        "create schema app; create table app.t (id int primary key); insert into app.t select generate_series(1, 500)"
    )
    arns = {}
    for kind, server in (("source", source), ("target", target)):
        arns[kind] = dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, **server.endpoint())["Endpoint"][
            "EndpointArn"
        ]
        dms.test_connection(ReplicationInstanceArn=instance, EndpointArn=arns[kind])
        dms.get_waiter("test_connection_succeeds").wait(**by("endpoint-arn", arns[kind]), WaiterConfig=QUICK)
    return SimpleNamespace(**arns)


@pytest.fixture
def new_task(dms, instance, ends):
    def make(name, kind, settings=None, **more):
        wanted = {"FullLoadSettings": {"TargetTablePrepMode": "DROP_AND_CREATE"}}
        wanted["FullLoadSettings"].update(settings or {})
        arn = dms.create_replication_task(
            ReplicationTaskIdentifier=name, SourceEndpointArn=ends.source, TargetEndpointArn=ends.target,
            ReplicationInstanceArn=instance, MigrationType=kind, TableMappings=mappings(),
            ReplicationTaskSettings=json.dumps(wanted), **more,
        )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip
        wait(dms, "ready", arn)
        return arn

    return make


def slot_positions(source):
    return [row[0] for row in source.sql("select restart_lsn::text from pg_replication_slots")]


def check_statistics(task):
    stats = task["ReplicationTaskStats"]
    assert {type(stats[name]) for name in COUNTS} == {int}
    assert stats["FreshStartDate"] <= stats["StartDate"]
    return stats


def check_checkpoint(text):
    """What a known framework reads from it: the first match of each of its expressions."""
    position = CHECKPOINT.fullmatch(text).group(1)
    high, low = position.split("/")
    long = re.search(r"[A-Z|0-9]{3}\/[A-Z|0-9]*", text).group(0)
    short = re.search(r"[A-Z|0-9]{1}\/[A-Z|0-9]*", text).group(0)
    assert (long, short) == (f"{high[-3:]}/{low}", f"{high[-1]}/{low}")
    return short


def same_position(source, a, b):
    return source.sql("select %s::pg_lsn = %s::pg_lsn", (a, b))[0][0]


def test_a_full_load(dms, new_task, target):
    arn = new_task("load", "full-load")
    for how in ("resume-processing",):
        with refused(COMBINATION):
            dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=how)
    with refused(COMBINATION):
        dms.start_replication_task(
            ReplicationTaskArn=arn, StartReplicationTaskType="start-replication", CdcStartPosition="4AF/B00000D0"
        )
    with refused("InvalidParameterValueException"):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="begin")
    start(dms, arn)
    wait_until(lambda: the_task(dms, arn)["Status"] == "stopped")
    wait(dms, "stopped", arn)
    task = the_task(dms, arn)
    assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert "LastFailureMessage" not in task
    stats = check_statistics(task)
    assert (stats["FullLoadProgressPercent"], stats["TablesLoaded"], stats["TablesErrored"]) == (100, 1, 0)
    assert stats["StartDate"] <= stats["FullLoadStartDate"] <= stats["FullLoadFinishDate"] <= stats["StopDate"]
    assert target.sql("select count(*) from app.t") == [(500,)]
    with refused(COMBINATION, FIRST_ONLY):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
    with refused(STATE, re.compile("is not currently running")):
        dms.stop_replication_task(ReplicationTaskArn=arn)
    target.sql("delete from app.t")
    start(dms, arn, "reload-target")
    wait_until(lambda: the_task(dms, arn)["Status"] == "stopped")
    assert target.sql("select count(*) from app.t") == [(500,)]
    assert check_statistics(the_task(dms, arn))["FreshStartDate"] > stats["FreshStartDate"]
    deleted = delete(dms, arn)
    assert deleted["Status"] == "deleting"
    assert deleted["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert {"ReplicationTaskStartDate", "RecoveryCheckpoint"} <= deleted.keys()


def test_a_load_and_its_changes(dms, new_task, ends, source, target):
    arn = new_task("follow", "full-load-and-cdc")
    start(dms, arn, "reload-target")  # on a first run as good as start-replication
    wait(dms, "running", arn)
    wait_until(lambda: completed(dms, arn))
    with refused(STATE, "Replication Task cannot be started, invalid state"):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    with refused(
        STATE,
        "Replication Task, excluding logging severity task settings, cannot be modified while it is running state",
    ):
        dms.modify_replication_task(ReplicationTaskArn=arn, TableMappings=mappings())
    severity = {"Logging": {"LogComponents": [{"Id": "SORTER", "Severity": "LOGGER_SEVERITY_DEBUG"}]}}
    dms.modify_replication_task(ReplicationTaskArn=arn, ReplicationTaskSettings=json.dumps(severity))
    with refused(STATE, re.compile("is running .* before trying to delete it")):
        dms.delete_replication_task(ReplicationTaskArn=arn)
    with refused(STATE):
        dms.modify_endpoint(EndpointArn=ends.source, ExtraConnectionAttributes="a=b")
    table = {"SchemaName": "app", "TableName": "t"}
    many = [{"SchemaName": "app", "TableName": f"t{i}"} for i in range(11)]
    for tables in ([], [table, table], many):
        with refused("InvalidParameterValueException"):
            dms.reload_tables(ReplicationTaskArn=arn, TablesToReload=tables)
    for number in (19, 501):
        with refused("InvalidParameterValueException"):
            dms.describe_table_statistics(ReplicationTaskArn=arn, MaxRecords=number)
    assert len(dms.describe_table_statistics(ReplicationTaskArn=arn, MaxRecords=500)["TableStatistics"]) == 1
    assert dms.describe_table_statistics(ReplicationTaskArn=arn, **by("table-name", "x"))["TableStatistics"] == []

    source.sql("insert into app.t values (1001); delete from app.t where id = 1")
    wait_until(lambda: target.sql("select count(*) from app.t where id in (1, 1001)") == [(1,)])
    stats = check_statistics(the_task(dms, arn))
    assert "StopDate" not in stats
    task = stop(dms, arn)
    assert task["StopReason"] == "Stop Reason NORMAL"
    assert "StopDate" in check_statistics(task)
    (slot,) = slot_positions(source)
    assert same_position(source, check_checkpoint(task["RecoveryCheckpoint"]), slot)
    with refused(COMBINATION, FIRST_ONLY):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
    deleted = delete(dms, arn)
    check_checkpoint(deleted["RecoveryCheckpoint"])
    assert slot_positions(source) == []


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("StopTaskCachedChangesApplied", "STOPPED_AFTER_CACHED_EVENTS"),
        ("StopTaskCachedChangesNotApplied", "STOPPED_AFTER_FULL_LOAD"),
    ],
)
def test_a_stop_after_the_load(dms, new_task, source, setting, reason):
    arn = new_task(f"until-{setting}", "full-load-and-cdc", {setting: True})
    start(dms, arn)
    wait_until(lambda: the_task(dms, arn)["Status"] == "stopped")
    task = the_task(dms, arn)
    assert task["StopReason"] == f"Stop Reason {reason}"
    (slot,) = slot_positions(source)
    assert same_position(source, check_checkpoint(task["RecoveryCheckpoint"]), slot)
    delete(dms, arn)
    assert slot_positions(source) == []


def test_changes_only(dms, new_task, source, target):
    target.sql("drop schema if exists app cascade; create schema app; create table app.t (id int primary key)")
    arn = new_task("changes", "cdc")
    for how in ("resume-processing", "reload-target"):
        with refused(COMBINATION):
            dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=how)
    start(dms, arn)
    wait(dms, "running", arn)
    assert check_statistics(the_task(dms, arn))["FullLoadProgressPercent"] == 100
    source.sql("insert into app.t values (2001)")
    wait_until(lambda: target.sql("select id from app.t") == [(2001,)])
    with refused(STATE):
        dms.reload_tables(ReplicationTaskArn=arn, TablesToReload=[{"SchemaName": "app", "TableName": "t"}])
    task = stop(dms, arn)
    check_checkpoint(task["RecoveryCheckpoint"])
    with refused(COMBINATION, FIRST_ONLY):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
    with refused(COMBINATION):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="reload-target")
    delete(dms, arn)


def test_a_failure_and_its_texts(dms, instance, new_task, ends, source):
    arn = dms.create_replication_task(
        ReplicationTaskIdentifier="fails", SourceEndpointArn=ends.source, TargetEndpointArn=ends.target,
        ReplicationInstanceArn=instance, MigrationType="full-load", TableMappings=mappings("no_such_schema"),
    )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip
    wait(dms, "ready", arn)
    start(dms, arn)
    task = wait_until(lambda: the_task(dms, arn)["Status"] == "failed" and the_task(dms, arn))
    assert re.fullmatch("Last Error  .+ Stop Reason FATAL_ERROR Error Level FATAL", task["StopReason"], re.DOTALL)
    assert task["LastFailureMessage"] == task["StopReason"]
    assert task["RecoveryCheckpoint"] == ""
    delete(dms, arn)


def test_the_settings_are_complete(dms, new_task):
    arn = new_task("settings", "full-load-and-cdc")
    document = json.loads(the_task(dms, arn)["ReplicationTaskSettings"])
    assert set(document) == {
        "BeforeImageSettings", "ChangeProcessingDdlHandlingPolicy", "ChangeProcessingTuning", "CharacterSetSettings",
        "ControlTablesSettings", "ErrorBehavior", "FailTaskWhenCleanTaskResourceFailed", "FullLoadSettings", "Logging",
        "LoopbackPreventionSettings", "PostProcessingRules", "StreamBufferSettings", "TTSettings", "TargetMetadata",
    }  # fmt: skip
    for name in ("TTSettings", "BeforeImageSettings", "LoopbackPreventionSettings", "CharacterSetSettings"):
        assert document[name] is None
    assert document["PostProcessingRules"] is None
    tables = document["ControlTablesSettings"]
    assert (tables["HistoryTimeslotInMinutes"], tables["historyTimeslotInMinutes"]) == (5, 5)
    assert document["ErrorBehavior"]["DataMaskingErrorPolicy"] == "STOP_TASK"
    assert document["ChangeProcessingTuning"]["RecoveryTimeout"] == -1
    log = document["Logging"]
    assert (log["CloudWatchLogGroup"], log["CloudWatchLogStream"]) == (None, None)
    assert len({c["Id"] for c in log["LogComponents"]}) == len(log["LogComponents"]) == 19
    sizes = {name: len(value) for name, value in document.items() if isinstance(value, dict)}
    assert sizes == {
        "Logging": 5, "StreamBufferSettings": 3, "ErrorBehavior": 23, "FullLoadSettings": 7, "TargetMetadata": 16,
        "ControlTablesSettings": 7, "ChangeProcessingTuning": 11, "ChangeProcessingDdlHandlingPolicy": 3,
    }  # fmt: skip
    delete(dms, arn)


def test_figures_are_true_at_every_moment(godwit_program, tmp_path, source, target):
    """Whoever dies, service or task: no figure is missing, none goes back, and the checkpoint is there."""
    source.sql(
        "create schema figures; create table figures.t (id int primary key);"
        "create table figures.u (id int primary key);"
        "insert into figures.t select generate_series(1, 1000); insert into figures.u values (1)"
    )
    server = GodwitServer(tmp_path / "data", environment={"GODWIT_MIN_RUNNING_VISIBLE": "0"})
    with server:
        dms, _ = checked_client(server)
        instance = dms.create_replication_instance(
            ReplicationInstanceIdentifier="one", ReplicationInstanceClass="dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        ends = [
            dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, **one.endpoint())["Endpoint"]["EndpointArn"]
            for kind, one in (("source", source), ("target", target))
        ]
        waiter = dms.get_waiter("replication_instance_available")
        waiter.wait(**by("replication-instance-arn", instance), WaiterConfig=QUICK)
        arn = dms.create_replication_task(
            ReplicationTaskIdentifier="figures", SourceEndpointArn=ends[0], TargetEndpointArn=ends[1],
            ReplicationInstanceArn=instance, MigrationType="full-load-and-cdc", TableMappings=mappings("figures"),
            ReplicationTaskSettings='{"ErrorBehavior":{"RecoverableErrorInterval":1}}',
        )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip
        wait(dms, "ready", arn)
        start(dms, arn)
        wait(dms, "running", arn)
        wait_until(lambda: completed(dms, arn))
        source.sql("insert into figures.t select generate_series(1001, 1500)")

        def look():
            """Names and figures, all of which may only grow."""
            task = the_task(dms, arn)
            rows = dms.describe_table_statistics(ReplicationTaskArn=arn)["TableStatistics"]
            stats = task["ReplicationTaskStats"]
            assert task["Status"] == "running"
            position = CHECKPOINT.fullmatch(task["RecoveryCheckpoint"]).group(1)
            out = {"position": position, "Loaded": stats["TablesLoaded"], "%": stats["FullLoadProgressPercent"]}
            for name in ("FreshStartDate", "FullLoadStartDate", "FullLoadFinishDate"):
                out[name] = stats[name]
            for row in rows:
                for name in ("FullLoadRows", "Inserts", "AppliedInserts", "FullLoadEndTime"):
                    out[f"{row['TableName']}.{name}"] = row[name]
                assert row["TableState"] == "Table completed"
            return out

        wait_until(lambda: "FullLoadFinishDate" in the_task(dms, arn)["ReplicationTaskStats"])
        wait_until(lambda: the_task(dms, arn)["RecoveryCheckpoint"])  # none before the first position is applied
        wait_until(lambda: look()["t.AppliedInserts"] == 500)
        wait_until(lambda: look()["t.Inserts"] == 500)
        before = look()

        def steady(what, seconds):
            nonlocal before
            until, looks = time.monotonic() + seconds, 0
            while time.monotonic() < until:
                now = look()
                less = {k: (before[k], now.get(k)) for k in before if k not in now or now[k] < before[k]}
                assert not less, (what, looks, less)
                before, looks = now, looks + 1
            assert looks > 5

        for round_ in range(3):
            server.kill()
            server.start()
            dms, _ = checked_client(server)
            steady(f"service killed {round_}", 1)
            os.kill(server.task_pid(arn), signal.SIGKILL)
            steady(f"task killed {round_}", 3)
            os.kill(wait_until(lambda: server.task_pid(arn)), signal.SIGKILL)
            server.kill()
            server.start()
            dms, _ = checked_client(server)
            steady(f"both killed {round_}", 3)
            source.sql("insert into figures.u select max(id) + 1 from figures.u")
        dms.reboot_replication_instance(ReplicationInstanceArn=instance)
        steady("rebooted", 3)
        wait_until(lambda: target.sql("select count(*) from figures.u") == [(4,)])
        stop(dms, arn)
        delete(dms, arn)


def test_the_service_is_killed_and_comes_back(godwit_program, tmp_path, source, target):
    """The task lives on without it; the next service on the same data takes it over."""
    source.sql("create schema killed; create table killed.t (id int primary key); insert into killed.t values (1)")
    server = GodwitServer(tmp_path / "data", environment={"GODWIT_MIN_RUNNING_VISIBLE": "0"})
    with server:
        dms, _ = checked_client(server)
        instance = dms.create_replication_instance(
            ReplicationInstanceIdentifier="one", ReplicationInstanceClass="dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        ends = [
            dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, **one.endpoint())["Endpoint"]["EndpointArn"]
            for kind, one in (("source", source), ("target", target))
        ]
        waiter = dms.get_waiter("replication_instance_available")
        waiter.wait(**by("replication-instance-arn", instance), WaiterConfig=QUICK)
        arn = dms.create_replication_task(
            ReplicationTaskIdentifier="survivor", SourceEndpointArn=ends[0], TargetEndpointArn=ends[1],
            ReplicationInstanceArn=instance, MigrationType="full-load-and-cdc", TableMappings=mappings("killed"),
        )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip
        wait(dms, "ready", arn)
        start(dms, arn)
        wait(dms, "running", arn)
        wait_until(lambda: completed(dms, arn))
        pid = server.task_pid(arn)
        assert pid is not None
        server.kill()
        assert server.task_pid(arn) == pid
        source.sql("insert into killed.t values (2)")
        wait_until(lambda: target.sql("select count(*) from killed.t") == [(2,)])

        server.start()
        dms, _ = checked_client(server)
        task = the_task(dms, arn)
        assert task["Status"] == "running"
        assert server.task_pid(arn) == pid
        source.sql("insert into killed.t values (3)")
        wait_until(lambda: target.sql("select count(*) from killed.t") == [(3,)])
        wait_until(lambda: dms.describe_table_statistics(ReplicationTaskArn=arn)["TableStatistics"][0]["Inserts"] == 2)
        task = stop(dms, arn)
        assert task["StopReason"] == "Stop Reason NORMAL"
        assert server.task_pid(arn) is None
        delete(dms, arn)
        assert source.sql("select slot_name from pg_replication_slots") == []
