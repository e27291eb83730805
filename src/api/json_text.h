#pragma once
// The few JSON documents that are no API messages: requests to a task, godwit's own pages.

#include <chrono>
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
[[nodiscard]] std::string compare_request();
[[nodiscard]] std::string cutover_request(std::chrono::milliseconds timeout);
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
[[nodiscard]] std::string regions_page(const std::vector<std::string>& regions);
[[nodiscard]] std::string lines_page(const std::vector<std::string>& lines);
// Is this text one JSON object?
[[nodiscard]] bool is_object(const std::string& body);
// a member of the body, `otherwise` when it is absent; nothing: it is there and no whole number
[[nodiscard]] std::optional<std::int64_t> whole_number_in(const std::string& body, const char* name,
                                                          std::int64_t otherwise);
[[nodiscard]] std::string message_page(const std::string& message);
[[nodiscard]] std::string fault_page(const std::string& name, const std::string& message,
                                     const std::string& resource_arn);

}  // namespace godwit::api
