"""A godwit server of our own, for suites and the demo: started on a free port, gone with all its tasks at close().

    with GodwitServer() as godwit:
        dms = godwit.client()                       # boto3
        godwit.aws("dms", "describe-endpoints")     # AWS CLI
        godwit.cli("task", "list")                  # godwit's own

The program is $GODWIT_PROGRAM, else build/release/godwit. Needs the standard library only; boto3 for client().
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from server import ROOT, free_port, start_time

MARK = "GODWIT_STARTED_BY"  # in the environment of everything that this server starts


def program() -> Path:
    return Path(os.environ.get("GODWIT_PROGRAM", ROOT / "build" / "release" / "godwit"))


def tool(name: str) -> str:
    """A script of the Python environment that we run in: aws."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


class GodwitServer:
    def __init__(
        self,
        data: str | Path | None = None,
        *,
        program_path: str | Path | None = None,
        environment: dict[str, str] | None = None,
        arguments: list[str] | None = None,
        region: str = "us-east-1",
    ) -> None:
        self.program = Path(program_path) if program_path else program()
        self.owns_folder = data is None
        self.data = Path(data) if data else Path(tempfile.mkdtemp(prefix="gw-data-"))
        self.environment = dict(environment or {})
        self.arguments = list(arguments or [])
        self.region = region
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mark = uuid.uuid4().hex
        self.log = self.data.parent / f"{self.data.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.aws_command = [tool("aws")]
        self.aws_environment: dict[str, str] = {"AWS_ENDPOINT_URL": self.url}

    # --- life

    def start(self, timeout_s: float = 30) -> GodwitServer:
        if not self.program.exists():
            raise RuntimeError(f"{self.program} is not built: run make build")
        command = [str(self.program), "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self.environment, MARK: self.mark},
            )
        atexit.register(self.close)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return self
            except OSError:
                time.sleep(0.03)
        raise RuntimeError(f"godwit serve did not start:\n{self.log_text()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, timeout_s: float = 20) -> None:
        """Ends the server as an operator does. Its tasks go on."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        self._end(signal.SIGKILL, 10)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def processes(self) -> list[int]:
        """Everything that this server started and that still lives: tasks, keepers, itself."""
        wanted = f"{MARK}={self.mark}".encode()
        out = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0") and start_time(int(entry.name)) is not None:
                    out.append(int(entry.name))
            except OSError:
                continue
        return out

    def task_pid(self, task: str) -> int | None:
        """The process that owns the task's folder; `task` is an ARN or its last part."""
        try:
            lock = self.data / "tasks" / task.rpartition(":")[2].lower() / "lock"
            pid, started = lock.read_text().split()[:2]
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def close(self) -> None:
        atexit.unregister(self.close)
        self.stop()
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        if self.owns_folder:
            shutil.rmtree(self.data, ignore_errors=True)
            self.log.unlink(missing_ok=True)

    def __enter__(self) -> GodwitServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def log_text(self, lines: int = 40) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    # --- use

    def use_debians_aws(self) -> None:
        """From now on aws() is the distribution's AWS CLI, too old for AWS_ENDPOINT_URL."""
        self.aws_command = ["/usr/bin/aws", "--endpoint-url", self.url]
        self.aws_environment = {}

    def client(self, service: str = "dms", **more: Any) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=more.pop("region_name", self.region),
            aws_access_key_id=more.pop("aws_access_key_id", "test"),
            aws_secret_access_key=more.pop("aws_secret_access_key", "test"),
            config=Config(retries={"max_attempts": 0}),
            **more,
        )

    def client_environment(self) -> dict[str, str]:
        """For AWS's own tools: nothing of the user's configuration, only this server."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {
            **environment,
            **self.aws_environment,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "GODWIT_SERVER": self.url,
            "PATH": f"{Path(tool('aws')).parent}:{self.program.parent}:{os.environ.get('PATH', '')}",
        }

    def aws(self, *arguments: str, check: bool = True, cwd: str | Path | None = None) -> Any:
        """One AWS CLI command; its JSON, or the completed process when check is off."""
        done = subprocess.run(
            [*self.aws_command, *arguments],
            env=self.client_environment(),
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
        )
        if not check:
            return done
        if done.returncode != 0:
            raise RuntimeError(f"aws {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def cli(self, *arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        keys = {k: v for k, v in self.client_environment().items() if not k.startswith("AWS_")}
        return subprocess.run(
            [str(self.program), *arguments],
            env={**keys, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def get(self, path: str) -> Any:
        """godwit's own API: JSON of GET."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.loads(answer.read())
