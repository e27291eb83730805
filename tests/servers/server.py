"""What database servers of our own have in common: pg.py and my.py say what is special about theirs.

Each server lives in one folder, listens on 127.0.0.1 only and runs as an ordinary user (root hands over to
`postgres` or `nobody`). It is stopped by the pid that was recorded together with the process's start time, so
that a reused pid is never hit. Needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

ROOT = Path(__file__).resolve().parents[2]


class ServerError(RuntimeError):
    """A server that did not start, stop or install."""


def server_user() -> str | None:
    """Whom a server runs as when we are root; None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    raise ServerError("no user 'postgres' or 'nobody' to run servers as")


def as_server_user(command: list[str]) -> list[str]:
    user = server_user()
    if user is None:
        return command
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *command]


def give_to_server_user(path: Path) -> None:
    if (user := server_user()) is not None:
        shutil.chown(path, user)


def reachable(folder: Path) -> bool:
    """Can the server's user enter it?"""
    return subprocess.run(as_server_user(["test", "-x", str(folder)]), check=False).returncode == 0


def cache_folder() -> Path:
    """Where fetched servers are kept: inside the tree unless the server's user cannot reach it there."""
    if "GODWIT_CACHE" in os.environ:
        return Path(os.environ["GODWIT_CACHE"])
    inside = ROOT / ".cache"
    inside.mkdir(exist_ok=True)
    return inside if reachable(inside) else Path("/var/cache/godwit")


def fetch_from_maven(what: str, artifact: str, archive: str, folder: Path) -> None:
    """One server: a jar that holds an archive of that name (a pattern)."""
    if shutil.which("mvn") is None:
        raise ServerError(f"{what} comes from Maven, and mvn is not installed: run tools/install.sh")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={work}"],
            check=True,
        )
        (jar,) = Path(work).glob("*.jar")
        subprocess.run(["unzip", "-q", str(jar), archive, "-d", work], check=True)
        (found,) = Path(work).glob(archive)
        unpacked = Path(work) / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "xf", str(found), "-C", str(unpacked)], check=True)
        subprocess.run(["chmod", "-R", "a+rX", str(unpacked)], check=True)
        if folder.exists():
            return  # another process was quicker
        unpacked.rename(folder)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def process_fields(pid: int | str) -> list[str] | None:
    """/proc/PID/stat from field 3 on; None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_time(pid: int) -> str | None:
    """None when the process is gone or a zombie."""
    fields = process_fields(pid)
    return None if fields is None or fields[0] == "Z" else fields[19]


def children(pid: int) -> list[int]:
    numbers = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [int(n) for n in numbers if (fields := process_fields(n)) is not None and int(fields[1]) == pid]


class Server:
    """One server in one folder. Without a folder: a temporary one, removed by close()."""

    USER: ClassVar[str]
    STOP: ClassVar[signal.Signals]  # ends open sessions and then the server

    def __init__(
        self, folder: str | Path | None, port: int, fsync: bool, settings: dict[str, str | int] | None
    ) -> None:
        self.fsync = fsync
        self.settings = dict(settings or {})
        self.owns_folder = folder is None
        self.folder = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="gw-server-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host = "127.0.0.1"
        self.port = port
        self.user = self.USER
        self._process: subprocess.Popen[bytes] | None = None

    # --- what is special

    @property
    def title(self) -> str:
        """What the server is called in messages."""
        raise NotImplementedError

    def _initialized(self) -> bool:
        raise NotImplementedError

    def _initialize(self) -> None:
        """Fills the data folder; the folder is the server's user's."""
        raise NotImplementedError

    def _command(self) -> list[str]:
        """What runs the server, on self.port."""
        raise NotImplementedError

    def _ready(self, pid: int) -> bool:
        """Does it take connections?"""
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.folder)}

    # --- life

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def _recorded(self) -> tuple[int, str] | None:
        try:
            pid, started = (self.folder / "server.pid").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid), started

    def running(self) -> bool:
        recorded = self._recorded()
        return recorded is not None and start_time(recorded[0]) == recorded[1]

    @property
    def pid(self) -> int:
        recorded = self._recorded()
        if recorded is None or not self.running():
            raise ServerError(f"the server in {self.folder} is not running")
        return recorded[0]

    def init(self) -> None:
        if self._initialized():
            return
        give_to_server_user(self.folder)
        if not reachable(self.folder):
            raise ServerError(f"user {server_user()} cannot reach {self.folder}: choose a folder below /tmp")
        self._initialize()

    def _run_logged(self, command: list[str]) -> None:
        """One step of _initialize()."""
        path = self.folder / "init.log"
        with open(path, "ab") as log:
            done = subprocess.run(
                as_server_user(command),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                cwd="/",
                env=self._environment(),
            )
        if done.returncode != 0:
            raise ServerError(f"{Path(command[0]).name} failed:\n{path.read_text()}")

    def start(self, timeout_s: float = 90) -> Self:
        if self.running():
            return self
        self.init()
        (self.folder / "server.pid").unlink(missing_ok=True)
        chosen = self.port
        for _attempt in range(5):
            self.port = chosen or free_port()
            if self._try_start(timeout_s):
                return self
            said = self.log_tail()
            if "pre-existing shared memory block" in said:  # children of a server that was killed end a little later
                time.sleep(0.5)
            elif not chosen and "Address already in use" in said:
                self.port = 0
            else:
                break
        raise ServerError(f"{self.title} did not start on port {self.port}:\n{self.log_tail()}")

    def _try_start(self, timeout_s: float) -> bool:
        command = self._command()
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                as_server_user(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=self._environment(),
            )
        pid = self._process.pid
        (self.folder / "server.pid").write_text(f"{pid} {start_time(pid)}\n")
        atexit.register(self._at_exit)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if self._ready(pid):
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _at_exit(self) -> None:
        # A server that this very process started and nobody stopped; the command `start` lets go of it on purpose.
        if self._process is not None and self.running():
            self.stop()

    def detach(self) -> None:
        """Let the server outlive this process."""
        self._process = None

    def stop(self, timeout_s: float = 60) -> None:
        """Open sessions are ended."""
        self._end(self.STOP, timeout_s)

    def kill(self) -> None:
        """As if the machine had stopped: every process of the server at once."""
        recorded = self._recorded()
        if recorded is None or not self.running():
            return
        pids = children(recorded[0])
        started = {p: start_time(p) for p in pids}
        self._end(signal.SIGKILL, 10)
        for p in pids:
            if started[p] is not None and start_time(p) == started[p]:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(start_time(p) == s for p, s in started.items() if s):
            time.sleep(0.01)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        recorded = self._recorded()
        if recorded is not None and start_time(recorded[0]) == recorded[1]:
            os.kill(recorded[0], how)
            deadline = time.monotonic() + timeout_s
            while start_time(recorded[0]) == recorded[1] and time.monotonic() < deadline:
                time.sleep(0.02)
            if start_time(recorded[0]) == recorded[1]:
                os.kill(recorded[0], signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None
        (self.folder / "server.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def log_tail(self, lines: int = 30) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


def command_line(
    kind: Callable[..., Server], options: dict[str, dict[str, Any]], fetch: dict[str, Callable[[], Path]]
) -> int:
    """start|stop|kill|status --folder DIR, fetch NAME: `options` are those of `start` that the server's class takes."""
    tool = Path(sys.argv[0]).name
    parser = argparse.ArgumentParser(prog=tool, description="database servers for tests")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "stop", "kill", "status"):
        command = commands.add_parser(name)
        command.add_argument("--folder", required=True)
        if name == "start":
            command.add_argument("--port", type=int, default=0)
            command.add_argument("--fsync", action="store_true")
            command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
            for option, details in options.items():
                command.add_argument(f"--{option}", **details)
    commands.add_parser("fetch").add_argument("names", choices=fetch, nargs="+")
    arguments = parser.parse_args()
    try:
        if arguments.command == "fetch":
            for name in arguments.names:
                print(f"{name}: {fetch[name]()}")
            return 0
        if arguments.command == "start":
            server = kind(
                arguments.folder,
                arguments.port,
                fsync=arguments.fsync,
                settings=dict(item.split("=", 1) for item in arguments.set),
                **{option: getattr(arguments, option) for option in options},
            ).start()
            print(f"pid {server.pid} port {server.port}")
            server.detach()
            return 0
        server = kind(arguments.folder)
        if arguments.command == "status":
            print("running" if server.running() else "stopped")
            return 0 if server.running() else 3
        server.stop() if arguments.command == "stop" else server.kill()
        return 0
    except (ServerError, subprocess.CalledProcessError) as error:
        print(f"{tool}: {error}", file=sys.stderr)
        return 1
