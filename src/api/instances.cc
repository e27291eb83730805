// Replication instances and subnet groups (spec/api 3.1).

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "api/maintenance.h"
#include "api/service.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

constexpr const char* kInstance = "replication-instance";
constexpr const char* kDefaultVersion = "3.5.4";
constexpr std::chrono::milliseconds kWindowLookEvery = 10min;
constexpr auto kPassing =
    100ms;  // how long a passing status is shown at least: longer than a client takes to ask
constexpr std::int64_t kStorageGbMin = 5, kStorageGbMax = 6144;

struct Version {
    const char* number;
    const char* lifecycle;
    const char* launched;
    std::vector<std::string> upgrades;
};
const std::vector<Version>& versions() {
    static const std::vector<Version> all = {{"3.5.3", "ACTIVE", "2024-05-17", {"3.5.4", "3.6.1"}},
                                             {"3.5.4", "DEFAULT_VERSION", "2024-11-15", {"3.6.1"}},
                                             {"3.6.1", "ACTIVE", "2025-06-13", {}}};
    return all;
}
const Version* find_version(std::string_view number) {
    for (const auto& v : versions())
        if (v.number == number) return &v;
    return nullptr;
}

constexpr std::uint64_t kGib = 1ULL << 30;
struct Class {
    const char* name;
    std::uint64_t memory_bytes;
};
constexpr Class kClasses[] = {
    {"dms.t2.micro", 1 * kGib},       {"dms.t2.small", 2 * kGib},       {"dms.t2.medium", 4 * kGib},
    {"dms.t2.large", 8 * kGib},       {"dms.t3.micro", 1 * kGib},       {"dms.t3.small", 2 * kGib},
    {"dms.t3.medium", 4 * kGib},      {"dms.t3.large", 8 * kGib},       {"dms.c4.large", 4 * kGib},
    {"dms.c4.xlarge", 8 * kGib},      {"dms.c4.2xlarge", 15 * kGib},    {"dms.c4.4xlarge", 30 * kGib},
    {"dms.c5.large", 4 * kGib},       {"dms.c5.xlarge", 8 * kGib},      {"dms.c5.2xlarge", 16 * kGib},
    {"dms.c5.4xlarge", 32 * kGib},    {"dms.c5.9xlarge", 72 * kGib},    {"dms.c5.12xlarge", 96 * kGib},
    {"dms.c5.18xlarge", 144 * kGib},  {"dms.c5.24xlarge", 192 * kGib},  {"dms.c6i.large", 4 * kGib},
    {"dms.c6i.xlarge", 8 * kGib},     {"dms.c6i.2xlarge", 16 * kGib},   {"dms.c6i.4xlarge", 32 * kGib},
    {"dms.c6i.8xlarge", 64 * kGib},   {"dms.c6i.12xlarge", 96 * kGib},  {"dms.c6i.16xlarge", 128 * kGib},
    {"dms.c6i.24xlarge", 192 * kGib}, {"dms.c6i.32xlarge", 256 * kGib}, {"dms.r4.large", 15 * kGib},
    {"dms.r4.xlarge", 30 * kGib},     {"dms.r4.2xlarge", 61 * kGib},    {"dms.r4.4xlarge", 122 * kGib},
    {"dms.r4.8xlarge", 244 * kGib},   {"dms.r5.large", 16 * kGib},      {"dms.r5.xlarge", 32 * kGib},
    {"dms.r5.2xlarge", 64 * kGib},    {"dms.r5.4xlarge", 128 * kGib},   {"dms.r5.8xlarge", 256 * kGib},
    {"dms.r5.12xlarge", 384 * kGib},  {"dms.r5.16xlarge", 512 * kGib},  {"dms.r5.24xlarge", 768 * kGib},
    {"dms.r6i.large", 16 * kGib},     {"dms.r6i.xlarge", 32 * kGib},    {"dms.r6i.2xlarge", 64 * kGib},
    {"dms.r6i.4xlarge", 128 * kGib},  {"dms.r6i.8xlarge", 256 * kGib},  {"dms.r6i.12xlarge", 384 * kGib},
    {"dms.r6i.16xlarge", 512 * kGib}, {"dms.r6i.24xlarge", 768 * kGib}, {"dms.r6i.32xlarge", 1024 * kGib},
};

std::int64_t default_storage_gb(std::string_view instance_class) {
    return instance_class.starts_with("dms.t") ? 50 : 100;
}

Answer<std::string> check_window(const std::string& text) {
    if (parse_window(text)) return lower(text);
    return invalid_value(
        fmt::format("Invalid maintenance window '{}': the form is ddd:hh24:mi-ddd:hh24:mi, and it "
                    "lasts at least 30 minutes.",
                    shortened(text)));
}

Answer<std::monostate> check_class(const std::string& name) {
    if (memory_of_class(name)) return {};
    return invalid_value("Invalid value for ReplicationInstanceClass: " + shortened(name));
}
Answer<std::monostate> check_version(const std::string& number) {
    if (find_version(number) != nullptr) return {};
    return invalid_value("No replication engine found with version: " + shortened(number));
}
Answer<std::monostate> check_storage(std::int64_t gb) {
    if (gb >= kStorageGbMin && gb <= kStorageGbMax) return {};
    return invalid_value(
        fmt::format("AllocatedStorage must be between {} and {} GB.", kStorageGbMin, kStorageGbMax));
}
Answer<std::string> check_network(const std::string& type) {
    constexpr std::string_view kTypes[] = {"IPV4", "DUAL"};
    const auto found = canonical(kTypes, type);
    if (found.empty()) return invalid_value("NetworkType is IPV4 or DUAL.");
    return std::string(found);
}

std::vector<model::VpcSecurityGroupMembership> memberships(const std::vector<std::string>& ids) {
    std::vector<model::VpcSecurityGroupMembership> out;
    for (const auto& id : ids) out.push_back({id, "active"});
    return out;
}

bool any(const model::ReplicationPendingModifiedValues& pending) {
    return pending.replication_instance_class || pending.allocated_storage || pending.multi_az ||
           pending.engine_version || pending.network_type;
}

// What a modification asks for becomes true.
void apply_pending(model::ReplicationInstance& shown) {
    auto& pending = *shown.pending_modified_values;
    if (pending.replication_instance_class)
        shown.replication_instance_class = pending.replication_instance_class;
    if (pending.allocated_storage) shown.allocated_storage = pending.allocated_storage;
    if (pending.multi_az) shown.multi_az = pending.multi_az;
    if (pending.engine_version) shown.engine_version = pending.engine_version;
    if (pending.network_type) shown.network_type = pending.network_type;
    pending = {};
}

void set_availability(model::ReplicationInstance& shown, const std::string& region) {
    if (!shown.availability_zone) shown.availability_zone = region + "a";
    shown.secondary_availability_zone.reset();
    if (shown.multi_az.value_or(false))
        shown.secondary_availability_zone = region + (shown.availability_zone->ends_with('b') ? "a" : "b");
}

std::vector<model::Subnet> subnets(const std::string& region, const std::vector<std::string>& ids) {
    std::vector<model::Subnet> out;
    for (std::size_t i = 0; i < ids.size(); ++i)
        out.push_back({ids[i], model::AvailabilityZone{region + static_cast<char>('a' + i % 3)}, "Active"});
    return out;
}

constexpr const char* kNoInstance = "Replication Instance not found.";
constexpr const char* kNoSubnetGroup = "Replication Subnet Group not found.";

}  // namespace

std::optional<std::uint64_t> memory_of_class(std::string_view instance_class) {
    for (const auto& one : kClasses)
        if (one.name == instance_class) return one.memory_bytes;
    return {};
}

Answer<InstanceRecord> Service::need_instance(const std::string& scope, const std::string& arn) {
    return need<InstanceRecord>(scope, arn, fmt::format("{} ARN: {}", kNoInstance, shortened(arn)));
}

Answer<InstanceRecord> Service::need_available(const std::string& scope, const std::string& arn) {
    auto record = GW_TRY(need_instance(scope, arn));
    if (record.shown->replication_instance_status != "available")
        return invalid_state(fmt::format("Replication instance {} is not available: its status is {}.",
                                         *record.shown->replication_instance_identifier,
                                         *record.shown->replication_instance_status));
    return record;
}

Answer<model::ReplicationSubnetGroup> Service::default_subnet_group(const Call& call) {
    const auto made = GW_TRY(find<SubnetGroupRecord>(call.scope, "default"));
    if (made) return *made->shown;
    model::ReplicationSubnetGroup group;
    group.replication_subnet_group_identifier = "default";
    group.replication_subnet_group_description = "default";
    group.vpc_id = "vpc-00000000000000000";
    group.subnet_group_status = "Complete";
    group.subnets = subnets(call.caller.region, {"subnet-0000000000000000a", "subnet-0000000000000000b"});
    group.supported_network_types = {"IPV4"};
    group.is_read_only = false;
    return group;
}

Answer<model::CreateReplicationInstanceResponse> Service::create_instance(
    Call& call, const model::CreateReplicationInstanceMessage& in) {
    const auto identifier = lower(*in.replication_instance_identifier);
    GW_TRY(check_identifier("ReplicationInstanceIdentifier", identifier, 63));
    GW_TRY(check_class(*in.replication_instance_class));
    if (in.multi_az.value_or(false) && in.availability_zone)
        return invalid_combination(
            "The AvailabilityZone parameter cannot be used if the MultiAZ parameter is true.");
    if (in.engine_version) GW_TRY(check_version(*in.engine_version));
    if (in.allocated_storage) GW_TRY(check_storage(*in.allocated_storage));
    std::string window = random_window(), network = "IPV4";
    if (in.preferred_maintenance_window) window = GW_TRY(check_window(*in.preferred_maintenance_window));
    if (in.network_type) network = GW_TRY(check_network(*in.network_type));
    std::string id = new_resource_id();
    if (in.resource_identifier) {
        GW_TRY(check_identifier("ResourceIdentifier", *in.resource_identifier, 31));
        id = *in.resource_identifier;
    }
    const auto arn = call.arn("rep", id);
    for (const auto& other : GW_TRY(list<InstanceRecord>(call.scope)))
        if (other.record.shown->replication_instance_identifier == identifier ||
            other.record.shown->replication_instance_arn == arn)
            return already_exists("Replication Instance already exists: " + identifier,
                                  *other.record.shown->replication_instance_arn);
    model::ReplicationSubnetGroup group;
    if (in.replication_subnet_group_identifier &&
        lower(*in.replication_subnet_group_identifier) != "default") {
        const auto found = GW_TRY(need<SubnetGroupRecord>(
            call.scope, lower(*in.replication_subnet_group_identifier), kNoSubnetGroup));
        group = *found.shown;
    } else {
        group = GW_TRY(default_subnet_group(call));
    }

    InstanceRecord record;
    auto& shown = record.shown.emplace();
    shown.replication_instance_identifier = identifier;
    shown.replication_instance_class = in.replication_instance_class;
    shown.replication_instance_status = "creating";
    shown.allocated_storage =
        in.allocated_storage.value_or(default_storage_gb(*in.replication_instance_class));
    shown.vpc_security_groups = memberships(in.vpc_security_group_ids.value_or(std::vector<std::string>{}));
    shown.availability_zone = in.availability_zone;
    shown.replication_subnet_group = group;
    shown.preferred_maintenance_window = window;
    shown.pending_modified_values.emplace();
    shown.multi_az = in.multi_az.value_or(false);
    shown.engine_version = in.engine_version.value_or(kDefaultVersion);
    shown.auto_minor_version_upgrade = in.auto_minor_version_upgrade.value_or(true);
    shown.kms_key_id =
        in.kms_key_id.value_or(fmt::format("arn:aws:kms:{}:{}:key/00000000-0000-0000-0000-000000000000",
                                           call.caller.region, call.caller.account));
    shown.replication_instance_arn = arn;
    shown.publicly_accessible = in.publicly_accessible.value_or(true);
    shown.dns_name_servers = in.dns_name_servers;
    shown.network_type = network;
    shown.kerberos_authentication_settings = in.kerberos_authentication_settings;
    if (in.tags) GW_TRY(put_tags(call.scope, arn, *in.tags));
    GW_TRY(save(call.scope, arn, record));
    event(call.scope, kInstance, identifier, "creation", "Replication instance is being created.");
    finish_instance(call.scope, arn);
    // the zone of the request is known only when the instance is there
    shown.availability_zone.reset();
    return model::CreateReplicationInstanceResponse{shown};
}

// The passing statuses lead to `available`, or away.
void Service::finish_instance(const std::string& scope, const std::string& arn) {
    later(kPassing, [this, scope, arn]() -> Answer<std::monostate> {
        auto found = GW_TRY(find<InstanceRecord>(scope, arn));
        if (!found) return {};
        auto& shown = *found->shown;
        const auto status = *shown.replication_instance_status;
        const auto& identifier = *shown.replication_instance_identifier;
        const auto region = parse_arn(arn)->region;
        if (status == "deleting") {
            for (const auto& connection : GW_TRY(list<ConnectionRecord>(scope)))
                if (connection.record.shown->replication_instance_arn == arn)
                    GW_TRY(
                        erase<ConnectionRecord>(scope, arn + " " + *connection.record.shown->endpoint_arn));
            GW_TRY(erase<TagsRecord>(scope, arn));
            GW_TRY(erase<InstanceRecord>(scope, arn));
            event(scope, kInstance, identifier, "deletion", "Replication instance has been deleted.");
            return {};
        }
        if (status == "available") return {};
        if (status == "creating") {
            shown.instance_create_time = now();
            shown.replication_instance_private_ip_address = "127.0.0.1";
            shown.replication_instance_private_ip_addresses = {"127.0.0.1"};
            shown.replication_instance_public_ip_addresses.emplace();
            if (shown.publicly_accessible.value_or(false)) {
                shown.replication_instance_public_ip_address = "127.0.0.1";
                shown.replication_instance_public_ip_addresses = {"127.0.0.1"};
            }
            shown.replication_instance_ipv6_addresses.emplace();
            event(scope, kInstance, identifier, "creation", "Replication instance has been created.");
        }
        if (status == "modifying" || status == "upgrading" || status == "rebooting") {
            const auto& pending = *shown.pending_modified_values;
            const bool restarts =
                status == "rebooting" || pending.replication_instance_class || pending.engine_version;
            if (pending.replication_instance_class)
                event(scope, kInstance, identifier, "configuration change",
                      "The replication instance class for this replication instance has changed.");
            if (pending.allocated_storage)
                event(scope, kInstance, identifier, "configuration change",
                      "The storage for the replication instance has been increased.");
            if (pending.multi_az)
                event(scope, kInstance, identifier, "configuration change",
                      *pending.multi_az
                          ? "The replication instance has finished transitioning to a Multi-AZ configuration."
                          : "The replication instance has finished transitioning to a Single-AZ "
                            "configuration.");
            if (pending.engine_version)
                event(scope, kInstance, identifier, "maintenance",
                      "The replication instance's software has been updated.");
            apply_pending(shown);
            if (restarts) {
                GW_TRY(save(scope, arn, *found));  // the class decides how much memory the tasks get
                GW_TRY(restart_tasks(scope, arn));
            }
        }
        set_availability(shown, region);
        shown.replication_instance_status = "available";
        return save(scope, arn, *found);
    });
}

// Processes end at once and go on where they were; to the API their tasks keep running.
Answer<std::monostate> Service::restart_tasks(const std::string& scope, const std::string& instance_arn) {
    for (const auto& [order, task] : GW_TRY(list<TaskRecord>(scope))) {
        const auto& status = *task.shown->status;
        if (task.shown->replication_instance_arn != instance_arn ||
            (status != "running" && status != "starting"))
            continue;
        const auto id = lower(last_part(*task.shown->replication_task_arn));
        const auto done = supervisor_->restart(id, GW_TRY(memory_share(scope, task)));
        // none yet, or no more: what starts later starts under the new conditions
        if (!done && done.error().code != ErrorCode::failed_precondition)
            options_.log.error(Component::rest_server, "restart of " + id + ": " + done.error().text());
    }
    return {};
}

// The passing status of pending changes, and their events.
Answer<std::monostate> Service::apply_changes(const std::string& scope, InstanceRecord& record) {
    auto& shown = *record.shown;
    const auto& pending = *shown.pending_modified_values;
    const auto& identifier = *shown.replication_instance_identifier;
    shown.replication_instance_status = pending.engine_version ? "upgrading" : "modifying";
    if (pending.replication_instance_class)
        event(scope, kInstance, identifier, "configuration change",
              "The replication instance class for this replication instance is being changed.");
    if (pending.allocated_storage)
        event(scope, kInstance, identifier, "configuration change",
              "The storage for the replication instance is being increased.");
    if (pending.multi_az)
        event(scope, kInstance, identifier, "configuration change",
              *pending.multi_az ? "The replication instance is transitioning to a Multi-AZ configuration."
                                : "The replication instance is transitioning to a Single-AZ configuration.");
    const auto arn = *shown.replication_instance_arn;
    GW_TRY(save(scope, arn, record));
    finish_instance(scope, arn);
    return {};
}

// Looks again when the window opens, and now and then before: somebody may change it, or the clock.
void Service::await_window(const std::string& scope, const std::string& arn,
                           std::chrono::milliseconds delay) {
    const auto watch = ++window_watches_[arn];  // a younger one takes over
    later(delay, [=, this]() -> Answer<std::monostate> {
        if (window_watches_[arn] != watch) return {};
        auto record = GW_TRY(find<InstanceRecord>(scope, arn));
        if (!record || !any(*record->shown->pending_modified_values)) {
            window_watches_.erase(arn);
            return {};
        }
        const auto window = parse_window(*record->shown->preferred_maintenance_window);
        const auto wait = window ? until_open(*window, options_.clock.now()) : std::chrono::microseconds(0);
        if (wait.count() > 0 || record->shown->replication_instance_status != "available") {
            const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(wait);
            await_window(scope, arn,
                         std::clamp(rounded, std::chrono::milliseconds(kPassing), kWindowLookEvery));
            return {};
        }
        window_watches_.erase(arn);
        return apply_changes(scope, *record);
    });
}

Answer<model::ModifyReplicationInstanceResponse> Service::modify_instance(
    Call& call, const model::ModifyReplicationInstanceMessage& in) {
    const auto& arn = *in.replication_instance_arn;
    auto record = GW_TRY(need_available(call.scope, arn));
    auto& shown = *record.shown;
    auto& pending = *shown.pending_modified_values;
    bool changed = false;
    // A value that is not the present one waits; the present one withdraws what waits.
    const auto ask_for = [&](const auto& given, const auto& present, auto& waiting) {
        if (!given || (given == present && !waiting)) return;
        if (given == present)
            waiting.reset();
        else
            waiting = given;
        changed = true;
    };
    if (in.replication_instance_class) GW_TRY(check_class(*in.replication_instance_class));
    ask_for(in.replication_instance_class, shown.replication_instance_class,
            pending.replication_instance_class);
    if (in.allocated_storage) {
        GW_TRY(check_storage(*in.allocated_storage));
        if (*in.allocated_storage < *shown.allocated_storage)
            return invalid_combination("The allocated storage of a replication instance cannot shrink.");
    }
    ask_for(in.allocated_storage, shown.allocated_storage, pending.allocated_storage);
    ask_for(in.multi_az, shown.multi_az, pending.multi_az);
    if (in.engine_version) {
        GW_TRY(check_version(*in.engine_version));
        if (*in.engine_version < *shown.engine_version)
            return invalid_combination("The engine version of a replication instance cannot be lowered.");
    }
    ask_for(in.engine_version, shown.engine_version, pending.engine_version);
    auto network = in.network_type;
    if (network) network = GW_TRY(check_network(*network));
    ask_for(network, shown.network_type, pending.network_type);
    const bool immediately = in.apply_immediately.value_or(false);
    if (in.replication_instance_identifier &&
        lower(*in.replication_instance_identifier) != shown.replication_instance_identifier) {
        const auto identifier = lower(*in.replication_instance_identifier);
        GW_TRY(check_identifier("ReplicationInstanceIdentifier", identifier, 63));
        for (const auto& other : GW_TRY(list<InstanceRecord>(call.scope)))
            if (other.record.shown->replication_instance_identifier == identifier)
                return already_exists("Replication Instance already exists: " + identifier,
                                      *other.record.shown->replication_instance_arn);
        shown.replication_instance_identifier = identifier;
        changed = true;
    }
    if (in.preferred_maintenance_window) {
        shown.preferred_maintenance_window = GW_TRY(check_window(*in.preferred_maintenance_window));
        changed = true;
    }
    if (in.vpc_security_group_ids) {
        shown.vpc_security_groups = memberships(*in.vpc_security_group_ids);
        changed = true;
    }
    if (in.auto_minor_version_upgrade) {
        shown.auto_minor_version_upgrade = in.auto_minor_version_upgrade;
        changed = true;
    }
    if (in.kerberos_authentication_settings) {
        shown.kerberos_authentication_settings = in.kerberos_authentication_settings;
        changed = true;
    }
    if (!changed && !(immediately && any(pending)))
        return invalid_combination("No modifications were requested");
    // With it everything that is pending becomes true, also what earlier modifications left.
    if (immediately && any(pending)) {
        GW_TRY(apply_changes(call.scope, record));
    } else {
        GW_TRY(save(call.scope, arn, record));
        if (any(pending)) await_window(call.scope, arn, kPassing);
    }
    return model::ModifyReplicationInstanceResponse{shown};
}

Answer<bool> Service::instance_has_tasks(const std::string& scope, const std::string& instance_arn) {
    for (const auto& task : GW_TRY(list<TaskRecord>(scope)))
        if (task.record.shown->replication_instance_arn == instance_arn ||
            task.record.shown->target_replication_instance_arn == instance_arn)
            return true;
    return false;
}

Answer<model::DeleteReplicationInstanceResponse> Service::delete_instance(
    Call& call, const model::DeleteReplicationInstanceMessage& in) {
    const auto& arn = *in.replication_instance_arn;
    auto record = GW_TRY(need_instance(call.scope, arn));
    const auto& identifier = *record.shown->replication_instance_identifier;
    if (record.shown->replication_instance_status == "deleting")
        return invalid_state(fmt::format("Replication instance {} is already being deleted.", identifier));
    if (GW_TRY(instance_has_tasks(call.scope, arn)))
        return invalid_state(fmt::format(
            "Replication instance {} has replication tasks. Delete the tasks before deleting the instance.",
            identifier));
    record.shown->replication_instance_status = "deleting";
    GW_TRY(save(call.scope, arn, record));
    event(call.scope, kInstance, identifier, "deletion", "Replication instance is being deleted.");
    finish_instance(call.scope, arn);
    return model::DeleteReplicationInstanceResponse{*record.shown};
}

// Ends the processes of its running tasks, which go on by themselves, and applies what was pending.
Answer<model::RebootReplicationInstanceResponse> Service::reboot_instance(
    Call& call, const model::RebootReplicationInstanceMessage& in) {
    const auto& arn = *in.replication_instance_arn;
    auto record = GW_TRY(need_available(call.scope, arn));
    const bool failover = in.force_failover.value_or(false),
               planned = in.force_planned_failover.value_or(false);
    if (failover && planned)
        return invalid_combination("ForceFailover and ForcePlannedFailover cannot both be true.");
    if ((failover || planned) && !record.shown->multi_az.value_or(false))
        return invalid_combination("A failover needs a replication instance with MultiAZ.");
    record.shown->replication_instance_status = "rebooting";
    GW_TRY(save(call.scope, arn, record));
    const auto& identifier = *record.shown->replication_instance_identifier;
    if (failover || planned)
        event(call.scope, kInstance, identifier, "failover",
              "Failover started for the replication instance.");
    finish_instance(call.scope, arn);
    return model::RebootReplicationInstanceResponse{*record.shown};
}

Answer<model::DescribeReplicationInstancesResponse> Service::describe_instances(
    Call& call, const model::DescribeReplicationInstancesMessage& in) {
    GW_TRY(check_filters(in.filters, {"replication-instance-arn", "replication-instance-id",
                                      "replication-instance-class", "engine-version"}));
    std::vector<std::pair<std::int64_t, model::ReplicationInstance>> found;
    const auto load = [&]() -> Answer<bool> {
        found.clear();
        bool passing = false;
        for (const auto& [order, record] : GW_TRY(list<InstanceRecord>(call.scope))) {
            const auto& shown = *record.shown;
            if (!passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                    if (name == "replication-instance-arn") return {*shown.replication_instance_arn};
                    if (name == "replication-instance-id") return {*shown.replication_instance_identifier};
                    if (name == "replication-instance-class") return {*shown.replication_instance_class};
                    return {*shown.engine_version};
                }))
                continue;
            passing = passing || shown.replication_instance_status != "available";
            found.emplace_back(order, shown);
        }
        return passing;
    };
    GW_TRY(settle(call, load));
    if (found.empty() && in.filters)
        return not_found("No Replication Instances found matching provided filters");
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeReplicationInstancesResponse{page.marker, std::move(page.items)};
}

Answer<model::CreateReplicationSubnetGroupResponse> Service::create_subnet_group(
    Call& call, const model::CreateReplicationSubnetGroupMessage& in) {
    const auto identifier = lower(*in.replication_subnet_group_identifier);
    const bool good =
        identifier.size() <= 255 && identifier != "default" && std::ranges::all_of(identifier, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                   c == ' ';
        });
    if (!good)
        return invalid_value(
            "ReplicationSubnetGroupIdentifier has at most 255 letters, digits, periods, underscores, and "
            "hyphens, and "
            "is not 'default'.");
    if (in.subnet_ids->empty()) return invalid_value("SubnetIds must not be empty.");
    if (GW_TRY(find<SubnetGroupRecord>(call.scope, identifier)))
        return already_exists("Replication Subnet Group already exists: " + identifier,
                              call.arn("subgrp", identifier));
    SubnetGroupRecord record;
    auto& group = record.shown.emplace();
    group.replication_subnet_group_identifier = identifier;
    group.replication_subnet_group_description = in.replication_subnet_group_description;
    group.vpc_id = "vpc-00000000000000000";
    group.subnet_group_status = "Complete";
    group.subnets = subnets(call.caller.region, *in.subnet_ids);
    group.supported_network_types = {"IPV4"};
    group.is_read_only = false;
    if (in.tags) GW_TRY(put_tags(call.scope, call.arn("subgrp", identifier), *in.tags));
    GW_TRY(save(call.scope, identifier, record));
    return model::CreateReplicationSubnetGroupResponse{group};
}

Answer<model::ModifyReplicationSubnetGroupResponse> Service::modify_subnet_group(
    Call& call, const model::ModifyReplicationSubnetGroupMessage& in) {
    const auto identifier = lower(*in.replication_subnet_group_identifier);
    auto record = GW_TRY(need<SubnetGroupRecord>(call.scope, identifier, kNoSubnetGroup));
    if (in.subnet_ids->empty()) return invalid_value("SubnetIds must not be empty.");
    if (in.replication_subnet_group_description)
        record.shown->replication_subnet_group_description = in.replication_subnet_group_description;
    record.shown->subnets = subnets(call.caller.region, *in.subnet_ids);
    GW_TRY(save(call.scope, identifier, record));
    for (auto& [order, instance] : GW_TRY(list<InstanceRecord>(call.scope)))
        if (instance.shown->replication_subnet_group->replication_subnet_group_identifier == identifier) {
            instance.shown->replication_subnet_group = record.shown;
            GW_TRY(save(call.scope, *instance.shown->replication_instance_arn, instance));
        }
    return model::ModifyReplicationSubnetGroupResponse{*record.shown};
}

Answer<model::DeleteReplicationSubnetGroupResponse> Service::delete_subnet_group(
    Call& call, const model::DeleteReplicationSubnetGroupMessage& in) {
    const auto identifier = lower(*in.replication_subnet_group_identifier);
    GW_TRY(need<SubnetGroupRecord>(call.scope, identifier, kNoSubnetGroup));
    for (const auto& [order, instance] : GW_TRY(list<InstanceRecord>(call.scope)))
        if (instance.shown->replication_subnet_group->replication_subnet_group_identifier == identifier)
            return invalid_state(
                fmt::format("Replication Subnet Group {} is used by replication instance {}.", identifier,
                            *instance.shown->replication_instance_identifier));
    GW_TRY(erase<TagsRecord>(call.scope, call.arn("subgrp", identifier)));
    GW_TRY(erase<SubnetGroupRecord>(call.scope, identifier));
    return model::DeleteReplicationSubnetGroupResponse{};
}

Answer<model::DescribeReplicationSubnetGroupsResponse> Service::describe_subnet_groups(
    Call& call, const model::DescribeReplicationSubnetGroupsMessage& in) {
    GW_TRY(check_filters(in.filters, {"replication-subnet-group-id"}));
    std::vector<std::pair<std::int64_t, model::ReplicationSubnetGroup>> found;
    for (const auto& [order, record] : GW_TRY(list<SubnetGroupRecord>(call.scope)))
        if (passes(in.filters, [&](const std::string&) {
                return std::vector<std::string>{*record.shown->replication_subnet_group_identifier};
            }))
            found.emplace_back(order, *record.shown);
    if (found.empty() && in.filters)
        return not_found("No Replication Subnet Groups found matching provided filters");
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeReplicationSubnetGroupsResponse{page.marker, std::move(page.items)};
}

Answer<model::DescribeOrderableReplicationInstancesResponse> Service::describe_orderable(
    Call& call, const model::DescribeOrderableReplicationInstancesMessage& in) {
    std::vector<std::pair<std::int64_t, model::OrderableReplicationInstance>> all;
    for (const auto& version : versions())
        for (const auto& one : kClasses) {
            model::OrderableReplicationInstance o;
            o.engine_version = version.number;
            o.replication_instance_class = one.name;
            o.storage_type = "gp2";
            o.min_allocated_storage = kStorageGbMin;
            o.max_allocated_storage = kStorageGbMax;
            o.default_allocated_storage = default_storage_gb(one.name);
            o.included_allocated_storage = default_storage_gb(one.name);
            o.availability_zones = {call.caller.region + "a", call.caller.region + "b",
                                    call.caller.region + "c"};
            o.release_status = "prod";
            all.emplace_back(static_cast<std::int64_t>(all.size()) + 1, std::move(o));
        }
    auto page = GW_TRY(paginate(std::move(all), in.max_records, in.marker));
    return model::DescribeOrderableReplicationInstancesResponse{std::move(page.items), page.marker};
}

Answer<model::DescribeEngineVersionsResponse> Service::describe_engine_versions(
    Call&, const model::DescribeEngineVersionsMessage& in) {
    std::vector<std::pair<std::int64_t, model::EngineVersion>> all;
    for (const auto& version : versions()) {
        model::EngineVersion v;
        v.version = version.number;
        v.lifecycle = version.lifecycle;
        v.release_status = "prod";
        v.launch_date = parse_iso_time(version.launched);
        v.available_upgrades = version.upgrades;
        all.emplace_back(static_cast<std::int64_t>(all.size()) + 1, std::move(v));
    }
    auto page = GW_TRY(paginate(std::move(all), in.max_records, in.marker));
    return model::DescribeEngineVersionsResponse{std::move(page.items), page.marker};
}

Answer<model::DescribeReplicationInstanceTaskLogsResponse> Service::describe_task_logs(
    Call& call, const model::DescribeReplicationInstanceTaskLogsMessage& in) {
    GW_TRY(need_instance(call.scope, *in.replication_instance_arn));
    std::vector<std::pair<std::int64_t, model::ReplicationInstanceTaskLog>> found;
    for (const auto& [order, task] : GW_TRY(list<TaskRecord>(call.scope))) {
        if (task.shown->replication_instance_arn != in.replication_instance_arn) continue;
        std::error_code code;
        std::int64_t bytes = 0;
        const auto folder = supervisor_->folder(lower(last_part(*task.shown->replication_task_arn)));
        for (std::filesystem::directory_iterator at(folder, code), end; !code && at != end;
             at.increment(code))
            if (at->path().filename().string().starts_with("task.log"))
                bytes += static_cast<std::int64_t>(at->file_size(code));
        if (bytes > 0)
            found.emplace_back(order,
                               model::ReplicationInstanceTaskLog{task.shown->replication_task_identifier,
                                                                 task.shown->replication_task_arn, bytes});
    }
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeReplicationInstanceTaskLogsResponse{in.replication_instance_arn,
                                                              std::move(page.items), page.marker};
}

Answer<model::DescribePendingMaintenanceActionsResponse> Service::describe_maintenance(
    Call& call, const model::DescribePendingMaintenanceActionsMessage& in) {
    if (in.replication_instance_arn) GW_TRY(need_instance(call.scope, *in.replication_instance_arn));
    GW_TRY(page_size(in.max_records, {}));
    GW_TRY(read_marker(in.marker));
    model::DescribePendingMaintenanceActionsResponse out;
    out.pending_maintenance_actions.emplace();
    return out;
}

Answer<model::ApplyPendingMaintenanceActionResponse> Service::apply_maintenance(
    Call& call, const model::ApplyPendingMaintenanceActionMessage& in) {
    constexpr std::string_view kActions[] = {"os-upgrade", "system-update", "db-upgrade", "os-patch"};
    constexpr std::string_view kOptIns[] = {"immediate", "next-maintenance", "undo-opt-in"};
    if (canonical(kActions, *in.apply_action).empty())
        return invalid_value("Invalid ApplyAction: " + shortened(*in.apply_action));
    if (canonical(kOptIns, *in.opt_in_type).empty())
        return invalid_value("Invalid OptInType: " + shortened(*in.opt_in_type));
    GW_TRY(need_instance(call.scope, *in.replication_instance_arn));
    model::ApplyPendingMaintenanceActionResponse out;
    auto& actions = out.resource_pending_maintenance_actions.emplace();
    actions.resource_identifier = in.replication_instance_arn;
    actions.pending_maintenance_action_details.emplace();
    return out;
}

Answer<model::DescribeAccountAttributesResponse> Service::describe_account(
    Call& call, const model::DescribeAccountAttributesMessage&) {
    const auto instances = GW_TRY(list<InstanceRecord>(call.scope));
    std::int64_t storage_gb = 0;
    for (const auto& instance : instances) storage_gb += instance.record.shown->allocated_storage.value_or(0);
    const auto count = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    model::DescribeAccountAttributesResponse out;
    // No limits of our own: the maxima are what AWS grants by default, for clients that compare.
    out.account_quotas = {
        {"ReplicationInstances", count(instances.size()), 60},
        {"AllocatedStorage", storage_gb, 30000},
        {"ReplicationSubnetGroups", count(GW_TRY(list<SubnetGroupRecord>(call.scope)).size()), 60},
        {"SubnetsPerReplicationSubnetGroup", 0, 60},
        {"Endpoints", count(GW_TRY(list<EndpointRecord>(call.scope)).size()), 1000},
        {"Certificates", count(GW_TRY(list<CertificateRecord>(call.scope)).size()), 100},
        {"ReplicationTasks", count(GW_TRY(list<TaskRecord>(call.scope)).size()), 600},
        {"EndpointsPerInstance", 0, 100},
    };
    // twelve lower-case letters and digits, the same for an account for ever
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";
    std::string id;
    for (const char c : sigv4::sha256_hex("account " + call.caller.account).substr(0, 12))
        id += kLetters[static_cast<unsigned char>(c) & 31U];
    out.unique_account_identifier = id;
    return out;
}

}  // namespace godwit::api
