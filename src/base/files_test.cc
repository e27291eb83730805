#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace godwit {
namespace {

// Between open and read of /proc/PID/stat its process may be gone.
TEST(Processes, OnesThatEndWhileTheyAreLookedFor) {
    using namespace std::chrono_literals;
    std::atomic<pid_t> newest = ::getpid();
    std::jthread births([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const pid_t pid = ::vfork();
            if (pid == 0) ::_exit(0);
            newest = pid;
            ::waitpid(pid, nullptr, 0);
        }
    });
    int gone = 0;
    for (const auto until = std::chrono::steady_clock::now() + 500ms;
         std::chrono::steady_clock::now() < until;)
        gone += !find_process(newest);
    EXPECT_GT(gone, 0);
    EXPECT_TRUE(alive(this_process()));
}

}  // namespace
}  // namespace godwit
