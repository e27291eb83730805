"""SecretsManagerSecretId: from a file, from an address; and what it does not go together with."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from answers import by, checked_client, refused
from botocore.exceptions import WaiterError
from godwit import GodwitServer

QUICK = {"Delay": 1, "MaxAttempts": 20}
COMBINATION = "InvalidParameterCombinationException"


def endpoint(dms, name, secret, **more):
    return dms.create_endpoint(
        EndpointIdentifier=name, EndpointType="source", EngineName="postgres", DatabaseName="postgres",
        PostgreSQLSettings={"SecretsManagerSecretId": secret, "SecretsManagerAccessRoleArn": "arn:aws:iam::1:role/r"},
        **more,
    )["Endpoint"]["EndpointArn"]  # fmt: skip


def instance_of(dms):
    arn = dms.create_replication_instance(ReplicationInstanceIdentifier="one", ReplicationInstanceClass="dms.t3.micro")[
        "ReplicationInstance"
    ]["ReplicationInstanceArn"]
    dms.get_waiter("replication_instance_available").wait(**by("replication-instance-arn", arn), WaiterConfig=QUICK)
    return arn


def after_test(dms, instance, arn):
    """The connection, once tested."""
    dms.test_connection(ReplicationInstanceArn=instance, EndpointArn=arn)
    with contextlib.suppress(WaiterError):
        dms.get_waiter("test_connection_succeeds").wait(**by("endpoint-arn", arn), WaiterConfig=QUICK)
    (connection,) = dms.describe_connections(**by("endpoint-arn", arn))["Connections"]
    return connection


def secret_of(server):
    given = server.endpoint()
    return {
        "username": given["Username"], "password": given["Password"],
        "host": given["ServerName"], "port": str(given["Port"]),
    }  # fmt: skip


@pytest.fixture
def manager(source):
    """Answers GetSecretValue as the service does."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.headers, body))
            if body["SecretId"] == "known":
                status, out = 200, {"Name": "known", "SecretString": json.dumps(secret_of(source))}
            else:
                status, out = 400, {"__type": "ResourceNotFoundException", "Message": "no such secret"}
            text = json.dumps(out).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", seen=seen)
    server.shutdown()
    server.server_close()


def test_from_a_file(godwit_program, tmp_path, source):
    file = tmp_path / "secrets.json"
    arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop-AbCdEf"
    file.write_text(json.dumps({"shop": secret_of(source)}))
    with GodwitServer(environment={"GODWIT_SECRETS_FILE": str(file)}) as server:
        dms, _ = checked_client(server)
        instance = instance_of(dms)
        for name, secret in (("by-name", "shop"), ("by-arn", arn)):
            assert after_test(dms, instance, endpoint(dms, name, secret))["Status"] == "successful"
        unknown = after_test(dms, instance, endpoint(dms, "unknown", "nobody"))
        assert unknown["Status"] == "failed"
        assert "nobody" in unknown["LastFailureMessage"]
        # read anew each time
        again = endpoint(dms, "again", "later")
        assert after_test(dms, instance, again)["Status"] == "failed"
        file.write_text(json.dumps({"later": secret_of(source)}))
        assert after_test(dms, instance, again)["Status"] == "successful"
        assert source.endpoint()["Password"] not in server.log_text()


def test_from_an_address(godwit_program, manager):
    environment = {"GODWIT_SECRETS_URL": manager.url, "GODWIT_SECRETS_KEY": "THEKEY:thesecret"}
    with GodwitServer(environment=environment) as server:
        dms, _ = checked_client(server)
        instance = instance_of(dms)
        assert after_test(dms, instance, endpoint(dms, "known", "known"))["Status"] == "successful"
        headers, body = manager.seen[-1]
        assert body == {"SecretId": "known"}
        assert headers["X-Amz-Target"] == "secretsmanager.GetSecretValue"
        assert "Credential=THEKEY/" in headers["Authorization"]
        assert "/us-east-1/secretsmanager/aws4_request" in headers["Authorization"]
        unknown = after_test(dms, instance, endpoint(dms, "unknown", "unknown"))
        assert "ResourceNotFoundException no such secret" in unknown["LastFailureMessage"]


def test_without_a_source_of_secrets(godwit, dms, instance):
    connection = after_test(dms, instance, endpoint(dms, "lost", "shop"))
    assert connection["Status"] == "failed"
    assert "GODWIT_SECRETS_FILE" in connection["LastFailureMessage"]


@pytest.mark.parametrize("more", [{"Username": "u"}, {"Password": "p"}, {"ServerName": "s"}, {"Port": 5432}])
def test_a_secret_and_clear_text(dms, more):
    with refused(COMBINATION):
        endpoint(dms, "both", "shop", **more)


def test_from_clear_text_to_a_secret(dms, unreachable):
    changed = dms.modify_endpoint(
        EndpointArn=unreachable.source, PostgreSQLSettings={"SecretsManagerSecretId": "shop"}
    )["Endpoint"]
    assert not {"Username", "ServerName", "Port"} & (changed.keys() | changed["PostgreSQLSettings"].keys())
    assert changed["PostgreSQLSettings"]["SecretsManagerSecretId"] == "shop"
