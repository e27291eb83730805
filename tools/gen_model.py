#!/usr/bin/env python3
"""Writes src/api/model.gen.{h,cc} from botocore's description of the DMS API.

    tools/gen_model.py            writes both files
    tools/gen_model.py --check    exit code 1 when they differ from what would be written

The description is botocore's `dms/2016-01-01/service-2.json`; its version is recorded in the files.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The operations of this release, in the order of the manual.
OPERATIONS = """
CreateReplicationInstance ModifyReplicationInstance DeleteReplicationInstance RebootReplicationInstance
DescribeReplicationInstances CreateReplicationSubnetGroup ModifyReplicationSubnetGroup DeleteReplicationSubnetGroup
DescribeReplicationSubnetGroups DescribeOrderableReplicationInstances DescribeEngineVersions
DescribeReplicationInstanceTaskLogs DescribePendingMaintenanceActions ApplyPendingMaintenanceAction
DescribeAccountAttributes
CreateEndpoint ModifyEndpoint DeleteEndpoint DescribeEndpoints DescribeEndpointTypes DescribeEndpointSettings
TestConnection DeleteConnection DescribeConnections RefreshSchemas DescribeRefreshSchemasStatus DescribeSchemas
CreateReplicationTask ModifyReplicationTask StartReplicationTask StopReplicationTask DeleteReplicationTask
MoveReplicationTask DescribeReplicationTasks DescribeTableStatistics ReloadTables
AddTagsToResource RemoveTagsFromResource ListTagsForResource ImportCertificate DeleteCertificate
DescribeCertificates DescribeEvents DescribeEventCategories
""".split()

# Values that the service knows beside those of its description.
MORE_VALUES = {"SourceType": ["replication-task"]}

SCALARS = {
    "string": "std::string",
    "boolean": "bool",
    "integer": "std::int64_t",
    "long": "std::int64_t",
    "double": "double",
    "timestamp": "Timestamp",
    "blob": "Blob",
}


def snake(name: str) -> str:
    """ReplicationInstanceArn -> replication_instance_arn, MySQLSettings -> my_sql_settings."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def load() -> tuple[dict, str]:
    import botocore

    folder = pathlib.Path(botocore.__file__).parent / "data/dms/2016-01-01"
    packed = folder / "service-2.json.gz"
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "service-2.json").read_bytes()
    digest = hashlib.sha256(raw).hexdigest()[:16]
    return json.loads(raw), f"dms 2016-01-01, botocore {botocore.__version__}, sha256 {digest}"


class Model:
    def __init__(self, description: dict) -> None:
        self.shapes = description["shapes"]
        self.operations = description["operations"]
        self.order: list[str] = []  # structures, each after those that it holds
        for operation in OPERATIONS:
            for side in ("input", "output"):
                self.visit(self.operations[operation][side]["shape"], ())

    def visit(self, name: str, above: tuple[str, ...]) -> None:
        shape = self.shapes[name]
        if name in above:
            sys.exit(f"{name} holds itself; the generated structs cannot express that")
        if shape["type"] == "list":
            self.visit(shape["member"]["shape"], above)
        elif shape["type"] == "structure" and name not in self.order:
            for member in shape.get("members", {}).values():
                self.visit(member["shape"], (*above, name))
            self.order.append(name)

    def cpp_type(self, name: str) -> str:
        shape = self.shapes[name]
        if shape["type"] == "structure":
            return name
        if shape["type"] == "list":
            return f"std::vector<{self.cpp_type(shape['member']['shape'])}>"
        return SCALARS[shape["type"]]

    def enums(self) -> list[str]:
        used = {m["shape"] for s in self.order for m in self.shapes[s].get("members", {}).values()}
        return sorted(n for n in used if "enum" in self.shapes[n])


def header(model: Model, version: str) -> str:
    out = [
        "#pragma once",
        "// Written by tools/gen_model.py; do not edit.",
        "// clang-format off",
        "// The messages of the DMS operations that this release answers. An absent member is an empty optional.",
        "",
        "#include <cstdint>",
        "#include <optional>",
        "#include <string>",
        "#include <string_view>",
        "#include <vector>",
        "",
        '#include "api/shape.h"',
        "",
        "namespace godwit::api::model {",
        "",
        f'inline constexpr std::string_view kModelVersion = "{version}";',
        "",
    ]
    for name in model.order:
        members = model.shapes[name].get("members", {})
        if not members:
            out += [f"struct {name} {{}};", ""]
            continue
        out.append(f"struct {name} {{")
        for member, target in members.items():
            out.append(f"    std::optional<{model.cpp_type(target['shape'])}> {snake(member)};")
        out += ["};", ""]
    out += [f"const Shape& shape_of(const {name}*);" for name in model.order]
    out += ["", "}  // namespace godwit::api::model", ""]
    return "\n".join(out)


def source(model: Model) -> str:
    out = [
        "// Written by tools/gen_model.py; do not edit.",
        "// clang-format off",
        '#include "api/model.gen.h"',
        "",
        '#include "api/shape_field.h"',
        "",
        "namespace godwit::api::model {",
        "namespace {",
        "",
    ]
    for name in model.enums():
        values = ", ".join(f'"{v}"' for v in model.shapes[name]["enum"] + MORE_VALUES.get(name, []))
        out.append(f"constexpr std::string_view k{name}[] = {{{values}}};")
    out += ["", "}  // namespace", ""]
    for name in model.order:
        shape = model.shapes[name]
        required = set(shape.get("required", []))
        out.append(f"const Shape& shape_of(const {name}*) {{")
        members = shape.get("members", {})
        if members:
            out.append("    static constexpr Member members[] = {")
            for member, target in members.items():
                kind = model.shapes[target["shape"]]
                flags = []
                if member in required:
                    flags.append("kRequired")
                if kind.get("sensitive"):
                    flags.append("kSensitive")
                if kind["type"] == "integer":
                    flags.append("kInt32")
                arguments = [f'"{member}"', " | ".join(flags) or "0"]
                if "enum" in kind:
                    arguments.append(f"k{target['shape']}")
                elif "max" in kind and kind["type"] == "string":
                    arguments += ["{}", str(kind["max"])]
                out.append(f"        field<&{name}::{snake(member)}>({', '.join(arguments)}),")
            out += ["    };", f'    static constexpr Shape shape{{"{name}", members}};']
        else:
            out.append(f'    static constexpr Shape shape{{"{name}", {{}}}};')
        out += ["    return shape;", "}", ""]
    out += ["}  // namespace godwit::api::model", ""]
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    description, version = load()
    model = Model(description)
    differing = []
    for file, text in (("model.gen.h", header(model, version)), ("model.gen.cc", source(model))):
        path = ROOT / "src/api" / file
        if check:
            if not path.exists() or path.read_text() != text:
                differing.append(file)
        else:
            path.write_text(text)
    if differing:
        print("differs from a fresh generation: " + ", ".join(differing))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
