"""The service is killed, at its own steps and at random moments, alone and together with the task and the keeper.

Its tasks go on without it; the next service on the same data takes them over, starts what had died meanwhile, and never
runs a second process for a task.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from godwit import GodwitServer
from kills import FULL
from live import Traffic, difference, exceptions
from task_process import crash_program, lsn, select
from waiting import wait_until

SETTINGS = {
    "FullLoadSettings": {"TargetTablePrepMode": "DROP_AND_CREATE"},
    # restart at once, as often as we kill
    "ErrorBehavior": {"RecoverableErrorCount": -1, "RecoverableErrorInterval": 0, "RecoverableErrorThrottling": True},
}


class Service:
    """One data folder; services come and go on it."""

    def __init__(self, shop, tmp_path, kills):
        self.source, self.target, self.name = shop
        self.kills = kills
        self.server = GodwitServer(
            tmp_path / "data", program_path=crash_program(), environment={"GODWIT_MIN_RUNNING_VISIBLE": "0"}
        )

    def start(self, failpoint=""):
        self.server.environment["GODWIT_FAILPOINT"] = failpoint
        try:
            self.server.start()
        except RuntimeError:
            assert failpoint, self.server.log_text()
            self.died()
            self.server.environment["GODWIT_FAILPOINT"] = ""
            self.server.start()
        self.dms = self.server.client()

    def died(self):
        """It ended by the failpoint's SIGKILL, not by an error."""
        code = self.server._process.wait(10)
        assert code == -signal.SIGKILL, f"{code}: {self.server.log_text()}"
        self.kills.add("server")

    def kill(self):
        self.server.kill()
        self.kills.add("server")

    def ask(self, operation, **arguments):
        """The answer; nothing when the service died over it or says that it is done already."""
        try:
            return getattr(self.dms, operation)(**arguments)
        except BotoCoreError:
            self.died()
        except ClientError as e:
            assert e.response["Error"]["Code"] in ("ResourceAlreadyExistsFault", "InvalidResourceStateFault"), e
        return None

    def endpoints(self):
        self.instance = self.dms.create_replication_instance(
            ReplicationInstanceIdentifier="one", ReplicationInstanceClass="dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        self.ends = []
        for kind, server in (("source", self.source), ("target", self.target)):
            more = {"ExtraConnectionAttributes": "sliceBlocks=8"} if kind == "source" else {}
            made = self.dms.create_endpoint(
                EndpointIdentifier=kind, EndpointType=kind, **server.endpoint(self.name), **more
            )
            self.ends.append(made["Endpoint"]["EndpointArn"])
        wait_until(
            lambda: (
                self.dms.describe_replication_instances()["ReplicationInstances"][0]["ReplicationInstanceStatus"]
                == "available"
            ),
            "the instance is available",
        )

    def create(self, **more):
        return dict(
            ReplicationTaskIdentifier="shop", SourceEndpointArn=self.ends[0], TargetEndpointArn=self.ends[1],
            ReplicationInstanceArn=self.instance, MigrationType="full-load-and-cdc", TableMappings=select("public"),
            ReplicationTaskSettings=json.dumps(SETTINGS), **more,
        )  # fmt: skip

    def the(self, arn):
        (one,) = self.dms.describe_replication_tasks(
            Filters=[{"Name": "replication-task-arn", "Values": [arn]}], WithoutSettings=True
        )["ReplicationTasks"]
        return one

    def be(self, arn, *states, timeout_s=60):
        wait_until(lambda: self.the(arn)["Status"] in states, lambda: self.the(arn), timeout_s)
        return self.the(arn)

    def how_to_start(self, arn):
        first = "ReplicationTaskStartDate" not in self.the(arn)
        how = "start-replication" if first else "resume-processing"
        return dict(ReplicationTaskArn=arn, StartReplicationTaskType=how)

    def killed_itself(self, point):
        wait_until(lambda: self.server._process.poll() is not None, f"{point} is passed", 20)

    def task_processes(self):
        """The task processes of this service; a keeper is none."""
        out = []
        for pid in self.server.processes():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"task-process" in words:
                out.append(pid)
        return out

    def log(self, arn):
        folder = self.server.data / "tasks" / arn.rpartition(":")[2].lower()
        return "\n".join(
            (folder / n).read_text(errors="replace")[-6000:]
            for n in ("process.log", "task.log")
            if (folder / n).exists()
        )

    def prove_equal(self, arn, traffic):
        self.be(arn, "running")
        traffic.stop()

        def loaded():
            rows = self.dms.describe_table_statistics(ReplicationTaskArn=arn)["TableStatistics"]
            return rows and {r["TableState"] for r in rows} == {"Table completed"}

        wait_until(loaded, lambda: self.log(arn))
        self.source.sql("select pg_logical_emit_message(true, 'godwit-test', 'end')", database=self.name)
        end = lsn(self.source.sql("select pg_current_wal_lsn()::text")[0][0])
        confirmed = "select confirmed_flush_lsn::text from pg_replication_slots where database = %s and not temporary"
        joined = "select count(*) from godwit.gw_table where phase <> 'joined'"
        wait_until(
            lambda: (
                lsn(self.source.sql(confirmed, (self.name,))[0][0]) >= end
                and self.target.sql(joined, database=self.name) == [(0,)]
            ),
            lambda: self.log(arn),
            120,
        )
        wrong = difference(self.source, self.name, self.target, self.name)
        assert not wrong, f"{wrong}\n{self.log(arn)}"
        assert exceptions(self.target, self.name) == []
        assert len(self.task_processes()) == 1
        self.dms.stop_replication_task(ReplicationTaskArn=arn)
        assert self.be(arn, "stopped")["StopReason"] == "Stop Reason NORMAL"
        assert not difference(self.source, self.name, self.target, self.name)
        assert self.task_processes() == []


@pytest.fixture
def service(shop, tmp_path, kills):
    s = Service(shop, tmp_path, kills)
    s.start()
    yield s
    s.server.close()


@pytest.mark.parametrize("number", range(3 if FULL else 1))
def test_every_step_of_the_service(service, number):
    """What was answered holds; what was not is done or not, and can be asked for again."""
    s = service
    s.endpoints()
    with Traffic(s.source, s.name, seed=800 + number) as traffic:
        for point in ("store.before_put", "store.put"):
            s.kill()
            s.start(f"{point}=kill@{1 + number}")
            s.ask("create_replication_task", **s.create())
        s.kill()
        s.start()
        s.ask("create_replication_task", **s.create())
        (task,) = s.dms.describe_replication_tasks()["ReplicationTasks"]
        arn = task["ReplicationTaskArn"]
        s.be(arn, "ready")
        for point in ("serve.spawning", "serve.unnoted", "serve.spawned"):
            s.kill()
            s.start(f"{point}=kill")
            answered = s.ask("start_replication_task", **s.how_to_start(arn))
            s.killed_itself(point)
            s.start()
            if answered:
                s.be(arn, "running")
            wait_until(lambda: len(s.task_processes()) <= 1, "two processes of one task", 20)
            # one that was not noted is seen when it has begun, and a start that came before would find it
            wait_until(
                lambda: bool(s.task_processes()) == (s.be(arn, "running", "ready", "stopped")["Status"] == "running"),
                lambda: f"{s.the(arn)['Status']} with {len(s.task_processes())} processes\n{s.log(arn)}",
                20,
            )
            if s.the(arn)["Status"] == "running":
                s.dms.stop_replication_task(ReplicationTaskArn=arn)
                s.be(arn, "stopped")
        s.dms.start_replication_task(**s.how_to_start(arn))
        s.be(arn, "running")
        s.kill()
        s.start("serve.stop_wanted=kill")
        s.be(arn, "running")
        s.ask("stop_replication_task", ReplicationTaskArn=arn)
        s.killed_itself("serve.stop_wanted")
        s.start()
        # nobody has heard an answer: either is right
        if s.be(arn, "running", "stopped")["Status"] == "stopped":
            s.dms.start_replication_task(**s.how_to_start(arn))
        s.prove_equal(arn, traffic)


@pytest.mark.parametrize("seed", range(5 if FULL else 1))
def test_random_moments(service, seed):
    """The service alone, the task alone, both, and the keeper with them."""
    s, r = service, random.Random(seed)
    s.endpoints()
    with Traffic(s.source, s.name, seed=900 + seed) as traffic:
        arn = s.dms.create_replication_task(**s.create())["ReplicationTask"]["ReplicationTaskArn"]
        s.be(arn, "ready")
        s.dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
        for _ in range(8 if FULL else 5):
            time.sleep(r.choice((0, 0.1, 0.3, 0.8)) + r.random() * 0.2)
            whom = r.choice(("server", "server", "both", "task", "all"))
            if whom != "task":
                s.kill()
            if whom != "server":
                victims = s.task_processes()
                if whom == "all":
                    own = s.server._process.pid if s.server._process else 0
                    victims = [p for p in s.server.processes() if p != own]
                for pid in victims:
                    os.kill(pid, signal.SIGKILL)
                    s.kills.add("task and server" if whom != "task" else "task of a service")
            if whom != "task":
                time.sleep(r.choice((0, 0.2)))
                s.start()
            assert len(s.task_processes()) <= 1, "two processes of one task"
            assert s.the(arn)["Status"] in ("starting", "running"), f"{s.the(arn)}\n{s.log(arn)}"
        s.prove_equal(arn, traffic)
