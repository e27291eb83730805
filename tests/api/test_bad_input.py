"""What clients should not send: each is refused with the documented name, and the service goes on."""

import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from answers import UUID, by, checked_client, mappings, refused
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from godwit import GodwitServer, program
from server import free_port
from waiting import wait_until

VALUE = "InvalidParameterValueException"
JSON = "application/x-amz-json-1.1"
MEGABYTE = 1 << 20


def send(server, operation, body=b"{}", headers=None, timeout=20):
    """One request as it is; its status and its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        sent = {"Content-Type": JSON, **(headers or {})}
        if operation is not None:
            sent["X-Amz-Target"] = f"AmazonDMSv20160101.{operation}"
        connection.request("POST", "/", body=body, headers=sent)
        answer = connection.getresponse()
        assert UUID.fullmatch(answer.getheader("x-amzn-RequestId", ""))
        assert answer.getheader("Content-Type") == JSON
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def memory_mb(server, field="VmRSS"):
    text = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", text).group(1)) / 1024


def healthy(server):
    status, answer = send(server, "DescribeAccountAttributes")
    return status == 200 and "AccountQuotas" in answer


# --- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b'{"Filters": [}',
        b'{"ReplicationInstanceIdentifier": "\xff\xfe"}',
        b"{'a': 1}",
        b"\x00",
        b"[" * 500_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda b: b[:12].decode("latin-1"),
)
def test_not_a_json_object(godwit, body):
    status, answer = send(godwit, "CreateReplicationInstance", body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert answer["message"]
    assert healthy(godwit)


@pytest.mark.parametrize(
    ("operation", "members", "member"),
    [
        ("DescribeReplicationTasks", {"Filters": "x"}, "Filters"),
        ("DescribeReplicationTasks", {"Filters": {"Name": "x"}}, "Filters"),
        ("DescribeReplicationTasks", {"Filters": ["x"]}, "Filters[0]"),
        ("DescribeReplicationTasks", {"Filters": [{"Name": 5, "Values": ["x"]}]}, "Filters[0].Name"),
        ("DescribeReplicationTasks", {"Filters": [{"Name": "x", "Values": "x"}]}, "Filters[0].Values"),
        ("DescribeReplicationTasks", {"Filters": [{"Name": "x", "Values": [5]}]}, "Filters[0].Values[0]"),
        ("DescribeReplicationTasks", {"MaxRecords": "20"}, "MaxRecords"),
        ("DescribeReplicationTasks", {"MaxRecords": 20.5}, "MaxRecords"),
        ("DescribeReplicationTasks", {"MaxRecords": 1e300}, "MaxRecords"),
        ("DescribeReplicationTasks", {"MaxRecords": 1 << 64}, "MaxRecords"),
        ("DescribeReplicationTasks", {"MaxRecords": True}, "MaxRecords"),
        ("DescribeReplicationTasks", {"Marker": 5}, "Marker"),
        ("DescribeReplicationTasks", {"WithoutSettings": "true"}, "WithoutSettings"),
        ("DescribeEvents", {"StartTime": [1]}, "StartTime"),
        ("DescribeEvents", {"StartTime": "yesterday"}, "StartTime"),
        ("ImportCertificate", {"CertificateIdentifier": "c", "CertificateWallet": "!"}, "CertificateWallet"),
    ],
)
def test_wrong_types(godwit, operation, members, member):
    status, answer = send(godwit, operation, json.dumps(members).encode())
    assert (status, answer["__type"]) == (400, "SerializationException"), answer
    assert answer["message"].startswith(member)


EXTREMES = [
    b"0", b"-1", b"1", b"2147483647", b"2147483648", b"-2147483649", b"9223372036854775807", b"-9223372036854775808",
    b"18446744073709551615", b"18446744073709551616", b"1e18", b"9.3e18", b"1e300", b"-1e300", b"1e400", b"-1e400",
    b"1e-300", b"99999999999", b"100000000000", b"-62135596800", b"253402300799", b"253402300800", b"0.5", b"-0.0",
    b"NaN", b"Infinity", b"1" + b"0" * 5000,
]  # fmt: skip
EXTREME_TIMES = [
    b'"0000-01-01T00:00:00Z"', b'"9999-12-31T23:59:60+99:99"', b'"99999-01-01T00:00:00Z"', b'"-001-01-01"',
    b'"2020-01-01T00:00:00.' + b"9" * 400 + b'Z"', b'"1e300"', b'""',
]  # fmt: skip


def scalars(shape, path=()):
    """Every number and time of a request, also those of its structures and lists."""
    for name, member in shape.members.items():
        if member.type_name in ("integer", "long", "double", "float", "timestamp"):
            yield (*path, name), member.type_name
        elif member.type_name == "structure":
            yield from scalars(member, (*path, name))
        elif member.type_name == "list" and member.member.type_name in ("integer", "long", "timestamp"):
            yield (*path, name, 0), member.member.type_name


def with_value(required, path, value):
    """The JSON text of a request that holds `value`, which no library would write, at a path."""
    document = json.loads(json.dumps(required))
    at = document
    for step in path[:-1]:
        at = at.setdefault(step, {})
    at[path[-1]] = "HERE"
    return json.dumps(document).encode().replace(b'"HERE"', value)


def some_required(shape):
    """Texts for what must be there: enough to get past the first checks."""
    out = {}
    for name in shape.required_members:
        member = shape.members[name]
        if member.type_name == "string":
            out[name] = member.enum[0] if member.enum else "a"
        elif member.type_name == "list":
            out[name] = []
        elif member.type_name == "integer":
            out[name] = 1
    return out


def test_numbers_and_times_at_their_ends(godwit, dms, instance, unreachable):
    from answers import MEMBERS

    tried = set()
    for name in sorted(MEMBERS):
        shape = dms.meta.service_model.operation_model(name).input_shape
        for path, kind in scalars(shape):
            tried.add(kind)
            required = some_required(shape)
            if "ReplicationInstanceArn" in required:
                required["ReplicationInstanceArn"] = instance
            if "EndpointArn" in required:
                required["EndpointArn"] = unreachable.target
            if name == "CreateEndpoint":
                required["EngineName"] = "postgres"
            if name == "CreateReplicationTask":
                required.update(SourceEndpointArn=unreachable.source, TargetEndpointArn=unreachable.target)
                required.update(TableMappings=mappings(), MigrationType="cdc")
            if name == "CreateReplicationInstance":
                required["ReplicationInstanceClass"] = "dms.x.none"
            for value in EXTREMES + (EXTREME_TIMES if kind == "timestamp" else []):
                status, answer = send(godwit, name, with_value(required, path, value))
                assert status in (200, 400), (name, path, value[:30], answer)
                if value in (b"1e300", b"-1e300", b"1e400", b"NaN"):
                    assert answer.get("__type") in ("SerializationException", VALUE), (name, path, value, answer)
    assert tried >= {"integer", "timestamp"}
    assert healthy(godwit)


def test_events_of_a_time_that_never_was(godwit):
    """Seconds since 1970 beyond the year 9999 are a mistake of units, and must not overflow into some other time."""
    for member in ("StartTime", "EndTime"):
        for value in (b"1e300", b"-1e300", b"1e12", b"1700000000000", b'"99999-01-01"'):
            status, answer = send(godwit, "DescribeEvents", b'{"%s": %s}' % (member.encode(), value))
            assert (status, answer["__type"]) in {(400, VALUE), (400, "SerializationException")}, (value, answer)
            assert member in answer["message"]
    for value in (b"2147483647", b"0"):
        assert send(godwit, "DescribeEvents", b'{"Duration": %s}' % value)[0] == 200
    status, answer = send(godwit, "DescribeEvents", b'{"StartTime": 99999999999, "Duration": 2147483647}')
    assert (status, answer) == (200, {"Events": []})


@pytest.mark.parametrize("settings", ["FullLoadSettings.CommitRate", "FullLoadSettings.MaxFullLoadSubTasks",
    "FullLoadSettings.TransactionConsistencyTimeout", "ErrorBehavior.RecoverableErrorCount",
    "ErrorBehavior.RecoverableErrorInterval", "ErrorBehavior.RecoverableErrorThrottlingMax",
    "ChangeProcessingTuning.MemoryLimitTotal", "ControlTablesSettings.HistoryTimeslotInMinutes"])  # fmt: skip
def test_numbers_of_the_settings_at_their_ends(godwit, dms, instance, unreachable, settings):
    group, key = settings.split(".")
    for value in EXTREMES:
        document = b'{"%s": {"%s": %s}}' % (group.encode(), key.encode(), value)
        request = {
            "ReplicationTaskIdentifier": "ends", "SourceEndpointArn": unreachable.source, "MigrationType": "cdc",
            "TargetEndpointArn": unreachable.target, "ReplicationInstanceArn": instance, "TableMappings": mappings(),
            "ReplicationTaskSettings": document.decode(),
        }  # fmt: skip
        status, answer = send(godwit, "CreateReplicationTask", json.dumps(request).encode())
        if value in (b"1e300", b"1e400", b"NaN", b"18446744073709551616", b"0.5"):
            assert (status, answer["__type"]) == (400, VALUE), (value, answer)
        if status != 200:
            assert answer["message"].startswith("Invalid task settings JSON"), answer
            continue
        task = answer["ReplicationTask"]
        stored = json.loads(task["ReplicationTaskSettings"])[group][key]
        assert isinstance(stored, int) and abs(stored) <= 2**31, (value, stored)
        waiter = dms.get_waiter("replication_task_ready")
        waiter.wait(
            **by("replication-task-arn", task["ReplicationTaskArn"]), WaiterConfig={"Delay": 1, "MaxAttempts": 9}
        )
        dms.delete_replication_task(ReplicationTaskArn=task["ReplicationTaskArn"])
        dms.get_waiter("replication_task_deleted").wait(
            **by("replication-task-arn", task["ReplicationTaskArn"]), WaiterConfig={"Delay": 1, "MaxAttempts": 9}
        )


@pytest.mark.parametrize("value", [b"1e300", b"-1", b"86400001", b'"60"', b"null", b"[]", b"1.5"])
def test_a_time_limit_of_a_cut_over(godwit, value):
    connection = http.client.HTTPConnection("127.0.0.1", godwit.port, timeout=10)
    connection.request("POST", "/godwit/v1/tasks/none/cutover", body=b'{"timeout_ms": %s}' % value)
    answer = connection.getresponse()
    assert answer.status == 400, answer.read()
    assert "timeout_ms" in json.loads(answer.read())["message"]
    connection.close()


@pytest.mark.parametrize(
    ("operation", "members", "missing"),
    [
        ("CreateReplicationInstance", {}, "ReplicationInstanceIdentifier"),
        ("CreateReplicationInstance", {"ReplicationInstanceIdentifier": "a"}, "ReplicationInstanceClass"),
        ("CreateReplicationInstance", {"ReplicationInstanceIdentifier": None}, "ReplicationInstanceIdentifier"),
        ("CreateReplicationInstance", {"ReplicationInstanceIdentifier": ""}, "ReplicationInstanceIdentifier"),
        ("CreateEndpoint", {"EndpointIdentifier": "e", "EndpointType": "source"}, "EngineName"),
        ("StopReplicationTask", {}, "ReplicationTaskArn"),
        ("ReloadTables", {"ReplicationTaskArn": "a", "TablesToReload": [{"TableName": "t"}]}, "SchemaName"),
        ("DescribeReplicationTasks", {"Filters": [{"Name": "x"}]}, "Filters[0].Values"),
        ("AddTagsToResource", {"ResourceArn": "a"}, "Tags"),
    ],
)
def test_missing_members(godwit, operation, members, missing):
    status, answer = send(godwit, operation, json.dumps(members).encode())
    assert (status, answer["__type"]) == (400, VALUE)
    assert missing in answer["message"]


def test_unknown_members_are_ignored(godwit):
    status, answer = send(godwit, "DescribeReplicationTasks", b'{"Nobody": {"knows": ["this", null]}, "Filters": null}')
    assert (status, answer) == (200, {"ReplicationTasks": []})


def test_an_empty_body_is_an_empty_request(godwit):
    assert send(godwit, "DescribeReplicationTasks", b"") == (200, {"ReplicationTasks": []})


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/", "/godwit/v1/tasks/any/compare"])
def test_a_body_of_100_megabytes(godwit, chunked, path):
    """Not kept, but read to its end: a client that writes first and reads then gets the answer, each time."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\n"
    head += "X-Amz-Target: AmazonDMSv20160101.DescribeEvents\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {100 * MEGABYTE}\r\n\r\n"
    block = b"x" * MEGABYTE
    begun = time.monotonic()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", godwit.port), timeout=10) as connection:
            connection.sendall(head.encode())
            for _ in range(100):
                connection.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
            if chunked:
                connection.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            document = json.loads(answer.read())
            assert answer.status == 413
            assert document["message"] == f"The request is larger than {8 * MEGABYTE} bytes."
            if path == "/":
                assert document["__type"] == "RequestEntityTooLargeException"
            assert answer.getheader("Connection") == "close"
    assert time.monotonic() - begun < 10
    assert memory_mb(godwit, "VmHWM") < 200
    assert healthy(godwit)


def test_a_body_just_too_large_and_one_just_small_enough(godwit):
    limit = 8 * MEGABYTE
    start = b'{"ReplicationInstanceIdentifier": "'
    good = start + b"x" * (limit - len(start) - 2) + b'"}'
    assert len(good) == limit
    status, answer = send(godwit, "CreateReplicationInstance", good)
    assert (status, answer["__type"]) == (400, VALUE)
    assert len(answer["message"]) < 1000
    status, answer = send(godwit, "CreateReplicationInstance", good + b" ")
    assert (status, answer["__type"]) == (413, "RequestEntityTooLargeException")
    assert memory_mb(godwit, "VmHWM") < 200


def test_half_a_request_keeps_nobody_waiting(godwit):
    silent = [socket.create_connection(("127.0.0.1", godwit.port), timeout=5) for _ in range(20)]
    try:
        for connection in silent:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        begun = time.monotonic()
        assert healthy(godwit)
        assert time.monotonic() - begun < 2
    finally:
        for connection in silent:
            connection.close()


# --- operations


@pytest.mark.parametrize("operation", ["NoSuchOperation", "", "describeevents", "../x", "a" * 5000])
def test_unknown_operations(godwit, operation):
    status, answer = send(godwit, operation)
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    assert len(answer["message"]) < 1000


@pytest.mark.parametrize("target", [None, "Other_20110101.DescribeEvents", "AmazonDMSv20160101"])
def test_other_targets(godwit, target):
    status, answer = send(godwit, None, headers={} if target is None else {"X-Amz-Target": target})
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


FLEET_ADVISOR = """
CreateFleetAdvisorCollector DeleteFleetAdvisorCollector DeleteFleetAdvisorDatabases DescribeFleetAdvisorCollectors
DescribeFleetAdvisorDatabases DescribeFleetAdvisorLsaAnalysis DescribeFleetAdvisorSchemaObjectSummary
DescribeFleetAdvisorSchemas RunFleetAdvisorLsaAnalysis StartRecommendations BatchStartRecommendations
DescribeRecommendations DescribeRecommendationLimitations
""".split()
EMPTY = {
    "DescribeDataMigrations": "DataMigrations",
    "DescribeDataProviders": "DataProviders",
    "DescribeInstanceProfiles": "InstanceProfiles",
    "DescribeMigrationProjects": "MigrationProjects",
}


def test_operations_that_are_not_there(godwit, dms):
    """All 119 of the service's description have an answer of their own."""
    from answers import MEMBERS

    names = set(dms.meta.service_model.operation_names)
    assert names >= {*FLEET_ADVISOR, *EMPTY, *MEMBERS}
    for name in names - set(MEMBERS):
        status, answer = send(godwit, name)
        if name in EMPTY:
            assert (status, answer) == (200, {EMPTY[name]: []})
        elif name in FLEET_ADVISOR:
            assert status == 400
            assert answer == {"__type": "AccessDeniedFault", "message": "Fleet Advisor is not available in godwit"}
        else:
            assert status == 400
            text = f"{name} is not implemented by godwit yet"
            assert answer == {"__type": "InvalidOperationFault", "message": text}


# --- connections


def failed_test(dms, instance, **members):
    name = f"bad-{hashlib.sha256(repr(members).encode()).hexdigest()[:8]}"
    arn = dms.create_endpoint(
        EndpointIdentifier=name, EndpointType="source",
        **{"EngineName": "postgres", "DatabaseName": "postgres", "Username": "postgres", "Password": "hush-hush", **members},  # noqa: E501
    )["Endpoint"]["EndpointArn"]  # fmt: skip
    assert dms.test_connection(ReplicationInstanceArn=instance, EndpointArn=arn)["Connection"]["Status"] == "testing"

    def tested():
        (one,) = dms.describe_connections(**by("endpoint-arn", arn))["Connections"]
        return one["Status"] != "testing" and one

    one = wait_until(tested)
    assert one["Status"] == "failed"
    assert one["LastFailureMessage"].startswith("Test Endpoint failed: ")
    assert "hush" not in one["LastFailureMessage"]
    return arn, one["LastFailureMessage"]


def test_an_unreachable_host(dms, instance):
    _, text = failed_test(dms, instance, ServerName="127.0.0.1", Port=free_port())
    assert "refused" in text.lower()
    _, text = failed_test(dms, instance, ServerName="no-such-host.invalid", Port=5432)
    assert "no-such-host.invalid" in text


def test_a_bad_password_blocks_the_start(dms, instance, source, unreachable, godwit):
    arn, text = failed_test(dms, instance, ServerName=source.host, Port=source.port)
    assert "password authentication failed" in text
    task = dms.create_replication_task(
        ReplicationTaskIdentifier="blocked", SourceEndpointArn=arn, TargetEndpointArn=unreachable.target,
        ReplicationInstanceArn=instance, MigrationType="full-load", TableMappings=mappings(),
    )["ReplicationTask"]["ReplicationTaskArn"]  # fmt: skip
    waiter = dms.get_waiter("replication_task_ready")
    waiter.wait(**by("replication-task-arn", task), WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    pattern = (
        "^Test connection for replication instance common and endpoint bad-[0-9a-f]{8} should be successful for "
        "starting the replication task$"
    )
    with refused("InvalidResourceStateFault", re.compile(pattern)):
        dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")
    assert "hush" not in godwit.log_text(10000)


def test_a_missing_database(dms, instance, source):
    members = {"Password": source.password, "DatabaseName": "nowhere", "ServerName": source.host, "Port": source.port}
    assert '"nowhere" does not exist' in failed_test(dms, instance, **members)[1]


def test_an_engine_that_is_not_built_in(dms, instance):
    text = failed_test(dms, instance, EngineName="oracle", ServerName="127.0.0.1", Port=1)[1]
    assert "oracle is not built into this release" in text


# --- documents


@pytest.mark.parametrize(
    "document",
    [
        "nonsense",
        "[]",
        "{}",
        '{"rules": {}}',
        '{"rules": []}',
        '{"rules": [5]}',
        '{"rules": [{}]}',
        mappings(**{"rule-id": ""}),
        mappings(**{"rule-type": "selektion"}),
        mappings(**{"rule-action": "maybe"}),
        mappings(**{"object-locator": {"schema-name": "app"}}),
        mappings(**{"object-locator": 5}),
    ],
)
def test_invalid_mappings(dms, instance, unreachable, document):
    with refused(VALUE):
        dms.create_replication_task(
            ReplicationTaskIdentifier="bad", SourceEndpointArn=unreachable.source,
            TargetEndpointArn=unreachable.target, ReplicationInstanceArn=instance, MigrationType="full-load",
            TableMappings=document,
        )  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "x",
        "[]",
        "null",
        {"FullLoadSettings": 5},
        {"FullLoadSettings": {"CommitRate": "many"}},
        {"FullLoadSettings": {"MaxFullLoadSubTasks": 0}},
        {"FullLoadSettings": {"MaxFullLoadSubTasks": 50}},
        {"FullLoadSettings": {"TargetTablePrepMode": "BURN"}},
        {"Logging": {"EnableLogging": "perhaps"}},
    ],
)
def test_invalid_settings(dms, instance, unreachable, settings):
    with refused(VALUE, re.compile("^Invalid task settings JSON")):
        dms.create_replication_task(
            ReplicationTaskIdentifier="bad", SourceEndpointArn=unreachable.source,
            TargetEndpointArn=unreachable.target, ReplicationInstanceArn=instance, MigrationType="full-load",
            TableMappings=mappings(),
            ReplicationTaskSettings=settings if isinstance(settings, str) else json.dumps(settings),
        )  # fmt: skip


# --- signatures


@pytest.fixture(scope="module")
def guarded(godwit_program):
    keys = "AKID:SECRET:123456789012,OTHER:WORD:210987654321"
    with GodwitServer(environment={"GODWIT_ACCESS_KEYS": keys}) as server:
        yield server


def keyed(server, key, secret, **more):
    return checked_client(server, aws_access_key_id=key, aws_secret_access_key=secret, **more)[0]


def test_the_right_key(guarded):
    dms = keyed(guarded, "AKID", "SECRET")
    made = dms.create_replication_instance(
        ReplicationInstanceIdentifier="mine", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]
    assert made["ReplicationInstanceArn"].startswith("arn:aws:dms:us-east-1:123456789012:rep:")
    other = keyed(guarded, "OTHER", "WORD")
    assert other.describe_replication_instances()["ReplicationInstances"] == []
    with refused("ResourceNotFoundFault"):
        other.delete_replication_instance(ReplicationInstanceArn=made["ReplicationInstanceArn"])
    west = keyed(guarded, "AKID", "SECRET", region_name="eu-west-1")
    assert west.describe_replication_instances()["ReplicationInstances"] == []


def test_a_session_token_is_signed_too(guarded):
    keyed(guarded, "AKID", "SECRET", aws_session_token="token").describe_account_attributes()


@pytest.mark.parametrize(
    ("key", "secret", "name"),
    [
        ("AKID", "secret", "InvalidSignatureException"),
        ("AKID", "WORD", "InvalidSignatureException"),
        ("NOBODY", "SECRET", "UnrecognizedClientException"),
        ("akid", "SECRET", "UnrecognizedClientException"),
    ],
)
def test_a_wrong_key(guarded, key, secret, name):
    with refused(name):
        keyed(guarded, key, secret).describe_replication_instances()


def signed(server, body=b"{}", *, service="dms", operation="DescribeEvents"):
    request = AWSRequest("POST", f"{server.url}/", data=body, headers={
        "Content-Type": JSON, "X-Amz-Target": f"AmazonDMSv20160101.{operation}", "Host": f"127.0.0.1:{server.port}",
    })  # fmt: skip
    SigV4Auth(Credentials("AKID", "SECRET"), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


def test_signed_by_hand(guarded):
    assert send(guarded, "DescribeEvents", headers=signed(guarded))[0] == 200


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda h: h.pop("Authorization"), "MissingAuthenticationTokenException"),
        (lambda h: h.update(Authorization="Basic QUtJRDpTRUNSRVQ="), "IncompleteSignatureException"),
        (lambda h: h.update(Authorization="AWS4-HMAC-SHA256"), "IncompleteSignatureException"),
        (lambda h: h.update(Authorization=h["Authorization"].split(", Signature=")[0]), "IncompleteSignatureException"),
        (lambda h: h.update(Authorization=h["Authorization"][:-1]), "InvalidSignatureException"),
        (lambda h: h.pop("X-Amz-Date"), "IncompleteSignatureException"),
        (lambda h: h.update({"X-Amz-Date": "20200101T000000Z"}), "InvalidSignatureException"),
        (lambda h: h.update({"X-Amz-Target": "AmazonDMSv20160101.DescribeCertificates"}), "InvalidSignatureException"),
        (
            lambda h: h.update(Authorization=h["Authorization"].replace("us-east-1", "us-west-1")),
            "InvalidSignatureException",
        ),
        (
            lambda h: h.update(Authorization=h["Authorization"].replace("x-amz-target", "").replace(";,", ",")),
            "InvalidSignatureException",
        ),
    ],
)
def test_a_changed_request(guarded, change, name):
    headers = signed(guarded)
    change(headers)
    operation = headers.pop("X-Amz-Target").rpartition(".")[2]
    status, answer = send(guarded, operation, headers=headers)
    assert (status, answer["__type"]) == (400, name)


def test_a_changed_body(guarded):
    status, answer = send(guarded, "DescribeEvents", b'{"MaxRecords": 20}', headers=signed(guarded))
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


def test_another_service_key(guarded):
    status, answer = send(guarded, "DescribeEvents", headers=signed(guarded, service="s3"))
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


@pytest.mark.parametrize("shift_s", [-3600, 3600])
def test_a_clock_that_is_wrong(guarded, monkeypatch, shift_s):
    import datetime

    import botocore.auth

    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=shift_s)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: then.replace(tzinfo=None))
    headers = signed(guarded)
    assert then.strftime("%Y%m%dT%H") in headers["X-Amz-Date"]
    status, answer = send(guarded, "DescribeEvents", headers=headers)
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


def serve(tmp_path, *arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GODWIT_")}
    return subprocess.run(
        [str(program()), "serve", "--data", str(tmp_path / "data"), *arguments],
        env={**clean, **environment}, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "127.0.0.1.example.org", "192.0.2.1"])
def test_no_open_door_without_keys(tmp_path, host):
    done = serve(tmp_path, "--listen", f"{host}:{free_port()}")
    assert done.returncode == 1
    assert "without access keys" in done.stderr


@pytest.mark.parametrize("keys", ["AKID", "AKID:", ":SECRET", "AKID:SECRET:12", "AKID:SECRET:12345678901x"])
def test_bad_keys_are_no_keys(tmp_path, keys):
    done = serve(tmp_path, "--listen", f"127.0.0.1:{free_port()}", GODWIT_ACCESS_KEYS=keys)
    assert done.returncode == 2
    assert "SECRET" not in done.stderr.replace("KEYID:SECRET", "")


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":80"])
def test_bad_addresses(tmp_path, listen):
    assert serve(tmp_path, "--listen", listen).returncode == 2


def test_one_server_for_one_folder(godwit, tmp_path):
    done = serve(tmp_path, "--data", str(godwit.data), "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode != 0


def test_a_stop_does_not_wait_for_idle_clients(godwit_program):
    with GodwitServer() as server:
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        idle.request("POST", "/", b"{}", {"X-Amz-Target": "AmazonDMSv20160101.DescribeEvents"})
        assert idle.getresponse().read()
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 5
        idle.close()
