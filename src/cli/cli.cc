#include "cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/completion.h"

#ifndef GODWIT_VERSION
#define GODWIT_VERSION "0.1.0"
#endif

namespace godwit::cli {
namespace {

constexpr double kTimeoutMax = 86'400;  // seconds

// CLI::Range lets "nan" through.
CLI::Validator seconds_between(double min, double max) {
    return {[min, max](const std::string& text) {
                char* end = nullptr;
                const double value = std::strtod(text.c_str(), &end);
                const bool good = end != text.c_str() && *end == '\0' && value >= min && value <= max;
                return good ? std::string()
                            : fmt::format("{} is not between {} and {} seconds", text, min, max);
            },
            fmt::format("FLOAT in [{} - {}]", min, max)};
}

void collect_words(const CLI::App& app, const std::vector<std::string>& path,
                   std::vector<CommandWords>& into) {
    CommandWords here{path, {}};
    for (const CLI::App* sub : app.get_subcommands({})) here.words.push_back(sub->get_name());
    for (const CLI::Option* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) here.words.push_back("--" + name);
        for (const auto& name : option->get_snames()) here.words.push_back("-" + name);
    }
    into.push_back(here);
    for (const CLI::App* sub : app.get_subcommands({})) {
        std::vector<std::string> deeper = path;
        deeper.push_back(sub->get_name());
        collect_words(*sub, deeper, into);
    }
}

}  // namespace

int run(int argc, char** argv) {
    ServerAddress address = address_from_environment();
    bool json = false;
    std::function<int(Session&)> action;

    CLI::App app("godwit: database migration and change data capture behind the AWS DMS API", "godwit");
    app.set_version_flag("--version", "godwit " GODWIT_VERSION);
    app.require_subcommand(1);
    app.fallthrough();  // --server and --json may stand anywhere
    app.add_option("--server", address.url, "URL of the server (GODWIT_SERVER, AWS_ENDPOINT_URL)")
        ->capture_default_str();
    const CLI::Option* region =
        app.add_option("--region", address.region, "this region only, and for what is created (AWS_REGION)");
    app.add_flag("--json", json, "print JSON");
    app.footer(
        "The server:  godwit serve [--data DIR] [--listen HOST:PORT]\n"
        "Exit codes:  0 done, 1 failed, 2 wrong usage, 3 server not reachable, 4 comparison found "
        "differences\n"
        "Keys:        GODWIT_ACCESS_KEY and GODWIT_SECRET_KEY, where the server asks for them");

    std::string name, file, type, instance, instance_class = "dms.t3.medium", shell;
    std::vector<std::string> tables;
    WatchOptions watch;
    bool wait = false, follow = false;
    int lines = 100;
    double timeout_s = 3600;

    const auto group = [&](const char* word, const char* about) {
        CLI::App* sub = app.add_subcommand(word, about);
        sub->require_subcommand(1);
        return sub;
    };
    const auto command = [&](CLI::App* parent, const char* word, const char* about,
                             std::function<int(Session&)> run_it) {
        CLI::App* sub = parent->add_subcommand(word, about);
        sub->callback([&action, run_it = std::move(run_it)] { action = run_it; });
        return sub;
    };
    const auto named = [&](CLI::App* sub) {
        sub->add_option("NAME", name, "identifier or ARN")->required();
        return sub;
    };
    const auto with_file = [&](CLI::App* sub) {
        sub->add_option("-f,--file", file,
                        "JSON file with the members of the API's request; - reads standard input")
            ->required();
        return sub;
    };

    CLI::App* task = group("task", "replication tasks");
    command(task, "list", "all tasks", [&](Session& s) { return task_list(s); });
    named(command(task, "show", "one task and its tables", [&](Session& s) { return task_show(s, name); }));
    CLI::App* watching = named(command(task, "watch", "follow a task as it works",
                                       [&](Session& s) { return task_watch(s, name, watch); }));
    watching->add_option("--interval", watch.interval_s, "seconds between two looks")
        ->check(seconds_between(0.05, 3600.0))
        ->capture_default_str();
    watching->add_option("--until", watch.until, "end when the task is there")
        ->check(CLI::IsMember({"running", "loaded", "caught-up", "stopped"}));
    watching->add_option("--timeout", watch.timeout_s, "give up after so many seconds")
        ->check(seconds_between(0.0, kTimeoutMax));
    with_file(command(task, "create", "create a task; endpoints and instance may be names",
                      [&](Session& s) { return task_create(s, file); }));
    CLI::App* starting = named(command(task, "start", "start, or go on where it stopped",
                                       [&](Session& s) { return task_start(s, name, type, wait); }));
    starting
        ->add_option("--type", type, "default: start-replication, or resume-processing when it ran before")
        ->check(CLI::IsMember({"start-replication", "resume-processing", "reload-target"}));
    starting->add_flag("--wait", wait, "until it runs");
    named(command(task, "stop", "stop", [&](Session& s) {
        return task_stop(s, name, wait);
    }))->add_flag("--wait", wait, "until it has stopped");
    named(command(task, "delete", "delete the task and what it made on the source", [&](Session& s) {
        return task_delete(s, name, wait);
    }))->add_flag("--wait", wait, "until it is gone");
    named(command(task, "reload", "load single tables again while the task runs",
                  [&](Session& s) { return task_reload(s, name, tables); }))
        ->add_option("TABLE", tables, "SCHEMA.TABLE ...")
        ->required();
    CLI::App* logs = named(command(task, "logs", "the task's log",
                                   [&](Session& s) { return task_logs(s, name, lines, follow); }));
    logs->add_option("--lines", lines, "how many of the last lines")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    logs->add_flag("--follow", follow, "go on as it grows");
    named(command(task, "compare", "compare every row of both sides",
                  [&](Session& s) { return task_compare(s, name, timeout_s); }))
        ->add_option("--timeout", timeout_s, "seconds")
        ->check(seconds_between(1.0, kTimeoutMax))
        ->capture_default_str();
    named(command(task, "cutover", "bring the target level with the source for good, sequences included",
                  [&](Session& s) { return task_cutover(s, name, timeout_s); }))
        ->add_option("--timeout", timeout_s, "seconds")
        ->check(seconds_between(1.0, kTimeoutMax))
        ->capture_default_str();

    CLI::App* endpoint = group("endpoint", "source and target databases");
    command(endpoint, "list", "all endpoints", [&](Session& s) { return endpoint_list(s); });
    named(command(endpoint, "show", "one endpoint", [&](Session& s) { return endpoint_show(s, name); }));
    with_file(command(endpoint, "create", "create an endpoint",
                      [&](Session& s) { return endpoint_create(s, file); }));
    named(command(endpoint, "delete", "delete an endpoint",
                  [&](Session& s) { return endpoint_delete(s, name); }));
    named(command(endpoint, "test", "connect and say what is missing", [&](Session& s) {
        return endpoint_test(s, name, instance);
    }))->add_option("--instance", instance, "instance to test from; not needed when there is one");

    CLI::App* instances = group("instance", "replication instances: groups of tasks under one limit");
    command(instances, "list", "all instances", [&](Session& s) { return instance_list(s); });
    named(command(instances, "show", "one instance", [&](Session& s) { return instance_show(s, name); }));
    named(command(instances, "create", "create an instance",
                  [&](Session& s) { return instance_create(s, name, instance_class); }))
        ->add_option("--class", instance_class, "size")
        ->capture_default_str();
    named(command(instances, "delete", "delete an instance",
                  [&](Session& s) { return instance_delete(s, name); }));

    bool completing = false;
    CLI::App* completion =
        app.add_subcommand("completion", "a completion script: source <(godwit completion bash)");
    completion->add_option("SHELL", shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    completion->callback([&completing] { completing = true; });

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // help and version are "errors" of this library with code 0
        return app.exit(error) == 0 ? kOk : kUsage;
    }
    if (completing) {
        std::vector<CommandWords> words;
        collect_words(app, {}, words);
        words.front().words.emplace_back("serve");
        const std::string script = completion_script(shell, words);
        std::fwrite(script.data(), 1, script.size(), stdout);
        return kOk;
    }
    Client client(std::move(address));
    Session session{region->count() == 0, client, json, this_screen()};
    return action(session);
}

}  // namespace godwit::cli
