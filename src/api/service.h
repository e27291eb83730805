#pragma once
// The DMS operations: one method each, from request struct to response struct. Every change of a status is in
// the store before the answer; what follows (creating -> available, ...) is done by background jobs, and
// found again in the stored states when the server restarts.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/codec.h"
#include "api/fault.h"
#include "api/jobs.h"
#include "api/model.gen.h"
#include "api/records.h"
#include "api/secret_source.h"
#include "api/sigv4.h"
#include "api/text.h"
#include "api/vault.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/supervisor.h"
#include "core/registry.h"
#include "core/store.h"

namespace godwit::api {

// One request on its way.
struct Call {
    const Caller& caller;
    std::string scope;  // account and region: resources of one are invisible to another
    std::unique_lock<std::mutex>& lock;

    [[nodiscard]] std::string arn(const char* type, const std::string& id) const {
        return Arn{caller.region, caller.account, type, id}.text();
    }
};

template <class R>
struct Listed {
    std::int64_t order = 0;
    R record;
};

template <class T>
struct Page {
    std::vector<T> items;
    std::optional<std::string> marker;
};

struct ServiceOptions {
    StateStore& store;
    const EndpointRegistry& registry;
    SecretSource& secrets;
    const Vault& vault;
    Clock& clock;
    Log& log;
    std::chrono::seconds min_running_visible{45};
};

// Thread safe.
class Service {
public:
    explicit Service(ServiceOptions options);
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    // Before the first call. The supervisor must outlive stop().
    void attach(control::Supervisor& supervisor);
    // Ends what the last server left half done, and takes over its running tasks.
    [[nodiscard]] Result<> recover();
    // Ends the background work; tasks go on.
    void stop();

    // `operation` without the target prefix. The answer is a JSON document.
    [[nodiscard]] Answer<std::string> call(const std::string& operation, const Caller& caller,
                                           const std::string& body);
    // From the supervisor's thread. false: the report could not be saved.
    [[nodiscard]] bool on_task_change(const std::string& task_id, const TaskReport& report);

    // /godwit/v1 (v1.cc); `task` is the last part of an ARN or an identifier
    [[nodiscard]] Answer<std::string> v1_regions(const Caller& caller);
    [[nodiscard]] Answer<std::string> v1_tasks(const Caller& caller);
    [[nodiscard]] Answer<std::string> v1_task(const Caller& caller, const std::string& task);
    [[nodiscard]] Answer<std::string> v1_ask(const Caller& caller, const std::string& task,
                                             const std::string& op, const std::string& body);
    [[nodiscard]] Answer<std::string> v1_logs(const Caller& caller, const std::string& task,
                                              std::size_t lines);
    [[nodiscard]] std::string metrics();

private:
    friend struct OperationTable;

    // 3.1 instances.cc
    Answer<model::CreateReplicationInstanceResponse> create_instance(
        Call&, const model::CreateReplicationInstanceMessage&);
    Answer<model::ModifyReplicationInstanceResponse> modify_instance(
        Call&, const model::ModifyReplicationInstanceMessage&);
    Answer<model::DeleteReplicationInstanceResponse> delete_instance(
        Call&, const model::DeleteReplicationInstanceMessage&);
    Answer<model::RebootReplicationInstanceResponse> reboot_instance(
        Call&, const model::RebootReplicationInstanceMessage&);
    Answer<model::DescribeReplicationInstancesResponse> describe_instances(
        Call&, const model::DescribeReplicationInstancesMessage&);
    Answer<model::CreateReplicationSubnetGroupResponse> create_subnet_group(
        Call&, const model::CreateReplicationSubnetGroupMessage&);
    Answer<model::ModifyReplicationSubnetGroupResponse> modify_subnet_group(
        Call&, const model::ModifyReplicationSubnetGroupMessage&);
    Answer<model::DeleteReplicationSubnetGroupResponse> delete_subnet_group(
        Call&, const model::DeleteReplicationSubnetGroupMessage&);
    Answer<model::DescribeReplicationSubnetGroupsResponse> describe_subnet_groups(
        Call&, const model::DescribeReplicationSubnetGroupsMessage&);
    Answer<model::DescribeOrderableReplicationInstancesResponse> describe_orderable(
        Call&, const model::DescribeOrderableReplicationInstancesMessage&);
    Answer<model::DescribeEngineVersionsResponse> describe_engine_versions(
        Call&, const model::DescribeEngineVersionsMessage&);
    Answer<model::DescribeReplicationInstanceTaskLogsResponse> describe_task_logs(
        Call&, const model::DescribeReplicationInstanceTaskLogsMessage&);
    Answer<model::DescribePendingMaintenanceActionsResponse> describe_maintenance(
        Call&, const model::DescribePendingMaintenanceActionsMessage&);
    Answer<model::ApplyPendingMaintenanceActionResponse> apply_maintenance(
        Call&, const model::ApplyPendingMaintenanceActionMessage&);
    Answer<model::DescribeAccountAttributesResponse> describe_account(
        Call&, const model::DescribeAccountAttributesMessage&);
    // 3.2 endpoints.cc, connections.cc
    Answer<model::CreateEndpointResponse> create_endpoint(Call&, const model::CreateEndpointMessage&);
    Answer<model::ModifyEndpointResponse> modify_endpoint(Call&, const model::ModifyEndpointMessage&);
    Answer<model::DeleteEndpointResponse> delete_endpoint(Call&, const model::DeleteEndpointMessage&);
    Answer<model::DescribeEndpointsResponse> describe_endpoints(Call&,
                                                                const model::DescribeEndpointsMessage&);
    Answer<model::DescribeEndpointTypesResponse> describe_endpoint_types(
        Call&, const model::DescribeEndpointTypesMessage&);
    Answer<model::DescribeEndpointSettingsResponse> describe_endpoint_settings(
        Call&, const model::DescribeEndpointSettingsMessage&);
    Answer<model::TestConnectionResponse> test_connection(Call&, const model::TestConnectionMessage&);
    Answer<model::DeleteConnectionResponse> delete_connection(Call&, const model::DeleteConnectionMessage&);
    Answer<model::DescribeConnectionsResponse> describe_connections(Call&,
                                                                    const model::DescribeConnectionsMessage&);
    Answer<model::RefreshSchemasResponse> refresh_schemas(Call&, const model::RefreshSchemasMessage&);
    Answer<model::DescribeRefreshSchemasStatusResponse> describe_refresh(
        Call&, const model::DescribeRefreshSchemasStatusMessage&);
    Answer<model::DescribeSchemasResponse> describe_schemas(Call&, const model::DescribeSchemasMessage&);
    // 3.3 tasks.cc, task_runs.cc
    Answer<model::CreateReplicationTaskResponse> create_task(Call&,
                                                             const model::CreateReplicationTaskMessage&);
    Answer<model::ModifyReplicationTaskResponse> modify_task(Call&,
                                                             const model::ModifyReplicationTaskMessage&);
    Answer<model::StartReplicationTaskResponse> start_task(Call&, const model::StartReplicationTaskMessage&);
    Answer<model::StopReplicationTaskResponse> stop_task(Call&, const model::StopReplicationTaskMessage&);
    Answer<model::DeleteReplicationTaskResponse> delete_task(Call&,
                                                             const model::DeleteReplicationTaskMessage&);
    Answer<model::MoveReplicationTaskResponse> move_task(Call&, const model::MoveReplicationTaskMessage&);
    Answer<model::DescribeReplicationTasksResponse> describe_tasks(
        Call&, const model::DescribeReplicationTasksMessage&);
    Answer<model::DescribeTableStatisticsResponse> describe_table_statistics(
        Call&, const model::DescribeTableStatisticsMessage&);
    Answer<model::ReloadTablesResponse> reload_tables(Call&, const model::ReloadTablesMessage&);
    // 3.6 others.cc
    Answer<model::AddTagsToResourceResponse> add_tags(Call&, const model::AddTagsToResourceMessage&);
    Answer<model::RemoveTagsFromResourceResponse> remove_tags(Call&,
                                                              const model::RemoveTagsFromResourceMessage&);
    Answer<model::ListTagsForResourceResponse> list_tags(Call&, const model::ListTagsForResourceMessage&);
    Answer<model::ImportCertificateResponse> import_certificate(Call&,
                                                                const model::ImportCertificateMessage&);
    Answer<model::DeleteCertificateResponse> delete_certificate(Call&,
                                                                const model::DeleteCertificateMessage&);
    Answer<model::DescribeCertificatesResponse> describe_certificates(
        Call&, const model::DescribeCertificatesMessage&);
    Answer<model::DescribeEventsResponse> describe_events(Call&, const model::DescribeEventsMessage&);
    Answer<model::DescribeEventCategoriesResponse> describe_event_categories(
        Call&, const model::DescribeEventCategoriesMessage&);

    // Store access; mutex_ is held.
    template <class R>
    Answer<std::optional<R>> find(const std::string& scope, const std::string& key) {
        auto stored = GW_ANSWER(options_.store.get(R::kKind, scope, key));
        if (!stored) return std::optional<R>{};
        return GW_ANSWER(decode_stored<R>(stored->document));
    }
    template <class R>
    Answer<R> need(const std::string& scope, const std::string& key, const std::string& message) {
        auto found = GW_TRY(find<R>(scope, key));
        if (!found) return not_found(message);
        return std::move(*found);
    }
    template <class R>
    Answer<std::vector<Listed<R>>> list(const std::string& scope) {
        auto stored = GW_ANSWER(options_.store.list(R::kKind, scope));
        std::vector<Listed<R>> out;
        for (const auto& one : stored) out.push_back({one.order, GW_ANSWER(decode_stored<R>(one.document))});
        return out;
    }
    template <class R>
    Answer<std::monostate> save(const std::string& scope, const std::string& key, const R& record) {
        GW_ANSWER_CHECK(options_.store.put({R::kKind, scope, key, encode(record)}));
        changed_.notify_all();
        return {};
    }
    template <class R>
    Answer<std::monostate> erase(const std::string& scope, const std::string& key) {
        GW_ANSWER_CHECK(options_.store.remove(R::kKind, scope, key));
        changed_.notify_all();
        return {};
    }
    // Loads again while `load` (which returns whether something is in a passing state) says so, for a moment:
    // a waiter's first poll then finds the end of a short transition.
    Answer<std::monostate> settle(Call& call, const std::function<Answer<bool>()>& load);
    // Later, under mutex_; a fault goes to the log.
    void later(std::chrono::milliseconds delay, std::function<Answer<std::monostate>()> work);
    [[nodiscard]] Timestamp now() const { return {options_.clock.now().time_since_epoch().count()}; }
    void event(const std::string& scope, const char* source_type, const std::string& source_id,
               const char* category, const std::string& message, std::optional<Timestamp> at = {});
    Answer<std::monostate> put_tags(const std::string& scope, const std::string& arn,
                                    const std::vector<model::Tag>& tags);

    Answer<std::monostate> need_taggable(const std::string& scope, const std::string& arn);

    // instances.cc
    Answer<InstanceRecord> need_instance(const std::string& scope, const std::string& arn);
    Answer<InstanceRecord> need_available(const std::string& scope, const std::string& arn);
    void finish_instance(const std::string& scope, const std::string& arn);
    Answer<std::monostate> restart_tasks(const std::string& scope, const std::string& instance_arn);
    Answer<std::monostate> apply_changes(const std::string& scope, InstanceRecord& record);
    void await_window(const std::string& scope, const std::string& arn, std::chrono::milliseconds delay);
    Answer<model::ReplicationSubnetGroup> default_subnet_group(const Call&);
    // endpoints.cc
    struct EndpointInputs {  // what config_of() needs, taken under mutex_
        EndpointRecord record;
        std::string ca_certificate_pem;
    };
    Answer<EndpointRecord> need_endpoint(const std::string& scope, const std::string& arn);
    Answer<EndpointInputs> endpoint_inputs(const std::string& scope, const std::string& arn);
    [[nodiscard]] Result<std::map<std::string, std::string>> secrets_of(const EndpointRecord& record) const;
    // May ask the secret source: not under mutex_.
    [[nodiscard]] Result<EndpointConfig> config_of(const EndpointInputs& inputs) const;
    [[nodiscard]] Result<ProbeResult> probe(const EndpointInputs& inputs) const;
    void finish_endpoint_delete(const std::string& scope, const std::string& arn);
    [[nodiscard]] std::optional<std::string> display_name(const std::string& engine) const;
    // connections.cc
    void run_test(const std::string& scope, const std::string& instance_arn, const std::string& endpoint_arn);
    void run_refresh(const std::string& scope, const std::string& endpoint_arn);
    // tasks.cc
    // CdcStartPosition or CdcStartTime of a request, as the task is told; nothing: neither was given
    Answer<std::optional<std::string>> start_position(const std::string& scope, const std::string& source_arn,
                                                      const std::optional<std::string>& position,
                                                      const std::optional<Timestamp>& time);
    Answer<TaskRecord> need_task(const std::string& scope, const std::string& arn);
    [[nodiscard]] std::string status_of(const TaskRecord& record) const;  // as the API shows it
    model::ReplicationTask shown(const TaskRecord& record, bool with_statistics);
    void finish_modify(const std::string& scope, const std::string& arn);
    void finish_delete(const std::string& scope, const std::string& arn);
    Answer<bool> instance_has_tasks(const std::string& scope, const std::string& instance_arn);
    // task_runs.cc
    struct RunInputs {
        TaskRecord record;
        EndpointInputs source, target;
        std::uint64_t memory_bytes_max = 0;
    };
    Answer<std::uint64_t> memory_share(const std::string& scope, const TaskRecord& record);
    Answer<RunInputs> run_inputs(const std::string& scope, const TaskRecord& record);
    [[nodiscard]] Result<TaskSpec> spec_of(const RunInputs& inputs) const;
    void begin_run(const std::string& scope, const std::string& arn);
    void recover_run(const std::string& scope, const std::string& arn);
    void fail_run(const std::string& scope, const std::string& arn, const std::string& text,
                  bool recoverable);
    // false: it could not be saved, nothing has changed
    [[nodiscard]] bool take_report(const std::string& scope, TaskRecord& record, const TaskReport& report);
    // What the process noted for DescribeEvents: mark_events() before the caller saves the record, it gives
    // the mark of before; tell_events() writes those behind that. mutex_ is held.
    static std::int64_t mark_events(TaskRecord& record, const TaskReport& report);
    void tell_events(const std::string& scope, const TaskRecord& record, const TaskReport& report,
                     std::int64_t seen_us);
    [[nodiscard]] std::optional<TaskReport> report_of(const TaskRecord& record) const;
    Answer<std::pair<std::string, TaskRecord>> find_task_id(const std::string& task_id);
    Answer<std::vector<TaskRecord>> tasks_of_account(const Caller& caller);
    Answer<TaskRecord> find_task(const Caller& caller, const std::string& id_or_identifier);

    const ServiceOptions options_;
    control::Supervisor* supervisor_ = nullptr;
    std::mutex mutex_;  // guards the stored resources
    std::condition_variable changed_;
    std::map<std::string, std::uint64_t> window_watches_;  // by instance: the one that counts; under mutex_
    std::unique_ptr<Jobs> quick_, slow_;
};

// Filters: AND between them, OR between values.
using FilterValues = std::function<std::vector<std::string>(const std::string& filter_name)>;
[[nodiscard]] Answer<std::monostate> check_filters(const std::optional<std::vector<model::Filter>>& filters,
                                                   std::initializer_list<std::string_view> known);
[[nodiscard]] bool passes(const std::optional<std::vector<model::Filter>>& filters,
                          const FilterValues& values);

struct PageLimits {
    std::int64_t normal = 100, min = 20, max = 100;
};
[[nodiscard]] Answer<std::int64_t> page_size(std::optional<std::int64_t> max_records, PageLimits limits);
[[nodiscard]] std::string make_marker(std::int64_t order);
[[nodiscard]] Answer<std::int64_t> read_marker(const std::optional<std::string>& marker);

// `items` ascend by order.
template <class T>
Answer<Page<T>> paginate(std::vector<std::pair<std::int64_t, T>> items,
                         std::optional<std::int64_t> max_records, const std::optional<std::string>& marker,
                         PageLimits limits = {}) {
    const auto size = GW_TRY(page_size(max_records, limits));
    const auto after = GW_TRY(read_marker(marker));
    Page<T> page;
    std::int64_t last = 0;
    for (auto& [order, item] : items) {
        if (order <= after) continue;
        if (static_cast<std::int64_t>(page.items.size()) == size) {
            page.marker = make_marker(last);
            break;
        }
        page.items.push_back(std::move(item));
        last = order;
    }
    return page;
}

// CdcStopPosition in the one form that tasks read, "server_time:2018-02-09T12:12:12" (UTC); empty: none.
// Accepts what clients write: blanks, zones, times without seconds.
[[nodiscard]] Answer<std::string> stop_position(const std::string& text);

// memory of an instance class, or nothing for an unknown class
[[nodiscard]] std::optional<std::uint64_t> memory_of_class(std::string_view instance_class);

}  // namespace godwit::api
