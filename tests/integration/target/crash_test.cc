// Goal: a loader that is killed at any step and started again leaves every row exactly once. Needs a build
// with failpoints (preset crash); the process under test is this program itself, running the disabled test
// below.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "base/failpoint.h"
#include "target/pair.h"

namespace godwit::postgres {
namespace {

using test::PairTest;

constexpr std::uint32_t kSlices = 4;

class CrashTest : public PairTest {};

// What a task does: take over, go on where the ledger says, finish.
class CrashChild : public PairTest {
protected:
    void SetUp() override {
        const char* databases = std::getenv("GODWIT_TEST_CRASH");
        if (databases == nullptr) GTEST_SKIP() << "run by CrashTest only";
        adopt(databases);
    }
    void TearDown() override {}
    static std::string range(std::uint32_t slice) {
        return "WHERE id > " + std::to_string(slice * 25) + " AND id <= " + std::to_string(slice * 25 + 25);
    }
};

TEST_F(CrashChild, DISABLED_Load) {
    auto p = process();
    const auto t = table("t");
    Result<PreparedTable> prepared;
    const auto known =
        std::ranges::find_if(ledger_.tables, [&](const TableState& s) { return s.name == t.name; });
    if (known != ledger_.tables.end() && known->phase == TablePhase::joined) return;
    if (known == ledger_.tables.end())
        prepared = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m"});
    else
        prepared = p->prepared(t, *known, kBoth);
    ASSERT_OK(prepared);
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    const auto done = slices(*p, t, prepared->generation);
    for (std::uint32_t s = 0; s < kSlices; ++s)
        if (std::ranges::find(done, s) == done.end()) ASSERT_OK(copy(**writer, t, *prepared, s, range(s)));
    ASSERT_OK(p->finish_load(t, *prepared, TablePhase::joined, 0));
}

#ifdef GODWIT_FAILPOINTS

int run_child(const std::string& databases, const std::string& failpoint) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setenv("GODWIT_TEST_CRASH", databases.c_str(), 1);
        ::setenv("GODWIT_FAILPOINT", failpoint.c_str(), 1);
        if (std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(99);
        ::execl("/proc/self/exe", "pg_target_tests", "--gtest_also_run_disabled_tests",
                "--gtest_filter=CrashChild.DISABLED_Load", static_cast<char*>(nullptr));
        ::_exit(99);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
}

TEST_F(CrashTest, KilledAtEveryStep) {
    source_.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i FROM "
        "generate_series(1, 100) i");
    struct Step {
        const char* point;
        int times;
    };
    for (const auto& [point, times] :
         {Step{"takeover.before_commit", 1}, Step{"prepare.generation_raised", 1},
          Step{"prepare.before_commit", 1}, Step{"slice.begun", 4}, Step{"slice.rows_sent", 4},
          Step{"slice.before_commit", 4}, Step{"slice.committed", 4}, Step{"finish.keys_built", 1},
          Step{"finish.before_phase", 1}})
        for (int at = 1; at <= times; ++at) {
            target_.run("DROP SCHEMA IF EXISTS godwit CASCADE; DROP TABLE IF EXISTS t");
            const std::string failpoint = std::string(point) + "=kill@" + std::to_string(at);
            const int killed = run_child(databases(), failpoint);
            ASSERT_TRUE(WIFSIGNALED(killed) && WTERMSIG(killed) == SIGKILL)
                << failpoint << " was not reached";
            const int second = run_child(databases(), "");
            ASSERT_TRUE(WIFEXITED(second) && WEXITSTATUS(second) == 0) << "restart after " << failpoint;
            EXPECT_EQ(target_.ask("SELECT count(*), count(DISTINCT id), sum(id) FROM t"), "100|100|5050")
                << failpoint;
            EXPECT_EQ(target_.ask("SELECT phase, rows FROM godwit.gw_table"), "joined|100") << failpoint;
            EXPECT_EQ(
                target_.ask("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisprimary"),
                "1");
        }
}

// Killed again and again, at another step each time.
TEST_F(CrashTest, KilledManyTimes) {
    source_.run(
        "CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i");
    for (const char* point : {"slice.committed", "slice.rows_sent", "slice.committed", "slice.before_commit",
                              "slice.committed", "finish.before_phase"}) {
        const int killed = run_child(databases(), std::string(point) + "=kill");
        ASSERT_TRUE(WIFSIGNALED(killed)) << point;
    }
    ASSERT_EQ(run_child(databases(), ""), 0);
    EXPECT_EQ(target_.ask("SELECT count(*), count(DISTINCT id) FROM t"), "100|100");
    EXPECT_EQ(target_.ask("SELECT epoch FROM godwit.gw_task"), "7");
}

#endif

}  // namespace
}  // namespace godwit::postgres
