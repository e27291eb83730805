"""Two servers for a file, and for each test a database of its own on both."""

import itertools

import pytest
from pg import PgServer

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def servers():
    with PgServer() as source, PgServer() as target:
        yield source, target


@pytest.fixture
def pair(servers):
    source, target = servers
    name = f"pair{next(NUMBERS)}"
    source.create_database(name)
    target.create_database(name)
    yield source, target, name
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')
