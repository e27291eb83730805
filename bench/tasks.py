"""Tasks of godwit in the bench, and what their processes use."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import ROWS, SYNC, TICK_S, TIMEOUT_S, BenchError, memory_mb
from godwit import GodwitServer
from my import MyServer
from pg import PgServer

if TYPE_CHECKING:
    from setting import Bench

LOOK_S = 0.02


class Usage:
    """CPU time and peak memory of every task process and keeper of a server while they live.

    What is there is looked for again and again, and each process is read every 20 ms, so that at most that
    much of its end is missed. More often would take the processors from what is measured.
    """

    def __init__(self, godwit: GodwitServer) -> None:
        self.godwit = godwit
        self.cpu_s: dict[int, float] = {}
        self.begin_s: dict[int, float] = {}
        self.peak_mb: dict[int, float] = {}
        self.task: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._known: dict[int, bool] = {}

    def __enter__(self) -> Usage:
        self._find()
        self.begin_s = {pid: self.cpu_s.get(pid, 0.0) for pid in self._known}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._read()
        self._stop.set()
        self._thread.join()

    @property
    def total_cpu_s(self) -> float:
        return sum(s - self.begin_s.get(pid, 0.0) for pid, s in self.cpu_s.items())

    @property
    def task_peak_mb(self) -> float:
        return max((self.peak_mb.get(pid, 0.0) for pid in self.task), default=math.nan)

    def _run(self) -> None:
        rounds = 0
        while not self._stop.wait(LOOK_S):
            if rounds % 10 == 0 or not self.task:  # a short one must not be missed
                self._find()
            self._read()
            rounds += 1

    def _find(self) -> None:
        """Descendants of the program, by what they run: the processes of tasks and their keepers."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) in self.task or int(entry) == self.godwit.pid:
                continue
            pid = int(entry)
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if not line[0] or not Path(os.fsdecode(line[0])).name.startswith("godwit"):
                    continue
                if pid not in self._known:
                    self._known[pid] = f"{self.godwit.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
                # asked for again: between fork and exec it still has the server's command line
                if self._known[pid] and b"task-process" in line:
                    self.task.add(pid)
            except OSError:
                continue
        self._read()

    def _read(self) -> None:
        for pid, ours in list(self._known.items()):
            if not ours:
                continue
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self.cpu_s[pid] = (int(fields[11]) + int(fields[12])) * TICK_S
                if not math.isnan(peak := memory_mb(pid, "VmHWM")):  # one that has ended has none
                    self.peak_mb[pid] = peak
            except (OSError, ValueError, IndexError):
                continue


class Task:
    """One replication task between two databases, through the DMS API."""

    def __init__(
        self,
        bench: Bench,
        name: str,
        kind: str,
        source_database: str,
        target_database: str,
        *,
        source: PgServer | MyServer | None = None,
        target: PgServer | MyServer | None = None,
        schema: str = "public",
    ) -> None:
        self.bench, self.godwit, self.name = bench, bench.godwit, name
        self.dms = bench.dms
        ends = []
        for end, server, database in (
            ("source", source or bench.source, source_database),
            ("target", target or bench.target, target_database),
        ):
            members = server.endpoint(database)
            if end == "target" and isinstance(server, PgServer):
                members["ExtraConnectionAttributes"] = f"synchronousCommit={SYNC}"
            ends.append(
                self.dms.create_endpoint(EndpointIdentifier=f"{name}-{end}", EndpointType=end, **members)["Endpoint"][
                    "EndpointArn"
                ]
            )
        rule = {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "1",
            "rule-action": "include",
            "object-locator": {"schema-name": schema, "table-name": "%"},
        }
        self.arn = self.dms.create_replication_task(
            ReplicationTaskIdentifier=name,
            SourceEndpointArn=ends[0],
            TargetEndpointArn=ends[1],
            ReplicationInstanceArn=bench.instance,
            MigrationType=kind,
            TableMappings=json.dumps({"rules": [rule]}),
            ReplicationTaskSettings=json.dumps({"Logging": {"EnableLogging": True}}),
        )["ReplicationTask"]["ReplicationTaskArn"]
        self.wait(lambda t: t["status"] == "ready", "ready")

    def report(self) -> dict[str, Any]:
        return dict(self.godwit.get(f"/godwit/v1/tasks/{self.name}"))

    def start(self, how: str) -> None:
        self.dms.start_replication_task(ReplicationTaskArn=self.arn, StartReplicationTaskType=how)

    def stop(self) -> None:
        self.dms.stop_replication_task(ReplicationTaskArn=self.arn)
        self.wait(lambda t: t["status"] == "stopped", "stopped")

    def wait(self, done: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            report = self.report()
            if done(report):
                return report
            if report["status"] == "failed" or any(t["state"] == "Table error" for t in report.get("tables", [])):
                detail = [t["detail"] for t in report.get("tables", []) if t["detail"]]
                raise BenchError(f"task {self.name}: {report.get('last_error')} {detail}")
            time.sleep(LOOK_S)
        raise BenchError(f"task {self.name} was not {what} within {TIMEOUT_S} s")

    def full_load(self, key: str, first: bool) -> None:
        """Loads everything; time, rows per CPU-second and peak memory are added under `key`."""
        with Usage(self.godwit) as usage:
            begin = time.monotonic()
            self.start("start-replication" if first else "reload-target")
            report = self.wait(lambda t: t["status"] in ("stopped", "failed"), "stopped")
            took = time.monotonic() - begin
        if report["stop_reason"] != "FULL_LOAD_ONLY_FINISHED":
            raise BenchError(f"the load ended with {report['stop_reason']} {report['last_error']}")
        self.bench.add(f"{key}.godwit", "s", took)
        self.bench.add(f"{key}.cpu", "s", usage.total_cpu_s)
        self.bench.add(f"{key}.rows_per_cpu_s", "rows/s", ROWS / max(TICK_S, usage.total_cpu_s))
        self.bench.add(f"{key}.peak", "MB", usage.task_peak_mb)

    def peak_mb(self) -> float:
        """Of the process that runs the task now."""
        return memory_mb(self.godwit.task_pid(self.arn), "VmHWM")
