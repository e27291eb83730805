#pragma once
// What each sub-command does. Each prints its result and returns an exit code.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/text.h"

namespace godwit::cli {

struct Session {
    bool all_regions = true;  // false: the one of the client's address only
    Client& client;
    bool json = false;  // raw JSON on standard output, for programs
    Screen screen;
};

// Names are identifiers or ARNs.
int task_list(Session& session);
int task_show(Session& session, const std::string& name);
struct WatchOptions {
    double interval_s = 1;
    std::string until;     // "", "running", "loaded", "caught-up" or "stopped"
    double timeout_s = 0;  // 0: none
};
int task_watch(Session& session, const std::string& name, const WatchOptions& options);
int task_create(Session& session, const std::string& file);
int task_start(Session& session, const std::string& name, const std::string& type, bool wait);
int task_stop(Session& session, const std::string& name, bool wait);
int task_delete(Session& session, const std::string& name, bool wait);
int task_reload(Session& session, const std::string& name, const std::vector<std::string>& tables);
int task_logs(Session& session, const std::string& name, int lines, bool follow);
int task_compare(Session& session, const std::string& name, double timeout_s);
int task_cutover(Session& session, const std::string& name, double timeout_s);

int endpoint_list(Session& session);
int endpoint_show(Session& session, const std::string& name);
int endpoint_create(Session& session, const std::string& file);
int endpoint_delete(Session& session, const std::string& name);
int endpoint_test(Session& session, const std::string& name, const std::string& instance);

int instance_list(Session& session);
int instance_show(Session& session, const std::string& name);
int instance_create(Session& session, const std::string& name, const std::string& instance_class);
int instance_delete(Session& session, const std::string& name);

}  // namespace godwit::cli
