#include "api/json_text.h"

#include <nlohmann/json.hpp>

namespace godwit::api {
namespace {

using Json = nlohmann::json;

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json logging_of(const std::string& settings_json) {
    const auto json = Json::parse(settings_json, nullptr, false);
    if (!json.is_object() || !json.contains("Logging") || !json["Logging"].is_object()) return Json::object();
    return json["Logging"];
}

}  // namespace

std::map<std::string, std::string> log_levels(const std::string& settings_json) {
    std::map<std::string, std::string> out;
    const auto logging = logging_of(settings_json);
    const auto components = logging.find("LogComponents");
    if (components == logging.end() || !components->is_array()) return out;
    for (const auto& one : *components)
        if (one.is_object() && one.contains("Id") && one["Id"].is_string() && one.contains("Severity") &&
            one["Severity"].is_string())
            out[one["Id"]] = one["Severity"];
    return out;
}

bool deletes_task_logs(const std::string& settings_json) {
    const auto logging = logging_of(settings_json);
    const auto flag = logging.find("DeleteTaskLogs");
    return flag != logging.end() && ((flag->is_boolean() && flag->get<bool>()) || *flag == "true");
}

std::string log_request(const std::map<std::string, std::string>& levels) {
    return dump({{"op", "log"}, {"levels", levels}});
}

std::string reload_request(const std::vector<TableName>& tables) {
    Json list = Json::array();
    for (const auto& table : tables) list.push_back({{"schema", table.schema}, {"table", table.table}});
    return dump({{"op", "reload"}, {"tables", list}});
}

std::optional<std::string> error_of_answer(const std::string& json) {
    const auto answer = Json::parse(json, nullptr, false);
    if (!answer.is_object()) return "the task gave no valid answer";
    const auto ok = answer.find("ok");
    if (ok != answer.end() && ok->is_boolean() && ok->get<bool>()) return {};
    const auto error = answer.find("error");
    return error != answer.end() && error->is_string() ? error->get<std::string>() : "the task refused";
}

namespace {

Json task_json(const TaskPage& task) {
    Json out = Json::object();
    if (task.report) out = Json::parse(to_json(*task.report), nullptr, false);
    out["identifier"] = task.identifier;
    out["arn"] = task.arn;
    out["id"] = task.id;
    out["region"] = task.region;
    out["account"] = task.account;
    out["status"] = task.status;
    out["migration_type"] = task.migration_type;
    out["replication_instance_arn"] = task.instance_arn;
    out["source_endpoint_arn"] = task.source_arn;
    out["target_endpoint_arn"] = task.target_arn;
    const auto fill = [&](const char* name, const std::string& text) {
        if (!out.contains(name) || out[name] == "") out[name] = text;
    };
    fill("checkpoint", task.checkpoint);
    fill("stop_reason", task.stop_reason);
    fill("last_error", task.last_error);
    if (!task.report) out["tables"] = Json::array();
    return out;
}

}  // namespace

std::string task_page(const TaskPage& task) { return dump(task_json(task)); }

std::string tasks_page(const std::vector<TaskPage>& tasks) {
    Json list = Json::array();
    for (const auto& task : tasks) list.push_back(task_json(task));
    return dump({{"tasks", list}});
}

std::string regions_page(const std::vector<std::string>& regions) { return dump({{"regions", regions}}); }

std::string lines_page(const std::vector<std::string>& lines) { return dump({{"lines", lines}}); }

bool is_object(const std::string& body) { return Json::parse(body, nullptr, false).is_object(); }

std::string compare_request() { return dump({{"op", "compare"}}); }

std::string cutover_request(std::chrono::milliseconds timeout) {
    return dump({{"op", "cutover"}, {"timeout_ms", timeout.count()}});
}

std::optional<std::int64_t> whole_number_in(const std::string& body, const char* name,
                                            std::int64_t otherwise) {
    const auto json = Json::parse(body, nullptr, false);
    if (!json.is_object()) return otherwise;
    const auto it = json.find(name);
    if (it == json.end()) return otherwise;
    if (it->is_number_unsigned() && it->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
        return {};
    if (!it->is_number_integer()) return {};
    return it->get<std::int64_t>();
}

std::string message_page(const std::string& message) { return dump({{"message", message}}); }

std::string fault_page(const std::string& name, const std::string& message, const std::string& resource_arn) {
    Json out = {{"__type", name}, {"message", message}};
    if (!resource_arn.empty()) out["resourceArn"] = resource_arn;
    return dump(out);
}

}  // namespace godwit::api
