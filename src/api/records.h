#pragma once
// What the state store keeps of each resource: the structure that the API shows, and what it does not show.

#include <optional>
#include <string>
#include <vector>

#include "api/model.gen.h"

namespace godwit::api {

struct InstanceRecord {
    static constexpr const char* kKind = "instance";
    std::optional<model::ReplicationInstance> shown;
};

struct SubnetGroupRecord {
    static constexpr const char* kKind = "subnet-group";
    std::optional<model::ReplicationSubnetGroup> shown;
};

struct EndpointRecord {
    static constexpr const char* kKind = "endpoint";
    std::optional<model::Endpoint> shown;
    std::optional<std::string>
        sealed;  // map path -> secret, encrypted; "Password", "PostgreSQLSettings.Password"
};

struct ConnectionRecord {
    static constexpr const char* kKind = "connection";
    std::optional<model::Connection> shown;
};

struct SchemasRecord {
    static constexpr const char* kKind = "schemas";
    std::optional<model::RefreshSchemasStatus> shown;
    std::optional<std::vector<std::string>> names;
};

struct TaskRecord {
    static constexpr const char* kKind = "task";
    std::optional<model::ReplicationTask> shown;             // without statistics; Status is the true one
    std::optional<std::string> former_status;                // while modifying, moving
    std::optional<std::string> user_settings;                // the user's own document
    std::optional<std::string> start_type;                   // of the last start: fresh, resume, reload
    std::optional<std::string> run_cdc_start, run_cdc_stop;  // of the last start
    std::optional<bool> started;                             // a start was accepted
    std::optional<bool> ran;                                 // a process of it once reached "running"
    std::optional<bool> run_ran;                             // one of the last start did
    std::optional<Timestamp> visible_until;                  // shown as running until then, though it ended
    std::optional<std::int64_t> events_seen_us;              // time of the last event taken from a report
    std::optional<Timestamp> run_started;
};

struct CertificateRecord {
    static constexpr const char* kKind = "certificate";
    std::optional<model::Certificate> shown;
};

struct TagsRecord {
    static constexpr const char* kKind = "tags";
    std::optional<std::vector<model::Tag>> tags;
};

const Shape& shape_of(const InstanceRecord*);
const Shape& shape_of(const SubnetGroupRecord*);
const Shape& shape_of(const EndpointRecord*);
const Shape& shape_of(const ConnectionRecord*);
const Shape& shape_of(const SchemasRecord*);
const Shape& shape_of(const TaskRecord*);
const Shape& shape_of(const CertificateRecord*);
const Shape& shape_of(const TagsRecord*);

}  // namespace godwit::api
