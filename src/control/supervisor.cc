#include "control/supervisor.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "base/failpoint.h"
#include "base/files.h"
#include "control/process.h"

namespace godwit::control {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 50ms;
constexpr auto kQuietForgives = 5min;  // so long without an error, and the restarts count from zero again
constexpr auto kEndMax = 15s;          // from the last report to the end of the process
constexpr auto kStopUnheardMax = 30s;  // a process that does not hear "stop" is sent SIGTERM
constexpr auto kStopMax = 10min;       // one that heard it and does not end is killed: crashes are safe
constexpr auto kStopRequestTimeout = 2s;
constexpr auto kTellAgain = 1s;       // what on_change could not keep
constexpr auto kCompareEndMax = 1s;   // a comparison that ignores SIGTERM so long is killed
constexpr auto kCompareKillMax = 2s;  // one that survives even that holds the folder, and nobody waits for it
constexpr const char* kComparingFile = "comparing";    // names the process, also for the next server
constexpr std::int64_t kFileClockStepNs = 20'000'000;  // file times lag behind the clock by up to a jiffy
constexpr std::size_t kStatusBytesMax = 256U << 20;

constexpr const char* kRunning = "a process of this task is running";

enum class Phase : std::uint8_t { live, waiting, done };

struct Watched {
    TaskSpec spec;
    RestartRules rules;
    Phase phase = Phase::done;
    ProcessId process;
    bool child = false;  // of this server, so that it must be reaped
    bool seen_running = false;
    TaskReport report;
    bool has_report = false;
    TaskState told = TaskState::starting;                     // last state given to on_change
    std::pair<std::int64_t, std::uint64_t> file_seen{-1, 0};  // mtime and inode of the status.json last read
    std::int64_t ordered_us = 0;  // a status.json from before is of an earlier run
    bool stop_wanted = false, stop_heard = false, terminated = false;
    SteadyTime stop_since{}, ended_since{}, started_at{}, restart_at{};
    bool ending = false;
    bool restart_wanted = false;  // killed on purpose
    std::uint32_t restarts = 0;
};

struct Change {
    std::string id;
    TaskReport report;
};

std::pair<std::int64_t, std::uint64_t> identity(const std::filesystem::path& file) {
    struct stat st{};
    if (::stat(file.c_str(), &st) != 0) return {-1, 0};
    return {st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec, st.st_ino};
}

// A process says where to go on when it ends, from what the source then keeps. Until then, and for ever when
// it is killed, everything before the applied position is on the target.
void show_progress(TaskReport& report) {
    if (!report.applied_position.empty())
        report.checkpoint = fmt::format("checkpoint:V1#{}#{}#0#0#*#0#0", report.transactions_applied + 1,
                                        report.applied_position);
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status)) return fmt::format("The task process was ended by signal {}.", WTERMSIG(status));
    if (WIFEXITED(status))
        return fmt::format("The task process ended unexpectedly with code {}.", WEXITSTATUS(status));
    return "The task process ended unexpectedly.";
}

class ProcessSupervisor final : public Supervisor {
public:
    ProcessSupervisor(std::filesystem::path data, std::string program, Clock& clock, OnChange on_change)
        : tasks_(std::move(data) / "tasks"),
          program_(std::move(program)),
          clock_(clock),
          on_change_(std::move(on_change)),
          thread_([this](const std::stop_token& stop) { watch(stop); }) {}

    std::filesystem::path folder(const std::string& id) const override { return tasks_ / id; }

    Result<> start(const TaskSpec& spec, const RestartRules& rules) override {
        std::unique_lock lock(mutex_);
        end_compare(lock, spec.id);
        auto& task = watched_[spec.id];
        if (task.phase != Phase::done || owner(spec.id)) return fail(ErrorCode::already_exists, kRunning);
        std::error_code code;
        std::filesystem::create_directories(folder(spec.id), code);
        if (code) return fail(ErrorCode::unavailable, folder(spec.id).string() + ": " + code.message());
        std::filesystem::permissions(folder(spec.id), std::filesystem::perms::owner_all, code);
        // A new beginning forgets the last run's report; a resumption goes on with its numbers.
        if (spec.start != StartType::resume) std::filesystem::remove(folder(spec.id) / "status.json", code);
        Watched fresh;
        fresh.spec = spec;
        fresh.rules = rules;
        if (spec.start == StartType::resume) {
            task.spec.id = spec.id;
            task.ordered_us = 0;
            if (!task.has_report) read_status(task);
            fresh.report = task.report;
            fresh.has_report = task.has_report;
        }
        task = std::move(fresh);
        task.report.state = TaskState::starting;
        GW_CHECK(spawn(task));
        wake_.notify_all();
        return {};
    }

    Result<bool> adopt(const TaskSpec& spec, const RestartRules& rules, std::int64_t ordered_us) override {
        const std::lock_guard lock(mutex_);
        auto& task = watched_[spec.id];
        if (task.phase != Phase::done) return true;
        task = Watched{};
        task.spec = spec;
        task.rules = rules;
        read_status(task);
        task.ordered_us = ordered_us;
        const bool current =
            status_is_of_last_spawn(folder(spec.id)) && is_of_run(task, task.file_seen.first, task.report);
        if (!current) {
            // Of a process before: what it counted is true until its successor says more, its state is not.
            if (spec.start != StartType::resume) task.report = {}, task.has_report = false;
            task.file_seen = {-1, 0};
            task.seen_running = false;
            task.report.state = TaskState::starting;
        }
        const auto living = owner(spec.id);
        if (living) {
            task.phase = Phase::live;
            task.process = *living;
            task.started_at = clock_.steady();
            wake_.notify_all();
            return true;
        }
        // It crashed or ended while nobody watched.
        const bool over = current && task.has_report &&
                          (task.report.state == TaskState::stopped ||
                           (task.report.state == TaskState::failed && !task.report.recoverable));
        if (over) {
            pending_.push_back({spec.id, task.report});
            wake_.notify_all();
        }
        return false;
    }

    Result<> stop(const std::string& id) override {
        const std::lock_guard lock(mutex_);
        const auto it = watched_.find(id);
        if (it == watched_.end() || it->second.phase == Phase::done) {
            if (!of_task(unkept_, id))
                return fail(ErrorCode::failed_precondition, "no process of this task is running");
            tell_again_at_ = clock_.steady();
            wake_.notify_all();
            return {};
        }
        if (!it->second.stop_wanted) {
            it->second.stop_wanted = true;
            it->second.stop_since = clock_.steady();
            GW_FAILPOINT("serve.stop_wanted");
        }
        wake_.notify_all();
        return {};
    }

    Result<> restart(const std::string& id, std::uint64_t memory_bytes_max) override {
        const std::lock_guard lock(mutex_);
        const auto it = watched_.find(id);
        if (it == watched_.end() || it->second.phase == Phase::done || it->second.stop_wanted)
            return fail(ErrorCode::failed_precondition, "no process of this task is running");
        auto& task = it->second;
        task.spec.memory_bytes_max = memory_bytes_max;
        if (task.phase == Phase::waiting) {
            task.restart_at = clock_.steady();
        } else {
            task.restart_wanted = true;
            if (task.child || alive(task.process)) ::kill(task.process.pid, SIGKILL);
        }
        wake_.notify_all();
        return {};
    }

    Result<std::string> ask(const std::string& id, const std::string& request_json,
                            std::chrono::milliseconds timeout) override {
        {
            const std::lock_guard lock(mutex_);
            const auto it = watched_.find(id);
            if (it == watched_.end() || it->second.phase != Phase::live)
                return fail(ErrorCode::failed_precondition, "no process of this task is running");
        }
        return ask_socket(folder(id) / "control.sock", request_json, timeout);
    }

    std::optional<TaskReport> report(const std::string& id) const override {
        const std::lock_guard lock(mutex_);
        auto& task = watched_[id];
        if (!task.has_report && task.phase == Phase::done) {
            // of a run before this server's start
            task.spec.id = id;
            read_status(task);
        }
        if (!task.has_report && task.phase == Phase::done) {
            watched_.erase(id);
            return {};
        }
        return task.report;
    }

    Result<std::string> compare(const TaskSpec& spec, std::chrono::milliseconds timeout) override {
        TaskSpec order = spec;
        order.start = StartType::compare;
        GW_CHECK(run_to_end(order, timeout));
        return read_file(folder(spec.id) / "compare.json");
    }

    Result<> drop(const TaskSpec& spec, std::chrono::milliseconds timeout) override {
        std::error_code code;
        if (!std::filesystem::exists(folder(spec.id), code)) return {};
        TaskSpec order = spec;
        order.start = StartType::drop;
        if (const auto dropped = run_to_end(order, timeout); !dropped) {
            const std::lock_guard lock(mutex_);
            if (owner(spec.id)) return fail(ErrorCode::failed_precondition, kRunning);
            return dropped;
        }
        const std::lock_guard lock(mutex_);
        watched_.erase(spec.id);
        std::filesystem::remove_all(folder(spec.id), code);
        if (code) return fail(ErrorCode::unavailable, folder(spec.id).string() + ": " + code.message());
        return {};
    }

private:
    // A process that does one thing and ends; no other runs for this task. mutex_ is not held.
    Result<> run_to_end(const TaskSpec& order, std::chrono::milliseconds timeout) {
        const bool compares = order.start == StartType::compare;
        ProcessId process;
        {
            std::unique_lock lock(mutex_);
            if (!compares) end_compare(lock, order.id);
            const auto it = watched_.find(order.id);
            if ((it != watched_.end() && it->second.phase != Phase::done) || owner(order.id))
                return fail(ErrorCode::failed_precondition, kRunning);
            std::error_code code;
            std::filesystem::remove(folder(order.id) / (compares ? "compare.json" : "status.json"), code);
            process = GW_TRY(spawn_task(program_, folder(order.id), to_json(order)));
            if (compares) {
                if (const auto noted = note_compare(order.id, process); !noted) {
                    // unnoted it would be in everybody's way
                    ::kill(process.pid, SIGKILL);
                    ::waitpid(process.pid, nullptr, 0);
                    return noted;
                }
            }
        }
        const auto deadline = clock_.steady() + timeout;
        int status = 0;
        while (::waitpid(process.pid, &status, WNOHANG) == 0) {
            if (clock_.steady() > deadline) {
                ::kill(process.pid, SIGKILL);
                ::waitpid(process.pid, &status, 0);
                return fail(ErrorCode::unavailable, "The process did not end in time.");
            }
            clock_.sleep(20ms, {});
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
        if (compares && WIFSIGNALED(status))
            return fail(ErrorCode::unavailable, "The comparison was ended before it had an answer.");
        Watched last;
        last.spec.id = order.id;
        read_status(last);
        return fail(ErrorCode::unavailable, last.has_report && !last.report.last_error.empty()
                                                ? last.report.last_error
                                                : how_it_ended(status));
    }

    // mutex_ is held by the callers of all below but watch().

    Result<> note_compare(const std::string& id, const ProcessId& process) const {
        return write_file(folder(id) / kComparingFile,
                          fmt::format("{} {}\n", process.pid, process.start_time), false);
    }

    // A comparison only reads: it gives way to a start and to a drop, which need its folder. Whoever waits
    // for it reaps it. `lock` is free in between and held again at the end.
    void end_compare(std::unique_lock<std::mutex>& lock, const std::string& id) {
        const auto since = clock_.steady();
        while (const auto process = LockFile::holder(folder(id) / kComparingFile)) {
            const auto waited = clock_.steady() - since;
            if (waited > kCompareEndMax + kCompareKillMax) return;  // the caller finds it in its way
            ::kill(process->pid, waited > kCompareEndMax ? SIGKILL : SIGTERM);
            lock.unlock();
            clock_.sleep(20ms, {});
            lock.lock();
        }
    }

    std::optional<ProcessId> owner(const std::string& id) const {
        if (auto holder = LockFile::holder(folder(id) / "lock")) return holder;
        return spawned(folder(id));
    }

    Result<> spawn(Watched& task) {
        GW_FAILPOINT("serve.spawning");
        task.process = GW_TRY(spawn_task(program_, folder(task.spec.id), to_json(task.spec)));
        GW_FAILPOINT("serve.spawned");
        task.child = true;
        task.phase = Phase::live;
        task.started_at = clock_.steady();
        task.ending = task.stop_heard = task.terminated = false;
        task.file_seen = {-1, 0};
        return {};
    }

    // Whether a status.json of that time was written by the run that was ordered. One that begins anew says
    // when it began; one that goes on first repeats what its predecessor said.
    static bool is_of_run(const Watched& task, std::int64_t written_ns, const TaskReport& report) {
        if (written_ns < task.ordered_us * 1000 - kFileClockStepNs) return false;
        return task.spec.start == StartType::resume || report.start_us == 0 ||
               report.start_us >= task.ordered_us;
    }

    // The report of status.json, when it changed.
    bool read_status(Watched& task) const {
        const auto file = folder(task.spec.id) / "status.json";
        const auto now = identity(file);
        if (now.first < 0 || now == task.file_seen) return false;
        const auto text = read_file(file, kStatusBytesMax);
        if (!text) return false;
        auto report = task_report_from_json(*text);
        if (!report || !is_of_run(task, now.first, *report)) return false;
        task.file_seen = now;
        task.report = std::move(*report);
        if (task.report.state == TaskState::starting || task.report.state == TaskState::running)
            show_progress(task.report);
        task.report.restarts += task.restarts;
        task.has_report = true;
        if (has_run(task.report)) task.seen_running = true;
        return true;
    }

    void tell(Watched& task) {
        task.told = task.report.state;
        pending_.push_back({task.spec.id, task.report});
    }

    void finish(Watched& task, TaskState state) {
        task.phase = Phase::done;
        task.report.state = state;
        task.report.memory_bytes = 0;
        if (task.report.stop_us == 0) task.report.stop_us = clock_.now().time_since_epoch().count();
        task.has_report = true;
        tell(task);
    }

    void ended(Watched& task, int status, bool status_known) {
        if (status_is_of_last_spawn(folder(task.spec.id))) read_status(task);
        const bool reported = task.file_seen.first >= 0;
        if (reported && task.report.state == TaskState::stopped) return finish(task, TaskState::stopped);
        if (reported && task.report.state == TaskState::failed && !task.report.recoverable)
            return finish(task, TaskState::failed);
        if (task.stop_wanted) {
            task.report.stop_reason = "NORMAL";
            return finish(task, TaskState::stopped);
        }
        if (task.restart_wanted) {
            wait_for_restart(task, clock_.steady());
            return;
        }
        if (!reported || task.report.state != TaskState::failed)  // a crash
            task.report.last_error =
                status_known ? how_it_ended(status) : "The task process ended unexpectedly.";
        const auto now = clock_.steady();
        if (task.restarts > 0 && now - task.started_at > kQuietForgives) task.restarts = 0;
        const auto delay = restart_delay_s(task.rules, task.restarts);
        if (!delay) {
            task.report.recoverable = true;
            return finish(task, TaskState::failed);
        }
        ++task.restarts;
        task.report.restarts = task.restarts;
        wait_for_restart(task, now + std::chrono::seconds(*delay));
    }

    void wait_for_restart(Watched& task, SteadyTime at) {
        // Until it has run once, the order is repeated: what a fresh start or a reload was to forget is
        // forgotten.
        if (task.seen_running) task.spec.start = StartType::resume;
        task.report.state = task.seen_running ? TaskState::running : TaskState::starting;
        task.phase = Phase::waiting;
        task.restart_at = at;
        task.restart_wanted = false;
        // Before the next process is there: were this server to die then, its successor must know.
        if (task.seen_running && task.told != TaskState::running) tell(task);
    }

    void tick(Watched& task) {
        const auto now = clock_.steady();
        if (task.phase == Phase::waiting) {
            if (task.stop_wanted) {
                task.report.stop_reason = "NORMAL";
                return finish(task, TaskState::stopped);
            }
            if (now < task.restart_at) return;
            // a service that died before it could note its process left one that nobody knew of
            if (const auto other = owner(task.spec.id)) {
                task.process = *other;
                task.child = false;
                task.phase = Phase::live;
                return;
            }
            if (const auto done = spawn(task); !done) {
                task.report.last_error = done.error().text();
                const auto delay = restart_delay_s(task.rules, task.restarts);
                if (!delay) return finish(task, TaskState::failed);
                ++task.restarts;
                task.restart_at = now + std::chrono::seconds(*delay);
            }
            return;
        }
        int status = 0;
        bool over = false;
        if (task.child) {
            const auto got = ::waitpid(task.process.pid, &status, WNOHANG);
            over = got != 0;
        } else {
            over = !alive(task.process);
        }
        if (over) return ended(task, status, task.child);
        if (status_is_of_last_spawn(folder(task.spec.id))) read_status(task);
        const auto state = task.report.state;
        if (task.has_report && task.file_seen.first >= 0 &&
            (state == TaskState::stopped || state == TaskState::failed)) {
            // The state counts once the process has gone and left the folder to others.
            if (!task.ending) task.ending = true, task.ended_since = now;
            if (now - task.ended_since > kEndMax) ::kill(task.process.pid, SIGKILL);
            return;
        }
        if (state != task.told) tell(task);
        if (!task.stop_wanted) return;
        const auto waited = now - task.stop_since;
        if (!task.stop_heard && !task.terminated && waited > kStopUnheardMax) {
            ::kill(task.process.pid, SIGTERM);
            task.terminated = true;
        }
        if (waited > kStopMax) ::kill(task.process.pid, SIGKILL);
    }

    void watch(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            std::vector<Change> changes;
            std::vector<std::pair<std::string, ProcessId>> to_stop;
            {
                std::unique_lock lock(mutex_);
                bool active = false;
                for (auto& [id, task] : watched_) {
                    if (task.phase == Phase::done) continue;
                    tick(task);
                    active = active || task.phase != Phase::done;
                    if (task.phase == Phase::live && task.stop_wanted && !task.stop_heard && !task.ending)
                        to_stop.emplace_back(id, task.process);
                }
                if (clock_.steady() >= tell_again_at_) changes.swap(unkept_);
                for (auto& change : pending_)  // never before what its task said earlier
                    (of_task(unkept_, change.id) ? unkept_ : changes).push_back(std::move(change));
                pending_.clear();
                if (changes.empty() && to_stop.empty()) {
                    if (active || !unkept_.empty())
                        wake_.wait_for(lock, stop, kTick, [] { return false; });
                    else
                        wake_.wait(lock, stop, [&] { return !pending_.empty() || any_active(); });
                }
            }
            std::vector<Change> unkept;
            for (auto& change : changes)
                if (of_task(unkept, change.id) || !on_change_(change.id, change.report))
                    unkept.push_back(std::move(change));
            if (!unkept.empty()) {
                const std::lock_guard lock(mutex_);
                if (unkept_.empty()) tell_again_at_ = clock_.steady() + kTellAgain;
                std::ranges::move(unkept, std::back_inserter(unkept_));
            }
            for (const auto& [id, process] : to_stop) {
                const auto heard =
                    ask_socket(folder(id) / "control.sock", R"({"op":"stop"})", kStopRequestTimeout);
                if (!heard) {
                    clock_.sleep(20ms, stop);
                    continue;
                }
                const std::lock_guard lock(mutex_);
                const auto it = watched_.find(id);
                if (it != watched_.end() && it->second.process == process) it->second.stop_heard = true;
            }
        }
    }

    static bool of_task(const std::vector<Change>& changes, const std::string& id) {
        return std::ranges::any_of(changes, [&](const Change& change) { return change.id == id; });
    }

    bool any_active() const {
        for (const auto& [id, task] : watched_)
            if (task.phase != Phase::done) return true;
        return false;
    }

    const std::filesystem::path tasks_;
    const std::string program_;
    Clock& clock_;
    const OnChange on_change_;
    mutable std::mutex mutex_;  // guards watched_, pending_, unkept_, tell_again_at_
    std::condition_variable_any wake_;
    mutable std::map<std::string, Watched> watched_;
    std::vector<Change> pending_;
    std::vector<Change> unkept_;  // told in vain
    SteadyTime tell_again_at_{};
    std::jthread thread_;
};

}  // namespace

std::unique_ptr<Supervisor> make_supervisor(std::filesystem::path data_folder, std::string program,
                                            Clock& clock, Supervisor::OnChange on_change) {
    return std::make_unique<ProcessSupervisor>(std::move(data_folder), std::move(program), clock,
                                               std::move(on_change));
}

}  // namespace godwit::control
