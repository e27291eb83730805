// Replication tasks: what is stored (spec/api 3.3, 4.1, 5). How they run: task_runs.cc.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "api/json_text.h"
#include "api/service.h"
#include "mapping/settings.h"
#include "mapping/tables.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

constexpr const char* kTask = "replication-task";
constexpr const char* kNoTask = "Task not found.";

MigrationType migration_type(const std::string& text) {
    return text == "cdc"         ? MigrationType::cdc
           : text == "full-load" ? MigrationType::full_load
                                 : MigrationType::full_load_and_cdc;
}

// The mapping's texts are the API's.
template <class T>
Answer<T> checked(Result<T> result) {
    if (!result) return invalid_value(result.error().text());
    if constexpr (std::is_void_v<T>)
        return {};
    else
        return std::move(*result);
}
Answer<std::monostate> checked(const Result<>& result) {
    if (!result) return invalid_value(result.error().text());
    return {};
}

// A rule for each of a hundred thousand tables passes.
constexpr JsonLimits kMappingsLimits{2'000'000, 32}, kSettingsLimits{20'000, 32};

Answer<std::monostate> check_settings(const std::optional<std::string>& settings) {
    if (settings && !within(kSettingsLimits, *settings)) return invalid_value("Invalid task settings JSON");
    return {};
}

Answer<std::monostate> check_mappings(const std::string& mappings) {
    if (!within(kMappingsLimits, mappings))
        return invalid_value("TableMappings hold too many values or levels.");
    GW_TRY(checked(mapping::compile_selection(mappings)));
    return {};
}

bool has_text(const std::optional<std::string>& text) { return text && !text->empty(); }

std::optional<std::string> text_or_none(const std::string& text) {
    if (text.empty()) return {};
    return text;
}

bool is_active(const std::string& status) {
    return status == "starting" || status == "running" || status == "stopping";
}

std::int64_t whole(std::uint64_t n) { return static_cast<std::int64_t>(n); }

std::optional<Timestamp> time_or_none(std::int64_t us) {
    if (us <= 0) return {};
    return Timestamp{us};
}

std::int64_t progress_percent(const TaskReport& report, const std::string& type) {
    if (type == "cdc" || report.full_load_finish_us > 0) return 100;
    if (report.tables.empty()) return 0;
    // Rows where they can be estimated, else slices; an unestimated table counts as much as the others on
    // average.
    double done = 0;
    for (const auto& t : report.tables) {
        if (t.state == "Table completed")
            done += 1;
        else if (t.rows_estimate > 0)
            done +=
                std::min(0.99, static_cast<double>(t.full_load_rows) / static_cast<double>(t.rows_estimate));
        else if (t.slices > 0)
            done += std::min(0.99, static_cast<double>(t.slices_done) / t.slices);
    }
    return std::min<std::int64_t>(
        99, static_cast<std::int64_t>(100.0 * done / static_cast<double>(report.tables.size())));
}

model::ReplicationTaskStats statistics(const TaskReport& report, const std::string& type,
                                       const TaskRecord& record, Timestamp now, bool ended) {
    model::ReplicationTaskStats out;
    std::int64_t loaded = 0, loading = 0, queued = 0, errored = 0;
    for (const auto& t : report.tables) {
        if (t.state == "Table completed")
            ++loaded;
        else if (t.state == "Full load")
            ++loading;
        else if (t.state == "Before load" || t.state == "Table is being reloaded")
            ++queued;
        else if (t.state == "Table error" || t.state == "Table does not exist")
            ++errored;
    }
    out.full_load_progress_percent = progress_percent(report, type);
    out.tables_loaded = loaded;
    out.tables_loading = loading;
    out.tables_queued = queued;
    out.tables_errored = errored;
    out.elapsed_time_millis = 0;
    const auto start = time_or_none(report.start_us);
    const auto begun = start ? start : record.run_started;
    if (begun) {
        const auto end = ended && report.stop_us > 0 ? report.stop_us : now.us;
        out.elapsed_time_millis = std::max<std::int64_t>(0, (end - begun->us) / 1000);
    }
    out.start_date = begun;
    out.fresh_start_date = time_or_none(report.fresh_start_us);
    if (ended) out.stop_date = time_or_none(report.stop_us);
    out.full_load_start_date = time_or_none(report.full_load_start_us);
    out.full_load_finish_date = time_or_none(report.full_load_finish_us);
    return out;
}

}  // namespace

Answer<std::string> stop_position(const std::string& text) {
    std::string_view rest = text;
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    if (rest.empty()) return std::string();
    for (const std::string_view kind : {"server_time:", "commit_time:"})
        if (rest.starts_with(kind))
            if (const auto time = parse_iso_time(rest.substr(kind.size())))
                return std::string(kind) + format_iso_time(*time);
    return invalid_value(
        "Invalid CdcStopPosition '" + shortened(text) +
        "': the forms are server_time:2018-02-09T12:12:12 and commit_time:2018-02-09T12:12:12");
}

Answer<std::optional<std::string>> Service::start_position(const std::string& scope,
                                                           const std::string& source_arn,
                                                           const std::optional<std::string>& position,
                                                           const std::optional<Timestamp>& time) {
    if (time && position)
        return invalid_combination("CdcStartTime and CdcStartPosition cannot both be given.");
    if (!time && !has_text(position)) return std::optional<std::string>{};
    const auto text = time ? format_iso_time(*time) : *position;
    const auto source = GW_TRY(need_endpoint(scope, source_arn));
    const auto& engine = *source.shown->engine_name;
    const auto* kind = options_.registry.find(engine);
    if (kind == nullptr || kind->check_position == nullptr) return std::optional(text);
    const auto good = kind->check_position(text);
    if (good) return std::optional(text);
    if (time)
        return invalid_combination(
            "CdcStartTime is not supported for a source of engine " + engine +
            ": its log has no index by time. Use CdcStartPosition with a native position or a checkpoint.");
    return invalid_value("Invalid CdcStartPosition '" + shortened(text) + "': " + good.error().text());
}

Answer<TaskRecord> Service::need_task(const std::string& scope, const std::string& arn) {
    return need<TaskRecord>(scope, arn, fmt::format("{} ARN: {}", kNoTask, shortened(arn)));
}

// A load that ends before anybody looks would seem never to have run: waiters and Terraform want to see
// `running`.
std::string Service::status_of(const TaskRecord& record) const {
    if (record.shown->status == "stopped" && record.visible_until && now() < *record.visible_until)
        return "running";
    return *record.shown->status;
}

std::optional<TaskReport> Service::report_of(const TaskRecord& record) const {
    if (!record.started.value_or(false)) return {};
    return supervisor_->report(lower(last_part(*record.shown->replication_task_arn)));
}

model::ReplicationTask Service::shown(const TaskRecord& record, bool with_statistics) {
    model::ReplicationTask out = *record.shown;
    out.status = status_of(record);
    const bool hidden_end = out.status != record.shown->status;
    if (hidden_end) out.stop_reason.reset();
    if (record.started.value_or(false)) {
        const auto report = report_of(record);
        if (is_active(*record.shown->status) && report && !report->checkpoint.empty())
            out.recovery_checkpoint = report->checkpoint;
        if (!out.recovery_checkpoint) out.recovery_checkpoint = "";
        if (with_statistics)
            out.replication_task_stats = statistics(report.value_or(TaskReport{}), *out.migration_type,
                                                    record, now(), !is_active(*record.shown->status));
    } else if (with_statistics) {
        out.replication_task_stats = statistics({}, "", record, now(), true);
    }
    return out;
}

Answer<model::CreateReplicationTaskResponse> Service::create_task(
    Call& call, const model::CreateReplicationTaskMessage& in) {
    GW_TRY(check_identifier("ReplicationTaskIdentifier", *in.replication_task_identifier, 255));
    std::string id = new_resource_id();
    if (in.resource_identifier) {
        GW_TRY(check_identifier("ResourceIdentifier", *in.resource_identifier, 31));
        id = *in.resource_identifier;
    }
    const auto arn = call.arn("task", id);
    const auto identifier = lower(*in.replication_task_identifier);
    for (const auto& [order, other] : GW_TRY(list<TaskRecord>(call.scope)))
        if (lower(*other.shown->replication_task_identifier) == identifier ||
            lower(*other.shown->replication_task_arn) == lower(arn))
            return already_exists("A task with this name already exists", *other.shown->replication_task_arn);
    const auto source = GW_TRY(need_endpoint(call.scope, *in.source_endpoint_arn));
    const auto target = GW_TRY(need_endpoint(call.scope, *in.target_endpoint_arn));
    GW_TRY(need_available(call.scope, *in.replication_instance_arn));
    if (source.shown->endpoint_type != "SOURCE")
        return invalid_combination("SourceEndpointArn is not a source endpoint.");
    if (target.shown->endpoint_type != "TARGET")
        return invalid_combination("TargetEndpointArn is not a target endpoint.");
    for (const auto* endpoint : {&source, &target})
        if (endpoint->shown->status != "active")
            return invalid_state(
                fmt::format("Endpoint {} is not active.", *endpoint->shown->endpoint_identifier));
    const auto start =
        GW_TRY(start_position(call.scope, *in.source_endpoint_arn, in.cdc_start_position, in.cdc_start_time));
    if (in.cdc_stop_position) GW_TRY(stop_position(*in.cdc_stop_position));
    GW_TRY(check_mappings(*in.table_mappings));

    GW_TRY(check_settings(in.replication_task_settings));
    TaskRecord record;
    const auto type = migration_type(*in.migration_type);
    record.user_settings = in.replication_task_settings.value_or("{}");
    const auto settings = GW_TRY(checked(mapping::merge_settings(type, *record.user_settings)));
    GW_TRY(checked(mapping::refuse_inactive(settings, *record.user_settings)));

    auto& shown = record.shown.emplace();
    shown.replication_task_identifier = in.replication_task_identifier;
    shown.source_endpoint_arn = in.source_endpoint_arn;
    shown.target_endpoint_arn = in.target_endpoint_arn;
    shown.replication_instance_arn = in.replication_instance_arn;
    shown.migration_type = in.migration_type;
    shown.table_mappings = in.table_mappings;
    shown.replication_task_settings = settings;
    shown.status = "creating";
    shown.replication_task_creation_date = now();
    shown.cdc_start_position = start;
    if (has_text(in.cdc_stop_position)) shown.cdc_stop_position = in.cdc_stop_position;
    shown.task_data = in.task_data;
    shown.replication_task_arn = arn;
    if (in.tags) GW_TRY(put_tags(call.scope, arn, *in.tags));
    GW_TRY(save(call.scope, arn, record));
    event(call.scope, kTask, *shown.replication_task_identifier, "creation",
          "Replication task has been created.");
    finish_modify(call.scope, arn);
    return model::CreateReplicationTaskResponse{shown};
}

// creating, modifying and moving lead on.
void Service::finish_modify(const std::string& scope, const std::string& arn) {
    later(20ms, [this, scope, arn]() -> Answer<std::monostate> {
        auto record = GW_TRY(find<TaskRecord>(scope, arn));
        if (!record) return {};
        auto& shown = *record->shown;
        if (shown.status == "creating") {
            shown.status = "ready";
        } else if (shown.status == "modifying") {
            shown.status = record->former_status.value_or("ready");
        } else if (shown.status == "moving") {
            shown.status = record->former_status.value_or("stopped");
            shown.replication_instance_arn = shown.target_replication_instance_arn;
            shown.target_replication_instance_arn.reset();
        } else {
            return {};
        }
        record->former_status.reset();
        return save(scope, arn, *record);
    });
}

Answer<model::ModifyReplicationTaskResponse> Service::modify_task(
    Call& call, const model::ModifyReplicationTaskMessage& in) {
    const auto& arn = *in.replication_task_arn;
    auto record = GW_TRY(need_task(call.scope, arn));
    auto& task = *record.shown;
    const auto status = status_of(record);
    const bool anything = in.replication_task_identifier || in.migration_type || in.table_mappings ||
                          in.replication_task_settings || in.cdc_start_time || in.cdc_start_position ||
                          in.cdc_stop_position || in.task_data;
    if (!anything) return invalid_combination("No modifications were requested");
    GW_TRY(check_settings(in.replication_task_settings));
    if (status != "ready" && status != "stopped" && status != "failed" && status != "failed-move") {
        const bool severities = status == "running" && in.replication_task_settings &&
                                !in.replication_task_identifier && !in.migration_type && !in.table_mappings &&
                                !in.cdc_start_time && !in.cdc_start_position && !in.cdc_stop_position &&
                                !in.task_data && mapping::only_log_severities(*in.replication_task_settings);
        if (!severities)
            return invalid_state(
                "Replication Task, excluding logging severity task settings, cannot be modified while it is "
                "running "
                "state");
    }
    const auto start = GW_TRY(
        start_position(call.scope, *task.source_endpoint_arn, in.cdc_start_position, in.cdc_start_time));
    if (in.cdc_stop_position) GW_TRY(stop_position(*in.cdc_stop_position));
    if (in.replication_task_identifier &&
        lower(*in.replication_task_identifier) != lower(*task.replication_task_identifier)) {
        GW_TRY(check_identifier("ReplicationTaskIdentifier", *in.replication_task_identifier, 255));
        for (const auto& [order, other] : GW_TRY(list<TaskRecord>(call.scope)))
            if (lower(*other.shown->replication_task_identifier) == lower(*in.replication_task_identifier))
                return already_exists("A task with this name already exists",
                                      *other.shown->replication_task_arn);
    }
    auto type = migration_type(*task.migration_type);
    if (in.migration_type && in.migration_type != task.migration_type) {
        if (record.started.value_or(false))
            return invalid_combination("The migration type of a task that has run cannot be changed.");
        type = migration_type(*in.migration_type);
        task.migration_type = in.migration_type;
        task.replication_task_settings =
            GW_TRY(checked(mapping::merge_settings(type, *record.user_settings)));
    }
    std::map<std::string, std::string> levels;
    if (in.replication_task_settings) {
        const auto user = GW_TRY(
            checked(mapping::merge_user_document(*record.user_settings, *in.replication_task_settings)));
        const auto merged = GW_TRY(checked(
            mapping::modify_settings(type, *task.replication_task_settings, *in.replication_task_settings)));
        GW_TRY(checked(mapping::refuse_inactive(merged, user)));
        levels = log_levels(*in.replication_task_settings);
        if (deletes_task_logs(*in.replication_task_settings)) {
            std::error_code code;
            const auto folder = supervisor_->folder(lower(last_part(arn)));
            for (std::filesystem::directory_iterator at(folder, code), end; !code && at != end;
                 at.increment(code))
                if (at->path().filename().string().starts_with("task.log")) {
                    // the running task has the newest open: emptied, not removed
                    std::error_code ignored;
                    if (at->path().filename() == "task.log")
                        std::filesystem::resize_file(at->path(), 0, ignored);
                    else
                        std::filesystem::remove(at->path(), ignored);
                }
        }
        record.user_settings = user;
        task.replication_task_settings = merged;
    }
    if (in.table_mappings) {
        GW_TRY(check_mappings(*in.table_mappings));
        task.table_mappings = in.table_mappings;
    }
    if (in.replication_task_identifier) task.replication_task_identifier = in.replication_task_identifier;
    if (in.cdc_start_position || in.cdc_start_time) task.cdc_start_position = start;
    if (in.cdc_stop_position) task.cdc_stop_position = text_or_none(*in.cdc_stop_position);
    if (in.task_data) task.task_data = in.task_data;
    event(call.scope, kTask, *task.replication_task_identifier, "configuration change",
          "Replication task has been modified.");
    if (is_active(*task.status)) {
        GW_TRY(save(call.scope, arn, record));
        const auto answer = shown(record, false);
        if (!levels.empty()) {
            call.lock.unlock();  // the task may be slow to answer; its next start has the levels in any case
            if (const auto told = supervisor_->ask(lower(last_part(arn)), log_request(levels), 5s); !told)
                options_.log.warning(Component::rest_server,
                                     "log levels of " + arn + ": " + told.error().text());
        }
        return model::ModifyReplicationTaskResponse{answer};
    }
    record.former_status = task.status;
    record.visible_until.reset();
    task.status = "modifying";
    GW_TRY(save(call.scope, arn, record));
    finish_modify(call.scope, arn);
    return model::ModifyReplicationTaskResponse{shown(record, false)};
}

Answer<model::DeleteReplicationTaskResponse> Service::delete_task(
    Call& call, const model::DeleteReplicationTaskMessage& in) {
    const auto& arn = *in.replication_task_arn;
    auto record = GW_TRY(need_task(call.scope, arn));
    const auto status = status_of(record);
    const auto& identifier = *record.shown->replication_task_identifier;
    if (status == "deleting")
        return invalid_state(fmt::format("Replication Task {} is already being deleted", identifier));
    if (is_active(status) || status == "testing" || status == "modifying")
        return invalid_state(fmt::format(
            "Replication Task {} is running or changing (status {}): stop it before trying to delete it",
            identifier, status));
    record.shown->status = "deleting";
    GW_TRY(save(call.scope, arn, record));
    finish_delete(call.scope, arn);
    return model::DeleteReplicationTaskResponse{shown(record, false)};
}

void Service::finish_delete(const std::string& scope, const std::string& arn) {
    constexpr auto kCleanUpMax = 60s;
    slow_->after(10ms, [=, this](const std::stop_token&) {
        const auto log = [&](const std::string& text) { options_.log.error(Component::rest_server, text); };
        std::optional<RunInputs> inputs;
        std::string failure;
        bool in_use = false;
        {
            const std::lock_guard lock(mutex_);
            auto record = find<TaskRecord>(scope, arn);
            if (!record || !*record) return;
            if ((*record)->started.value_or(false)) {
                auto gathered = run_inputs(scope, **record);
                if (gathered)
                    inputs = std::move(*gathered);
                else
                    failure = gathered.error().message;
            }
        }
        const auto id = lower(last_part(arn));
        if (inputs) {
            const auto spec = spec_of(*inputs);
            if (!spec)
                failure = spec.error().text();
            else if (const auto dropped = supervisor_->drop(*spec, kCleanUpMax); !dropped) {
                failure = dropped.error().text();
                in_use = dropped.error().code == ErrorCode::failed_precondition;
            }
        }
        const std::lock_guard lock(mutex_);
        const auto done = [&]() -> Answer<std::monostate> {
            auto record = GW_TRY(find<TaskRecord>(scope, arn));
            if (!record || record->shown->status != "deleting") return {};
            const auto& identifier = *record->shown->replication_task_identifier;
            if (!failure.empty()) {
                event(scope, kTask, identifier, "failure",
                      "Replication task could not clean up its resources: " + failure);
                log("clean-up of " + arn + ": " + failure);
                const auto settings = mapping::read_settings(*record->shown->replication_task_settings);
                // Nobody tried to clean up while a process has the folder: another deletion can.
                if (in_use || (settings && settings->fail_when_clean_failed)) {
                    record->shown->status = "failed";
                    record->shown->last_failure_message =
                        "Last Error  " + failure + " Stop Reason FATAL_ERROR Error Level FATAL";
                    return save(scope, arn, *record);
                }
                std::error_code code;
                std::filesystem::remove_all(supervisor_->folder(id), code);
            }
            GW_TRY(erase<TagsRecord>(scope, arn));
            GW_TRY(erase<TaskRecord>(scope, arn));
            event(scope, kTask, identifier, "deletion", "Replication task has been deleted.");
            return {};
        }();
        if (!done) log(done.error().message);
    });
}

Answer<model::MoveReplicationTaskResponse> Service::move_task(Call& call,
                                                              const model::MoveReplicationTaskMessage& in) {
    const auto& arn = *in.replication_task_arn;
    auto record = GW_TRY(need_task(call.scope, arn));
    const auto status = status_of(record);
    if (status != "ready" && status != "stopped" && status != "failed" && status != "failed-move")
        return invalid_state(fmt::format("Replication Task cannot be moved in status {}", status));
    if (record.shown->replication_instance_arn == in.target_replication_instance_arn)
        return invalid_state("The task is already on this replication instance.");
    const auto target = GW_TRY(need_available(call.scope, *in.target_replication_instance_arn));
    const auto origin = GW_TRY(find<InstanceRecord>(call.scope, *record.shown->replication_instance_arn));
    if (origin && *target.shown->engine_version < *origin->shown->engine_version)
        return invalid_state("The target replication instance has an older engine version.");
    record.former_status = record.shown->status;
    record.shown->status = "moving";
    record.shown->target_replication_instance_arn = in.target_replication_instance_arn;
    GW_TRY(save(call.scope, arn, record));
    finish_modify(call.scope, arn);
    return model::MoveReplicationTaskResponse{shown(record, false)};
}

Answer<model::DescribeReplicationTasksResponse> Service::describe_tasks(
    Call& call, const model::DescribeReplicationTasksMessage& in) {
    GW_TRY(check_filters(in.filters, {"replication-task-arn", "replication-task-id", "migration-type",
                                      "endpoint-arn", "replication-instance-arn"}));
    std::vector<std::pair<std::int64_t, TaskRecord>> found;
    const auto load = [&]() -> Answer<bool> {
        found.clear();
        bool passing = false;
        for (auto& [order, record] : GW_TRY(list<TaskRecord>(call.scope))) {
            const auto& task = *record.shown;
            if (!passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                    if (name == "replication-task-arn") return {*task.replication_task_arn};
                    if (name == "replication-task-id") return {*task.replication_task_identifier};
                    if (name == "migration-type") return {*task.migration_type};
                    if (name == "endpoint-arn") return {*task.source_endpoint_arn, *task.target_endpoint_arn};
                    return {*task.replication_instance_arn};
                }))
                continue;
            const auto& status = *task.status;
            passing = passing ||
                      (status != "ready" && status != "running" && status != "stopped" && status != "failed");
            found.emplace_back(order, std::move(record));
        }
        return passing;
    };
    GW_TRY(settle(call, load));
    if (found.empty() && in.filters) return not_found("No Tasks found matching provided filters");
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    model::DescribeReplicationTasksResponse out;
    out.marker = page.marker;
    out.replication_tasks.emplace();
    for (const auto& record : page.items) {
        auto task = shown(record, true);
        if (in.without_settings.value_or(false)) task.replication_task_settings.reset();
        out.replication_tasks->push_back(std::move(task));
    }
    return out;
}

Answer<model::DescribeTableStatisticsResponse> Service::describe_table_statistics(
    Call& call, const model::DescribeTableStatisticsMessage& in) {
    GW_TRY(check_filters(in.filters, {"schema-name", "table-name", "table-state"}));
    const auto record = GW_TRY(need_task(call.scope, *in.replication_task_arn));
    std::vector<std::pair<std::int64_t, model::TableStatistics>> found;
    std::int64_t number = 0;
    if (const auto report = report_of(record))
        for (const auto& t : report->tables) {
            ++number;
            if (!passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                    if (name == "schema-name") return {t.name.schema};
                    if (name == "table-name") return {t.name.table};
                    return {t.state};
                }))
                continue;
            model::TableStatistics s;
            s.schema_name = t.name.schema;
            s.table_name = t.name.table;
            s.inserts = whole(t.inserts);
            s.deletes = whole(t.deletes);
            s.updates = whole(t.updates);
            s.ddls = whole(t.ddls);
            s.applied_inserts = whole(t.applied_inserts);
            s.applied_deletes = whole(t.applied_deletes);
            s.applied_updates = whole(t.applied_updates);
            s.applied_ddls = whole(t.applied_ddls);
            s.full_load_rows = whole(t.full_load_rows);
            s.full_load_condtnl_chk_failed_rows = 0;
            s.full_load_error_rows = whole(t.full_load_error_rows);
            s.full_load_start_time = time_or_none(t.full_load_start_us);
            s.full_load_end_time = time_or_none(t.full_load_end_us);
            s.full_load_reloaded = t.reloaded;
            s.last_update_time = time_or_none(t.last_update_us);
            s.table_state = t.state;
            s.validation_pending_records = 0;
            s.validation_failed_records = 0;
            s.validation_suspended_records = 0;
            s.validation_state = "Not enabled";
            found.emplace_back(number, std::move(s));
        }
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker, {100, 20, 500}));
    return model::DescribeTableStatisticsResponse{in.replication_task_arn, std::move(page.items),
                                                  page.marker};
}

Answer<model::ReloadTablesResponse> Service::reload_tables(Call& call, const model::ReloadTablesMessage& in) {
    constexpr std::size_t kTablesMax = 10;
    const auto& arn = *in.replication_task_arn;
    const auto record = GW_TRY(need_task(call.scope, arn));
    if (in.tables_to_reload->empty() || in.tables_to_reload->size() > kTablesMax)
        return invalid_value(fmt::format("TablesToReload has 1 to {} tables.", kTablesMax));
    std::vector<TableName> tables;
    for (const auto& table : *in.tables_to_reload) {
        TableName name{*table.schema_name, *table.table_name};
        if (std::ranges::find(tables, name) != tables.end())
            return invalid_value("TablesToReload names a table twice: " + shortened(name.text()));
        tables.push_back(std::move(name));
    }
    if (status_of(record) != "running")
        return invalid_state("Replication Task is not running: tables are reloaded by a running task only");
    if (record.shown->migration_type == "cdc")
        return invalid_state("Tables of a task without a full load cannot be reloaded");
    if (in.reload_option == "validate-only")
        return invalid_combination("validate-only needs a task with data validation");
    call.lock.unlock();
    const auto told = supervisor_->ask(lower(last_part(arn)), reload_request(tables), 30s);
    call.lock.lock();
    if (!told) return invalid_state("The tables cannot be reloaded now: " + told.error().text());
    if (const auto error = error_of_answer(*told)) return invalid_state(*error);
    event(call.scope, kTask, *record.shown->replication_task_identifier, "state change",
          "Replication task's table reload was requested.");
    return model::ReloadTablesResponse{in.replication_task_arn};
}

}  // namespace godwit::api
