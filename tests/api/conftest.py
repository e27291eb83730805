"""One service for a file of tests, one PostgreSQL server for its source and its target."""

from types import SimpleNamespace

import pytest
from answers import by, checked_client
from godwit import GodwitServer
from pg import PgServer

PASSWORD = "pw'; of both"


@pytest.fixture(scope="module")
def godwit(godwit_program):
    with GodwitServer(environment={"GODWIT_MIN_RUNNING_VISIBLE": "0"}) as server:
        yield server


@pytest.fixture(scope="module")
def dms_and_seen(godwit):
    return checked_client(godwit)


@pytest.fixture(scope="module")
def dms(dms_and_seen):
    """A client that checks each answer against the service's description."""
    return dms_and_seen[0]


@pytest.fixture(scope="module")
def source():
    with PgServer(password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def target():
    with PgServer(password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def instance(dms):
    arn = dms.create_replication_instance(
        ReplicationInstanceIdentifier="common", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]["ReplicationInstanceArn"]
    dms.get_waiter("replication_instance_available").wait(
        **by("replication-instance-arn", arn), WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    return arn


@pytest.fixture(scope="module")
def unreachable(dms):
    """Two endpoints at a port where nobody listens: for all that needs no database."""
    arns = {}
    for kind in ("source", "target"):
        arns[kind] = dms.create_endpoint(
            EndpointIdentifier=f"nowhere-{kind}", EndpointType=kind, EngineName="postgres", ServerName="127.0.0.1",
            Port=1, DatabaseName="postgres", Username="nobody", Password="secret-word",
        )["Endpoint"]["EndpointArn"]  # fmt: skip
    return SimpleNamespace(**arns)
