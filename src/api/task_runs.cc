// Replication tasks: starting, stopping, and what the running process tells (spec/api 4).

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "api/service.h"
#include "mapping/settings.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

constexpr auto kSaveAgain = 1s;
constexpr const char* kTask = "replication-task";
constexpr const char* kCannotStart = "Replication Task cannot be started, invalid state";

StartType start_type_of(const std::string& text) {
    return text == "resume" ? StartType::resume : text == "reload" ? StartType::reload : StartType::fresh;
}

control::RestartRules restart_rules(const std::string& settings_json) {
    control::RestartRules rules;
    if (const auto settings = mapping::read_settings(settings_json)) {
        rules.count = settings->recoverable_count;
        rules.interval_s = settings->recoverable_interval_s;
        rules.throttling = settings->recoverable_throttling;
        rules.throttling_max_s = settings->recoverable_throttling_max_s;
        rules.stop_after_throttling_max = settings->recoverable_stop_after_max;
    }
    return rules;
}

// Both texts of a failed task (4.1).
std::string failure_text(const std::string& error, bool recoverable) {
    return fmt::format("Last Error  {} Stop Reason {} Error Level {}", error,
                       recoverable ? "RECOVERABLE_ERROR" : "FATAL_ERROR",
                       recoverable ? "RECOVERABLE" : "FATAL");
}

std::string connection_key(const std::string& instance_arn, const std::string& endpoint_arn) {
    return instance_arn + " " + endpoint_arn;
}

}  // namespace

Answer<model::StartReplicationTaskResponse> Service::start_task(
    Call& call, const model::StartReplicationTaskMessage& in) {
    const auto& arn = *in.replication_task_arn;
    auto record = GW_TRY(need_task(call.scope, arn));
    auto& task = *record.shown;
    // status
    const auto status = status_of(record);
    if (status != "ready" && status != "stopped" && status != "failed" && status != "failed-move")
        return invalid_state(kCannotStart);
    // type
    const bool cdc_only = task.migration_type == "cdc";
    const bool started = record.started.value_or(false), ran = record.ran.value_or(false);
    const auto& asked = *in.start_replication_task_type;
    const auto start = GW_TRY(
        start_position(call.scope, *task.source_endpoint_arn, in.cdc_start_position, in.cdc_start_time));
    const auto stop =
        GW_TRY(stop_position(in.cdc_stop_position.value_or(task.cdc_stop_position.value_or(""))));
    const bool has_start = start.has_value();
    if (has_start && task.migration_type == "full-load")
        return invalid_combination("A full-load task takes no CDC start position.");
    std::string type = "fresh";
    if (asked == "start-replication") {
        if (ran && !(cdc_only && has_start))
            return invalid_combination(
                "Start Type : START_REPLICATION, valid only for tasks running for the first time");
    } else if (asked == "resume-processing") {
        if (!started)
            return invalid_combination(
                "Start Type : RESUME_PROCESSING, not valid for tasks running for the first time");
        if (ran) type = "resume";  // a start that never got to run is made again
    } else {
        if (cdc_only)
            return invalid_combination(
                "Start Type : RELOAD_TARGET, not valid for tasks with migration type cdc");
        if (ran) type = "reload";
    }
    // connections
    const auto instance = GW_TRY(need_available(call.scope, *task.replication_instance_arn));
    for (const auto& endpoint_arn : {*task.source_endpoint_arn, *task.target_endpoint_arn}) {
        const auto connection = GW_TRY(
            find<ConnectionRecord>(call.scope, connection_key(*task.replication_instance_arn, endpoint_arn)));
        if (connection && connection->shown->status == "failed")
            return invalid_state(fmt::format(
                "Test connection for replication instance {} and endpoint {} should be successful for "
                "starting the "
                "replication task",
                *instance.shown->replication_instance_identifier, *connection->shown->endpoint_identifier));
    }
    if (in.cdc_stop_position) {
        task.cdc_stop_position.reset();
        if (!stop.empty()) task.cdc_stop_position = in.cdc_stop_position;
    }
    record.run_cdc_start.reset();
    if (type == "fresh") record.run_cdc_start = has_start ? start : task.cdc_start_position;
    record.run_cdc_stop = stop;
    record.start_type = type;
    record.started = true;
    record.visible_until.reset();
    record.run_started = now();
    record.run_ran = false;
    task.status = "starting";
    task.replication_task_start_date = now();
    task.stop_reason.reset();
    task.last_failure_message.reset();
    if (type != "resume") task.recovery_checkpoint.reset();
    GW_TRY(save(call.scope, arn, record));
    begin_run(call.scope, arn);
    return model::StartReplicationTaskResponse{shown(record, false)};
}

// Tests what was not tested, resolves the secrets, and spawns the process.
void Service::begin_run(const std::string& scope, const std::string& arn) {
    slow_->after(0ms, [=, this](const std::stop_token&) {
        const auto inputs = [&]() -> Answer<RunInputs> {
            const std::lock_guard lock(mutex_);
            const auto record = GW_TRY(need_task(scope, arn));
            return run_inputs(scope, record);
        }();
        if (!inputs) return fail_run(scope, arn, inputs.error().message, false);
        const auto& task = *inputs->record.shown;
        for (const auto* endpoint : {&inputs->source, &inputs->target}) {
            const auto key =
                connection_key(*task.replication_instance_arn, *endpoint->record.shown->endpoint_arn);
            {
                const std::lock_guard lock(mutex_);
                if (const auto known = find<ConnectionRecord>(scope, key); known && *known) continue;
            }
            if (const auto probed = probe(*endpoint); !probed)
                return fail_run(
                    scope, arn,
                    fmt::format("Connection to endpoint {} failed: {}",
                                *endpoint->record.shown->endpoint_identifier, probed.error().text()),
                    probed.error().retry != Retry::never);
        }
        const auto spec = spec_of(*inputs);
        if (!spec) return fail_run(scope, arn, spec.error().text(), false);
        std::unique_lock lock(mutex_);
        const auto again = [=, this] {
            slow_->after(kSaveAgain, [=, this](const std::stop_token&) { begin_run(scope, arn); });
        };
        auto record = find<TaskRecord>(scope, arn);
        if (!record) return again();
        if (!*record) return;
        if ((*record)->shown->status == "stopping") {
            TaskReport stopped;
            stopped.state = TaskState::stopped;
            stopped.stop_reason = "NORMAL";
            if (!take_report(scope, **record, stopped)) again();
            return;
        }
        if ((*record)->shown->status != "starting") return;
        const auto done = supervisor_->start(*spec, restart_rules(*task.replication_task_settings));
        lock.unlock();
        if (!done) fail_run(scope, arn, done.error().text(), false);
    });
}

void Service::fail_run(const std::string& scope, const std::string& arn, const std::string& text,
                       bool recoverable) {
    const std::lock_guard lock(mutex_);
    // Its task stays as it is until then, so that no other run can begin.
    const auto again = [=, this] {
        slow_->after(kSaveAgain,
                     [=, this](const std::stop_token&) { fail_run(scope, arn, text, recoverable); });
    };
    auto record = find<TaskRecord>(scope, arn);
    if (!record) return again();
    if (!*record) return;
    auto report = report_of(**record).value_or(TaskReport{});  // its last checkpoint stays
    const bool stopping = (*record)->shown->status == "stopping";
    report.state = stopping ? TaskState::stopped : TaskState::failed;
    report.stop_reason = "NORMAL";
    report.last_error = text;
    report.recoverable = recoverable;
    if (!take_report(scope, **record, report)) again();
}

Answer<Service::RunInputs> Service::run_inputs(const std::string& scope, const TaskRecord& record) {
    RunInputs out;
    out.record = record;
    out.source = GW_TRY(endpoint_inputs(scope, *record.shown->source_endpoint_arn));
    out.target = GW_TRY(endpoint_inputs(scope, *record.shown->target_endpoint_arn));
    out.memory_bytes_max = GW_TRY(memory_share(scope, record));
    return out;
}

// Half of the instance's memory is for its tasks, in equal parts among those that run.
Answer<std::uint64_t> Service::memory_share(const std::string& scope, const TaskRecord& record) {
    constexpr std::uint64_t kShareMin = 128ULL << 20;
    const auto instance = GW_TRY(find<InstanceRecord>(scope, *record.shown->replication_instance_arn));
    const std::uint64_t memory =
        instance ? memory_of_class(*instance->shown->replication_instance_class).value_or(1ULL << 30)
                 : 1ULL << 30;
    std::uint64_t tasks = 1;
    for (const auto& [order, other] : GW_TRY(list<TaskRecord>(scope)))
        if (other.shown->replication_task_arn != record.shown->replication_task_arn &&
            other.shown->replication_instance_arn == record.shown->replication_instance_arn &&
            (other.shown->status == "running" || other.shown->status == "starting"))
            ++tasks;
    return std::max(kShareMin, memory / 2 / tasks);
}

Result<TaskSpec> Service::spec_of(const RunInputs& inputs) const {
    const auto& task = *inputs.record.shown;
    TaskSpec spec;
    spec.arn = *task.replication_task_arn;
    spec.id = lower(last_part(spec.arn));
    spec.identifier = *task.replication_task_identifier;
    spec.type = task.migration_type == "cdc"         ? MigrationType::cdc
                : task.migration_type == "full-load" ? MigrationType::full_load
                                                     : MigrationType::full_load_and_cdc;
    spec.start = start_type_of(inputs.record.start_type.value_or("fresh"));
    spec.source = GW_TRY(config_of(inputs.source));
    spec.target = GW_TRY(config_of(inputs.target));
    spec.table_mappings = *task.table_mappings;
    spec.settings = *task.replication_task_settings;
    spec.user_settings = inputs.record.user_settings.value_or("{}");
    spec.cdc_start = inputs.record.run_cdc_start.value_or("");
    spec.cdc_stop = inputs.record.run_cdc_stop.value_or("");
    spec.memory_bytes_max = inputs.memory_bytes_max;
    return spec;
}

Answer<model::StopReplicationTaskResponse> Service::stop_task(Call& call,
                                                              const model::StopReplicationTaskMessage& in) {
    const auto& arn = *in.replication_task_arn;
    auto record = GW_TRY(need_task(call.scope, arn));
    const auto status = status_of(record);
    const auto& identifier = *record.shown->replication_task_identifier;
    if (status == "stopping")
        return invalid_state(fmt::format("Replication Task {} is already being stopped", identifier));
    if (status != "running" && status != "starting")
        return invalid_state(fmt::format("Replication Task {} is not currently running", identifier));
    if (record.shown->status == "stopped") {
        // It has ended already and was only shown as running.
        record.visible_until.reset();
        GW_TRY(save(call.scope, arn, record));
        auto answer = shown(record, false);
        answer.status = "stopping";
        answer.stop_reason.reset();
        return model::StopReplicationTaskResponse{answer};
    }
    record.shown->status = "stopping";
    GW_TRY(save(call.scope, arn, record));
    // Without a process yet begin_run() finds the status; with one that has ended its report is on the way.
    if (const auto asked = supervisor_->stop(lower(last_part(arn)));
        !asked && asked.error().code != ErrorCode::failed_precondition)
        return std::unexpected(to_fault(asked.error()));
    return model::StopReplicationTaskResponse{shown(record, false)};
}

// mutex_ is held.
bool Service::take_report(const std::string& scope, TaskRecord& record, const TaskReport& report) {
    auto& task = *record.shown;
    const auto arn = *task.replication_task_arn;
    const auto& identifier = *task.replication_task_identifier;
    const auto before = *task.status;
    const bool active = before == "starting" || before == "running" || before == "stopping";
    const auto seen_us = mark_events(record, report);
    struct {
        const char* category = nullptr;
        std::string text;
    } news;
    switch (report.state) {
        case TaskState::starting:
            break;
        case TaskState::running:
            if (!active) return true;
            if (before == "starting")
                news = {"state change", fmt::format("Replication task has started, with flag = {}.",
                                                    record.start_type == "resume"   ? "resume"
                                                    : record.start_type == "reload" ? "reload"
                                                                                    : "fresh start")};
            record.ran = record.run_ran = true;
            if (before == "starting") task.status = "running";
            break;
        case TaskState::stopped: {
            if (!active) return true;
            const bool by_itself = before != "stopping";
            if (report.start_us > 0) record.ran = true;
            task.status = "stopped";
            task.stop_reason = "Stop Reason " + (report.stop_reason.empty() ? "NORMAL" : report.stop_reason);
            task.recovery_checkpoint = report.checkpoint;
            if (by_itself && options_.min_running_visible.count() > 0 && record.run_started)
                record.visible_until =
                    Timestamp{record.run_started->us + std::chrono::duration_cast<std::chrono::microseconds>(
                                                           options_.min_running_visible)
                                                           .count()};
            news = {"state change", fmt::format("Replication task has stopped. {}", *task.stop_reason)};
            break;
        }
        case TaskState::failed: {
            if (!active) return true;
            const auto text = failure_text(report.last_error, report.recoverable);
            if (control::has_run(report)) record.ran = true;  // though nobody was there to see it
            task.status = "failed";
            task.stop_reason = text;
            task.last_failure_message = text;
            if (!report.checkpoint.empty() || !task.recovery_checkpoint)
                task.recovery_checkpoint = report.checkpoint;
            news = {"failure", "Replication task has failed.\nReason: " + text};
            break;
        }
    }
    if (const auto done = save(scope, arn, record); !done) {
        options_.log.error(Component::rest_server, done.error().message);
        return false;
    }
    // Behind it: the same report may have to be taken again and again.
    tell_events(scope, record, report, seen_us);
    if (news.category != nullptr) event(scope, kTask, identifier, news.category, news.text);
    return true;
}

std::int64_t Service::mark_events(TaskRecord& record, const TaskReport& report) {
    const std::int64_t before = record.events_seen_us.value_or(0);
    for (const auto& e : report.events)
        record.events_seen_us = std::max(e.time_us, record.events_seen_us.value_or(0));
    return before;
}

void Service::tell_events(const std::string& scope, const TaskRecord& record, const TaskReport& report,
                          std::int64_t seen_us) {
    for (const auto& e : report.events)
        if (e.time_us > seen_us)
            event(scope, kTask, *record.shown->replication_task_identifier, e.category.c_str(), e.message,
                  Timestamp{e.time_us});
}

Answer<std::pair<std::string, TaskRecord>> Service::find_task_id(const std::string& task_id) {
    for (const auto& stored : GW_ANSWER(options_.store.list(TaskRecord::kKind, "")))
        if (lower(last_part(stored.key)) == task_id)
            return std::pair{stored.region, GW_ANSWER(decode_stored<TaskRecord>(stored.document))};
    return not_found("no task " + task_id);
}

bool Service::on_task_change(const std::string& task_id, const TaskReport& report) {
    const std::lock_guard lock(mutex_);
    auto found = find_task_id(task_id);
    if (!found) {
        options_.log.warning(Component::rest_server, found.error().message);
        return found.error().name == "ResourceNotFoundFault";  // deleted
    }
    return take_report(found->first, found->second, report);
}

// The server was away: what runs is taken over, what ended is noted, what crashed goes on.
void Service::recover_run(const std::string& scope, const std::string& arn) {
    slow_->after(0ms, [=, this](const std::stop_token&) {
        const auto inputs = [&]() -> Answer<RunInputs> {
            const std::lock_guard lock(mutex_);
            const auto record = GW_TRY(need_task(scope, arn));
            return run_inputs(scope, record);
        }();
        if (!inputs) return fail_run(scope, arn, inputs.error().message, false);
        auto spec = spec_of(*inputs);
        // A secret source that is down must not keep a living process from being watched: it has its secrets.
        TaskSpec adopted;
        if (spec) {
            adopted = *spec;
        } else {
            adopted.arn = arn;
            adopted.id = lower(last_part(arn));
            adopted.identifier = *inputs->record.shown->replication_task_identifier;
        }
        // Should it end again before it says that it runs, it must not begin anew.
        if (inputs->record.run_ran.value_or(false)) adopted.start = StartType::resume;
        const auto rules = restart_rules(*inputs->record.shown->replication_task_settings);
        const bool stopping = inputs->record.shown->status == "stopping";
        const auto ordered = inputs->record.run_started.value_or(Timestamp{});
        const auto living = supervisor_->adopt(adopted, rules, ordered.us);
        if (!living) return fail_run(scope, arn, living.error().text(), true);
        if (*living) {
            if (stopping)
                if (const auto asked = supervisor_->stop(adopted.id); !asked)
                    options_.log.error(Component::rest_server, asked.error().text());
            return;
        }
        const auto last = supervisor_->report(adopted.id);
        if (last &&
            (last->state == TaskState::stopped || (last->state == TaskState::failed && !last->recoverable)))
            return;  // on_task_change() gets it
        if (stopping) return fail_run(scope, arn, "", false);
        if (!spec) return fail_run(scope, arn, spec.error().text(), true);
        if (inputs->record.run_ran.value_or(false)) {
            spec->start = StartType::resume;
        } else if (last && control::has_run(*last)) {
            spec->start = StartType::resume;
            // Saved before there is a process: neither its death nor this server's may make it begin anew.
            auto ran = *last;
            ran.state = TaskState::running;
            const std::lock_guard lock(mutex_);
            auto record = find<TaskRecord>(scope, arn);
            if (record && !*record) return;
            if (!record || !take_report(scope, **record, ran)) {
                slow_->after(kSaveAgain, [=, this](const std::stop_token&) { recover_run(scope, arn); });
                return;
            }
        }
        if (const auto done = supervisor_->start(*spec, rules); !done)
            fail_run(scope, arn, done.error().text(), true);
    });
}

}  // namespace godwit::api
