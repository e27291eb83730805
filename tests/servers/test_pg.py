"""The servers that every other suite stands on: they start, survive a crash and leave nothing behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pg import PgServer
from server import ServerError, start_time

SCRIPT = Path(__file__).with_name("pg.py")


@pytest.mark.parametrize("version", [15, 17, 18])
def test_life_of_a_server(version):
    with PgServer(version=version) as server:
        pid = server.pid
        assert os.stat(f"/proc/{pid}").st_uid != 0  # never as root
        assert server.sql("show wal_level") == [("logical",)]
        assert server.sql("show server_version_num")[0][0].startswith(str(version))
        server.sql("create table kept (id int primary key)")
        server.sql("insert into kept values (%s)", (7,))
        server.restart()
        assert server.pid != pid
        assert server.sql("select id from kept") == [(7,)]
        folder, pid = server.folder, server.pid
    assert start_time(pid) is None
    assert not folder.exists()


def test_kill_and_recover():
    with PgServer(fsync=True) as server:
        server.sql("create table kept (id int)")
        server.sql("insert into kept select generate_series(1, 1000)")
        server.kill()
        assert not server.running()
        server.start()
        assert server.sql("select count(*) from kept") == [(1000,)]


def test_password():
    with PgServer(password="s3cret") as server:
        assert server.sql("select 1") == [(1,)]
        server.password = "wrong"
        with pytest.raises(Exception, match="password authentication failed"):
            server.sql("select 1")
        server.password = "s3cret"


def test_two_servers_beside_each_other():
    with PgServer() as one, PgServer() as two:
        assert one.port != two.port
        one.create_database("shop")
        assert one.sql("select current_database()", database="shop") == [("shop",)]
        assert two.sql("select count(*) from pg_database where datname = 'shop'") == [(0,)]


def test_a_wrong_setting_is_told():
    server = PgServer(settings={"no_such_setting": 1})
    try:
        with pytest.raises(ServerError, match="no_such_setting"):
            server.start()
    finally:
        server.close()


def test_with_servers_that_is_ended_leaves_none():
    command = [sys.executable, SCRIPT.with_name("with_servers.py"), "--", "sh", "-c", "env; exec sleep 60"]
    ended = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = (line for line in ended.stdout if line.startswith("GODWIT_TEST_PG_"))
        ports = [int(next(lines).rpartition(":")[2]) for _ in range(2)]
    finally:
        ended.terminate()
        ended.wait(60)
    for port in ports:
        with socket.socket() as s:
            assert s.connect_ex(("127.0.0.1", port)) != 0


def test_command_line():
    server = PgServer()  # only for its folder
    try:

        def run(*arguments):
            return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)

        started = run("start", "--folder", str(server.folder))
        assert started.returncode == 0, started.stderr
        pid = int(started.stdout.split()[1])
        assert start_time(pid) is not None
        assert run("status", "--folder", str(server.folder)).stdout == "running\n"
        assert run("stop", "--folder", str(server.folder)).returncode == 0
        assert start_time(pid) is None
        assert run("status", "--folder", str(server.folder)).returncode == 3
    finally:
        server.close()
