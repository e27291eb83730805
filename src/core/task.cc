#include "core/task.h"

#include <nlohmann/json.hpp>

namespace godwit {

NLOHMANN_JSON_SERIALIZE_ENUM(MigrationType, {{MigrationType::full_load, "full-load"},
                                             {MigrationType::cdc, "cdc"},
                                             {MigrationType::full_load_and_cdc, "full-load-and-cdc"}})
NLOHMANN_JSON_SERIALIZE_ENUM(StartType, {{StartType::fresh, "fresh"},
                                         {StartType::resume, "resume"},
                                         {StartType::reload, "reload"},
                                         {StartType::drop, "drop"},
                                         {StartType::compare, "compare"}})
NLOHMANN_JSON_SERIALIZE_ENUM(TaskState, {{TaskState::starting, "starting"},
                                         {TaskState::running, "running"},
                                         {TaskState::stopped, "stopped"},
                                         {TaskState::failed, "failed"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TableName, schema, table)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(EndpointConfig, arn, identifier, engine_name, host, port,
                                                database, user, password, ssl_mode, ca_certificate_pem,
                                                attributes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TaskSpec, id, arn, identifier, type, start, source, target,
                                                table_mappings, settings, user_settings, cdc_start, cdc_stop,
                                                memory_bytes_max, workers_max)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TableReport, name, state, inserts, updates, deletes, ddls,
                                                applied_inserts, applied_updates, applied_deletes,
                                                applied_ddls, full_load_rows, full_load_error_rows,
                                                full_load_start_us, full_load_end_us, reloaded, insert_only,
                                                last_update_us, rows_estimate, slices, slices_done, detail)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TaskEventReport, number, time_us, category, message)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TaskReport, state, phase, stop_reason, last_error,
                                                recoverable, start_us, fresh_start_us, stop_us,
                                                full_load_start_us, full_load_finish_us, checkpoint,
                                                applied_position, captured_position, retained_log_bytes,
                                                lag_ms, source_lag_ms, rows_per_second, changes_per_second,
                                                spool_bytes, memory_bytes, transactions_applied, restarts,
                                                tables, events, written_us)

namespace {

template <class T>
std::string dump(const T& value) {
    return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <class T>
Result<T> parse(const std::string& text, const char* what) {
    try {
        return nlohmann::json::parse(text).get<T>();
    } catch (const nlohmann::json::exception&) {
        // the library's text may quote the document, which may hold secrets
        return fail(ErrorCode::invalid_argument, std::string(what) + " is not a valid JSON document");
    }
}

}  // namespace

std::string to_json(const TaskSpec& spec) { return dump(spec); }
Result<TaskSpec> task_spec_from_json(const std::string& text) {
    return parse<TaskSpec>(text, "the task document");
}
std::string to_json(const TaskReport& report) { return dump(report); }
Result<TaskReport> task_report_from_json(const std::string& text) {
    return parse<TaskReport>(text, "the task's status");
}

}  // namespace godwit
