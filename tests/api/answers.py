"""What an answer must look like: botocore's own model of the service, the members that clients rely on by operation
(members.json) and by status (statuses.json), and the headers. botocore itself parses silently: it drops what it does
not know.

A client made by checked_client() checks every answer that it receives.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from godwit import GodwitServer

MEMBERS = json.loads(Path(__file__).with_name("members.json").read_text())
STATUSES = json.loads(Path(__file__).with_name("statuses.json").read_text())

# Values that the service returns beside those of its description.
MORE_VALUES = {"SourceType": {"replication-task"}}

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_shape(shape: Any, value: Any, path: str) -> list[str]:
    """What is wrong with a value of parsed JSON; nothing when it is as described."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is not an object"]
        out = [f"{path}.{name}: not in the model" for name in value if name not in shape.members]
        out += [f"{path}.{name}: required and absent" for name in shape.required_members if name not in value]
        for name, member in shape.members.items():
            if name in value:
                out += check_shape(member, value[name], f"{path}.{name}")
        return out
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: {value!r} is not a list"]
        return [text for i, item in enumerate(value) for text in check_shape(shape.member, item, f"{path}[{i}]")]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string":
        good = isinstance(value, str)
        if good and shape.enum:
            known = {v.lower() for v in shape.enum} | MORE_VALUES.get(shape.name, set())
            if value.lower() not in known:
                return [f"{path}: {value!r} is not one of {sorted(known)}"]
    elif kind == "boolean":
        good = isinstance(value, bool)
    elif kind in ("integer", "long"):
        good = number and isinstance(value, int)
    elif kind in ("double", "float"):
        good = number
    elif kind == "timestamp":
        if shape.serialization.get("timestampFormat") == "iso8601":
            good = isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value))
        else:
            good = number and 1e9 < value < 4e9  # seconds, not milliseconds
    elif kind == "blob":
        good = isinstance(value, str) and base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    else:
        raise AssertionError(f"{path}: no rule for {kind}")
    return [] if good else [f"{path}: {value!r} is not a {kind}"]


def check_members(needed: Any, value: Any, path: str) -> list[str]:
    """`needed`: names, or names with what is needed below them; below a list it holds for each item."""
    if isinstance(value, list):
        return [text for i, item in enumerate(value) for text in check_members(needed, item, f"{path}[{i}]")]
    out = [f"{path}.{name}: must be present" for name in needed if name not in value]
    if isinstance(needed, dict):
        for name, below in needed.items():
            if below and name in value:
                out += check_members(below, value[name], f"{path}.{name}")
    return out


def check_statuses(shape: Any, value: Any, path: str, seen: set[tuple[str, str]]) -> list[str]:
    """Whatever has a status has the members of that status, wherever it stands in an answer; `seen` gets them."""
    if shape.type_name == "list":
        return [t for i, item in enumerate(value) for t in check_statuses(shape.member, item, f"{path}[{i}]", seen)]
    if shape.type_name != "structure":
        return []
    out = []
    if rules := STATUSES.get(shape.name):
        status = value.get(rules["Field"])
        seen.add((shape.name, status))
        rule = rules["Statuses"].get(status)
        if rule is None:
            out.append(f"{path}: status {status!r} is not in statuses.json")
        else:
            out += [f"{path}.{name}: must be present when {status}" for name in rule["Must"] if name not in value]
            out += [f"{path}.{name}: must be absent when {status}" for name in rule["MustNot"] if name in value]
    for name, member in shape.members.items():
        if name in value:
            out += check_statuses(member, value[name], f"{path}.{name}", seen)
    return out


def check_answer(operation: Any, raw: bytes, seen: set[tuple[str, str]] | None = None) -> list[str]:
    value = json.loads(raw)
    if out := check_shape(operation.output_shape, value, operation.name):
        return out
    out = check_members(MEMBERS.get(operation.name, {}), value, operation.name)
    return out + check_statuses(operation.output_shape, value, operation.name, set() if seen is None else seen)


def check_headers(headers: Any) -> list[str]:
    lower = {name.lower(): value for name, value in headers.items()}
    out = []
    if lower.get("content-type") != "application/x-amz-json-1.1":
        out.append(f"Content-Type is {lower.get('content-type')}")
    if not UUID.fullmatch(lower.get("x-amzn-requestid", "")):
        out.append(f"x-amzn-RequestId is {lower.get('x-amzn-requestid')}")
    out += [f"no {name}" for name in ("date", "content-length") if name not in lower]
    return out


class Seen:
    """The operations that were answered well, the statuses that were shown, and everything that was wrong."""

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.statuses: set[tuple[str, str]] = set()

    def __call__(self, http_response: Any, model: Any, **_: Any) -> None:
        wrong = check_headers(http_response.headers)
        if http_response.status_code == 200:
            wrong += check_answer(model, http_response.content, self.statuses)
            self.operations.add(model.name)
        else:
            error = json.loads(http_response.content)
            if not {"__type", "message"} <= error.keys() <= {"__type", "message", "resourceArn"}:
                wrong.append(f"an error with the members {sorted(error)}")
            if http_response.status_code != 400:
                wrong.append(f"HTTP {http_response.status_code}: {error}")
        assert not wrong, f"{model.name}: " + "; ".join(wrong)


def checked_client(server: GodwitServer, **more: Any) -> tuple[Any, Seen]:
    client, seen = server.client(**more), Seen()
    client.meta.events.register("after-call.database-migration-service", seen)
    return client, seen


class refused:
    """with refused("ResourceNotFoundFault", "No Tasks found ..."): the name exactly; the text exactly, or a regex."""

    def __init__(self, name: str, text: str | re.Pattern[str] | None = None) -> None:
        self.name, self.text = name, text

    def __enter__(self) -> None:
        self.raises = pytest.raises(ClientError)
        self.info = self.raises.__enter__()

    def __exit__(self, *exc: Any) -> bool:
        swallowed = bool(self.raises.__exit__(*exc))
        if swallowed:
            error = self.info.value.response["Error"]
            assert error["Code"] == self.name, error
            if isinstance(self.text, str):
                assert error["Message"] == self.text
            elif self.text is not None:
                assert self.text.search(error["Message"]), error
        return swallowed


def by(name: str, *values: str) -> dict[str, Any]:
    """Filters of one name."""
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def mappings(schema: str = "app", **more: Any) -> str:
    rule = {
        "rule-type": "selection",
        "rule-id": "1",
        "rule-name": "all",
        "rule-action": "include",
        "object-locator": {"schema-name": schema, "table-name": "%"},
        **more,
    }
    return json.dumps({"rules": [rule]})
