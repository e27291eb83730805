#include "cli/commands.h"

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

namespace godwit::cli {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

std::string text_of(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}
std::uint64_t number_of(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number() ? it->get<std::uint64_t>() : 0;
}
const Json& object_of(const Json& object, const char* key) {
    static const Json kNone = Json::object();
    const auto it = object.find(key);
    return it != object.end() && it->is_object() ? *it : kNone;
}
const Json& array_of(const Json& object, const char* key) {
    static const Json kNone = Json::array();
    const auto it = object.is_object() ? object.find(key) : object.end();
    return it != object.end() && it->is_array() ? *it : kNone;
}

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}
void print_json(const Json& document) { print(document.dump(2) + "\n"); }

// What the user can do about it.
std::string next_step(const Error& error) {
    if (error.code == ErrorCode::unavailable)
        return "Is the server running? Start it with `godwit serve`, or name it with --server or "
               "GODWIT_SERVER.";
    if (error.code == ErrorCode::permission_denied)
        return "Set GODWIT_ACCESS_KEY and GODWIT_SECRET_KEY to a key pair that the server knows.";
    if (error.code == ErrorCode::aborted)
        return "It may still be at work. A comparison and a cut-over may take longer with --timeout SECONDS.";
    if (error.message.find("is not running") != std::string::npos ||
        error.message.find("is not currently running") != std::string::npos)
        return "`godwit task list` shows what runs; `godwit task start NAME` starts it.";
    if (error.message.find("stop it before trying to delete it") != std::string::npos)
        return "Stop it first: `godwit task stop NAME --wait`.";
    if (error.message.find("Test connection for replication instance") != std::string::npos)
        return "Run `godwit endpoint test NAME` for both endpoints of the task.";
    if (error.message.find("valid only for tasks running for the first time") != std::string::npos)
        return "Go on with `--type resume-processing`, or start over with `--type reload-target`.";
    if (error.message.find("cannot be started, invalid state") != std::string::npos)
        return "See `godwit task show NAME` for the state it is in.";
    return "";
}
int failed(const Error& error) {
    std::fprintf(stderr, "godwit: %s\n", error.text().c_str());
    if (const std::string step = next_step(error); !step.empty())
        std::fprintf(stderr, "        %s\n", step.c_str());
    return error.code == ErrorCode::unavailable ? kUnreachable : kFailed;
}
int usage(const std::string& text) {
    std::fprintf(stderr, "godwit: %s\n", text.c_str());
    return kUsage;
}

Result<Json> parsed(const std::string& text) {
    Json out = Json::parse(text, nullptr, false);
    if (out.is_discarded())
        return fail(ErrorCode::internal,
                    "the server's answer is not JSON: is there a godwit server at this address?");
    return out;
}
// arn:aws:dms:REGION:...; empty: it is none
std::string region_of(const std::string& arn) {
    constexpr std::string_view kStart = "arn:aws:dms:";
    if (!arn.starts_with(kStart)) return "";
    return arn.substr(kStart.size(), arn.find(':', kStart.size()) - kStart.size());
}
// A request about something goes to the region of that thing.
Result<Json> call(Session& s, const std::string& operation, const Json& request, std::string region = {}) {
    for (const auto& [member, value] : request.items())
        if (region.empty() && value.is_string()) region = region_of(value.get<std::string>());
    return parsed(GW_TRY(s.client.dms(operation, request.dump(), region)));
}
// Where to look: resources are per region, and who asks for all wants all. --region chooses one.
std::vector<std::string> regions(Session& s) {
    std::vector<std::string> out;
    if (s.all_regions)
        if (const auto answer = s.client.get("/godwit/v1/regions"))
            if (const Json document = Json::parse(*answer, nullptr, false); document.is_object())
                for (const Json& region : document.value("regions", Json::array()))
                    if (region.is_string()) out.push_back(region.get<std::string>());
    if (out.empty()) out.emplace_back();  // that of the address
    return out;
}

// All pages of one Describe operation.
Result<Json> describe(Session& s, const std::string& operation, const char* member, Json request,
                      const std::string& region) {
    Json all = Json::array();
    while (true) {
        const Json page = GW_TRY(call(s, operation, request, region));
        for (const Json& item : array_of(page, member)) all.push_back(item);
        const std::string marker = text_of(page, "Marker");
        if (marker.empty()) return all;
        request["Marker"] = marker;
    }
}

// One kind of resource: how the API names it.
struct Kind {
    const char* word;
    const char* describe;
    const char* member;  // of the answer
    const char* filter;  // "endpoint": filters endpoint-id, endpoint-arn
    const char* arn;
    const char* identifier;
};
constexpr Kind kTask{"task",
                     "DescribeReplicationTasks",
                     "ReplicationTasks",
                     "replication-task",
                     "ReplicationTaskArn",
                     "ReplicationTaskIdentifier"};
constexpr Kind kEndpoint{"endpoint", "DescribeEndpoints", "Endpoints",
                         "endpoint", "EndpointArn",       "EndpointIdentifier"};
constexpr Kind kInstance{"instance",
                         "DescribeReplicationInstances",
                         "ReplicationInstances",
                         "replication-instance",
                         "ReplicationInstanceArn",
                         "ReplicationInstanceIdentifier"};

Result<Json> list(Session& s, const Kind& kind) {
    Json request = Json::object();
    if (&kind == &kTask) request["WithoutSettings"] = true;
    Json all = Json::array();
    for (const auto& region : regions(s))
        for (Json& item : GW_TRY(describe(s, kind.describe, kind.member, request, region)))
            all.push_back(std::move(item));
    return all;
}

Result<Json> find(Session& s, const Kind& kind, const std::string& name) {
    const std::string filter = std::string(kind.filter) + (name.starts_with("arn:") ? "-arn" : "-id");
    const Json request{{"Filters", Json::array({{{"Name", filter}, {"Values", Json::array({name})}}})}};
    const auto own = region_of(name);
    for (const auto& region : own.empty() ? regions(s) : std::vector{own}) {
        auto found = describe(s, kind.describe, kind.member, request, region);
        if (found && !found->empty()) return found->front();
        if (!found && found.error().code != ErrorCode::not_found) return std::unexpected(found.error());
    }
    return fail(ErrorCode::not_found, fmt::format("there is no {} '{}'; `godwit {} list` shows what there is",
                                                  kind.word, name, kind.word));
}

std::string v1_path(const Json& task, const std::string& more = "") {
    const std::string arn = text_of(task, "ReplicationTaskArn");
    return "/godwit/v1/tasks/" + path_part(arn.substr(arn.rfind(':') + 1)) + more;
}

Result<Json> read_document(const std::string& file) {
    std::stringstream content;
    if (file == "-") {
        content << std::cin.rdbuf();
    } else {
        const std::ifstream in(file);
        if (!in) return fail(ErrorCode::invalid_argument, fmt::format("cannot read {}", file));
        content << in.rdbuf();
    }
    Json out = Json::parse(content.str(), nullptr, false);
    if (!out.is_object())
        return fail(ErrorCode::invalid_argument, fmt::format("{} is not a JSON object", file));
    return out;
}

// Waits until `done` says so; polls quickly at first. false: time is over.
template <class Done>
Result<bool> wait_for(double timeout_s, Done done) {
    const auto start = Clock::now();
    auto pause = std::chrono::milliseconds(50);
    while (true) {
        const bool reached = GW_TRY(done());
        if (reached) return true;
        if (timeout_s > 0 && Clock::now() - start > std::chrono::duration<double>(timeout_s)) return false;
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::milliseconds(500));
    }
}

int print_status(Session& s, const Json& task) {
    if (s.json) {
        print_json(task);
    } else {
        print(fmt::format("{} {}\n", text_of(task, "ReplicationTaskIdentifier"), text_of(task, "Status")));
    }
    return text_of(task, "Status") == "failed" ? kFailed : kOk;
}

// godwit's own API passes the task's answer on: {"ok":false,"error":"..."}
bool answered_ok(const Json& result) {
    return !result.contains("ok") || (result["ok"].is_boolean() && result["ok"].get<bool>());
}
Error refusal_of(const Json& result) {
    return {.code = ErrorCode::internal, .message = text_of(result, "error")};
}

std::string short_arn(const std::string& arn) { return arn.substr(arn.rfind(':') + 1); }

// Identifiers by ARN, so that lists show names.
std::string name_of(const Json& items, const Kind& kind, const std::string& arn) {
    for (const Json& item : items)
        if (text_of(item, kind.arn) == arn) return text_of(item, kind.identifier);
    return short_arn(arn);
}

volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int) { interrupted = 1; }

}  // namespace

// --- tasks

int task_list(Session& s) {
    const auto tasks = list(s, kTask);
    if (!tasks) return failed(tasks.error());
    if (s.json) {
        print_json(*tasks);
        return kOk;
    }
    if (tasks->empty()) {
        print(
            "no tasks; create one with `godwit task create -f FILE` or `aws dms create-replication-task`\n");
        return kOk;
    }
    const auto endpoints = list(s, kEndpoint);
    if (!endpoints) return failed(endpoints.error());
    Columns columns({"TASK", "STATUS", "TYPE", "SOURCE", "TARGET", "LOAD", "TABLES", "NOTE"});
    for (const Json& t : *tasks) {
        const Json& stats = object_of(t, "ReplicationTaskStats");
        const auto loaded = number_of(stats, "TablesLoaded"), errors = number_of(stats, "TablesErrored");
        const auto all =
            loaded + errors + number_of(stats, "TablesLoading") + number_of(stats, "TablesQueued");
        const std::string failure = text_of(t, "LastFailureMessage");
        columns.row(
            {text_of(t, "ReplicationTaskIdentifier"), text_of(t, "Status"), text_of(t, "MigrationType"),
             name_of(*endpoints, kEndpoint, text_of(t, "SourceEndpointArn")),
             name_of(*endpoints, kEndpoint, text_of(t, "TargetEndpointArn")),
             stats.empty() ? "-" : fmt::format("{} %", number_of(stats, "FullLoadProgressPercent")),
             all == 0
                 ? "-"
                 : fmt::format("{}/{}{}", loaded, all, errors ? fmt::format(" ({} in error)", errors) : ""),
             failure.empty() ? text_of(t, "StopReason") : failure});
    }
    print(columns.text(s.screen, 1));
    return kOk;
}

int task_show(Session& s, const std::string& name) {
    const auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    const auto report = s.client.get(v1_path(*task));
    if (!report) return failed(report.error());
    if (s.json) {
        const auto document = parsed(*report);
        if (!document) return failed(document.error());
        print_json(Json{{"ReplicationTask", *task}, {"Report", *document}});
        return kOk;
    }
    print(task_picture(*report, s.screen, 0));
    const auto field = [&](const char* label, const std::string& value) {
        if (!value.empty()) print(fmt::format("{:<12}{}\n", label, value));
    };
    print("\n");
    field("arn", text_of(*task, "ReplicationTaskArn"));
    field("type", text_of(*task, "MigrationType"));
    field("source", text_of(*task, "SourceEndpointArn"));
    field("target", text_of(*task, "TargetEndpointArn"));
    field("stop reason", text_of(*task, "StopReason"));
    field("failure", text_of(*task, "LastFailureMessage"));
    field("checkpoint", text_of(*task, "RecoveryCheckpoint"));
    return kOk;
}

int task_watch(Session& s, const std::string& name, const WatchOptions& options) {
    const auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    const std::string path = v1_path(*task);
    const bool repaint = s.screen.terminal && !s.json;
    std::signal(SIGINT, on_interrupt);
    const auto start = Clock::now();
    int painted_lines = 0, missed = 0;
    std::string last_line;
    while (interrupted == 0) {
        const auto answer = s.client.get(path);
        if (!answer) {
            // the server may be restarted under us; tasks go on without it
            if (answer.error().code != ErrorCode::unavailable || ++missed > 10) return failed(answer.error());
        } else {
            missed = 0;
            const auto report = parsed(*answer);
            if (!report) return failed(report.error());
            if (s.json) {
                print(report->dump() + "\n");
            } else if (repaint) {
                const std::size_t room =
                    s.screen.height > 12 ? static_cast<std::size_t>(s.screen.height) - 8 : 0;
                const std::string picture = task_picture(*answer, s.screen, room);
                std::string frame = painted_lines > 0 ? fmt::format("\033[{}A", painted_lines) : "";
                painted_lines = 0;
                for (std::size_t at = 0; at < picture.size();) {
                    const std::size_t end = picture.find('\n', at);
                    frame += picture.substr(at, end - at) +
                             "\033[K\n";  // no flicker: overwrite, then clear the rest
                    at = end + 1;
                    ++painted_lines;
                }
                print(frame + "\033[J");
            } else if (const std::string line = task_line(*answer); line != last_line) {
                print(line + "\n");
                last_line = line;
            }
            const std::string status = text_of(*report, "status");
            bool loaded = !array_of(*report, "tables").empty();
            for (const Json& t : array_of(*report, "tables")) {
                const std::string state = text_of(t, "state");
                loaded = loaded && (state == "Table completed" || state == "Table error");
            }
            const bool caught_up = loaded && text_of(*report, "phase") == "change processing";
            if (status == "failed") {
                const std::string error = text_of(*report, "last_error");
                std::fprintf(stderr,
                             "godwit: %s failed%s%s\n        See `godwit task logs %s`; go on with `godwit "
                             "task start %s`.\n",
                             name.c_str(), error.empty() ? "" : ": ", error.c_str(), name.c_str(),
                             name.c_str());
                return kFailed;
            }
            if ((options.until == "running" && status == "running") ||
                (options.until == "loaded" && loaded) || (options.until == "caught-up" && caught_up))
                return kOk;
            if (status == "stopped" || (status == "ready" && options.until.empty()))
                return options.until.empty() || options.until == "stopped" ||
                               (options.until == "loaded" && loaded)
                           ? kOk
                           : kFailed;
        }
        if (options.timeout_s > 0 &&
            Clock::now() - start > std::chrono::duration<double>(options.timeout_s)) {
            std::fprintf(stderr, "godwit: still waiting for '%s' after %g seconds\n", options.until.c_str(),
                         options.timeout_s);
            return kFailed;
        }
        const auto until = Clock::now() + std::chrono::duration<double>(options.interval_s);
        while (interrupted == 0 && Clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return kOk;
}

int task_create(Session& s, const std::string& file) {
    auto document = read_document(file);
    if (!document) return usage(document.error().message);
    // In a file these two read better as objects, and the others as names.
    for (const char* key : {"TableMappings", "ReplicationTaskSettings"})
        if (const auto it = document->find(key); it != document->end() && it->is_object()) *it = it->dump();
    struct Reference {
        const char* member;
        const Kind* kind;
    };
    for (const auto& r :
         {Reference{"SourceEndpointArn", &kEndpoint}, Reference{"TargetEndpointArn", &kEndpoint},
          Reference{"ReplicationInstanceArn", &kInstance}}) {
        const std::string value = text_of(*document, r.member);
        if (value.empty() || value.starts_with("arn:")) continue;
        const auto found = find(s, *r.kind, value);
        if (!found) return failed(found.error());
        (*document)[r.member] = text_of(*found, r.kind->arn);
    }
    const auto answer = call(s, "CreateReplicationTask", *document);
    if (!answer) return failed(answer.error());
    Json task = object_of(*answer, "ReplicationTask");
    const auto ready = wait_for(30, [&]() -> Result<bool> {
        task = GW_TRY(find(s, kTask, text_of(task, "ReplicationTaskArn")));
        return text_of(task, "Status") != "creating";
    });
    if (!ready) return failed(ready.error());
    const int code = print_status(s, task);
    if (!s.json && code == kOk)
        print(fmt::format("start it with `godwit task start {}`\n",
                          text_of(task, "ReplicationTaskIdentifier")));
    return code;
}

int task_start(Session& s, const std::string& name, const std::string& type, bool wait) {
    auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    std::string how = type;
    if (how.empty()) how = text_of(*task, "Status") == "ready" ? "start-replication" : "resume-processing";
    const auto answer = call(
        s, "StartReplicationTask",
        {{"ReplicationTaskArn", text_of(*task, "ReplicationTaskArn")}, {"StartReplicationTaskType", how}});
    if (!answer) return failed(answer.error());
    *task = object_of(*answer, "ReplicationTask");
    if (wait) {
        const auto reached = wait_for(0, [&]() -> Result<bool> {
            *task = GW_TRY(find(s, kTask, text_of(*task, "ReplicationTaskArn")));
            return text_of(*task, "Status") != "starting";
        });
        if (!reached) return failed(reached.error());
        if (text_of(*task, "Status") == "failed" && !s.json)
            std::fprintf(stderr, "godwit: %s\n        See `godwit task logs %s`.\n",
                         text_of(*task, "LastFailureMessage").c_str(), name.c_str());
    }
    return print_status(s, *task);
}

int task_stop(Session& s, const std::string& name, bool wait) {
    auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    const auto answer =
        call(s, "StopReplicationTask", {{"ReplicationTaskArn", text_of(*task, "ReplicationTaskArn")}});
    if (!answer) return failed(answer.error());
    *task = object_of(*answer, "ReplicationTask");
    if (wait) {
        const auto reached = wait_for(0, [&]() -> Result<bool> {
            *task = GW_TRY(find(s, kTask, text_of(*task, "ReplicationTaskArn")));
            return text_of(*task, "Status") == "stopped" || text_of(*task, "Status") == "failed";
        });
        if (!reached) return failed(reached.error());
    }
    return print_status(s, *task);
}

int task_delete(Session& s, const std::string& name, bool wait) {
    auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    const std::string arn = text_of(*task, "ReplicationTaskArn");
    const auto answer = call(s, "DeleteReplicationTask", {{"ReplicationTaskArn", arn}});
    if (!answer) return failed(answer.error());
    if (wait) {
        const auto gone = wait_for(0, [&]() -> Result<bool> {
            const auto still = find(s, kTask, arn);
            if (still) return false;
            if (still.error().code == ErrorCode::not_found) return true;
            return std::unexpected(still.error());
        });
        if (!gone) return failed(gone.error());
    }
    if (s.json) {
        print_json(*answer);
    } else {
        print(fmt::format("{} {}\n", text_of(*task, "ReplicationTaskIdentifier"),
                          wait ? "deleted" : "deleting"));
    }
    return kOk;
}

int task_reload(Session& s, const std::string& name, const std::vector<std::string>& tables) {
    const auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    Json list_of = Json::array();
    for (const auto& table : tables) {
        const auto dot = table.find('.');
        if (dot == std::string::npos || dot == 0 || dot + 1 == table.size())
            return usage(fmt::format("'{}' is not SCHEMA.TABLE", table));
        list_of.push_back({{"SchemaName", table.substr(0, dot)}, {"TableName", table.substr(dot + 1)}});
    }
    const auto answer =
        call(s, "ReloadTables",
             {{"ReplicationTaskArn", text_of(*task, "ReplicationTaskArn")}, {"TablesToReload", list_of}});
    if (!answer) return failed(answer.error());
    if (s.json) {
        print_json(*answer);
    } else {
        print(
            fmt::format("reloading {} table{} of {}\n", tables.size(), tables.size() == 1 ? "" : "s", name));
    }
    return kOk;
}

int task_logs(Session& s, const std::string& name, int lines, bool follow) {
    const auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    std::signal(SIGINT, on_interrupt);
    std::vector<std::string> shown;
    bool first = true;
    while (interrupted == 0) {
        const auto answer = s.client.get(v1_path(*task, fmt::format("/logs?lines={}", first ? lines : 1000)));
        if (!answer) return failed(answer.error());
        // plain text, or {"lines":[...]}
        std::vector<std::string> now;
        if (const Json document = Json::parse(*answer, nullptr, false); document.is_object()) {
            for (const Json& line : array_of(document, "lines"))
                if (line.is_string()) now.push_back(line.get<std::string>());
        } else {
            std::istringstream in(*answer);
            for (std::string line; std::getline(in, line);) now.push_back(line);
        }
        // print what comes after the last line that was shown
        std::size_t from = 0;
        if (!first && !shown.empty())
            for (std::size_t i = now.size(); i > 0; --i)
                if (now[i - 1] == shown.back()) {
                    from = i;
                    break;
                }
        if (s.json && !follow) {
            print_json(Json{{"lines", now}});
        } else {
            for (std::size_t i = from; i < now.size(); ++i)
                print((s.json ? Json{{"line", now[i]}}.dump() : now[i]) + "\n");
        }
        if (!now.empty()) shown = {now.back()};
        first = false;
        if (!follow) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    return kOk;
}

int task_compare(Session& s, const std::string& name, double timeout_s) {
    const auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    const auto answer = s.client.post(v1_path(*task, "/compare"), "{}", static_cast<long>(timeout_s));
    if (!answer) return failed(answer.error());
    const auto result = parsed(*answer);
    if (!result) return failed(result.error());
    if (!answered_ok(*result)) return failed(refusal_of(*result));
    bool equal = !array_of(*result, "tables").empty();  // nothing compared proves nothing
    Columns columns({"TABLE", "RESULT", "SOURCE ROWS", "TARGET ROWS", "NOTE"}, {2, 3});
    for (const Json& t : array_of(*result, "tables")) {
        const bool same = t.contains("equal") && t["equal"].is_boolean() && t["equal"].get<bool>();
        equal = equal && same;
        std::string note = text_of(t, "error");
        const Json& keys = array_of(t, "differing_keys");
        for (std::size_t i = 0; i < keys.size() && i < 5; ++i)
            note += (note.empty() ? "differs at " : ", ") +
                    (keys[i].is_string() ? keys[i].get<std::string>() : "?");
        if (keys.size() > 5) note += fmt::format(" and {} more", keys.size() - 5);
        columns.row({text_of(t, "schema") + "." + text_of(t, "table"), same ? "equal" : "different",
                     with_commas(number_of(t, "source_rows")), with_commas(number_of(t, "target_rows")),
                     note});
    }
    if (s.json) {
        print_json(*result);
    } else if (columns.empty()) {
        print("no tables to compare: none is loaded yet\n");
    } else {
        print(columns.text(s.screen, 1));
        if (const std::string position = text_of(*result, "position"); !position.empty())
            print(fmt::format("compared at {} of the source's log\n", position));
        print(equal ? "both sides are equal\n"
                    : "the sides differ; `godwit task reload` copies single tables again\n");
    }
    return equal ? kOk : kDifferent;
}

int task_cutover(Session& s, const std::string& name, double timeout_s) {
    const auto task = find(s, kTask, name);
    if (!task) return failed(task.error());
    const Json request{{"timeout_ms", static_cast<std::int64_t>(timeout_s * 1000)}};
    const auto answer =
        s.client.post(v1_path(*task, "/cutover"), request.dump(), static_cast<long>(timeout_s) + 10);
    if (!answer) return failed(answer.error());
    const auto result = parsed(*answer);
    if (!result) return failed(result.error());
    if (!answered_ok(*result)) return failed(refusal_of(*result));
    if (s.json) {
        print_json(*result);
        return kOk;
    }
    for (const Json& warning : array_of(*result, "warnings"))
        if (warning.is_string()) print(fmt::format("warning: {}\n", warning.get<std::string>()));
    if (const auto& sequences = array_of(*result, "sequences"); !sequences.empty())
        print(fmt::format("{} sequences set on the target\n", sequences.size()));
    print(fmt::format("{}: the target has everything up to {}; point the application at it\n", name,
                      text_of(*result, "position")));
    return kOk;
}

// --- endpoints

int endpoint_list(Session& s) {
    const auto endpoints = list(s, kEndpoint);
    if (!endpoints) return failed(endpoints.error());
    if (s.json) {
        print_json(*endpoints);
        return kOk;
    }
    Json connections = Json::array();
    for (const auto& region : regions(s)) {
        auto some = describe(s, "DescribeConnections", "Connections", Json::object(), region);
        if (!some) return failed(some.error());
        for (Json& connection : *some) connections.push_back(std::move(connection));
    }
    Columns columns({"ENDPOINT", "TYPE", "ENGINE", "SERVER", "DATABASE", "CONNECTION"});
    for (const Json& e : *endpoints) {
        std::string connection = "untested";
        for (const Json& c : connections)
            if (text_of(c, "EndpointArn") == text_of(e, "EndpointArn")) connection = text_of(c, "Status");
        std::string type = text_of(e, "EndpointType");
        for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        columns.row({text_of(e, "EndpointIdentifier"), type, text_of(e, "EngineName"),
                     fmt::format("{}:{}", text_of(e, "ServerName"), number_of(e, "Port")),
                     text_of(e, "DatabaseName"), connection});
    }
    print(columns.empty() ? "no endpoints; create one with `godwit endpoint create -f FILE`\n"
                          : columns.text(s.screen, 5));
    return kOk;
}

int endpoint_show(Session& s, const std::string& name) {
    const auto endpoint = find(s, kEndpoint, name);
    if (!endpoint) return failed(endpoint.error());
    print_json(*endpoint);
    return kOk;
}

int endpoint_create(Session& s, const std::string& file) {
    const auto document = read_document(file);
    if (!document) return usage(document.error().message);
    const auto answer = call(s, "CreateEndpoint", *document);
    if (!answer) return failed(answer.error());
    const Json& endpoint = object_of(*answer, "Endpoint");
    const std::string id = text_of(endpoint, "EndpointIdentifier");
    if (s.json) {
        print_json(endpoint);
    } else {
        print(fmt::format("{} {}\ntest it with `godwit endpoint test {}`\n", id, text_of(endpoint, "Status"),
                          id));
    }
    return kOk;
}

int endpoint_delete(Session& s, const std::string& name) {
    const auto endpoint = find(s, kEndpoint, name);
    if (!endpoint) return failed(endpoint.error());
    const auto answer = call(s, "DeleteEndpoint", {{"EndpointArn", text_of(*endpoint, "EndpointArn")}});
    if (!answer) return failed(answer.error());
    if (s.json) {
        print_json(*answer);
    } else {
        print(fmt::format("{} deleted\n", text_of(*endpoint, "EndpointIdentifier")));
    }
    return kOk;
}

int endpoint_test(Session& s, const std::string& name, const std::string& instance) {
    const auto endpoint = find(s, kEndpoint, name);
    if (!endpoint) return failed(endpoint.error());
    std::string instance_arn;
    if (!instance.empty()) {
        const auto found = find(s, kInstance, instance);
        if (!found) return failed(found.error());
        instance_arn = text_of(*found, "ReplicationInstanceArn");
    } else {
        auto all = describe(s, kInstance.describe, kInstance.member, Json::object(),
                            region_of(text_of(*endpoint, "EndpointArn")));
        if (!all) return failed(all.error());
        if (all->empty())
            return failed(Error{
                .code = ErrorCode::failed_precondition,
                .message = "there is no replication instance; make one with `godwit instance create NAME`"});
        if (all->size() > 1) return usage("there are several instances; choose one with --instance NAME");
        instance_arn = text_of(all->front(), "ReplicationInstanceArn");
    }
    const std::string arn = text_of(*endpoint, "EndpointArn");
    const auto started =
        call(s, "TestConnection", {{"ReplicationInstanceArn", instance_arn}, {"EndpointArn", arn}});
    if (!started) return failed(started.error());
    Json connection = object_of(*started, "Connection");
    const Json filter{{"Filters", Json::array({{{"Name", "endpoint-arn"}, {"Values", Json::array({arn})}},
                                               {{"Name", "replication-instance-arn"},
                                                {"Values", Json::array({instance_arn})}}})}};
    const auto reached = wait_for(120, [&]() -> Result<bool> {
        if (text_of(connection, "Status") != "testing") return true;
        const Json all = GW_TRY(describe(s, "DescribeConnections", "Connections", filter, region_of(arn)));
        if (!all.empty()) connection = all.front();
        return text_of(connection, "Status") != "testing";
    });
    if (!reached) return failed(reached.error());
    const std::string status = text_of(connection, "Status");
    if (s.json) {
        print_json(connection);
    } else {
        print(fmt::format("{} {}\n", text_of(*endpoint, "EndpointIdentifier"),
                          painted(s.screen, colour_of(status), status)));
        if (status != "successful")
            std::fprintf(stderr, "godwit: %s\n", text_of(connection, "LastFailureMessage").c_str());
    }
    return status == "successful" ? kOk : kFailed;
}

// --- instances

int instance_list(Session& s) {
    const auto instances = list(s, kInstance);
    if (!instances) return failed(instances.error());
    if (s.json) {
        print_json(*instances);
        return kOk;
    }
    Columns columns({"INSTANCE", "STATUS", "CLASS", "ENGINE"});
    for (const Json& i : *instances)
        columns.row({text_of(i, "ReplicationInstanceIdentifier"), text_of(i, "ReplicationInstanceStatus"),
                     text_of(i, "ReplicationInstanceClass"), text_of(i, "EngineVersion")});
    print(columns.empty() ? "no instances; make one with `godwit instance create NAME`\n"
                          : columns.text(s.screen, 1));
    return kOk;
}

int instance_show(Session& s, const std::string& name) {
    const auto instance = find(s, kInstance, name);
    if (!instance) return failed(instance.error());
    print_json(*instance);
    return kOk;
}

int instance_create(Session& s, const std::string& name, const std::string& instance_class) {
    const auto answer =
        call(s, "CreateReplicationInstance",
             {{"ReplicationInstanceIdentifier", name}, {"ReplicationInstanceClass", instance_class}});
    if (!answer) return failed(answer.error());
    Json instance = object_of(*answer, "ReplicationInstance");
    const auto reached = wait_for(60, [&]() -> Result<bool> {
        instance = GW_TRY(find(s, kInstance, text_of(instance, "ReplicationInstanceArn")));
        return text_of(instance, "ReplicationInstanceStatus") != "creating";
    });
    if (!reached) return failed(reached.error());
    if (s.json) {
        print_json(instance);
    } else {
        print(fmt::format("{} {}\n", name, text_of(instance, "ReplicationInstanceStatus")));
    }
    return kOk;
}

int instance_delete(Session& s, const std::string& name) {
    const auto instance = find(s, kInstance, name);
    if (!instance) return failed(instance.error());
    const auto answer = call(s, "DeleteReplicationInstance",
                             {{"ReplicationInstanceArn", text_of(*instance, "ReplicationInstanceArn")}});
    if (!answer) return failed(answer.error());
    if (s.json) {
        print_json(*answer);
    } else {
        print(fmt::format("{} deleting\n", text_of(*instance, "ReplicationInstanceIdentifier")));
    }
    return kOk;
}

}  // namespace godwit::cli
