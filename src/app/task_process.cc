#include "app/task_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/wiring.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "core/task.h"
#include "engine/compare.h"
#include "engine/task.h"
#include "mapping/tables.h"

namespace godwit::app {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
constexpr auto kReportEvery = 200ms;
constexpr std::size_t kRequestBytesMax = 1U << 20;

std::atomic<bool> g_terminate = false;  // a signal handler can set nothing else

void on_terminate(int) { g_terminate = true; }

// Severity of LOGGER_SEVERITY_*
Severity severity_of(const std::string& name) {
    if (name == "LOGGER_SEVERITY_ERROR") return Severity::error;
    if (name == "LOGGER_SEVERITY_WARNING") return Severity::warning;
    if (name == "LOGGER_SEVERITY_DEBUG") return Severity::debug;
    if (name == "LOGGER_SEVERITY_DETAILED_DEBUG") return Severity::trace;
    return Severity::info;
}

void set_levels(Log& log, const std::map<std::string, std::string>& levels) {
    for (int i = 0; i <= static_cast<int>(Component::rest_server); ++i) {
        const auto component = static_cast<Component>(i);
        if (const auto it = levels.find(std::string(name(component))); it != levels.end())
            log.set_level(component, severity_of(it->second));
    }
}

// Writes status.json when something changed, at most every kReportEvery.
class Reporter {
public:
    Reporter(engine::Progress& progress, std::filesystem::path path)
        : progress_(progress), path_(std::move(path)) {
        thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
    }
    ~Reporter() {
        thread_.request_stop();
        thread_.join();
        write(true);
    }
    Reporter(const Reporter&) = delete;
    Reporter& operator=(const Reporter&) = delete;

private:
    void run(std::stop_token stop) {
        SystemClock clock;
        auto rates_at = std::chrono::steady_clock::now();
        std::uint64_t rows_before = 0, changes_before = 0;
        while (clock.sleep(kReportEvery, stop)) {
            const auto now = std::chrono::steady_clock::now();
            if (now - rates_at >= 1s) {
                const auto r = progress_.snapshot();
                std::uint64_t rows = 0, changes = 0;
                for (const auto& t : r.tables) {
                    rows += t.full_load_rows;
                    changes += t.applied_inserts + t.applied_updates + t.applied_deletes;
                }
                const auto ms = static_cast<std::uint64_t>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(now - rates_at).count());
                progress_.update([&](TaskReport& report) {
                    report.rows_per_second = rows > rows_before ? (rows - rows_before) * 1000 / ms : 0;
                    report.changes_per_second =
                        changes > changes_before ? (changes - changes_before) * 1000 / ms : 0;
                });
                rows_before = rows;
                changes_before = changes;
                rates_at = now;
            }
            write(false);
        }
    }
    void write(bool durable) {
        [[maybe_unused]] auto ignored = write_file(path_, to_json(progress_.snapshot()), durable);
    }
    engine::Progress& progress_;
    const std::filesystem::path path_;
    std::jthread thread_;
};

// One JSON object per line in, one out; one client at a time, each request in a thread of its own so that a
// long comparison does not hold up a stop.
class ControlSocket {
public:
    using Handler = std::function<json(const json&)>;
    ControlSocket(const std::filesystem::path& folder, Handler handler) : handler_(std::move(handler)) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        folder_fd_ = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        ::unlinkat(folder_fd_, "control.sock", 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const auto text = fmt::format("/proc/self/fd/{}/control.sock", folder_fd_);
        text.copy(address.sun_path, sizeof address.sun_path - 1);
        const bool up = ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                        ::listen(listener_, 16) == 0;
        if (up) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
    }
    ~ControlSocket() {
        thread_.request_stop();
        if (thread_.joinable()) thread_.join();
        ::unlinkat(folder_fd_, "control.sock", 0);
        ::close(listener_);
        ::close(folder_fd_);
    }
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;

private:
    void run(std::stop_token stop) {
        std::vector<std::jthread> clients;
        while (!stop.stop_requested()) {
            pollfd p{listener_, POLLIN, 0};
            if (::poll(&p, 1, 100) <= 0) continue;
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) continue;
            if (clients.size() >= 64) clients.erase(clients.begin());  // joins the oldest
            clients.emplace_back([this, fd](std::stop_token end) { serve(fd, end); });
        }
    }
    void serve(int fd, std::stop_token stop) {
        std::string in;
        while (!stop.stop_requested()) {
            pollfd p{fd, POLLIN, 0};
            if (::poll(&p, 1, 200) == 0) continue;
            char block[4096];
            const auto n = ::recv(fd, block, sizeof block, 0);
            if (n <= 0) break;
            in.append(block, static_cast<std::size_t>(n));
            if (in.size() > kRequestBytesMax) break;
            for (auto end = in.find('\n'); end != std::string::npos; end = in.find('\n')) {
                json answer;
                try {
                    answer = handler_(json::parse(in.substr(0, end)));
                } catch (const json::exception&) {
                    answer = {{"ok", false}, {"error", "not a request"}};
                }
                in.erase(0, end + 1);
                const std::string out = answer.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
                for (std::size_t at = 0; at < out.size();) {
                    const auto sent = ::send(fd, out.data() + at, out.size() - at, MSG_NOSIGNAL);
                    if (sent <= 0) break;
                    at += static_cast<std::size_t>(sent);
                }
            }
        }
        ::close(fd);
    }
    Handler handler_;
    int listener_ = -1;
    int folder_fd_ = -1;
    std::jthread thread_;
};

json failure(const Error& e) { return {{"ok", false}, {"error", e.text()}}; }

json to_json(const engine::Comparison& c) {
    json tables = json::array();
    for (const auto& t : c.tables)
        tables.push_back({{"schema", t.table.schema},
                          {"table", t.table.table},
                          {"equal", t.equal},
                          {"source_rows", t.source.rows},
                          {"target_rows", t.target.rows},
                          {"source_hash", t.source.hash},
                          {"target_hash", t.target.hash},
                          {"differing_keys", t.differing_keys},
                          {"error", t.error}});
    return {{"ok", true}, {"equal", c.equal}, {"position", c.position}, {"tables", std::move(tables)}};
}

}  // namespace

int run_task_process(int argc, char** argv) {
    std::filesystem::path folder;
    for (int i = 0; i + 1 < argc; ++i)
        if (std::string_view(argv[i]) == "--folder") folder = argv[i + 1];
    if (folder.empty()) {
        std::cerr << "godwit task-process: --folder is missing; this command is started by godwit serve\n";
        return 2;
    }
    const std::string document((std::istreambuf_iterator<char>(std::cin)), {});
    auto spec = task_spec_from_json(document);
    if (!spec) {
        std::cerr << spec.error().text() << "\n";
        return 2;
    }
    std::error_code made;
    std::filesystem::create_directories(folder, made);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, made);
    auto lock = LockFile::take(folder / "lock");
    if (!lock) {
        std::cerr << lock.error().text() << "\n";
        return 1;
    }
    std::signal(SIGPIPE, SIG_IGN);
    struct sigaction action{};
    action.sa_handler = on_terminate;
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGINT, &action, nullptr);
    std::signal(SIGHUP, SIG_IGN);

    SystemClock clock;
    Log log(folder / "task.log");
    char self[4096];
    const auto length = ::readlink("/proc/self/exe", self, sizeof self);
    TaskContext context{spec->id, folder.string(),
                        std::string(self, length > 0 ? static_cast<std::size_t>(length) : 0), &clock, &log};

    // figures of earlier runs go on, unless the task begins anew
    TaskReport before;
    if (auto text = read_file(folder / "status.json"))
        if (auto old = task_report_from_json(*text)) before = std::move(*old);
    before.state = TaskState::starting;
    before.stop_reason.clear();
    before.last_error.clear();
    before.lag_ms = -1;
    before.stop_us = 0;
    engine::Progress progress(clock, std::move(before));

    EndpointRegistry registry;
    add_all(registry);
    const auto fail_start = [&](const Error& e) {
        progress.update([&](TaskReport& r) {
            r.state = TaskState::failed;
            r.last_error = e.text();
            r.recoverable = e.retry != Retry::never;
            r.stop_reason = r.recoverable ? "RECOVERABLE_ERROR" : "FATAL_ERROR";
            r.stop_us = progress.now_us();
        });
        log.error(Component::task_manager, e.text());
        [[maybe_unused]] auto written =
            write_file(folder / "status.json", godwit::to_json(progress.snapshot()), true);
        return 1;
    };
    const auto* source_kind = registry.find(spec->source.engine_name);
    const auto* target_kind = registry.find(spec->target.engine_name);
    if (source_kind == nullptr || source_kind->source == nullptr)
        return fail_start({ErrorCode::unsupported,
                           Retry::never,
                           "no source of engine " + spec->source.engine_name,
                           {},
                           {}});
    auto source = source_kind->source(spec->source, context);
    if (!source) return fail_start(source.error());
    if (spec->start == StartType::compare) {
        std::signal(SIGTERM, SIG_DFL);  // it only reads, and may be in the way of a start
        json answer;
        const auto answered = [&]() -> Result<engine::Comparison> {
            if (target_kind == nullptr || target_kind->target == nullptr)
                return fail(ErrorCode::unsupported, "no target of engine " + spec->target.engine_name);
            const auto settings = GW_TRY(mapping::read_settings(spec->settings));
            const auto selection = GW_TRY(mapping::compile_selection(spec->table_mappings));
            const auto traits = GW_TRY((*source)->open(false));
            auto target = GW_TRY(target_kind->target(spec->target, context));
            GW_TRY(target->open());
            const auto ledger = GW_TRY(
                target->take_over({spec->id, settings.control_schema, settings.target_schema}, traits));
            return engine::compare_at_rest(**source, *target, ledger, *selection, {});
        }();
        answer = answered ? to_json(*answered) : failure(answered.error());
        const auto text = answer.dump(-1, ' ', false, json::error_handler_t::replace);
        return write_file(folder / "compare.json", text, false) ? 0 : 1;
    }
    if (spec->start == StartType::drop) {
        auto dropped = (*source)->drop_capture();
        if (!dropped) return fail_start(dropped.error());
        if (target_kind != nullptr && target_kind->target != nullptr)
            if (auto target = target_kind->target(spec->target, context))
                if (auto forgotten = (*target)->forget_task({spec->id, "", ""}); !forgotten)
                    log.warning(Component::task_manager, forgotten.error().text());
        progress.update([&](TaskReport& r) { r.state = TaskState::stopped, r.stop_reason = "NORMAL"; });
        [[maybe_unused]] auto written =
            write_file(folder / "status.json", godwit::to_json(progress.snapshot()), true);
        return 0;
    }
    if (target_kind == nullptr || target_kind->target == nullptr)
        return fail_start({ErrorCode::unsupported,
                           Retry::never,
                           "no target of engine " + spec->target.engine_name,
                           {},
                           {}});
    const auto settings = mapping::read_settings(spec->settings);
    if (!settings) return fail_start(settings.error());
    if (settings->recovery_table) spec->target.attributes["taskrecoverytableenabled"] = "true";
    auto target = target_kind->target(spec->target, context);
    if (!target) return fail_start(target.error());
    for (int i = 0; i <= static_cast<int>(Component::rest_server); ++i) {
        const auto component = static_cast<Component>(i);
        if (const auto it = settings->log_levels.find(std::string(name(component)));
            it != settings->log_levels.end())
            log.set_level(component, it->second);
    }

    std::stop_source stop;
    const Reporter reporter(progress, folder / "status.json");
    engine::Task task(*spec, context, **source, **target, progress);
    const ControlSocket socket(folder, [&](const json& request) -> json {
        const std::string op = request.value("op", "");
        if (op == "stop") {
            log.info(Component::task_manager, "stop was asked for");
            stop.request_stop();
            return {{"ok", true}};
        }
        if (op == "status")
            return {{"ok", true}, {"report", json::parse(godwit::to_json(progress.snapshot()))}};
        if (op == "reload") {
            std::vector<TableName> tables;
            for (const auto& t : request.value("tables", json::array()))
                tables.push_back({t.value("schema", ""), t.value("table", "")});
            auto done = task.reload(tables);
            return done ? json{{"ok", true}} : failure(done.error());
        }
        if (op == "log") {
            set_levels(log, request.value("levels", std::map<std::string, std::string>{}));
            return {{"ok", true}};
        }
        if (op == "compare") {
            auto c = engine::compare(task, **source, **target, stop.get_token());
            return c ? to_json(*c) : failure(c.error());
        }
        if (op == "cutover") {
            auto c = task.cutover(std::chrono::milliseconds(request.value("timeout_ms", 60000)));
            if (!c) return failure(c.error());
            return {{"ok", true},
                    {"lag_ms", c->lag_ms},
                    {"position", c->position},
                    {"sequences", c->sequences},
                    {"warnings", c->warnings}};
        }
        return {{"ok", false}, {"error", "unknown operation " + op}};
    });
    const std::jthread signals([&](std::stop_token end) {
        while (clock.sleep(100ms, end))
            if (g_terminate) stop.request_stop();
    });
    log.info(Component::task_manager,
             fmt::format("task {} starts, process {}", spec->identifier, ::getpid()));
    task.run(stop.get_token());
    return progress.snapshot().state == TaskState::stopped ? 0 : 1;
}

}  // namespace godwit::app
