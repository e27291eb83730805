"""Servers of every family, started once for this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from my import MyServer
from pg import PgServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PgServer]:
    with PgServer() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MyServer]:
    with MyServer(flavour="mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def mysql() -> Iterator[MyServer]:
    with MyServer(flavour="mysql") as server:
        yield server


@pytest.fixture(scope="session")
def second_mariadb() -> Iterator[MyServer]:
    with MyServer(flavour="mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def second_mysql() -> Iterator[MyServer]:
    with MyServer(flavour="mysql") as server:
        yield server


@pytest.fixture(params=["mariadb", "mysql"])
def terse(request: pytest.FixtureRequest) -> Iterator[MyServer]:
    """A source whose log says no more than it must."""
    server = request.getfixturevalue(request.param)
    server.sql("set global binlog_row_metadata = " + ("MINIMAL" if request.param == "mysql" else "NO_LOG"))
    yield server
    server.sql("set global binlog_row_metadata = 'FULL'")
