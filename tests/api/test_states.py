"""States of tasks with a small program in the place of the task process: what a real one seldom does on request.

The program plays what its task's identifier says: its words are states to report, or what to wait for.
"""

import contextlib
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from answers import STATUSES, by, check_statuses, checked_client, mappings, refused
from godwit import GodwitServer
from waiting import wait_until

STATE = "InvalidResourceStateFault"
COMBINATION = "InvalidParameterCombinationException"

PROGRAM = """#!{python}
import json, os, pathlib, signal, socket, sys, threading, time

spec = json.load(sys.stdin)
folder = pathlib.Path(sys.argv[3])
os.chdir(folder)
started = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
pathlib.Path("lock").write_text(f"{{os.getpid()}} {{started}}\\n")
with open("starts", "a") as file:
    file.write(spec["start"] + "\\n")
with open("memory", "a") as file:
    file.write(str(spec["memory_bytes_max"]) + "\\n")
pathlib.Path("cdc_start").write_text(spec["cdc_start"])
pathlib.Path("cdc_stop").write_text(spec["cdc_stop"])
starts = len(pathlib.Path("starts").read_text().split())
us = lambda: int(time.time() * 1e6)
first = us()
applied = {{}}


def report(state, **more):
    table = dict(name=dict(schema="s", table="t"), state="Table completed", full_load_rows=7, full_load_end_us=us(),
                 last_update_us=us())
    checkpoint = "checkpoint:V1#1#00000001/0000000A#0#0#*#0#0"
    tables = [table]
    if "tables" in spec["identifier"]:
        states = ["Before load", "Full load", "Table is being reloaded", "Table error", "Table cancelled",
                  "Table does not exist"]
        tables += [dict(name=dict(schema="s", table=s), state=s, full_load_rows=1, last_update_us=us(),
                        full_load_start_us=0 if s == "Before load" else first) for s in states]
    out = dict(state=state, start_us=first, fresh_start_us=first, checkpoint=checkpoint,
               tables=tables, events=[dict(number=1, time_us=first, category="state change", message="noted")])
    if state in ("stopped", "failed"):
        out["stop_us"] = us()
    pathlib.Path("status.new").write_text(json.dumps({{**out, **applied, **more}}))
    os.rename("status.new", "status.json")


if spec["start"] == "drop":
    if "stuck" in spec["identifier"]:
        report("failed", last_error="the slot is in use")
        sys.exit(1)
    sys.exit(0)

if spec["start"] == "compare":
    pathlib.Path("comparing_now").touch()
    time.sleep(60)

server = socket.socket(socket.AF_UNIX)
pathlib.Path("control.sock").unlink(missing_ok=True)
server.bind("control.sock")
server.listen()


def answer():
    while True:
        line, _ = server.accept()
        request = json.loads(line.makefile().readline())
        with open("asked", "a") as file:
            file.write(json.dumps(request) + "\\n")
        try:
            line.sendall(b'{{"ok":true}}\\n')
        except OSError:
            pass  # who asked was killed meanwhile
        line.close()
        if request["op"] == "stop":
            while "slow" in spec["identifier"] and not pathlib.Path("go").exists():
                time.sleep(0.02)
            report("stopped", stop_reason="NORMAL")
            os._exit(0)


threading.Thread(target=answer, daemon=True).start()
for word in spec["identifier"].split("-")[1:]:
    if word == "runs":
        report("running")
    elif word == "once" and starts > 1:
        break
    elif word == "later" and starts == 2:
        while not pathlib.Path("go").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "waits":
        while not pathlib.Path("go").exists():
            time.sleep(0.02)
    elif word == "applies":
        applied["applied_position"] = "0/9"
    elif word == "crashes":
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "ends":
        report("stopped", stop_reason="FULL_LOAD_ONLY_FINISHED")
        os._exit(0)
    elif word in ("fails", "breaks"):
        report("failed", last_error="No space.", recoverable=word == "breaks")
        os._exit(1)
report("running")
while True:
    time.sleep(60)
"""
QUICK_RESTARTS = '{"ErrorBehavior":{"RecoverableErrorInterval":0,"RecoverableErrorCount":2}}'


class Stage:
    """A service with the program, an instance, and one database for both endpoints."""

    def __init__(self, folder, database, visible_s="0"):
        program = folder / "program"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o700)
        self.server = GodwitServer(
            folder / "data",
            environment={"GODWIT_TASK_PROGRAM": str(program), "GODWIT_MIN_RUNNING_VISIBLE": visible_s},
        )
        self.server.start()
        self.dms, _ = checked_client(self.server)
        self.instance = self.dms.create_replication_instance(
            ReplicationInstanceIdentifier="one", ReplicationInstanceClass="dms.t3.micro"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        self.dms.get_waiter("replication_instance_available").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.source, self.target = (
            self.dms.create_endpoint(EndpointIdentifier=kind, EndpointType=kind, **database.endpoint())["Endpoint"][
                "EndpointArn"
            ]
            for kind in ("source", "target")
        )

    def restart(self):
        self.server.kill()
        self.server.start()
        self.dms, _ = checked_client(self.server)

    def task(self, name, kind="full-load", **more):
        return self.dms.create_replication_task(
            ReplicationTaskIdentifier=name, TargetEndpointArn=self.target,
            ReplicationInstanceArn=self.instance, MigrationType=kind, TableMappings=mappings(),
            **{"SourceEndpointArn": self.source, "ReplicationTaskSettings": QUICK_RESTARTS, **more},
        )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip

    def start(self, arn, how="start-replication", **more):
        self.be(arn, "ready", "stopped", "failed")
        return self.dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType=how, **more)

    def stop(self, arn):
        return self.dms.stop_replication_task(ReplicationTaskArn=arn)["ReplicationTask"]

    def the(self, arn):
        (one,) = self.dms.describe_replication_tasks(**by("replication-task-arn", arn))["ReplicationTasks"]
        return one

    def be(self, arn, *statuses):
        return wait_until(lambda: (task := self.the(arn))["Status"] in statuses and task)

    def gone(self, arn):
        arns = lambda: [t["ReplicationTaskArn"] for t in self.dms.describe_replication_tasks()["ReplicationTasks"]]  # noqa: E731
        wait_until(lambda: arn not in arns())

    def file(self, arn, name) -> Path:
        return self.server.data / "tasks" / arn.rpartition(":")[2].lower() / name

    def starts(self, arn):
        return self.file(arn, "starts").read_text().split()

    def events(self, name):
        return [e["Message"] for e in self.dms.describe_events(SourceIdentifier=name)["Events"]]


@pytest.fixture(scope="module")
def stage(godwit_program, tmp_path_factory, source):
    stage = Stage(tmp_path_factory.mktemp("states"), source)
    yield stage
    stage.server.close()


def test_start_types_of_a_full_load(stage):
    arn = stage.task("full-runs-ends")
    with refused(COMBINATION):
        stage.start(arn, "resume-processing")
    with refused(COMBINATION):
        stage.start(arn, CdcStartPosition="0/1")
    stage.start(arn)
    assert stage.be(arn, "stopped")["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    with refused(COMBINATION, "Start Type : START_REPLICATION, valid only for tasks running for the first time"):
        stage.start(arn)
    for how in ("resume-processing", "reload-target"):
        stage.start(arn, how)
        stage.be(arn, "stopped")
    assert stage.starts(arn) == ["fresh", "resume", "reload"]


def test_a_first_start_may_be_called_a_reload(stage):
    arn = stage.task("both-stays", "full-load-and-cdc")
    stage.start(arn, "reload-target")
    stage.be(arn, "running")
    assert stage.starts(arn) == ["fresh"]
    stage.stop(arn)
    stage.be(arn, "stopped")


def test_start_types_of_changes_only(stage):
    arn = stage.task("changes-stays", "cdc", CdcStartPosition="0/5")
    with refused(COMBINATION):
        stage.start(arn, "reload-target")
    for more, position in (({}, "0/5"), ({"CdcStartPosition": "0/7"}, "0/7")):
        stage.start(arn, **more)
        stage.be(arn, "running")
        assert stage.file(arn, "cdc_start").read_text() == position
        stage.stop(arn)
        stage.be(arn, "stopped")
    assert stage.the(arn)["CdcStartPosition"] == "0/5"
    with refused(COMBINATION):
        stage.start(arn)
    assert stage.starts(arn) == ["fresh", "fresh"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("server_time:2018-02-09T12:12:12", "server_time:2018-02-09T12:12:12"),
        (" commit_time: 2018-02-09T12:12:12 ", "commit_time:2018-02-09T12:12:12"),
        ("commit_time:2018-02-09T12:12:12Z", "commit_time:2018-02-09T12:12:12"),
        ("commit_time:2018-02-09T12:12:12+02:00", "commit_time:2018-02-09T10:12:12"),
        ("server_time:2018-02-09 12:12", "server_time:2018-02-09T12:12:00"),
        ("server_time:2018-02-09", "server_time:2018-02-09T00:00:00"),
        ("", ""),
    ],
)
def test_a_stop_position_reaches_the_task_in_one_form(stage, given, told):
    """Whatever is accepted is obeyed: a form that the task does not know would let it run for ever."""
    for where in ("create", "start"):
        arn = stage.task("until-stays", "cdc", **({"CdcStopPosition": given} if where == "create" else {}))
        stage.start(arn, **({"CdcStopPosition": given} if where == "start" else {}))
        assert stage.be(arn, "running").get("CdcStopPosition", "") == given
        assert stage.file(arn, "cdc_stop").read_text() == told
        stage.stop(arn)
        stage.be(arn, "stopped")
        stage.dms.delete_replication_task(ReplicationTaskArn=arn)
        stage.gone(arn)


def test_what_a_running_task_refuses(stage):
    arn = stage.task("busy-stays", "full-load-and-cdc")
    with refused(STATE):
        stage.stop(arn)
    stage.start(arn)
    stage.be(arn, "running")
    with refused(STATE, "Replication Task cannot be started, invalid state"):
        stage.dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    with refused(STATE):
        stage.dms.delete_replication_task(ReplicationTaskArn=arn)
    with refused(STATE):
        stage.dms.modify_replication_task(ReplicationTaskArn=arn, TableMappings=mappings("other"))
    for endpoint in (stage.source, stage.target):
        with refused(STATE):
            stage.dms.modify_endpoint(EndpointArn=endpoint, DatabaseName="other")
    levels = '{"Logging":{"LogComponents":[{"Id":"SORTER","Severity":"LOGGER_SEVERITY_DEBUG"}]}}'
    changed = stage.dms.modify_replication_task(ReplicationTaskArn=arn, ReplicationTaskSettings=levels)
    assert changed["ReplicationTask"]["Status"] == "running"
    assert '"op": "log"' in stage.file(arn, "asked").read_text()
    tables = [{"SchemaName": "s", "TableName": "t"}]
    stage.dms.reload_tables(ReplicationTaskArn=arn, TablesToReload=tables)
    assert '"op": "reload"' in stage.file(arn, "asked").read_text()
    stage.stop(arn)
    stage.be(arn, "stopped")
    with refused(STATE):
        stage.dms.reload_tables(ReplicationTaskArn=arn, TablesToReload=tables)


def test_a_failure_shows_its_text_twice(stage):
    arn = stage.task("bad-runs-fails")
    stage.start(arn)
    task = stage.be(arn, "failed")
    text = "Last Error  No space. Stop Reason FATAL_ERROR Error Level FATAL"
    assert (task["StopReason"], task["LastFailureMessage"]) == (text, text)
    assert "Replication task has failed.\nReason: " + text in stage.events("bad-runs-fails")


def test_recoverable_errors_are_retried_while_running(stage):
    arn = stage.task("retried-runs-breaks")
    stage.start(arn)
    task = stage.be(arn, "failed")
    assert task["LastFailureMessage"].endswith(" Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE")
    assert len(stage.starts(arn)) == 3  # one start, RecoverableErrorCount restarts


def test_a_crash_is_nobodys_business(stage):
    arn = stage.task("crashed-runs-once-crashes", "full-load-and-cdc")
    stage.start(arn)
    wait_until(lambda: stage.file(arn, "starts").exists() and stage.starts(arn) == ["fresh", "resume"])
    assert stage.the(arn)["Status"] == "running"
    assert stage.the(arn)["ReplicationTaskStats"]["TablesLoaded"] == 1
    stage.stop(arn)
    stage.be(arn, "stopped")


def test_a_reboot_restarts_what_runs(stage):
    """Its tasks go on by themselves, at once and without an error counted; what does not run stays so."""
    slow = '{"ErrorBehavior":{"RecoverableErrorInterval":600}}'
    running = stage.task("rebooted-runs-stays", "full-load-and-cdc", ReplicationTaskSettings=slow)
    ended = stage.task("unmoved-runs-ends")
    for arn in (running, ended):
        stage.start(arn)
    stage.be(ended, "stopped")
    stage.be(running, "running")
    pid = stage.server.task_pid(running)
    answer = stage.dms.reboot_replication_instance(ReplicationInstanceArn=stage.instance)["ReplicationInstance"]
    assert answer["ReplicationInstanceStatus"] == "rebooting"
    wait_until(lambda: stage.server.task_pid(running) not in (None, pid))
    wait_until(lambda: stage.starts(running) == ["fresh", "resume"])
    stage.dms.get_waiter("replication_instance_available").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    task = stage.the(running)
    assert (task["Status"], task["ReplicationTaskStats"]["TablesLoaded"]) == ("running", 1)
    assert stage.server.get("/godwit/v1/tasks/rebooted-runs-stays")["restarts"] == 0
    assert stage.starts(ended) == ["fresh"]
    stage.stop(running)
    stage.be(running, "stopped")


def test_another_class_is_another_memory(stage):
    arn = stage.task("sized-runs-stays", "full-load-and-cdc")
    stage.start(arn)
    stage.be(arn, "running")
    for more in ({"AllocatedStorage": 200}, {"ReplicationInstanceClass": "dms.r5.large"}):
        stage.dms.modify_replication_instance(ReplicationInstanceArn=stage.instance, ApplyImmediately=True, **more)
        stage.dms.get_waiter("replication_instance_available").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    wait_until(lambda: len(stage.starts(arn)) == 2)  # more storage needs no restart
    assert stage.starts(arn) == ["fresh", "resume"]
    assert stage.file(arn, "memory").read_text().split() == [str(512 << 20), str(8 << 30)]
    stage.stop(arn)
    stage.be(arn, "stopped")


def test_an_adopted_task_never_begins_anew(stage):
    """It ran, crashed, was started again, and before it said so the service and then the task were killed."""
    arn = stage.task("adopted-later-runs-once-crashes", "full-load-and-cdc")
    stage.start(arn)
    wait_until(lambda: stage.file(arn, "starts").exists() and stage.starts(arn) == ["fresh", "resume"])
    before = stage.the(arn)
    assert before["RecoveryCheckpoint"]
    stage.server.kill()
    stage.server.start()
    stage.dms, _ = checked_client(stage.server)
    task = stage.the(arn)
    assert task["Status"] == "running"
    assert task["RecoveryCheckpoint"] == before["RecoveryCheckpoint"]
    assert task["ReplicationTaskStats"]["TablesLoaded"] == 1
    assert len(stage.dms.describe_table_statistics(ReplicationTaskArn=arn)["TableStatistics"]) == 1
    stage.file(arn, "go").touch()
    wait_until(lambda: len(stage.starts(arn)) == 3)
    assert stage.starts(arn) == ["fresh", "resume", "resume"]
    stage.be(arn, "running")
    stage.stop(arn)
    stage.be(arn, "stopped")


def test_a_task_that_ran_unseen_never_begins_anew(stage):
    """The service dies before it sees the task run; the task applies changes and then fails, in either way."""
    breaks = stage.task("unseen-waits-once-applies-breaks", "cdc")
    fails = stage.task("unseen-waits-once-applies-fails", "cdc")
    for arn in (breaks, fails):
        stage.start(arn)
        wait_until(lambda arn=arn: stage.file(arn, "starts").exists())
    stage.server.kill()
    for arn in (breaks, fails):
        stage.file(arn, "go").touch()
        wait_until(lambda arn=arn: stage.server.task_pid(arn) is None)
    stage.server.start()
    stage.dms, _ = checked_client(stage.server)
    stage.be(fails, "failed")
    stage.start(fails, "resume-processing")
    for arn in (breaks, fails):
        wait_until(lambda arn=arn: len(stage.starts(arn)) == 2)
        assert stage.starts(arn) == ["fresh", "resume"]
        stage.be(arn, "running")
        stage.stop(arn)
        stage.be(arn, "stopped")


@pytest.mark.parametrize("end", ["ends", "fails", "stops", "never starts"])
def test_an_end_that_could_not_be_saved(stage, end):
    """It is taken when there is room again, and told once."""
    name = {"ends": "unsaved-runs-ends", "fails": "unsaved-runs-fails", "stops": "unsaved-stays"}.get(end, "unsaved")
    nobody = stage.dms.create_endpoint(
        EndpointIdentifier=f"{name}-source", EndpointType="source",
        EngineName="postgres", ServerName="127.0.0.1", Port=1, Username="u", Password="p", DatabaseName="d",
    )["Endpoint"]["EndpointArn"]  # fmt: skip
    arn = stage.task(name, **({"SourceEndpointArn": nobody} if end == "never starts" else {}))
    stage.be(arn, "ready")
    refusals = lambda: stage.server.log_text().count("no room")  # noqa: E731
    before = refusals()
    with contextlib.closing(sqlite3.connect(stage.server.data / "state.db", isolation_level=None)) as store:
        store.execute(
            "CREATE TRIGGER no_room BEFORE UPDATE ON resources WHEN NEW.document LIKE '%Stop Reason%' "
            "BEGIN SELECT RAISE(FAIL, 'no room'); END"
        )
        try:
            stage.start(arn)
            if end == "stops":
                stage.be(arn, "running")
                stage.stop(arn)
            wait_until(lambda: refusals() >= before + 2)
            assert stage.the(arn)["Status"] in ("starting", "running", "stopping")
        finally:
            store.execute("DROP TRIGGER no_room")
    stage.be(arn, "stopped" if end in ("ends", "stops") else "failed")
    ends = [text for text in stage.events(name) if "has stopped" in text or "has failed" in text]
    assert len(ends) == 1
    stage.dms.delete_replication_task(ReplicationTaskArn=arn)
    stage.gone(arn)
    stage.dms.delete_endpoint(EndpointArn=nobody)


def test_the_events_of_a_task(stage):
    arn = stage.task("told-stays", "full-load-and-cdc")
    stage.start(arn)
    stage.be(arn, "running")
    stage.stop(arn)
    stage.be(arn, "stopped")
    stage.dms.delete_replication_task(ReplicationTaskArn=arn)
    wait_until(lambda: "Replication task has been deleted." in stage.events("told-stays"))
    assert stage.events("told-stays") == [
        "Replication task has been created.",
        "noted",
        "Replication task has started, with flag = fresh start.",
        "Replication task has stopped. Stop Reason NORMAL",
        "Replication task has been deleted.",
    ]


def test_a_deletion_that_cannot_clean_up(stage):
    arn = stage.task("stuck-runs-ends", ReplicationTaskSettings='{"FailTaskWhenCleanTaskResourceFailed":true}')
    stage.start(arn)
    stage.be(arn, "stopped")
    stage.dms.delete_replication_task(ReplicationTaskArn=arn)
    assert "the slot is in use" in stage.be(arn, "failed")["LastFailureMessage"]
    stage.dms.modify_replication_task(
        ReplicationTaskArn=arn, ReplicationTaskSettings='{"FailTaskWhenCleanTaskResourceFailed":false}'
    )
    stage.be(arn, "failed")
    deleted = stage.dms.delete_replication_task(ReplicationTaskArn=arn)["ReplicationTask"]
    assert {"StopReason", "ReplicationTaskStartDate", "RecoveryCheckpoint"} <= deleted.keys()
    wait_until(lambda: not stage.file(arn, "starts").exists())
    assert any("the slot is in use" in text for text in stage.events("stuck-runs-ends"))


def test_a_comparison_at_rest_is_in_nobodys_way(stage):
    """It ends for a start and for a deletion, which cleans up the source all the same."""
    arn = stage.task("compared-runs-ends")
    stage.start(arn)
    stage.be(arn, "stopped")
    asked = urllib.request.Request(f"{stage.server.url}/godwit/v1/tasks/compared-runs-ends/compare", b"{}")

    def while_compared(act):
        stage.file(arn, "comparing_now").unlink(missing_ok=True)
        with ThreadPoolExecutor() as pool:
            compared = pool.submit(urllib.request.urlopen, asked, timeout=30)
            wait_until(lambda: stage.file(arn, "comparing_now").exists())
            act()
            with pytest.raises(urllib.error.HTTPError):
                compared.result()

    while_compared(lambda: stage.start(arn, "resume-processing"))
    wait_until(lambda: stage.starts(arn) == ["fresh", "compare", "resume"])
    stage.be(arn, "stopped")
    while_compared(lambda: stage.dms.delete_replication_task(ReplicationTaskArn=arn))
    stage.gone(arn)
    assert not any("could not clean up" in text for text in stage.events("compared-runs-ends"))


def test_a_deletion_while_a_process_has_the_folder(stage):
    """What the task left at the source is not forgotten, whatever the settings say."""
    arn = stage.task("held-runs-ends")
    stage.start(arn)
    stage.be(arn, "stopped")
    wait_until(lambda: stage.server.task_pid(arn) is None)
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    stage.file(arn, "lock").write_text(f"{os.getpid()} {started}\n")
    stage.dms.delete_replication_task(ReplicationTaskArn=arn)
    assert "a process of this task is running" in stage.be(arn, "failed")["LastFailureMessage"]
    assert stage.starts(arn) == ["fresh"]
    stage.file(arn, "lock").unlink()
    stage.dms.delete_replication_task(ReplicationTaskArn=arn)
    stage.gone(arn)
    assert not stage.file(arn, "starts").exists()


def test_a_killed_service_finds_every_state_again(stage):
    running = stage.task("found-stays", "full-load-and-cdc")
    stopping = stage.task("slow-stays", "full-load-and-cdc")
    meanwhile = stage.task("slow-stays-too", "full-load-and-cdc")
    for arn in (running, stopping, meanwhile):
        stage.start(arn)
        stage.be(arn, "running")
    for arn in (stopping, meanwhile):
        assert stage.stop(arn)["Status"] == "stopping"
        wait_until(lambda arn=arn: stage.file(arn, "asked").exists())
    stage.server.kill()
    stage.file(meanwhile, "go").touch()
    wait_until(lambda: stage.server.task_pid(meanwhile) is None)
    stage.server.start()
    stage.dms, _ = checked_client(stage.server)
    assert stage.the(running)["Status"] == "running"
    assert stage.be(meanwhile, "stopped")["StopReason"] == "Stop Reason NORMAL"
    assert stage.the(stopping)["Status"] == "stopping"
    stage.file(stopping, "go").touch()
    assert stage.be(stopping, "stopped")["StopReason"] == "Stop Reason NORMAL"
    assert [len(stage.starts(arn)) for arn in (running, stopping, meanwhile)] == [1, 1, 1]
    stage.stop(running)
    stage.be(running, "stopped")


def test_a_service_killed_right_after_its_answer(stage):
    """Whatever was answered goes on: a creation, a start, a deletion."""
    started = stage.task("kept-stays", "full-load-and-cdc")
    stage.start(started)
    created = stage.task("made")
    stage.restart()
    stage.be(created, "ready")
    stage.be(started, "running")
    stage.stop(started)
    stage.be(started, "stopped")
    stage.dms.delete_replication_task(ReplicationTaskArn=started)
    stage.restart()
    wait_until(
        lambda: (
            started not in [t["ReplicationTaskArn"] for t in stage.dms.describe_replication_tasks()["ReplicationTasks"]]
        )
    )
    assert not stage.file(started, "starts").exists()


def test_every_status_has_its_members(stage):
    """Each status of statuses.json is seen here once, in answers that the client checks against it."""
    dms, seen = checked_client(stage.server)

    def end(of, **names):
        return dms.create_endpoint(EndpointIdentifier=of, EndpointType="source", EngineName="postgres", **names)[
            "Endpoint"
        ]["EndpointArn"]

    group = {"ReplicationSubnetGroupDescription": "d", "SubnetIds": ["subnet-1"]}
    dms.create_replication_subnet_group(ReplicationSubnetGroupIdentifier="every", **group)
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier="every", ReplicationInstanceClass="dms.t3.micro"
    )["ReplicationInstance"]["ReplicationInstanceArn"]

    def available():
        only = by("replication-instance-arn", instance)
        (one,) = dms.describe_replication_instances(**only)["ReplicationInstances"]
        return one["ReplicationInstanceStatus"] == "available"

    wait_until(available)
    dms.modify_replication_instance(ReplicationInstanceArn=instance, AllocatedStorage=80, ApplyImmediately=True)
    wait_until(available)
    dms.modify_replication_instance(ReplicationInstanceArn=instance, EngineVersion="3.6.1", ApplyImmediately=True)
    wait_until(available)
    dms.reboot_replication_instance(ReplicationInstanceArn=instance)
    wait_until(available)

    nobody = end("every-nobody", ServerName="127.0.0.1", Port=1, Username="u", Password="p", DatabaseName="d")
    for endpoint, outcome in ((nobody, "failed"), (stage.source, "successful")):
        both = {"ReplicationInstanceArn": instance, "EndpointArn": endpoint}
        dms.test_connection(**both)
        only = [
            {"Name": "endpoint-arn", "Values": [endpoint]},
            {"Name": "replication-instance-arn", "Values": [instance]},
        ]
        wait_until(lambda f=only, o=outcome: dms.describe_connections(Filters=f)["Connections"][0]["Status"] == o)
        dms.refresh_schemas(**both)
        wait_until(
            lambda e=endpoint, o=outcome: (
                dms.describe_refresh_schemas_status(EndpointArn=e)["RefreshSchemasStatus"]["Status"] == o
            )
        )
        dms.delete_connection(**both)
    dms.delete_endpoint(EndpointArn=nobody)

    def the(arn):
        (one,) = dms.describe_replication_tasks(**by("replication-task-arn", arn))["ReplicationTasks"]
        return one

    def be(arn, status):
        wait_until(lambda: the(arn)["Status"] == status)

    def task(name):
        return dms.create_replication_task(
            ReplicationTaskIdentifier=name, SourceEndpointArn=stage.source, TargetEndpointArn=stage.target,
            ReplicationInstanceArn=stage.instance, MigrationType="full-load-and-cdc", TableMappings=mappings(),
        )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip

    good, bad = task("every-tables-stays"), task("every-fails")
    for arn in (good, bad):
        be(arn, "ready")
    dms.modify_replication_task(ReplicationTaskArn=good, TaskData="{}")
    be(good, "ready")
    dms.move_replication_task(ReplicationTaskArn=bad, TargetReplicationInstanceArn=instance)
    be(bad, "ready")
    for arn in (good, bad):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
    be(good, "running")
    dms.describe_table_statistics(ReplicationTaskArn=good)
    be(bad, "failed")
    dms.stop_replication_task(ReplicationTaskArn=good)
    be(good, "stopped")
    for arn in (good, bad):
        dms.delete_replication_task(ReplicationTaskArn=arn)
        stage.gone(arn)
    dms.delete_replication_instance(ReplicationInstanceArn=instance)

    wanted = {(shape, status) for shape, rules in STATUSES.items() for status in rules["Statuses"]}
    assert wanted - seen.statuses == set()


def test_the_validator_notices_a_status(stage):
    shape = stage.dms.meta.service_model.operation_model("DescribeConnections").output_shape
    one = {"Status": "failed", "EndpointArn": "a", "EndpointIdentifier": "b", "ReplicationInstanceArn": "c"}
    one["ReplicationInstanceIdentifier"] = "d"
    assert check_statuses(shape, {"Connections": [one]}, "x", set()) == [
        "x.Connections[0].LastFailureMessage: must be present when failed"
    ]
    one |= {"Status": "successful", "LastFailureMessage": "no"}
    assert len(check_statuses(shape, {"Connections": [one]}, "x", set())) == 1
    assert len(check_statuses(shape, {"Connections": [{"Status": "asleep"}]}, "x", set())) == 1


def test_a_short_load_is_shown_as_running_for_a_while(godwit_program, tmp_path, source):
    stage = Stage(tmp_path, source, visible_s="3")
    with stage.server:
        arn = stage.task("short-runs-ends")
        stage.start(arn)
        wait_until(lambda: stage.file(arn, "status.json").exists() and stage.server.task_pid(arn) is None)
        task = stage.be(arn, "running")
        assert "StopReason" not in task
        assert (
            task["ReplicationTaskStats"].get("StopDate")
            or time.sleep(0.2)
            or (stage.the(arn)["ReplicationTaskStats"]["StopDate"])
        )
        with refused(STATE):
            stage.dms.delete_replication_task(ReplicationTaskArn=arn)
        task = stage.be(arn, "stopped")
        assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
        stats = task["ReplicationTaskStats"]
        assert stats["StopDate"] - stats["StartDate"] < timedelta(seconds=2)
        # a user need not wait for it
        stage.start(arn, "reload-target")
        stage.be(arn, "running")
        assert stage.stop(arn)["Status"] == "stopping"
        stage.be(arn, "stopped")
