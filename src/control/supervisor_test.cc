// The supervisor with a shell script in the place of the task process: starts, ends, crashes, adoption,
// clean-up. Time is real, delays between restarts are zero.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "base/files.h"
#include "control/process.h"
#include "control/supervisor.h"

namespace godwit::control {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 20s;

// Run by sh as: script task-process --folder DIR. `report STATE [more members]` replaces status.json. The
// lock names the shell itself, as a task process would.
constexpr const char* kPrelude = R"sh(#!/bin/sh
cd "$3" || exit 9
cat >spec.json
echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >lock
echo x >>runs
report() { echo "{\"state\":\"$1\",\"start_us\":1$2}" >status.new; mv status.new status.json; }
runs() { wc -l <runs; }
)sh";

class SupervisorTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-control-XXXXXX").string();
        data_ = ::mkdtemp(pattern.data());
        spec_.id = "task";
        spec_.source.password = "hush";
        rules_.interval_s = 0;
        rules_.count = 3;
    }
    void TearDown() override {
        supervisor_.reset();
        if (const auto left = LockFile::holder(folder() / "lock")) ::kill(left->pid, SIGKILL);
        std::filesystem::remove_all(data_);
    }
    std::filesystem::path folder() const { return data_ / "tasks" / "task"; }

    void use(const std::string& body) {
        const auto program = data_ / "program";
        std::ofstream(program) << kPrelude << body << "\n";
        ::chmod(program.c_str(), 0700);
        supervise();
    }
    // as after a restart of the server
    void supervise() {
        supervisor_.reset();
        supervisor_ = make_supervisor(data_, data_ / "program", *clock_,
                                      [this](const std::string& id, const TaskReport& r) {
                                          const std::lock_guard lock(mutex_);
                                          if (full_ && id == "task") {
                                              ++refused_;
                                              told_.notify_all();
                                              return false;
                                          }
                                          states_.push_back(r.state);
                                          last_ = r;
                                          told_.notify_all();
                                          return true;
                                      });
    }
    TaskReport wait_for(TaskState state) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(
            told_.wait_for(lock, kPatience, [&] { return !states_.empty() && states_.back() == state; }))
            << "last: " << (states_.empty() ? -1 : static_cast<int>(states_.back())) << " "
            << last_.last_error;
        return last_;
    }
    bool wait_until(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            std::this_thread::sleep_for(5ms);
        }
        return true;
    }
    std::size_t runs() const {
        const auto text = read_file(folder() / "runs");
        return text ? text->size() / 2 : 0;
    }
    void be_full(bool full) {
        const std::lock_guard lock(mutex_);
        full_ = full;
    }
    void wait_for_refusals(int count) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(told_.wait_for(lock, kPatience, [&] { return refused_ >= count; }));
        EXPECT_EQ(refused_, count);
    }
    std::vector<TaskState> states() {
        const std::lock_guard lock(mutex_);
        return states_;
    }

    std::filesystem::path data_;
    SystemClock system_clock_;
    FakeClock fake_clock_;
    Clock* clock_ = &system_clock_;
    TaskSpec spec_;
    RestartRules rules_;
    std::mutex mutex_;  // guards states_, last_, full_, refused_
    std::condition_variable told_;
    std::vector<TaskState> states_;
    TaskReport last_;
    bool full_ = false;  // what is told of the task cannot be kept
    int refused_ = 0;
    std::shared_ptr<Supervisor> supervisor_;  // shared: a test may keep the one before
};

TEST_F(SupervisorTest, a_task_runs_and_stops_by_itself) {
    use("report running; sleep 0.3; report stopped ',\"stop_reason\":\"FULL_LOAD_ONLY_FINISHED\"'");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    EXPECT_EQ(wait_for(TaskState::stopped).stop_reason, "FULL_LOAD_ONLY_FINISHED");
    EXPECT_EQ(states(), (std::vector{TaskState::running, TaskState::stopped}));
    EXPECT_EQ(supervisor_->report("task")->state, TaskState::stopped);
    EXPECT_EQ(runs(), 1U);
}

TEST_F(SupervisorTest, the_specification_arrives_whole_and_never_as_a_file) {
    spec_.table_mappings.assign(3U << 20, 'x');  // far more than a pipe holds
    use("report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    const auto received = task_spec_from_json(*read_file(folder() / "spec.json"));
    ASSERT_TRUE(received);
    EXPECT_EQ(received->table_mappings, spec_.table_mappings);
    EXPECT_EQ(received->source.password, "hush");
    std::filesystem::remove(folder() / "spec.json");  // the script's own copy
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_))
        if (entry.is_regular_file()) {
            EXPECT_EQ(read_file(entry.path())->find("hush"), std::string::npos) << entry.path();
        }
}

TEST_F(SupervisorTest, a_process_is_a_session_of_its_own_without_our_keys_and_files) {
    ::setenv("GODWIT_ACCESS_KEYS", "A:hidden", 1);
    const int leaked = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
    use("cut -d' ' -f6 /proc/$$/stat >session; env >env; ls /proc/$$/fd >files; report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    ::close(leaked);
    ::unsetenv("GODWIT_ACCESS_KEYS");
    EXPECT_NE(std::stoi(*read_file(folder() / "session")), ::getsid(0));
    EXPECT_EQ(read_file(folder() / "env")->find("hidden"), std::string::npos);
    EXPECT_EQ(read_file(folder() / "files")->find(std::to_string(leaked) + "\n"), std::string::npos);
}

TEST_F(SupervisorTest, a_crash_resumes_once_the_task_has_run) {
    use(R"(report running; sleep 0.2; [ $(runs) -lt 3 ] && kill -9 $$; report stopped)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    const auto report = wait_for(TaskState::stopped);
    EXPECT_EQ(runs(), 3U);
    EXPECT_EQ(report.restarts, 2U);
    EXPECT_EQ(task_spec_from_json(*read_file(folder() / "spec.json"))->start, StartType::resume);
    EXPECT_EQ(states(), (std::vector{TaskState::running, TaskState::stopped}));  // nobody saw the crashes
}

TEST_F(SupervisorTest, a_crash_before_the_task_ran_repeats_the_order) {
    spec_.start = StartType::reload;
    use(R"([ $(runs) -lt 2 ] && kill -9 $$; report stopped)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    EXPECT_EQ(task_spec_from_json(*read_file(folder() / "spec.json"))->start, StartType::reload);
}

// Nobody looked while it said "running".
TEST_F(SupervisorTest, an_error_resumes_once_the_task_has_applied) {
    spec_.start = StartType::reload;
    use(R"([ $(runs) = 1 ] && { report failed ',"applied_position":"0/5","recoverable":true'; exit 1; }
report stopped)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    EXPECT_EQ(task_spec_from_json(*read_file(folder() / "spec.json"))->start, StartType::resume);
    EXPECT_EQ(states(), (std::vector{TaskState::running, TaskState::stopped}));
}

TEST_F(SupervisorTest, gives_up_when_the_rules_say_so) {
    use("report running; kill -9 $$");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    const auto report = wait_for(TaskState::failed);
    EXPECT_EQ(runs(), 4U);
    EXPECT_TRUE(report.recoverable);
    EXPECT_NE(report.last_error.find("signal 9"), std::string::npos) << report.last_error;
}

TEST_F(SupervisorTest, recoverable_errors_are_retried_and_fatal_ones_are_not) {
    use(R"([ $(runs) = 1 ] && { report failed ',"last_error":"gone","recoverable":true'; exit 1; }
report failed ',"last_error":"wrong"'; exit 1)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    const auto report = wait_for(TaskState::failed);
    EXPECT_EQ(runs(), 2U);
    EXPECT_EQ(report.last_error, "wrong");
    EXPECT_FALSE(report.recoverable);
}

TEST_F(SupervisorTest, a_report_of_an_earlier_run_does_not_count) {
    use(R"([ $(runs) = 1 ] && { report stopped; exit 0; }; exit 3)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    rules_.count = 0;
    spec_.start = StartType::resume;  // keeps status.json, which says "stopped"
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    EXPECT_NE(wait_for(TaskState::failed).last_error.find("code 3"), std::string::npos);
}

TEST_F(SupervisorTest, a_task_runs_once_at_a_time) {
    use("report running; sleep 30");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    const auto again = supervisor_->start(spec_, rules_);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::already_exists);
    wait_for(TaskState::running);
    supervise();  // a server that knows nothing of it, yet sees its lock
    const auto other = supervisor_->start(spec_, rules_);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::already_exists);
}

TEST_F(SupervisorTest, stopping_a_task_that_waits_for_its_restart_is_immediate) {
    rules_.interval_s = 3600;
    rules_.throttling = false;
    use("report running; kill -9 $$");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    ASSERT_TRUE(wait_until([&] {
        const auto report = supervisor_->report("task");
        return report && report->restarts == 1;
    }));
    ASSERT_TRUE(supervisor_->stop("task"));
    EXPECT_EQ(wait_for(TaskState::stopped).stop_reason, "NORMAL");
    EXPECT_EQ(runs(), 1U);
    EXPECT_FALSE(supervisor_->stop("task"));
}

TEST_F(SupervisorTest, a_task_that_outlives_the_server_is_adopted) {
    use("report running; while [ ! -e go ]; do sleep 0.05; done; report stopped "
        "',\"stop_reason\":\"NORMAL\"'");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::running);
    supervise();
    const auto adopted = supervisor_->adopt(spec_, rules_, 0);
    ASSERT_TRUE(adopted);
    EXPECT_TRUE(*adopted);
    wait_for(TaskState::running);
    std::ofstream(folder() / "go") << "now";
    // it is this test's child and stays a zombie, which must not count as living
    wait_for(TaskState::stopped);
    EXPECT_EQ(runs(), 1U);
}

TEST_F(SupervisorTest, what_ended_without_a_server_is_told_when_it_is_looked_for) {
    use("report running; while [ ! -e go ]; do sleep 0.05; done; report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::running);
    supervisor_.reset();
    std::ofstream(folder() / "go") << "now";
    ASSERT_TRUE(wait_until([&] { return !LockFile::holder(folder() / "lock"); }));
    supervise();
    const auto adopted = supervisor_->adopt(spec_, rules_, 0);
    ASSERT_TRUE(adopted);
    EXPECT_FALSE(*adopted);
    wait_for(TaskState::stopped);
}

TEST_F(SupervisorTest, what_crashed_without_a_server_is_left_to_the_caller) {
    use("report running; sleep 30");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::running);
    const auto process = LockFile::holder(folder() / "lock");
    ASSERT_TRUE(process);
    supervisor_.reset();
    ::kill(process->pid, SIGKILL);
    ASSERT_TRUE(wait_until([&] { return !alive(*process); }));
    supervise();
    const auto adopted = supervisor_->adopt(spec_, rules_, 0);
    ASSERT_TRUE(adopted);
    EXPECT_FALSE(*adopted);
    EXPECT_EQ(supervisor_->report("task")->state, TaskState::running);
    EXPECT_TRUE(supervisor_->start(spec_, rules_));
}

// The server died between its answer to a start and the start: the end of the run before is not this run's.
TEST_F(SupervisorTest, the_report_of_an_earlier_run_says_nothing_about_a_start_that_was_lost) {
    use("report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    std::this_thread::sleep_for(50ms);  // the step of file times
    states_.clear();
    supervise();
    const auto ordered_us =
        std::chrono::duration_cast<std::chrono::microseconds>(clock_->now().time_since_epoch()).count();
    const auto adopted = supervisor_->adopt(spec_, rules_, ordered_us);
    ASSERT_TRUE(adopted);
    EXPECT_FALSE(*adopted);
    EXPECT_FALSE(supervisor_->report("task"));
    spec_.start = StartType::resume;
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    EXPECT_EQ(states(), std::vector{TaskState::stopped});
    EXPECT_EQ(runs(), 2U);
}

TEST_F(SupervisorTest, what_an_earlier_run_applied_a_moment_ago_does_not_make_a_reload_a_resumption) {
    rules_.count = 0;
    use(R"(report failed ',"applied_position":"0/5","recoverable":true'; exit 1)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::failed);
    supervise();
    spec_.start = StartType::reload;
    const auto ordered_us =
        std::chrono::duration_cast<std::chrono::microseconds>(clock_->now().time_since_epoch()).count();
    // its file may seem to be of after the order, as file times have their steps
    const timespec times[2] = {{0, UTIME_OMIT}, {ordered_us / 1'000'000, ordered_us % 1'000'000 * 1000}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder() / "status.json").c_str(), times, 0), 0);
    const auto adopted = supervisor_->adopt(spec_, rules_, ordered_us);
    ASSERT_TRUE(adopted);
    EXPECT_FALSE(*adopted);
    EXPECT_FALSE(supervisor_->report("task"));
}

// It died between the start of a process and the note of it: the next one starts another, which cannot have
// the folder, and then finds the first.
TEST_F(SupervisorTest, a_process_that_nobody_noted_is_found) {
    use("[ $(runs) = 1 ] || { [ -e first ] && cp first lock; exit 1; }\n"
        "cp lock first; report running; while [ ! -e go ]; do sleep 0.05; done; report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::running);
    supervisor_.reset();
    std::filesystem::remove(folder() / "lock");
    std::filesystem::remove(folder() / "spawned");
    supervise();
    const auto adopted = supervisor_->adopt(spec_, rules_, 0);
    ASSERT_TRUE(adopted);
    EXPECT_FALSE(*adopted);
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    ASSERT_TRUE(wait_until([&] { return runs() == 2; }));
    std::this_thread::sleep_for(300ms);
    EXPECT_EQ(runs(), 2U) << "started again although the first one lives";
    std::ofstream(folder() / "go") << "now";
    wait_for(TaskState::stopped);
}

TEST_F(SupervisorTest, dropping_runs_the_clean_up_and_removes_the_folder) {
    use(R"(grep -q '"drop"' spec.json && { [ -e refuse ] || exit 0; report failed ',"last_error":"slot in use"'; exit 1; }
report stopped)");
    EXPECT_TRUE(supervisor_->drop(spec_, 5s));  // never ran: nothing to do
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    std::ofstream(folder() / "refuse") << "x";
    const auto refused = supervisor_->drop(spec_, 5s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "slot in use");
    EXPECT_TRUE(std::filesystem::exists(folder()));
    std::filesystem::remove(folder() / "refuse");
    EXPECT_TRUE(supervisor_->drop(spec_, 5s));
    EXPECT_FALSE(std::filesystem::exists(folder()));
    EXPECT_FALSE(supervisor_->report("task"));
}

TEST_F(SupervisorTest, a_clean_up_that_hangs_is_ended) {
    use(R"(grep -q '"drop"' spec.json && sleep 30; report stopped)");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    EXPECT_FALSE(supervisor_->drop(spec_, 300ms));
}

// Of this server, and of one before that did not live to see its end.
TEST_F(SupervisorTest, a_comparison_gives_way_to_a_start_and_to_a_drop) {
    for (const bool deaf : {false, true})
        for (const bool of_another_server : {false, true}) {
            use(std::string(R"(grep -q '"compare"' spec.json && { )") + (deaf ? "trap '' TERM; " : "") +
                R"(: >comparing_now; sleep 30 & while :; do wait; done; }
grep -q '"drop"' spec.json && { : >../../dropped; exit 0; }
report stopped)");
            states_.clear();
            ASSERT_TRUE(supervisor_->start(spec_, rules_));
            wait_for(TaskState::stopped);
            const auto first = supervisor_;
            const auto compared_until = [&](const std::function<void()>& act) {
                std::filesystem::remove(folder() / "comparing_now");
                Result<std::string> compared = "";
                std::jthread comparing([&] { compared = first->compare(spec_, 1h); });
                ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(folder() / "comparing_now"); }));
                act();
                comparing.join();
                ASSERT_FALSE(compared);
                EXPECT_EQ(compared.error().message, "The comparison was ended before it had an answer.");
            };
            if (of_another_server) supervise();
            states_.clear();
            compared_until([&] { EXPECT_TRUE(supervisor_->start(spec_, rules_)); });
            wait_for(TaskState::stopped);
            compared_until([&] { EXPECT_TRUE(supervisor_->drop(spec_, 5s)); });
            EXPECT_TRUE(std::filesystem::remove(data_ / "dropped"));
            EXPECT_FALSE(std::filesystem::exists(folder()));
        }
}

TEST_F(SupervisorTest, a_drop_leaves_the_folder_to_a_process_that_still_runs) {
    use("report running; while [ ! -e go ]; do sleep 0.05; done; report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::running);
    supervise();  // knows nothing of it
    const auto refused = supervisor_->drop(spec_, 5s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    EXPECT_TRUE(std::filesystem::exists(folder() / "status.json"));
    EXPECT_EQ(runs(), 1U);
}

TEST_F(SupervisorTest, what_could_not_be_kept_is_told_again_in_its_order) {
    clock_ = &fake_clock_;
    full_ = true;
    use("report running; [ $3 = ${3%task} ] || while [ ! -e go ]; do sleep 0.05; done; report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for_refusals(1);
    std::ofstream(folder() / "go") << "now";
    ASSERT_TRUE(wait_until([&] { return supervisor_->report("task")->state == TaskState::stopped; }));
    // others do not wait for it; when they are through, what is told too early would have been, too
    spec_.id = "other";
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::stopped);
    wait_for_refusals(1);
    states_.clear();
    const auto pass_until = [&](const std::function<bool()>& condition) {
        return wait_until([&] {
            fake_clock_.advance(1s);
            const std::lock_guard lock(mutex_);
            return condition();
        });
    };
    EXPECT_TRUE(pass_until([&] { return refused_ >= 3; }));
    be_full(false);
    EXPECT_TRUE(pass_until([&] { return states_.size() >= 2; }));
    EXPECT_EQ(states(), (std::vector{TaskState::running, TaskState::stopped}));
}

TEST_F(SupervisorTest, a_stop_is_told_of_an_end_that_could_not_be_kept) {
    clock_ = &fake_clock_;  // stands still
    full_ = true;
    use("report stopped");
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for_refusals(1);
    be_full(false);
    // the supervisor may just be taking it back
    EXPECT_TRUE(wait_until([&] { return supervisor_->stop("task").has_value(); }));
    wait_for(TaskState::stopped);
    EXPECT_EQ(states(), std::vector{TaskState::stopped});
    EXPECT_FALSE(supervisor_->stop("task"));
}

TEST_F(SupervisorTest, a_program_that_is_not_there_is_an_error) {
    use("");
    std::filesystem::remove(data_ / "program");
    EXPECT_FALSE(supervisor_->start(spec_, rules_));
    EXPECT_FALSE(supervisor_->stop("task"));
}

TEST_F(SupervisorTest, asking_a_task_without_a_socket_is_an_error) {
    use("report running; sleep 30");
    EXPECT_FALSE(supervisor_->ask("task", "{}", 1s));
    ASSERT_TRUE(supervisor_->start(spec_, rules_));
    wait_for(TaskState::running);
    EXPECT_FALSE(supervisor_->ask("task", "{}", 1s));
}

}  // namespace
}  // namespace godwit::control
