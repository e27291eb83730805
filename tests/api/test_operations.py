"""Every operation of this release: what it answers, what it refuses, and with which texts."""

import json
import re
import subprocess
import time
from types import SimpleNamespace

import pytest
from answers import MEMBERS, by, check_members, check_shape, mappings, refused
from waiting import wait_until

NONE = "arn:aws:dms:us-east-1:000000000000:{}:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ARN = r"arn:aws:dms:us-east-1:000000000000:{}:[A-Z2-7]{{26}}"
NOT_FOUND = "ResourceNotFoundFault"
EXISTS = "ResourceAlreadyExistsFault"
STATE = "InvalidResourceStateFault"
VALUE = "InvalidParameterValueException"
COMBINATION = "InvalidParameterCombinationException"
QUICK = {"Delay": 1, "MaxAttempts": 30}


def new_instance(dms, name, **more):
    more.setdefault("ReplicationInstanceClass", "dms.t3.medium")
    created = dms.create_replication_instance(ReplicationInstanceIdentifier=name, **more)["ReplicationInstance"]
    arn = created["ReplicationInstanceArn"]
    wait_until(lambda: the_instance(dms, arn)["ReplicationInstanceStatus"] == "available")
    return created


def the_instance(dms, arn):
    (one,) = dms.describe_replication_instances(**by("replication-instance-arn", arn))["ReplicationInstances"]
    return one


def new_task(dms, name, instance, ends, kind="full-load", **more):
    more.setdefault("TableMappings", mappings())
    return dms.create_replication_task(
        ReplicationTaskIdentifier=name, SourceEndpointArn=ends.source, TargetEndpointArn=ends.target,
        ReplicationInstanceArn=instance, MigrationType=kind, **more,
    )["ReplicationTask"]  # fmt: skip


def the_task(dms, arn, **more):
    (one,) = dms.describe_replication_tasks(**by("replication-task-arn", arn), **more)["ReplicationTasks"]
    return one


def task_is(dms, arn, *statuses):
    return wait_until(lambda: the_task(dms, arn)["Status"] in statuses and the_task(dms, arn))


def delete_task(dms, arn):
    dms.delete_replication_task(ReplicationTaskArn=arn)
    dms.get_waiter("replication_task_deleted").wait(**by("replication-task-arn", arn), WaiterConfig=QUICK)


def certificate_pem(folder, days=30):
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", "/CN=test",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (folder / "cert.pem").read_text(), (folder / "key.pem").read_text()


# --- the checks themselves


def test_the_validator_notices(dms):
    shape = dms.meta.service_model.operation_model("DescribeReplicationTasks").output_shape
    good = {"ReplicationTasks": [{"Status": "ready", "ReplicationTaskCreationDate": 1700000000.5}]}
    assert check_shape(shape, good, "") == []
    for wrong in (
        {"Replicationtasks": []},
        {"ReplicationTasks": {}},
        {"Marker": None},
        {"ReplicationTasks": [{"Status": 5}]},
        {"ReplicationTasks": [{"Latency": 5}]},
        {"ReplicationTasks": [{"MigrationType": "some"}]},
        {"ReplicationTasks": [{"ReplicationTaskCreationDate": 1700000000500}]},
        {"ReplicationTasks": [{"ReplicationTaskCreationDate": "2020-01-01T00:00:00Z"}]},
        {"ReplicationTasks": [{"ReplicationTaskStats": {"TablesLoaded": 1.0}}]},
        {"ReplicationTasks": [{"ReplicationTaskStats": {"TablesLoaded": True}}]},
    ):
        assert len(check_shape(shape, wrong, "")) == 1, wrong
    assert len(check_members(MEMBERS["DescribeReplicationTasks"], good, "")) == 8
    assert check_members({"A": {"B": []}}, {"A": [{"B": 1}, {}]}, "x") == ["x.A[1].B: must be present"]


# --- all of them, once, on a real task


def test_a_tour_of_every_operation(dms_and_seen, godwit, source, tmp_path):
    dms, seen = dms_and_seen
    source.sql("create schema app; create table app.t (id int primary key); insert into app.t values (1), (2)")
    source.create_database("copy")
    seen.operations.clear()

    # instances
    group = dms.create_replication_subnet_group(
        ReplicationSubnetGroupIdentifier="Tour.Group_1",
        ReplicationSubnetGroupDescription="of the tour",
        SubnetIds=["subnet-1", "subnet-2"],
    )["ReplicationSubnetGroup"]
    assert group["ReplicationSubnetGroupIdentifier"] == "tour.group_1"
    assert [s["SubnetIdentifier"] for s in group["Subnets"]] == ["subnet-1", "subnet-2"]
    assert group["SubnetGroupStatus"] == "Complete"
    changed = dms.modify_replication_subnet_group(
        ReplicationSubnetGroupIdentifier="tour.group_1", SubnetIds=["subnet-3"]
    )["ReplicationSubnetGroup"]
    assert changed["ReplicationSubnetGroupDescription"] == "of the tour"
    assert len(dms.describe_replication_subnet_groups()["ReplicationSubnetGroups"]) == 1
    created = dms.create_replication_instance(
        ReplicationInstanceIdentifier="Tour-One",
        ReplicationInstanceClass="dms.t3.medium",
        ReplicationSubnetGroupIdentifier="Tour.Group_1",
        VpcSecurityGroupIds=["sg-1"],
        Tags=[{"Key": "made", "Value": "at creation"}],
    )["ReplicationInstance"]
    assert created["ReplicationInstanceStatus"] == "creating"
    assert created["ReplicationInstanceIdentifier"] == "tour-one"
    instance = created["ReplicationInstanceArn"]
    assert re.fullmatch(ARN.format("rep"), instance)
    dms.get_waiter("replication_instance_available").wait(
        **by("replication-instance-arn", instance), WaiterConfig=QUICK
    )
    assert the_instance(dms, instance)["ReplicationSubnetGroup"]["Subnets"][0]["SubnetIdentifier"] == "subnet-3"
    dms.modify_replication_instance(ReplicationInstanceArn=instance, AllocatedStorage=60, ApplyImmediately=True)
    wait_until(lambda: the_instance(dms, instance)["AllocatedStorage"] == 60)
    wait_until(lambda: the_instance(dms, instance)["ReplicationInstanceStatus"] == "available")
    assert dms.reboot_replication_instance(ReplicationInstanceArn=instance)["ReplicationInstance"][
        "ReplicationInstanceStatus"
    ] == ("rebooting")
    wait_until(lambda: the_instance(dms, instance)["ReplicationInstanceStatus"] == "available")
    second = new_instance(dms, "tour-two")["ReplicationInstanceArn"]
    assert dms.describe_pending_maintenance_actions()["PendingMaintenanceActions"] == []
    dms.apply_pending_maintenance_action(
        ReplicationInstanceArn=instance, ApplyAction="os-upgrade", OptInType="immediate"
    )
    dms.describe_account_attributes()
    dms.describe_orderable_replication_instances()
    dms.describe_engine_versions()

    # endpoints
    certificate = dms.import_certificate(CertificateIdentifier="tour", CertificatePem=certificate_pem(tmp_path)[0])
    certificate = certificate["Certificate"]["CertificateArn"]
    assert re.fullmatch(ARN.format("cert"), certificate)
    ends = {}
    for kind, database in (("source", "postgres"), ("target", "copy")):
        made = dms.create_endpoint(EndpointIdentifier=f"Tour-{kind}", EndpointType=kind, **source.endpoint(database))[
            "Endpoint"
        ]
        assert (made["Status"], made["EndpointType"]) == ("active", kind.upper())
        assert made["EngineDisplayName"] == "PostgreSQL"
        assert "Password" not in json.dumps(made, default=str)
        ends[kind] = made["EndpointArn"]
        assert re.fullmatch(ARN.format("endpoint"), ends[kind])
    dms.modify_endpoint(EndpointArn=ends["target"], ExtraConnectionAttributes="a=b")
    dms.describe_endpoints(**by("endpoint-arn", ends["target"]))
    dms.describe_endpoint_types()
    dms.describe_endpoint_settings(EngineName="postgres")
    for arn in ends.values():
        tested = dms.test_connection(ReplicationInstanceArn=instance, EndpointArn=arn)["Connection"]
        assert tested["Status"] == "testing"
        dms.get_waiter("test_connection_succeeds").wait(**by("endpoint-arn", arn), WaiterConfig=QUICK)
    assert dms.describe_schemas(EndpointArn=ends["source"])["Schemas"] == []
    dms.refresh_schemas(EndpointArn=ends["source"], ReplicationInstanceArn=instance)

    def refreshed():
        return dms.describe_refresh_schemas_status(EndpointArn=ends["source"])["RefreshSchemasStatus"]

    wait_until(lambda: refreshed()["Status"] == "successful")
    assert "LastRefreshDate" in refreshed()
    assert "app" in dms.describe_schemas(EndpointArn=ends["source"])["Schemas"]

    # tasks
    task = dms.create_replication_task(
        ReplicationTaskIdentifier="Tour-Task", SourceEndpointArn=ends["source"], TargetEndpointArn=ends["target"],
        ReplicationInstanceArn=second, MigrationType="full-load-and-cdc", TableMappings=mappings(),
    )["ReplicationTask"]  # fmt: skip
    assert task["Status"] == "creating"
    task = task["ReplicationTaskArn"]
    assert re.fullmatch(ARN.format("task"), task)
    dms.get_waiter("replication_task_ready").wait(**by("replication-task-arn", task), WaiterConfig=QUICK)
    moved = dms.move_replication_task(ReplicationTaskArn=task, TargetReplicationInstanceArn=instance)
    assert moved["ReplicationTask"]["Status"] == "moving"
    assert task_is(dms, task, "ready")["ReplicationInstanceArn"] == instance
    modified = dms.modify_replication_task(ReplicationTaskArn=task, TableMappings=mappings("app"))["ReplicationTask"]
    assert modified["Status"] == "modifying"
    task_is(dms, task, "ready")
    assert dms.describe_table_statistics(ReplicationTaskArn=task)["TableStatistics"] == []
    dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")
    dms.get_waiter("replication_task_running").wait(**by("replication-task-arn", task), WaiterConfig=QUICK)

    def statistics():
        return dms.describe_table_statistics(ReplicationTaskArn=task)["TableStatistics"]

    wait_until(lambda: [t["TableState"] for t in statistics()] == ["Table completed"])
    assert statistics()[0]["FullLoadRows"] == 2
    dms.reload_tables(ReplicationTaskArn=task, TablesToReload=[{"SchemaName": "app", "TableName": "t"}])
    wait_until(lambda: statistics()[0]["FullLoadReloaded"] and statistics()[0]["TableState"] == "Table completed")
    (log,) = dms.describe_replication_instance_task_logs(ReplicationInstanceArn=instance)["ReplicationInstanceTaskLogs"]
    assert (log["ReplicationTaskArn"], log["ReplicationTaskName"]) == (task, "Tour-Task")
    assert log["ReplicationInstanceTaskLogSize"] > 0
    assert dms.stop_replication_task(ReplicationTaskArn=task)["ReplicationTask"]["Status"] == "stopping"
    dms.get_waiter("replication_task_stopped").wait(**by("replication-task-arn", task), WaiterConfig=QUICK)

    # tags, certificates, events
    for arn in (instance, task, certificate, ends["source"], "arn:aws:dms:us-east-1:000000000000:subgrp:tour.group_1"):
        dms.add_tags_to_resource(ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}, {"Key": "l", "Value": ""}])
        assert {"Key": "k", "Value": "v"} in dms.list_tags_for_resource(ResourceArn=arn)["TagList"]
        dms.remove_tags_from_resource(ResourceArn=arn, TagKeys=["k", "other"])
        keys = [t["Key"] for t in dms.list_tags_for_resource(ResourceArn=arn)["TagList"]]
        assert keys == (["made", "l"] if arn == instance else ["l"])
    assert dms.describe_certificates()["Certificates"][0]["KeyLength"] == 2048
    dms.delete_certificate(CertificateArn=certificate)
    texts = [e["Message"] for e in dms.describe_events(SourceIdentifier="Tour-Task")["Events"]]
    assert "Replication task has been created." in texts
    assert "Replication task has started, with flag = fresh start." in texts
    assert "Replication task's table reload was requested." in texts
    assert "Replication task has stopped. Stop Reason NORMAL" in texts
    dms.describe_event_categories()

    # and all of it away again
    delete_task(dms, task)
    dms.delete_connection(ReplicationInstanceArn=instance, EndpointArn=ends["source"])
    wait_until(lambda: dms.describe_connections(**by("endpoint-arn", ends["source"]))["Connections"] == [])
    for arn in ends.values():
        assert dms.delete_endpoint(EndpointArn=arn)["Endpoint"]["Status"] == "deleting"
        dms.get_waiter("endpoint_deleted").wait(**by("endpoint-arn", arn), WaiterConfig=QUICK)
    for arn in (instance, second):
        deleted = dms.delete_replication_instance(ReplicationInstanceArn=arn)["ReplicationInstance"]
        assert deleted["ReplicationInstanceStatus"] == "deleting"
        dms.get_waiter("replication_instance_deleted").wait(**by("replication-instance-arn", arn), WaiterConfig=QUICK)
    assert dms.describe_connections()["Connections"] == []
    dms.delete_replication_subnet_group(ReplicationSubnetGroupIdentifier="tour.group_1")
    assert seen.operations == set(MEMBERS)


# --- instances


def test_instance_defaults(dms):
    created = new_instance(dms, "Defaults")
    assert "InstanceCreateTime" not in created
    assert "AvailabilityZone" not in created
    assert not [name for name in created if "Address" in name and created[name]]
    one = the_instance(dms, created["ReplicationInstanceArn"])
    assert one["AutoMinorVersionUpgrade"] is True
    assert one["PubliclyAccessible"] is True
    assert one["MultiAZ"] is False
    assert one["NetworkType"] == "IPV4"
    assert one["EngineVersion"] == "3.5.4"
    assert one["AllocatedStorage"] == 50
    assert one["PendingModifiedValues"] == {}
    assert one["ReplicationSubnetGroup"]["ReplicationSubnetGroupIdentifier"] == "default"
    day = "(mon|tue|wed|thu|fri|sat|sun)"
    assert re.fullmatch(rf"{day}:\d\d:\d\d-{day}:\d\d:\d\d", one["PreferredMaintenanceWindow"])
    big = dms.create_replication_instance(
        ReplicationInstanceIdentifier="big", ReplicationInstanceClass="dms.c5.large", MultiAZ=True
    )["ReplicationInstance"]
    assert big["AllocatedStorage"] == 100
    wait_until(lambda: the_instance(dms, big["ReplicationInstanceArn"])["ReplicationInstanceStatus"] == "available")
    zones = the_instance(dms, big["ReplicationInstanceArn"])
    assert zones["AvailabilityZone"] != zones["SecondaryAvailabilityZone"]


def test_pending_values_of_an_instance(dms):
    arn = new_instance(dms, "pending")["ReplicationInstanceArn"]
    answer = dms.modify_replication_instance(ReplicationInstanceArn=arn, ReplicationInstanceClass="dms.t3.large")
    assert answer["ReplicationInstance"]["ReplicationInstanceStatus"] == "available"
    assert answer["ReplicationInstance"]["PendingModifiedValues"] == {"ReplicationInstanceClass": "dms.t3.large"}
    assert the_instance(dms, arn)["ReplicationInstanceClass"] == "dms.t3.medium"
    dms.modify_replication_instance(ReplicationInstanceArn=arn, AllocatedStorage=80)
    answer = dms.modify_replication_instance(ReplicationInstanceArn=arn, AllocatedStorage=50)  # as it is: withdrawn
    assert answer["ReplicationInstance"]["PendingModifiedValues"] == {"ReplicationInstanceClass": "dms.t3.large"}
    with refused(COMBINATION, "No modifications were requested"):
        dms.modify_replication_instance(ReplicationInstanceArn=arn, AllocatedStorage=50)
    answer = dms.modify_replication_instance(ReplicationInstanceArn=arn, MultiAZ=True, ApplyImmediately=True)
    assert answer["ReplicationInstance"]["ReplicationInstanceStatus"] == "modifying"
    one = wait_until(lambda: the_instance(dms, arn)["MultiAZ"] and the_instance(dms, arn))
    assert (one["ReplicationInstanceClass"], one["PendingModifiedValues"]) == ("dms.t3.large", {})
    answer = dms.modify_replication_instance(ReplicationInstanceArn=arn, EngineVersion="3.6.1", ApplyImmediately=True)
    assert answer["ReplicationInstance"]["ReplicationInstanceStatus"] == "upgrading"
    with refused(STATE):
        dms.modify_replication_instance(ReplicationInstanceArn=arn, AllocatedStorage=70)
    wait_until(lambda: the_instance(dms, arn)["EngineVersion"] == "3.6.1")
    with refused(COMBINATION, "No modifications were requested"):
        dms.modify_replication_instance(ReplicationInstanceArn=arn, EngineVersion="3.6.1")
    with refused(COMBINATION):
        dms.reboot_replication_instance(ReplicationInstanceArn=arn, ForceFailover=True, ForcePlannedFailover=True)
    dms.reboot_replication_instance(ReplicationInstanceArn=arn, ForceFailover=True)
    with refused(STATE):
        dms.reboot_replication_instance(ReplicationInstanceArn=arn)


def window(from_minutes, to_minutes):
    """A maintenance window around now."""
    ends = [time.gmtime(time.time() + 60 * minutes) for minutes in (from_minutes, to_minutes)]
    return "-".join(time.strftime("%a:%H:%M", at).lower() for at in ends)


def test_pending_values_wait_for_the_window(dms):
    arn = new_instance(dms, "windowed", PreferredMaintenanceWindow=window(120, 180))["ReplicationInstanceArn"]
    dms.modify_replication_instance(ReplicationInstanceArn=arn, AllocatedStorage=60)
    time.sleep(0.5)
    assert the_instance(dms, arn)["PendingModifiedValues"] == {"AllocatedStorage": 60}
    assert the_instance(dms, arn)["AllocatedStorage"] == 50
    answer = dms.modify_replication_instance(
        ReplicationInstanceArn=arn, EngineVersion="3.6.1", PreferredMaintenanceWindow=window(-10, 60)
    )["ReplicationInstance"]
    assert (answer["ReplicationInstanceStatus"], answer["EngineVersion"]) == ("available", "3.5.4")
    one = wait_until(lambda: (one := the_instance(dms, arn))["EngineVersion"] == "3.6.1" and one)
    assert (one["AllocatedStorage"], one["PendingModifiedValues"]) == (60, {})
    wait_until(lambda: the_instance(dms, arn)["ReplicationInstanceStatus"] == "available")
    texts = [e["Message"] for e in dms.describe_events(SourceIdentifier="windowed")["Events"]]
    assert "The storage for the replication instance is being increased." in texts
    assert "The replication instance's software has been updated." in texts


def test_pending_values_can_be_had_at_once(dms):
    arn = new_instance(dms, "impatient", PreferredMaintenanceWindow=window(120, 180))["ReplicationInstanceArn"]
    dms.modify_replication_instance(ReplicationInstanceArn=arn, AllocatedStorage=60)
    answer = dms.modify_replication_instance(ReplicationInstanceArn=arn, ApplyImmediately=True)["ReplicationInstance"]
    assert answer["ReplicationInstanceStatus"] == "modifying"
    wait_until(lambda: the_instance(dms, arn)["AllocatedStorage"] == 60)


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"ReplicationInstanceIdentifier": "1digit"}, VALUE),
        ({"ReplicationInstanceIdentifier": "a--b"}, VALUE),
        ({"ReplicationInstanceIdentifier": "a-"}, VALUE),
        ({"ReplicationInstanceIdentifier": "a_b"}, VALUE),
        ({"ReplicationInstanceIdentifier": "a" * 64}, VALUE),
        ({"ReplicationInstanceIdentifier": "COMMON"}, EXISTS),
        ({"ReplicationInstanceClass": "dms.x9.tiny"}, VALUE),
        ({"AllocatedStorage": 4}, VALUE),
        ({"AllocatedStorage": 6145}, VALUE),
        ({"EngineVersion": "1.0.0"}, VALUE),
        ({"MultiAZ": True, "AvailabilityZone": "us-east-1a"}, COMBINATION),
        ({"PreferredMaintenanceWindow": "mon:10:00-mon:10:29"}, VALUE),
        ({"PreferredMaintenanceWindow": "someday"}, VALUE),
        ({"NetworkType": "IPV5"}, VALUE),
        ({"ReplicationSubnetGroupIdentifier": "missing"}, NOT_FOUND),
        ({"ResourceIdentifier": "a" * 32}, VALUE),
        ({"ResourceIdentifier": "a--b"}, VALUE),
        ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, VALUE),
        ({"Tags": [{"Key": "k" * 129, "Value": "y"}]}, VALUE),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, VALUE),
    ],
)
def test_instances_refused(dms, instance, members, name):
    before = len(dms.describe_replication_instances()["ReplicationInstances"])
    with refused(name):
        dms.create_replication_instance(
            **{"ReplicationInstanceIdentifier": "refused", "ReplicationInstanceClass": "dms.t3.medium", **members}
        )
    assert len(dms.describe_replication_instances()["ReplicationInstances"]) == before


def test_longest_identifiers(dms):
    one = dms.create_replication_instance(
        ReplicationInstanceIdentifier="a" * 63, ReplicationInstanceClass="dms.t3.medium", ResourceIdentifier="Kept-" + "x" * 26  # noqa: E501
    )["ReplicationInstance"]  # fmt: skip
    assert one["ReplicationInstanceArn"] == "arn:aws:dms:us-east-1:000000000000:rep:Kept-" + "x" * 26
    with refused(EXISTS):
        dms.create_replication_instance(
            ReplicationInstanceIdentifier="other", ReplicationInstanceClass="dms.t3.medium", ResourceIdentifier="Kept-" + "x" * 26  # noqa: E501
        )  # fmt: skip


def test_an_instance_in_use_stays(dms, instance, unreachable):
    task = new_task(dms, "keeps-the-instance", instance, unreachable)["ReplicationTaskArn"]
    task_is(dms, task, "ready")
    with refused(STATE):
        dms.delete_replication_instance(ReplicationInstanceArn=instance)
    for arn in (unreachable.source, unreachable.target):
        with refused(STATE):
            dms.delete_endpoint(EndpointArn=arn)
    delete_task(dms, task)


@pytest.mark.parametrize("identifier", ["default", "DEFAULT", "a" * 256, "a/b"])
def test_subnet_group_names_refused(dms, identifier):
    with refused(VALUE):
        dms.create_replication_subnet_group(
            ReplicationSubnetGroupIdentifier=identifier, ReplicationSubnetGroupDescription="d", SubnetIds=["s"]
        )


def test_subnet_group_rules(dms):
    group = {"ReplicationSubnetGroupDescription": "d", "SubnetIds": ["subnet-1"]}
    dms.create_replication_subnet_group(ReplicationSubnetGroupIdentifier="Used", **group)
    with refused(EXISTS):
        dms.create_replication_subnet_group(ReplicationSubnetGroupIdentifier="uSED", **group)
    new_instance(dms, "user-of-group", ReplicationSubnetGroupIdentifier="used")
    with refused(STATE):
        dms.delete_replication_subnet_group(ReplicationSubnetGroupIdentifier="used")
    for call in (
        dms.delete_replication_subnet_group,
        lambda **m: dms.modify_replication_subnet_group(SubnetIds=["s"], **m),
    ):
        with refused(NOT_FOUND):
            call(ReplicationSubnetGroupIdentifier="missing")


def test_what_can_be_ordered(dms):
    all_of = list(
        dms.get_paginator("describe_orderable_replication_instances").paginate(PaginationConfig={"PageSize": 20})
    )
    assert all(len(page["OrderableReplicationInstances"]) == 20 for page in all_of[:-1])
    offers = [o for page in all_of for o in page["OrderableReplicationInstances"]]
    assert len({(o["EngineVersion"], o["ReplicationInstanceClass"]) for o in offers}) == len(offers)
    families = {o["ReplicationInstanceClass"].split(".")[1] for o in offers}
    assert families == {"t2", "t3", "c4", "c5", "c6i", "r4", "r5", "r6i"}
    assert {(o["StorageType"], o["MinAllocatedStorage"], o["MaxAllocatedStorage"]) for o in offers} == {
        ("gp2", 5, 6144)
    }
    versions = dms.describe_engine_versions()["EngineVersions"]
    assert {v["Version"] for v in versions} == {o["EngineVersion"] for o in offers}
    assert [v["Version"] for v in versions if v["Lifecycle"] == "DEFAULT_VERSION"] == ["3.5.4"]
    known = {v["Version"] for v in versions}
    assert all(set(v["AvailableUpgrades"]) <= known for v in versions)


def test_account_attributes(dms, instance):
    answer = dms.describe_account_attributes()
    assert re.fullmatch("[a-z0-9]{12}", answer["UniqueAccountIdentifier"])
    quotas = {q["AccountQuotaName"]: q for q in answer["AccountQuotas"]}
    count = len(dms.describe_replication_instances()["ReplicationInstances"])
    assert quotas["ReplicationInstances"]["Used"] == count
    assert {"AllocatedStorage", "Endpoints"} <= quotas.keys()


@pytest.mark.parametrize(("action", "opt_in"), [("no-such", "immediate"), ("os-upgrade", "some-day")])
def test_maintenance_refused(dms, instance, action, opt_in):
    with refused(VALUE):
        dms.apply_pending_maintenance_action(ReplicationInstanceArn=instance, ApplyAction=action, OptInType=opt_in)


# --- endpoints


def new_endpoint(dms, name, kind="source", **more):
    return dms.create_endpoint(EndpointIdentifier=name, EndpointType=kind, **{"EngineName": "postgres", **more})[
        "Endpoint"
    ]


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"EndpointIdentifier": "-a"}, VALUE),
        ({"EndpointIdentifier": "NOWHERE-source"}, EXISTS),
        ({"EngineName": "no-such-engine"}, VALUE),
        ({"EngineName": "kafka"}, COMBINATION),
        ({"EndpointType": "middle"}, VALUE),
        ({"Port": 0}, VALUE),
        ({"Port": 65536}, VALUE),
        ({"SslMode": "some"}, VALUE),
        ({"CertificateArn": NONE.format("cert")}, NOT_FOUND),
        ({"ExtraConnectionAttributes": "nothing"}, VALUE),
        ({"Username": "u", "PostgreSQLSettings": {"SecretsManagerSecretId": "s"}}, COMBINATION),
        ({"Password": "p", "PostgreSQLSettings": {"SecretsManagerSecretId": "s"}}, COMBINATION),
    ],
)
def test_endpoints_refused(dms, unreachable, members, name):
    with refused(name):
        dms.create_endpoint(
            **{"EndpointIdentifier": "refused", "EndpointType": "source", "EngineName": "postgres", **members}
        )


def test_address_in_settings_and_on_top(dms):
    made = new_endpoint(
        dms, "mirrored", ServerName="top", Port=1000, Username="me", Password="hidden-1",
        PostgreSQLSettings={"ServerName": "inner", "DatabaseName": "d", "Password": "hidden-2", "HeartbeatEnable": True},  # noqa: E501
    )  # fmt: skip
    inner = made["PostgreSQLSettings"]
    assert (made["ServerName"], made["Port"], made["Username"], made["DatabaseName"]) == ("inner", 1000, "me", "d")
    assert (inner["ServerName"], inner["Port"], inner["Username"], inner["DatabaseName"]) == ("inner", 1000, "me", "d")
    assert inner["HeartbeatEnable"] is True
    arn = made["EndpointArn"]
    for more, kept in (({}, True), ({"ExactSettings": True}, False)):
        changed = dms.modify_endpoint(EndpointArn=arn, PostgreSQLSettings={"SlotName": "s"}, **more)["Endpoint"]
        assert changed["PostgreSQLSettings"]["SlotName"] == "s"
        assert ("HeartbeatEnable" in changed["PostgreSQLSettings"]) is kept
    changed = dms.modify_endpoint(EndpointArn=arn, ServerName="new")["Endpoint"]
    assert (changed["ServerName"], changed["PostgreSQLSettings"]["ServerName"]) == ("new", "new")
    assert dms.modify_endpoint(EndpointArn=arn, ExtraConnectionAttributes="a=b;c=d")["Endpoint"][
        "ExtraConnectionAttributes"
    ] == ("a=b;c=d")
    reset = dms.modify_endpoint(EndpointArn=arn, ExtraConnectionAttributes="")["Endpoint"]
    assert not reset.get("ExtraConnectionAttributes")
    with refused(COMBINATION, "No modifications were requested"):
        dms.modify_endpoint(EndpointArn=arn)
    shown = json.dumps(dms.describe_endpoints(), default=str)
    assert "hidden" not in shown


def test_s3_defaults(dms):
    made = new_endpoint(
        dms, "bucket", "target", EngineName="s3", S3Settings={"BucketName": "b", "BucketFolder": "f", "ServiceAccessRoleArn": "r"}  # noqa: E501
    )  # fmt: skip
    s3 = made["S3Settings"]
    assert (s3["CsvRowDelimiter"], s3["CsvDelimiter"], s3["CompressionType"]) == ("\\n", ",", "NONE")
    assert s3["EnableStatistics"] is True
    assert made["EngineDisplayName"] == "Amazon S3"
    assert made["ExtraConnectionAttributes"] == (
        "bucketFolder=f;bucketName=b;compressionType=NONE;csvDelimiter=,;csvRowDelimiter=\\n;"
    )


@pytest.mark.parametrize(
    ("engine", "name"),
    [("mysql", "MySQL"), ("aurora", "Amazon Aurora MySQL"), ("redis", "Redis"), ("Postgres", "PostgreSQL")],
)
def test_engine_display_names(dms, engine, name):
    made = new_endpoint(dms, f"named-{engine}", "target", EngineName=engine)
    assert (made["EngineDisplayName"], made["EngineName"], made["SslMode"]) == (name, engine.lower(), "none")


def test_endpoint_types_and_settings(dms):
    types = dms.describe_endpoint_types()["SupportedEndpointTypes"]
    assert {(t["EngineName"], t["EndpointType"]) for t in types} >= {("postgres", "source"), ("postgres", "target")}
    assert {t["EndpointType"] for t in types} == {"source", "target"}
    (one,) = dms.describe_endpoint_types(
        Filters=[{"Name": "engine-name", "Values": ["postgres"]}, {"Name": "endpoint-type", "Values": ["source"]}]
    )["SupportedEndpointTypes"]
    assert one["SupportsCDC"] is True
    assert dms.describe_endpoint_types(**by("engine-name", "nothing"))["SupportedEndpointTypes"] == []
    settings = {s["Name"]: s for s in dms.describe_endpoint_settings(EngineName="postgres")["EndpointSettings"]}
    assert (settings["Password"]["Sensitive"], settings["Password"]["Type"]) == (True, "string")
    assert (settings["Port"]["Type"], settings["Port"]["IntValueMax"]) == ("integer", 65535)
    assert settings["HeartbeatEnable"]["Type"] == "boolean"
    assert "test_decoding" in " ".join(settings["PluginName"]["EnumValues"]).replace("-", "_")
    with refused(VALUE):
        dms.describe_endpoint_settings(EngineName="nothing")


def test_never_refreshed_schemas(dms, unreachable):
    with refused(NOT_FOUND):
        dms.describe_refresh_schemas_status(EndpointArn=unreachable.target)
    assert dms.describe_schemas(EndpointArn=unreachable.target)["Schemas"] == []


# --- tasks


def test_task_identifiers(dms, instance, unreachable):
    task = new_task(dms, "A" + "b" * 254, instance, unreachable)
    assert task["ReplicationTaskIdentifier"] == "A" + "b" * 254
    for name in ("A" + "b" * 255, "9a", "a--b", "a-", "a.b", "a b"):
        with refused(VALUE):
            new_task(dms, name, instance, unreachable)
    with refused(EXISTS, "A task with this name already exists"):
        new_task(dms, "A" + "b" * 254, instance, unreachable)
    task_is(dms, task["ReplicationTaskArn"], "ready")
    with refused(COMBINATION, "No modifications were requested"):
        dms.modify_replication_task(ReplicationTaskArn=task["ReplicationTaskArn"])
    with refused(STATE, re.compile("is not currently running")):
        dms.stop_replication_task(ReplicationTaskArn=task["ReplicationTaskArn"])
    with refused(STATE):
        dms.reload_tables(
            ReplicationTaskArn=task["ReplicationTaskArn"], TablesToReload=[{"SchemaName": "a", "TableName": "b"}]
        )
    with refused(STATE):
        dms.move_replication_task(ReplicationTaskArn=task["ReplicationTaskArn"], TargetReplicationInstanceArn=instance)
    delete_task(dms, task["ReplicationTaskArn"])


def test_a_task_that_was_never_started(dms, instance, unreachable):
    # an engine that is not built in, so that its log may know times
    elsewhere = new_endpoint(dms, "timed", EngineName="oracle")["EndpointArn"]
    ends = SimpleNamespace(source=elsewhere, target=unreachable.target)
    arn = new_task(dms, "fresh", instance, ends, "cdc", CdcStartTime=1512661131, TaskData="{}")["ReplicationTaskArn"]
    task = task_is(dms, arn, "ready")
    assert task["CdcStartPosition"] == "2017-12-07T15:38:51"
    stats = task["ReplicationTaskStats"]
    numbers = {k: v for k, v in stats.items() if not k.endswith("Date")}
    assert set(numbers.values()) == {0}
    assert not [k for k in stats if k.endswith("Date")]
    assert "ReplicationTaskStartDate" not in task
    assert "StopReason" not in task
    short = the_task(dms, arn, WithoutSettings=True)
    assert "ReplicationTaskSettings" not in short
    delete_task(dms, arn)


@pytest.mark.parametrize(
    ("members", "name", "text"),
    [
        ({"SourceEndpointArn": NONE.format("endpoint")}, NOT_FOUND, None),
        ({"TargetEndpointArn": NONE.format("endpoint")}, NOT_FOUND, None),
        ({"ReplicationInstanceArn": NONE.format("rep")}, NOT_FOUND, None),
        ({"MigrationType": "all"}, VALUE, None),
        ({"ReplicationTaskSettings": ""}, VALUE, "Invalid task settings JSON"),
        ({"ReplicationTaskSettings": "{"}, VALUE, "Invalid task settings JSON"),
        ({"ReplicationTaskSettings": "[]"}, VALUE, "Invalid task settings JSON"),
        (
            {"ReplicationTaskSettings": '{"Logging":{"CloudWatchLogStream":"x"}}'},
            VALUE,
            "Task Settings CloudWatchLogGroup or CloudWatchLogStream cannot be set on create.",
        ),
        ({"ReplicationTaskSettings": '{"Logging":{"EnableLogContext":true}}'}, VALUE, None),
        ({"CdcStartTime": 1512661131, "CdcStartPosition": "4AF/B00000D0"}, COMBINATION, None),
        ({"CdcStopPosition": "tomorrow"}, VALUE, None),
        ({"TableMappings": "{"}, VALUE, None),
        ({"ResourceIdentifier": "9"}, VALUE, None),
    ],
)
def test_tasks_refused(dms, instance, unreachable, members, name, text):
    given = {
        "ReplicationTaskIdentifier": "refused",
        "SourceEndpointArn": unreachable.source,
        "TargetEndpointArn": unreachable.target,
        "ReplicationInstanceArn": instance,
        "MigrationType": "full-load-and-cdc",
        "TableMappings": mappings(),
    }
    with refused(name, text):
        dms.create_replication_task(**{**given, **members})
    with refused(NOT_FOUND, "No Tasks found matching provided filters"):
        dms.describe_replication_tasks(**by("replication-task-id", "refused"))


START_POSITIONS = [
    ({"CdcStartPosition": "tomorrow"}, VALUE),
    ({"CdcStartPosition": "4AF"}, VALUE),
    ({"CdcStartPosition": "4AF/"}, VALUE),
    ({"CdcStartPosition": "4AG/0"}, VALUE),
    ({"CdcStartPosition": "123456789/0"}, VALUE),
    ({"CdcStartPosition": "checkpoint:V1#1"}, VALUE),
    ({"CdcStartPosition": "mysql-bin-changelog.000024:373"}, VALUE),
    ({"CdcStartPosition": "2018-03-08T12:12:12"}, VALUE),  # PostgreSQL's log cannot be entered by time
    ({"CdcStartTime": 1512661131}, COMBINATION),
]
STOP_POSITIONS = [
    "tomorrow",
    "server_time:",
    "server_time:tomorrow",
    "commit_time:2018-02-30T12:12:12",
    "commit_time:2018-02-09T25:12:12",
    "commit_time: 2018-02-09T12:12:12 and more",
    "2018-02-09T12:12:12",
]


@pytest.mark.parametrize(
    ("members", "name"), START_POSITIONS + [({"CdcStopPosition": text}, VALUE) for text in STOP_POSITIONS]
)
def test_positions_refused(dms, instance, unreachable, members, name):
    """By each of the three operations that take one; nothing of it is stored."""
    with refused(name):
        new_task(dms, "positioned", instance, unreachable, "cdc", **members)
    arn = new_task(dms, "positioned", instance, unreachable, "cdc", CdcStartPosition="4AF/B00000D0")[
        "ReplicationTaskArn"
    ]
    task_is(dms, arn, "ready")
    with refused(name):
        dms.modify_replication_task(ReplicationTaskArn=arn, **members)
    with refused(name):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication", **members)
    task = the_task(dms, arn)
    assert (task["Status"], task["CdcStartPosition"]) == ("ready", "4AF/B00000D0")
    assert "CdcStopPosition" not in task
    delete_task(dms, arn)


@pytest.mark.parametrize(
    "position",
    [
        "4AF/B00000D0",
        "4af/b00000d0",
        "000004AF/B00000D0",
        "000/0F000E48",
        "checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0",
        "checkpoint:V1#34#00000132/0F000E48#0#0#*#0#121",
    ],
)
def test_positions_taken(dms, instance, unreachable, position):
    arn = new_task(dms, "positioned", instance, unreachable, "cdc", CdcStartPosition=position)["ReplicationTaskArn"]
    assert task_is(dms, arn, "ready")["CdcStartPosition"] == position
    delete_task(dms, arn)


def test_ends_the_wrong_way_round(dms, instance, unreachable):
    class Swapped:
        source, target = unreachable.target, unreachable.source

    with refused(COMBINATION):
        new_task(dms, "swapped", instance, Swapped)


# --- what is unknown


@pytest.mark.parametrize(
    ("call", "members"),
    [
        ("modify_replication_instance", {"ReplicationInstanceArn": "rep", "AllocatedStorage": 60}),
        ("delete_replication_instance", {"ReplicationInstanceArn": "rep"}),
        ("reboot_replication_instance", {"ReplicationInstanceArn": "rep"}),
        ("describe_replication_instance_task_logs", {"ReplicationInstanceArn": "rep"}),
        (
            "apply_pending_maintenance_action",
            {"ReplicationInstanceArn": "rep", "ApplyAction": "os-upgrade", "OptInType": "immediate"},
        ),
        ("modify_endpoint", {"EndpointArn": "endpoint", "ServerName": "x"}),
        ("delete_endpoint", {"EndpointArn": "endpoint"}),
        ("test_connection", {"EndpointArn": "endpoint", "ReplicationInstanceArn": "rep"}),
        ("delete_connection", {"EndpointArn": "endpoint", "ReplicationInstanceArn": "rep"}),
        ("refresh_schemas", {"EndpointArn": "endpoint", "ReplicationInstanceArn": "rep"}),
        ("describe_refresh_schemas_status", {"EndpointArn": "endpoint"}),
        ("describe_schemas", {"EndpointArn": "endpoint"}),
        ("modify_replication_task", {"ReplicationTaskArn": "task", "TaskData": "{}"}),
        ("start_replication_task", {"ReplicationTaskArn": "task", "StartReplicationTaskType": "start-replication"}),
        ("stop_replication_task", {"ReplicationTaskArn": "task"}),
        ("delete_replication_task", {"ReplicationTaskArn": "task"}),
        ("move_replication_task", {"ReplicationTaskArn": "task", "TargetReplicationInstanceArn": "rep"}),
        ("describe_table_statistics", {"ReplicationTaskArn": "task"}),
        ("reload_tables", {"ReplicationTaskArn": "task", "TablesToReload": [{"SchemaName": "a", "TableName": "b"}]}),
        ("delete_certificate", {"CertificateArn": "cert"}),
        ("add_tags_to_resource", {"ResourceArn": "task", "Tags": [{"Key": "a", "Value": "b"}]}),
        ("remove_tags_from_resource", {"ResourceArn": "cert", "TagKeys": ["a"]}),
        ("list_tags_for_resource", {"ResourceArn": "endpoint"}),
    ],
)
def test_an_unknown_arn(dms, call, members):
    kinds = ("rep", "endpoint", "task", "cert")
    given = {k: NONE.format(v) if v in kinds else v for k, v in members.items()}
    with refused(NOT_FOUND):
        getattr(dms, call)(**given)


LISTS = [
    ("describe_replication_instances", "replication-instance-arn", "No Replication Instances found matching provided filters"),  # noqa: E501
    ("describe_replication_instances", "replication-instance-id", None),
    ("describe_replication_instances", "replication-instance-class", None),
    ("describe_replication_instances", "engine-version", None),
    ("describe_endpoints", "endpoint-arn", "No Endpoints found matching provided filters"),
    ("describe_endpoints", "endpoint-type", None),
    ("describe_endpoints", "endpoint-id", None),
    ("describe_endpoints", "engine-name", None),
    ("describe_replication_tasks", "replication-task-arn", "No Tasks found matching provided filters"),
    ("describe_replication_tasks", "replication-task-id", None),
    ("describe_replication_tasks", "migration-type", None),
    ("describe_replication_tasks", "endpoint-arn", None),
    ("describe_replication_tasks", "replication-instance-arn", None),
    ("describe_replication_subnet_groups", "replication-subnet-group-id", "No Replication Subnet Groups found matching provided filters"),  # noqa: E501
    ("describe_certificates", "certificate-arn", "No Certificates found matching provided filters"),
    ("describe_certificates", "certificate-id", None),
]  # fmt: skip


@pytest.mark.parametrize(("call", "name", "text"), LISTS)
def test_a_filter_that_matches_nothing(dms, call, name, text):
    with refused(NOT_FOUND, text or re.compile("^No .* found matching provided filters$")):
        getattr(dms, call)(**by(name, "nothing"))


@pytest.mark.parametrize("call", sorted({call for call, _, _ in LISTS} | {"describe_connections", "describe_events"}))
def test_filters_and_pages_refused(dms, call):
    with refused(VALUE):
        getattr(dms, call)(**by("no-such-filter", "x"))
    with refused(VALUE):
        getattr(dms, call)(**by("endpoint-arn" if call == "describe_connections" else "x"))
    for number in (0, -1, 9 if call == "describe_certificates" else 19, 101):
        with refused(VALUE):
            getattr(dms, call)(MaxRecords=number)
    with refused(VALUE):
        getattr(dms, call)(Marker="no marker of ours")


def test_empty_lists(dms):
    """In a region where nothing was made; resources of another region are invisible there."""
    dms.get_waiter  # noqa: B018 - the answers' checks are those of this module
    elsewhere = dms.describe_connections(**by("endpoint-arn", NONE.format("endpoint")))
    assert elsewhere["Connections"] == []


def test_regions_are_apart(dms, godwit, instance):
    from answers import checked_client

    west, _ = checked_client(godwit, region_name="eu-west-2")
    assert west.describe_replication_instances()["ReplicationInstances"] == []
    assert west.describe_endpoints()["Endpoints"] == []
    assert west.describe_replication_tasks()["ReplicationTasks"] == []
    assert west.describe_replication_subnet_groups()["ReplicationSubnetGroups"] == []
    assert west.describe_certificates()["Certificates"] == []
    assert west.describe_connections()["Connections"] == []
    assert west.describe_events()["Events"] == []
    made = west.create_replication_instance(
        ReplicationInstanceIdentifier="common", ReplicationInstanceClass="dms.t3.medium"
    )["ReplicationInstance"]
    assert re.fullmatch(ARN.format("rep").replace("us-east-1", "eu-west-2"), made["ReplicationInstanceArn"])
    with refused(NOT_FOUND):
        west.reboot_replication_instance(ReplicationInstanceArn=instance)


# --- filters and pages


def test_pages(dms):
    names = [f"page-{i:02}" for i in range(45)]
    for name in names:
        new_endpoint(dms, name, "target", EngineName="neptune")
    only = by("engine-name", "neptune")
    first = dms.describe_endpoints(**only, MaxRecords=20)
    assert len(first["Endpoints"]) == 20
    second = dms.describe_endpoints(**only, MaxRecords=20, Marker=first["Marker"])
    assert second["Marker"] != first["Marker"]
    third = dms.describe_endpoints(**only, MaxRecords=20, Marker=second["Marker"])
    assert "Marker" not in third
    assert [e["EndpointIdentifier"] for page in (first, second, third) for e in page["Endpoints"]] == names
    pages = dms.get_paginator("describe_endpoints").paginate(**only, PaginationConfig={"PageSize": 20})
    assert [e["EndpointIdentifier"] for e in pages.build_full_result()["Endpoints"]] == names
    assert "Marker" not in dms.describe_endpoints(**only, MaxRecords=45)
    # an item deleted between two pages takes no other one away
    gone = second["Endpoints"][0]["EndpointArn"]
    dms.delete_endpoint(EndpointArn=gone)
    dms.get_waiter("endpoint_deleted").wait(**by("endpoint-arn", gone), WaiterConfig=QUICK)
    again = dms.describe_endpoints(**only, MaxRecords=20, Marker=first["Marker"])
    assert [e["EndpointIdentifier"] for e in again["Endpoints"]] == names[21:41]


def test_filters_and_or(dms, instance, unreachable):
    def found(*filters):
        return {e["EndpointArn"] for e in dms.describe_endpoints(Filters=list(filters))["Endpoints"]}

    one, two = unreachable.source, unreachable.target
    both = {"Name": "endpoint-arn", "Values": [one, two]}
    assert found(both) == {one, two}
    assert found(both, {"Name": "endpoint-type", "Values": ["source"]}) == {one}
    assert found({"Name": "endpoint-id", "Values": ["nowhere-target", "nothing"]}) == {two}
    task = new_task(dms, "found", instance, unreachable, "cdc")["ReplicationTaskArn"]
    task_is(dms, task, "ready")
    for name, value in (
        ("replication-task-arn", task),
        ("replication-task-id", "found"),
        ("migration-type", "cdc"),
        ("endpoint-arn", one),
        ("endpoint-arn", two),
        ("replication-instance-arn", instance),
    ):
        tasks = dms.describe_replication_tasks(**by(name, value))["ReplicationTasks"]
        assert task in [t["ReplicationTaskArn"] for t in tasks], name
    delete_task(dms, task)


# --- tags, certificates, events


def test_tags(dms, instance, unreachable):
    arns = [unreachable.source, instance]
    for i, arn in enumerate(arns):
        dms.add_tags_to_resource(ResourceArn=arn, Tags=[{"Key": "n", "Value": "old"}])
        dms.add_tags_to_resource(ResourceArn=arn, Tags=[{"Key": "n", "Value": str(i)}])
    assert dms.list_tags_for_resource(ResourceArn=arns[0])["TagList"] == [{"Key": "n", "Value": "0"}]
    assert dms.list_tags_for_resource(ResourceArnList=arns)["TagList"] == [
        {"Key": "n", "Value": str(i), "ResourceArn": arn} for i, arn in enumerate(arns)
    ]
    with refused(VALUE):
        dms.list_tags_for_resource()
    for key in ("aws:x", "DMS:x", "k" * 129, ""):
        with refused(VALUE):
            dms.add_tags_to_resource(ResourceArn=instance, Tags=[{"Key": key, "Value": "v"}])


def test_certificates(dms, tmp_path):
    pem, key = certificate_pem(tmp_path)
    for text in ("", "nonsense", pem[: len(pem) // 2], pem.replace("M", "-"), key, pem + key):
        with refused("InvalidCertificateFault"):
            dms.import_certificate(CertificateIdentifier="bad", CertificatePem=text)
    with refused(COMBINATION):
        dms.import_certificate(CertificateIdentifier="bad")
    made = dms.import_certificate(
        CertificateIdentifier="Root-CA", CertificatePem=pem, Tags=[{"Key": "a", "Value": "b"}]
    )["Certificate"]
    assert made["CertificatePem"] == pem
    assert made["CertificateOwner"] == "000000000000"
    assert made["SigningAlgorithm"] == "sha256WithRSAEncryption"
    assert (made["ValidToDate"] - made["ValidFromDate"]).days == 30
    with refused(EXISTS):
        dms.import_certificate(CertificateIdentifier="root-ca", CertificatePem=pem)
    arn = made["CertificateArn"]
    assert [
        c["CertificateArn"] for c in dms.describe_certificates(**by("certificate-id", "Root-CA"))["Certificates"]
    ] == [arn]
    assert dms.list_tags_for_resource(ResourceArn=arn)["TagList"] == [{"Key": "a", "Value": "b"}]
    endpoint = new_endpoint(dms, "with-certificate", CertificateArn=arn, SslMode="verify-ca")["EndpointArn"]
    with refused(STATE):
        dms.delete_certificate(CertificateArn=arn)
    dms.delete_endpoint(EndpointArn=endpoint)
    dms.get_waiter("endpoint_deleted").wait(**by("endpoint-arn", endpoint), WaiterConfig=QUICK)
    dms.delete_certificate(CertificateArn=arn)
    with refused(NOT_FOUND, "No Certificates found matching provided filters"):
        dms.describe_certificates(**by("certificate-arn", arn))


def test_certificates_come_in_tens(dms, tmp_path):
    pem, _ = certificate_pem(tmp_path)
    arns = [
        dms.import_certificate(CertificateIdentifier=f"ten-{i}", CertificatePem=pem)["Certificate"]["CertificateArn"]
        for i in range(12)
    ]
    first = dms.describe_certificates()
    assert len(first["Certificates"]) == 10
    rest = dms.describe_certificates(Marker=first["Marker"])
    assert [c["CertificateArn"] for page in (first, rest) for c in page["Certificates"]] == arns
    for arn in arns:
        dms.delete_certificate(CertificateArn=arn)


def test_events(dms):
    name = new_instance(dms, "eventful")["ReplicationInstanceIdentifier"]
    events = dms.describe_events(SourceIdentifier=name, SourceType="replication-instance")["Events"]
    assert [e["Message"] for e in events] == [
        "Replication instance is being created.",
        "Replication instance has been created.",
    ]
    assert {tuple(e["EventCategories"]) for e in events} == {("creation",)}
    assert {e["SourceType"] for e in events} == {"replication-instance"}
    assert dms.describe_events(**by("replication-instance-id", name))["Events"] == events
    assert dms.describe_events(SourceIdentifier=name, EventCategories=["creation"], Duration=1)["Events"] == events
    assert dms.describe_events(SourceIdentifier=name, EventCategories=["deletion"])["Events"] == []
    assert dms.describe_events(SourceIdentifier=name, SourceType="replication-task")["Events"] == []
    assert dms.describe_events(SourceIdentifier=name, EndTime=events[0]["Date"].timestamp() - 5)["Events"] == []
    assert dms.describe_events(SourceIdentifier=name, StartTime=time.time() + 60, Duration=5)["Events"] == []
    with refused(COMBINATION):
        dms.describe_events(StartTime=1700000000, EndTime=1600000000)


def test_event_categories(dms):
    groups = {
        g["SourceType"]: set(g["EventCategories"]) for g in dms.describe_event_categories()["EventCategoryGroupList"]
    }
    assert groups == {
        "replication-instance": {
            "low storage", "configuration change", "maintenance", "deletion", "creation", "failover", "failure",
        },
        "replication-task": {"configuration change", "state change", "deletion", "creation", "failure"},
    }  # fmt: skip
    (one,) = dms.describe_event_categories(SourceType="replication-task")["EventCategoryGroupList"]
    assert one["SourceType"] == "replication-task"
    with refused(VALUE):
        dms.describe_event_categories(SourceType="database")
