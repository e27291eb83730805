#include "app/serve.h"

#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "api/http_server.h"
#include "api/service.h"
#include "app/wiring.h"
#include "base/files.h"
#include "control/supervisor.h"
#include "state/stores.h"

namespace godwit::app {
namespace {

constexpr int kFailed = 1, kWrongUse = 2;
constexpr auto kAnswersMax = std::chrono::seconds(10);

struct Options {
    std::string data;
    std::string listen = "127.0.0.1:4600";
    std::string access_keys;
    std::string task_program;
    std::string secrets_url, secrets_file, secrets_key;
    std::int64_t min_running_visible_s = 45;
};

std::string default_data() {
    if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != 0)
        return std::string(data) + "/godwit";
    const char* home = std::getenv("HOME");
    return std::string(home != nullptr ? home : ".") + "/.local/share/godwit";
}

// HOST:PORT, [V6]:PORT
Result<api::HttpOptions> parse_listen(const std::string& text) {
    api::HttpOptions out;
    const auto colon = text.rfind(':');
    std::string host = text.substr(0, colon == std::string::npos ? 0 : colon);
    const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (host.empty() || port.empty() || error != std::errc{} || end != port.data() + port.size() ||
        out.port < 0 || out.port > 65535)
        return fail(ErrorCode::invalid_argument, "--listen is HOST:PORT, not '" + text + "'");
    out.host = host;
    return out;
}

Result<std::filesystem::path> prepare_data(const std::string& text) {
    std::error_code code;
    std::filesystem::path data = std::filesystem::absolute(text, code);
    std::filesystem::create_directories(data / "tasks", code);
    if (code) return fail(ErrorCode::unavailable, data.string() + ": " + code.message());
    for (const auto& folder : {data, data / "tasks"})
        if (::chmod(folder.c_str(), 0700) != 0)
            return fail(ErrorCode::unavailable, folder.string() + ": " + std::strerror(errno));
    return data;
}

Result<> run(const Options& options) {
    auto http = GW_TRY(parse_listen(options.listen));
    http.keys = GW_TRY(api::parse_key_pairs(options.access_keys));
    if (http.keys.empty() && !api::is_loopback(http.host))
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("refusing to listen on {} without access keys: set GODWIT_ACCESS_KEYS, or listen on "
                        "127.0.0.1",
                        http.host));
    const auto data = GW_TRY(prepare_data(options.data));
    auto lock = LockFile::take(data / "lock");
    if (!lock)
        return fail(ErrorCode::failed_precondition,
                    fmt::format("another server uses the data directory: {}", lock.error().message));

    // Signals are for this thread's sigwait(), not for those started below.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int s : {SIGTERM, SIGINT}) sigaddset(&signals, s);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);

    // Threads come and go with connections: few arenas, and what a large request took goes back.
    ::mallopt(M_ARENA_MAX, 2);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);

    SystemClock clock;
    Log log;
    EndpointRegistry registry;
    add_all(registry);
    const auto vault = GW_TRY(api::Vault::open(data / "key"));
    const auto store = GW_TRY(state::open_sqlite_store(data / "state.db"));
    auto secret_keys = GW_TRY(api::parse_key_pairs(options.secrets_key));
    const auto secrets = api::make_secret_source(options.secrets_url, options.secrets_file,
                                                 secret_keys.empty() ? api::KeyPair{} : secret_keys.front());
    api::Service service(
        {*store, registry, *secrets, vault, clock, log, std::chrono::seconds(options.min_running_visible_s)});
    const auto supervisor = control::make_supervisor(
        data, options.task_program, clock,
        [&](const std::string& id, const TaskReport& report) { return service.on_task_change(id, report); });
    service.attach(*supervisor);

    const auto server = api::make_http_server(http, service, clock, log);
    const int port = GW_TRY(server->bind());
    GW_CHECK(service.recover());
    if (!api::is_loopback(http.host))
        log.warning(Component::rest_server,
                    "listening beyond this machine without TLS: put a TLS proxy in front");
    log.info(Component::rest_server,
             fmt::format("listening on {}:{}, data in {}", http.host, port, data.string()));

    std::jthread http_thread([&] { server->run(); });
    int received = 0;
    ::sigwait(&signals, &received);
    log.info(Component::rest_server, "stopping; running tasks go on");
    server->stop();
    // What is being answered gets its answer; connections that only wait for a next request are not waited
    // for.
    for (const auto until = std::chrono::steady_clock::now() + kAnswersMax;
         server->busy() > 0 && std::chrono::steady_clock::now() < until;)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the last answer is being written
    // All that was answered is in the store, and what is under way is found there by the next server: nobody
    // needs to wait for a connection test that hangs.
    std::fflush(nullptr);
    ::_exit(0);
}

}  // namespace

int serve(int argc, char** argv) {
    Options options;
    options.data = default_data();
    std::error_code code;
    options.task_program = std::filesystem::read_symlink("/proc/self/exe", code).string();

    CLI::App app("The service: the DMS API, and the supervision of its tasks.", "godwit serve");
    app.add_option("--data", options.data, "folder of its state, made when missing")
        ->envname("GODWIT_DATA")
        ->capture_default_str();
    app.add_option("--listen", options.listen, "HOST:PORT; beyond loopback only with access keys")
        ->envname("GODWIT_LISTEN")
        ->capture_default_str();
    // secrets: in the environment, where a process list does not show them
    app.add_option("--access-keys", options.access_keys,
                   "KEYID:SECRET[:ACCOUNT][,...]; better in the variable")
        ->envname("GODWIT_ACCESS_KEYS");
    app.add_option("--min-running-visible", options.min_running_visible_s,
                   "seconds for which a task that ends early is shown as running")
        ->envname("GODWIT_MIN_RUNNING_VISIBLE")
        ->check(CLI::Range(0, 86400))
        ->capture_default_str();
    app.add_option("--secrets-url", options.secrets_url,
                   "Secrets Manager's address, for SecretsManagerSecretId")
        ->envname("GODWIT_SECRETS_URL");
    app.add_option("--secrets-file", options.secrets_file, "a JSON file of secrets instead")
        ->envname("GODWIT_SECRETS_FILE");
    app.add_option("--secrets-key", options.secrets_key,
                   "KEYID:SECRET that signs requests to the secrets URL")
        ->envname("GODWIT_SECRETS_KEY");
    app.add_option("--task-program", options.task_program, "what runs a task")
        ->envname("GODWIT_TASK_PROGRAM");
    try {
        std::vector<std::string> words;
        for (int i = argc - 1; i >= 0; --i) words.emplace_back(argv[i]);
        app.parse(words);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : kWrongUse;
    }
    const auto done = run(options);
    if (!done) {
        std::fprintf(stderr, "godwit serve: %s\n", done.error().text().c_str());
        return done.error().code == ErrorCode::invalid_argument ? kWrongUse : kFailed;
    }
    return 0;
}

}  // namespace godwit::app
