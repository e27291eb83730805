#pragma once
// The few JSON documents that are no API messages: requests to a task, godwit's own pages.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/table.h"
#include "core/task.h"

namespace godwit::api {

// Logging.LogComponents of a settings document: Id -> Severity
[[nodiscard]] std::map<std::string, std::string> log_levels(const std::string& settings_json);
// Logging.DeleteTaskLogs is true
[[nodiscard]] bool deletes_task_logs(const std::string& settings_json);
// requests over control.sock (core/task.h)
[[nodiscard]] std::string log_request(const std::map<std::string, std::string>& levels);
[[nodiscard]] std::string reload_request(const std::vector<TableName>& tables);
// the error text of {"ok":false,"error":".."}
[[nodiscard]] std::optional<std::string> error_of_answer(const std::string& json);

// godwit's own pages
struct TaskPage {
    std::string identifier, arn, id, region, account, status, migration_type, instance_arn, source_arn,
        target_arn;
    std::optional<TaskReport> report;
    std::string checkpoint, stop_reason, last_error;  // of the stored task, when the report has none
};
[[nodiscard]] std::string task_page(const TaskPage& task);
[[nodiscard]] std::string tasks_page(const std::vector<TaskPage>& tasks);
[[nodiscard]] std::string lines_page(const std::vector<std::string>& lines);
// {"op":..} with the members of `body`, which may be empty; nothing: the body is no JSON object
[[nodiscard]] std::optional<std::string> request_with(const std::string& op, const std::string& body);
// a whole number of the body, or `otherwise`
[[nodiscard]] std::int64_t number_in(const std::string& body, const char* name, std::int64_t otherwise);
[[nodiscard]] std::string message_page(const std::string& message);
[[nodiscard]] std::string fault_page(const std::string& name, const std::string& message,
                                     const std::string& resource_arn);

}  // namespace godwit::api
