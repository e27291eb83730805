"""The command line client against a server that we play ourselves: what it sends, what it shows, how it exits."""

import json
import os
import pty
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from server import free_port

TASK = {
    "ReplicationTaskIdentifier": "move",
    "ReplicationTaskArn": "arn:aws:dms:us-east-1:000000000000:task:ABC",
    "SourceEndpointArn": "arn:aws:dms:us-east-1:000000000000:endpoint:S",
    "TargetEndpointArn": "arn:aws:dms:us-east-1:000000000000:endpoint:T",
    "MigrationType": "full-load",
    "Status": "running",
}


class Fake:
    """Answers by operation name or by method and path; keeps what it was asked."""

    def __init__(self):
        self.requests = []
        self.answers = {
            "DescribeReplicationTasks": {"ReplicationTasks": [TASK]},
            "DescribeEndpoints": {
                "Endpoints": [{"EndpointIdentifier": "shop", "EndpointArn": TASK["SourceEndpointArn"]}]
            },
        }
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                key = operation or f"{self.command} {urlsplit(self.path).path}"
                fake.requests.append((key, self.command, self.path, dict(self.headers), body))
                answer = fake.answers.get(key, (404, {"error": f"no {key}"}))
                if callable(answer):
                    answer = answer(json.loads(body or b"{}"))
                status, document = answer if isinstance(answer, tuple) else (200, answer)
                out = document.encode() if isinstance(document, str) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = reply

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, key):
        return [json.loads(r[4]) for r in self.requests if r[0] == key]


@pytest.fixture
def fake():
    it = Fake()
    yield it
    it.server.shutdown()
    it.server.server_close()


@pytest.fixture
def cli(godwit_program, fake):
    def run(*arguments, stdin=None, **environment):
        return subprocess.run(
            [godwit_program, *arguments],
            env={"PATH": "/usr/bin:/bin", "GODWIT_SERVER": fake.url, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_help_and_version(cli):
    assert cli("--version").stdout.startswith("godwit ")
    shown = cli("--help")
    assert shown.returncode == 0
    for word in ("task", "endpoint", "instance", "completion", "serve", "Exit codes"):
        assert word in shown.stdout
    assert "--until" in cli("task", "watch", "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [[], ["task"], ["task", "show"], ["no-such-word"], ["task", "start", "x", "--type", "never"], ["--no-such-option"]],
)
def test_wrong_usage_is_2(cli, arguments):
    done = cli(*arguments)
    assert done.returncode == 2
    assert done.stderr and not done.stdout


def test_no_server_is_3_and_says_what_to_do(cli):
    done = cli("task", "list", GODWIT_SERVER=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "godwit serve" in done.stderr


def test_the_address_of_aws_tools_is_enough(cli, fake):
    assert cli("task", "list", GODWIT_SERVER="", AWS_ENDPOINT_URL=fake.url).returncode == 0
    nobody = f"http://127.0.0.1:{free_port()}"
    assert cli("task", "list", AWS_ENDPOINT_URL=nobody).returncode == 0  # GODWIT_SERVER wins
    assert cli("--server", fake.url, "task", "list", GODWIT_SERVER=nobody).returncode == 0  # and --server over all


def test_something_else_at_the_address(cli, fake):
    fake.answers["DescribeReplicationTasks"] = "<html>hello</html>"
    done = cli("task", "list")
    assert done.returncode == 1
    assert "not JSON" in done.stderr


def regions_asked(fake, operation):
    signed = [r[3].get("authorization", "") for r in fake.requests if r[0] == operation]
    return [header.split("Credential=")[1].split("/")[2] for header in signed if header]


def test_lists_and_names_know_all_regions(cli, fake):
    """A task made in another region than the shell's is found; what is done to it goes to its region."""
    west = {**TASK, "ReplicationTaskArn": TASK["ReplicationTaskArn"].replace("us-east-1", "eu-west-1")}
    fake.answers["GET /godwit/v1/regions"] = {"regions": ["us-east-1", "eu-west-1"]}
    answers = iter([{"ReplicationTasks": []}, {"ReplicationTasks": [west]}] * 2)
    fake.answers["DescribeReplicationTasks"] = lambda _: next(answers)
    done = cli("task", "list", AWS_REGION="us-east-1")  # a region is signed even without keys
    assert done.returncode == 0 and "move" in done.stdout
    assert regions_asked(fake, "DescribeReplicationTasks") == ["us-east-1", "eu-west-1"]
    fake.answers["StopReplicationTask"] = {"ReplicationTask": {**west, "Status": "stopping"}}
    assert cli("task", "stop", "move").returncode == 0
    assert regions_asked(fake, "StopReplicationTask") == ["eu-west-1"]
    fake.requests.clear()
    fake.answers["DescribeReplicationTasks"] = {"ReplicationTasks": []}
    assert cli("--region", "us-west-2", "task", "list").returncode == 0
    assert regions_asked(fake, "DescribeReplicationTasks") == ["us-west-2"]


def test_a_failed_task_says_why_and_what_next(cli, fake):
    fake.answers["GET /godwit/v1/tasks/ABC"] = report(status="failed", last_error="no space left")
    done = cli("task", "watch", "move")
    assert done.returncode == 1
    assert "no space left" in done.stderr and "godwit task logs move" in done.stderr
    fake.answers["DeleteReplicationTask"] = (
        400,
        {"__type": "InvalidResourceStateFault", "message": "Replication Task move is running or changing (status "
         "running): stop it before trying to delete it"},
    )  # fmt: skip
    assert "godwit task stop" in cli("task", "delete", "move").stderr


def test_an_answer_that_takes_too_long_is_not_a_missing_server(cli, fake):
    fake.answers["POST /godwit/v1/tasks/ABC/compare"] = lambda _: time.sleep(3) or {}
    done = cli("task", "compare", "move", "--timeout", "1")
    assert done.returncode == 1
    assert "--timeout" in done.stderr and "godwit serve" not in done.stderr


@pytest.mark.parametrize("words", ["task compare x", "task cutover x", "task watch x"])
@pytest.mark.parametrize("seconds", ["-1", "1e300", "nan", "many"])
def test_time_limits_are_numbers_of_seconds(cli, words, seconds):
    assert cli(*words.split(), "--timeout", seconds).returncode == 2


def test_no_colours_in_a_pipe_and_colours_on_a_terminal(fake, godwit_program):
    """The same list into a pipe and onto a terminal of our own."""
    environment = {"PATH": "/usr/bin:/bin", "GODWIT_SERVER": fake.url, "TERM": "xterm"}
    command = [str(godwit_program), "task", "list"]
    piped = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=30).stdout
    assert b"\x1b" not in piped
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command, env={**environment, **more}, stdout=theirs)
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how the end of a terminal shows
            pass
        assert process.wait(30) == 0
        os.close(ours)
        assert (b"\x1b" in shown) is coloured, (more, shown)


JSON_COMMANDS = [
    "task list", "task show move", "task watch move --until running", "task start move", "task stop move",
    "task delete move", "task reload move s.a", "task logs move", "task compare move", "task cutover move",
    "endpoint list", "endpoint show shop", "endpoint delete shop", "endpoint test shop", "instance list",
    "instance show one", "instance create one", "instance delete one",
]  # fmt: skip


@pytest.mark.parametrize("words", JSON_COMMANDS)
def test_json_everywhere(cli, fake, words):
    instance = {"ReplicationInstanceIdentifier": "one", "ReplicationInstanceArn": "arn:aws:dms:us-east-1:0:rep:I"}
    instance["ReplicationInstanceStatus"] = "available"
    endpoint = {"EndpointIdentifier": "shop", "EndpointArn": TASK["SourceEndpointArn"]}
    good = {"ok": True, "equal": True, "tables": [{"schema": "s", "table": "a", "equal": True}]}
    fake.answers |= {
        "DescribeReplicationInstances": {"ReplicationInstances": [instance]},
        "DescribeConnections": {"Connections": []},
        "TestConnection": {"Connection": {"Status": "successful"}},
        "DeleteEndpoint": {"Endpoint": endpoint},
        "CreateReplicationInstance": {"ReplicationInstance": instance},
        "DeleteReplicationInstance": {"ReplicationInstance": instance},
        "ReloadTables": {"ReplicationTaskArn": TASK["ReplicationTaskArn"]},
        "GET /godwit/v1/tasks/ABC": report(),
        "GET /godwit/v1/tasks/ABC/logs": {"lines": ["one"]},
        "POST /godwit/v1/tasks/ABC/compare": good,
        "POST /godwit/v1/tasks/ABC/cutover": {"ok": True, "position": "0/1", "sequences": [], "warnings": []},
    }
    for operation in ("StartReplicationTask", "StopReplicationTask", "DeleteReplicationTask"):
        fake.answers[operation] = {"ReplicationTask": TASK}
    done = cli(*words.split(), "--json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_task_list(cli, fake):
    done = cli("task", "list")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[:3] == ["TASK", "STATUS", "TYPE"]
    assert done.stdout.splitlines()[1].split()[:5] == ["move", "running", "full-load", "shop", "T"]
    assert "\033" not in done.stdout
    assert json.loads(cli("task", "list", "--json").stdout) == [TASK]
    assert json.loads(cli("--json", "task", "list").stdout) == [TASK]


def test_every_page_is_read(cli, fake):
    def page(request):
        number = int(request.get("Marker", "0"))
        more = {"Marker": str(number + 1)} if number < 2 else {}
        return {"ReplicationTasks": [{**TASK, "ReplicationTaskIdentifier": f"t{number}"}], **more}

    fake.answers["DescribeReplicationTasks"] = page
    shown = json.loads(cli("task", "list", "--json").stdout)
    assert [t["ReplicationTaskIdentifier"] for t in shown] == ["t0", "t1", "t2"]


def test_names_and_arns(cli, fake):
    fake.answers["GET /godwit/v1/tasks/ABC"] = {"identifier": "move", "status": "running", "lag_ms": 5}
    assert "lag 5 ms" in cli("task", "show", "move").stdout
    assert "lag 5 ms" in cli("task", "show", TASK["ReplicationTaskArn"]).stdout
    filters = [r["Filters"][0] for r in fake.asked("DescribeReplicationTasks")]
    assert filters == [
        {"Name": "replication-task-id", "Values": ["move"]},
        {"Name": "replication-task-arn", "Values": [TASK["ReplicationTaskArn"]]},
    ]


def test_unknown_task(cli, fake):
    fake.answers["DescribeReplicationTasks"] = (
        400,
        {"__type": "ResourceNotFoundFault", "message": "No Tasks found matching provided filters"},
    )
    done = cli("task", "show", "nothing")
    assert done.returncode == 1
    assert "there is no task 'nothing'" in done.stderr and "godwit task list" in done.stderr


def test_without_keys_nothing_is_signed(cli, fake):
    assert cli("task", "list").returncode == 0
    assert all(
        "Authorization" not in headers and "authorization" not in headers for _, _, _, headers, _ in fake.requests
    )


@pytest.mark.parametrize(
    "names", [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("GODWIT_ACCESS_KEY", "GODWIT_SECRET_KEY")]
)
def test_signature_is_the_one_that_botocore_makes(cli, fake, names):
    fake.answers["GET /godwit/v1/tasks/ABC/logs"] = {"lines": ["one"]}
    keys = {names[0]: "AKIDEXAMPLE", names[1]: "secret/with+signs", "AWS_REGION": "eu-central-1"}
    token = {"AWS_SESSION_TOKEN": "a token=="} if names[0].startswith("AWS") else {}
    assert cli("task", "logs", "move", "--lines", "7", **keys, **token).returncode == 0
    assert {r[0] for r in fake.requests} >= {"DescribeReplicationTasks", "GET /godwit/v1/tasks/ABC/logs"}
    for _, method, path, headers, body in fake.requests:
        sent = {k.lower(): v for k, v in headers.items()}
        signed = sent["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        request = AWSRequest(method, fake.url + path, {k: sent[k] for k in signed if k != "x-amz-date"}, body)
        request.context["timestamp"] = sent["x-amz-date"]
        signer = SigV4Auth(Credentials(keys[names[0]], keys[names[1]]), "dms", "eu-central-1")
        request.headers["X-Amz-Date"] = sent["x-amz-date"]
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        assert sent["authorization"].endswith(f"Signature={expected}")
        assert "host" in signed
        assert ("x-amz-security-token" in signed) == bool(token)


def test_refused_keys(cli, fake):
    fake.answers["DescribeReplicationTasks"] = (
        400,
        {"__type": "UnrecognizedClientException", "message": "no such key"},
    )
    done = cli("task", "list")
    assert done.returncode == 1
    assert "GODWIT_ACCESS_KEY" in done.stderr


def test_create_takes_names_and_plain_documents(cli, fake, tmp_path):
    fake.answers["DescribeReplicationInstances"] = {
        "ReplicationInstances": [{"ReplicationInstanceArn": "arn:aws:dms:i"}]
    }
    fake.answers["CreateReplicationTask"] = {"ReplicationTask": {**TASK, "Status": "creating"}}
    fake.answers["DescribeReplicationTasks"] = {"ReplicationTasks": [{**TASK, "Status": "ready"}]}
    document = {
        "ReplicationTaskIdentifier": "move",
        "SourceEndpointArn": "shop",
        "TargetEndpointArn": "arn:aws:dms:us-east-1:000000000000:endpoint:T",
        "ReplicationInstanceArn": "main",
        "MigrationType": "full-load",
        "TableMappings": {"rules": []},
    }
    file = tmp_path / "task.json"
    file.write_text(json.dumps(document))
    for done in (cli("task", "create", "-f", str(file)), cli("task", "create", "-f", "-", stdin=json.dumps(document))):
        assert done.returncode == 0, done.stderr
        assert "godwit task start move" in done.stdout
    (sent, again) = fake.asked("CreateReplicationTask")
    assert sent == again
    assert sent["SourceEndpointArn"] == TASK["SourceEndpointArn"]
    assert sent["ReplicationInstanceArn"] == "arn:aws:dms:i"
    assert json.loads(sent["TableMappings"]) == {"rules": []}
    assert cli("task", "create", "-f", str(tmp_path / "missing")).returncode == 2
    assert cli("task", "create", "-f", "-", stdin="[]").returncode == 2


@pytest.mark.parametrize(
    ("status", "arguments", "expected"),
    [
        ("ready", [], "start-replication"),
        ("stopped", [], "resume-processing"),
        ("failed", [], "resume-processing"),
        ("stopped", ["--type", "reload-target"], "reload-target"),
    ],
)
def test_start_chooses_how(cli, fake, status, arguments, expected):
    fake.answers["DescribeReplicationTasks"] = {"ReplicationTasks": [{**TASK, "Status": status}]}
    fake.answers["StartReplicationTask"] = {"ReplicationTask": {**TASK, "Status": "starting"}}
    done = cli("task", "start", "move", *arguments)
    assert (done.returncode, done.stdout) == (0, "move starting\n")
    assert fake.asked("StartReplicationTask")[0]["StartReplicationTaskType"] == expected


def test_refusals_name_the_next_step(cli, fake):
    fake.answers["StartReplicationTask"] = (
        400,
        {
            "__type": "InvalidResourceStateFault",
            "message": "Test connection for replication instance i and endpoint e should be successful for starting "
            "the replication task",
        },
    )
    done = cli("task", "start", "move")
    assert done.returncode == 1
    assert "InvalidResourceStateFault" in done.stderr and "godwit endpoint test" in done.stderr


def test_reload(cli, fake):
    fake.answers["ReloadTables"] = {"ReplicationTaskArn": TASK["ReplicationTaskArn"]}
    assert cli("task", "reload", "move", "shop.orders", "shop.a.b").returncode == 0
    assert fake.asked("ReloadTables")[0]["TablesToReload"] == [
        {"SchemaName": "shop", "TableName": "orders"},
        {"SchemaName": "shop", "TableName": "a.b"},
    ]
    assert cli("task", "reload", "move", "orders").returncode == 2


def report(**more):
    tables = [
        {"name": {"schema": "s", "table": "a"}, "state": "Table completed", "full_load_rows": 10, "rows_estimate": 10}
    ]
    return {"identifier": "move", "status": "running", "phase": "change processing", "tables": tables, **more}


def test_watch_until(cli, fake):
    path = "GET /godwit/v1/tasks/ABC"
    answers = iter([report(status="starting", phase="", tables=[]), report(phase="full load"), report()])
    fake.answers[path] = lambda _: next(answers)
    done = cli("task", "watch", "move", "--interval", "0.05", "--until", "caught-up")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    fake.answers[path] = report(status="failed", last_error="no space")
    assert cli("task", "watch", "move").returncode == 1
    fake.answers[path] = report(status="stopped")
    assert cli("task", "watch", "move").returncode == 0
    assert cli("task", "watch", "move", "--until", "caught-up").returncode == 0
    assert cli("task", "watch", "move", "--until", "running").returncode == 1
    fake.answers[path] = report(tables=[])
    slow = cli("task", "watch", "move", "--until", "loaded", "--timeout", "0.2", "--interval", "0.05")
    assert slow.returncode == 1 and "still waiting" in slow.stderr
    fake.answers[path] = report()
    lines = cli("task", "watch", "move", "--until", "loaded", "--json").stdout.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["running"]


def test_logs_follow_in_json(fake, godwit_program):
    """An object a line, each line of the log once and as it comes, through a pipe; an interrupt is a good end."""
    path = "GET /godwit/v1/tasks/ABC/logs"
    polls = [["one", 'two "quoted"'], ["one", 'two "quoted"'], ["one", 'two "quoted"', "three"], ["three", "four"]]
    answers = iter(polls)
    fake.answers[path] = lambda _: {"lines": next(answers, polls[-1])}
    process = subprocess.Popen(
        [godwit_program, "task", "logs", "move", "--follow", "--json", "--lines", "2"],
        env={"PATH": "/usr/bin:/bin", "GODWIT_SERVER": fake.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(30, process.kill)  # a line that never comes ends the reading, and the test fails
    watchdog.start()
    try:
        shown = [json.loads(process.stdout.readline() or "null") for _ in range(4)]
        assert shown == [{"line": text} for text in ("one", 'two "quoted"', "three", "four")]
        asked = [r[2] for r in fake.requests if r[0] == path]
        until = time.monotonic() + 10
        while len([r for r in fake.requests if r[0] == path]) <= len(asked) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    finally:
        watchdog.cancel()
        process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
    assert asked[0].endswith("lines=2") and not asked[1].endswith("lines=2")


def test_compare(cli, fake):
    path = "POST /godwit/v1/tasks/ABC/compare"
    table = {"schema": "s", "table": "a", "equal": True, "source_rows": 1000, "target_rows": 1000, "differing_keys": []}
    fake.answers[path] = {"ok": True, "equal": True, "position": "0/1", "tables": [table]}
    done = cli("task", "compare", "move")
    assert done.returncode == 0 and "both sides are equal" in done.stdout and "1,000" in done.stdout
    other = {**table, "table": "b", "equal": False, "target_rows": 999, "differing_keys": ["id=7"]}
    fake.answers[path] = {"ok": True, "equal": False, "tables": [table, other]}
    done = cli("task", "compare", "move")
    assert done.returncode == 4 and "id=7" in done.stdout
    assert cli("task", "compare", "move", "--json").returncode == 4
    fake.answers[path] = {"ok": True, "equal": True, "tables": []}
    assert cli("task", "compare", "move").returncode == 4  # nothing compared proves nothing
    fake.answers[path] = {"ok": False, "error": "the task does not run"}
    done = cli("task", "compare", "move")
    assert done.returncode == 1 and "the task does not run" in done.stderr


def test_cutover(cli, fake):
    path = "POST /godwit/v1/tasks/ABC/cutover"
    fake.answers[path] = {"ok": True, "lag_ms": 3, "position": "0/55", "sequences": ["a", "b"], "warnings": []}
    done = cli("task", "cutover", "move")
    assert done.returncode == 0 and "0/55" in done.stdout and "2 sequences" in done.stdout
    fake.answers[path] = {"ok": False, "error": "changes keep coming"}
    assert cli("task", "cutover", "move").returncode == 1


def test_endpoint_test_waits(cli, fake):
    connection = {"Status": "testing", "EndpointArn": "e"}
    fake.answers["DescribeReplicationInstances"] = {
        "ReplicationInstances": [{"ReplicationInstanceArn": "arn:aws:dms:i"}]
    }
    fake.answers["TestConnection"] = {"Connection": connection}
    states = iter(["testing", "failed"])
    fake.answers["DescribeConnections"] = lambda _: {
        "Connections": [{**connection, "Status": next(states), "LastFailureMessage": "password is wrong"}]
    }
    done = cli("endpoint", "test", "shop")
    assert done.returncode == 1 and "password is wrong" in done.stderr
    fake.answers["TestConnection"] = {"Connection": {**connection, "Status": "successful"}}
    assert cli("endpoint", "test", "shop").returncode == 0
    fake.answers["DescribeReplicationInstances"] = {"ReplicationInstances": []}
    assert "godwit instance create" in cli("endpoint", "test", "shop").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cli, shell):
    script = cli("completion", shell)
    assert script.returncode == 0
    assert "task" in script.stdout
    if shell == "bash":
        probe = (
            script.stdout + '\nCOMP_WORDS=(godwit task wa); COMP_CWORD=2; _godwit; echo "${COMPREPLY[@]}"'
            '\nCOMP_WORDS=(godwit --json task watch move --u); COMP_CWORD=5; _godwit; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, check=True)
        assert done.stdout.split("\n")[:2] == ["watch", "--until"]


def test_unknown_shell(cli):
    assert cli("completion", "csh").returncode == 2
