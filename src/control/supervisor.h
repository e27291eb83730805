#pragma once
// Starts, watches and adopts task processes. The contract with them is core/task.h.
//
// A task process is a session of its own (setsid), so that the death of the server does not touch it. After a
// restart the server adopts what still runs: the folder's lock file names the process, status.json tells its
// state. A process that ends while its report says "running" has crashed: it is started again with
// StartType::resume after the delay of the recoverable-error rules (spec/task-settings section 7), until
// those give up.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/task.h"

namespace godwit::control {

// When to start a crashed or recoverably failed task again; from ErrorBehavior.
struct RestartRules {
    std::int64_t count = -1;  // RecoverableErrorCount
    std::int64_t interval_s = 5;
    bool throttling = true;
    std::int64_t throttling_max_s = 1800;
    bool stop_after_throttling_max = true;
};
// nothing: give up. `restarts` so far without five quiet minutes between them.
[[nodiscard]] std::optional<std::int64_t> restart_delay_s(const RestartRules& rules, std::uint32_t restarts);

// The report's run came so far that the next process has to go on from there. A report that ends in an error
// no longer says "running", but these are written behind that only.
[[nodiscard]] inline bool has_run(const TaskReport& report) {
    return report.state == TaskState::running || report.full_load_start_us > 0 ||
           !report.captured_position.empty() || !report.applied_position.empty();
}

class Supervisor {
public:
    // Called from the supervisor's thread after every change of a report's state (also for crashes: the
    // supervisor fills state, last_error, recoverable). Must not call back into the supervisor. false: it
    // could not be kept; it is told again after a second, until it is.
    using OnChange = std::function<bool(const std::string& task_id, const TaskReport& report)>;

    virtual ~Supervisor() = default;
    // Spawns a process; already_exists when one runs for this task. A comparison at rest is ended for it.
    [[nodiscard]] virtual Result<> start(const TaskSpec& spec, const RestartRules& rules) = 0;
    // Takes over a task that ran when the server died. `spec` is what a restart would use. Returns false when
    // no process of it lives (its last report, if any, is delivered through OnChange). `ordered_us`: when the
    // run was asked for; a report from before is of an earlier run and says nothing about this one.
    [[nodiscard]] virtual Result<bool> adopt(const TaskSpec& spec, const RestartRules& rules,
                                             std::int64_t ordered_us) = 0;
    // Asynchronous: the report becomes `stopped`. An end that could not be kept is told again at once.
    [[nodiscard]] virtual Result<> stop(const std::string& task_id) = 0;
    // Ends the process at once and starts it again, as after a crash but without a delay and without counting
    // as one. `memory_bytes_max` is that of the new order. failed_precondition when none runs.
    [[nodiscard]] virtual Result<> restart(const std::string& task_id, std::uint64_t memory_bytes_max) = 0;
    // One request over control.sock, e.g. reload or compare; waits for the answer at most `timeout`.
    [[nodiscard]] virtual Result<std::string> ask(const std::string& task_id, const std::string& request_json,
                                                  std::chrono::milliseconds timeout) = 0;
    [[nodiscard]] virtual std::optional<TaskReport> report(const std::string& task_id) const = 0;
    // Runs a task process with StartType::drop and waits; then removes the task's folder. A comparison at
    // rest is ended for it; failed_precondition when another process has the folder, which then stays.
    [[nodiscard]] virtual Result<> drop(const TaskSpec& spec, std::chrono::milliseconds timeout) = 0;
    // Runs a task process with StartType::compare for a task at rest and waits for its answer (JSON).
    [[nodiscard]] virtual Result<std::string> compare(const TaskSpec& spec,
                                                      std::chrono::milliseconds timeout) = 0;
    [[nodiscard]] virtual std::filesystem::path folder(const std::string& task_id) const = 0;
};

// Spawns `program task-process --folder DATA/tasks/ID`.
[[nodiscard]] std::unique_ptr<Supervisor> make_supervisor(std::filesystem::path data_folder,
                                                          std::string program, Clock& clock,
                                                          Supervisor::OnChange on_change);

}  // namespace godwit::control
