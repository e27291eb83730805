// How long a crashed or recoverably failed task waits before it starts again.

#include <gtest/gtest.h>

#include "control/supervisor.h"

namespace godwit::control {
namespace {

std::vector<std::int64_t> delays(const RestartRules& rules, std::size_t most = 20) {
    std::vector<std::int64_t> out;
    for (std::uint32_t i = 0; out.size() < most; ++i) {
        const auto delay = restart_delay_s(rules, i);
        if (!delay) break;
        out.push_back(*delay);
    }
    return out;
}

TEST(RestartDelay, the_defaults_double_nine_times_and_give_up) {
    EXPECT_EQ(delays({}), (std::vector<std::int64_t>{5, 10, 20, 40, 80, 160, 320, 640, 1280}));
}

TEST(RestartDelay, goes_on_at_the_limit_when_told_so) {
    RestartRules rules;
    rules.stop_after_throttling_max = false;
    rules.throttling_max_s = 30;
    EXPECT_EQ(delays(rules, 6), (std::vector<std::int64_t>{5, 10, 20, 30, 30, 30}));
    rules.count = 4;
    EXPECT_EQ(delays(rules), (std::vector<std::int64_t>{5, 10, 20, 30}));
}

TEST(RestartDelay, a_count_of_zero_means_never) {
    RestartRules rules;
    rules.count = 0;
    EXPECT_TRUE(delays(rules).empty());
}

TEST(RestartDelay, without_throttling_every_delay_is_the_interval) {
    RestartRules rules;
    rules.throttling = false;
    EXPECT_EQ(delays(rules), std::vector<std::int64_t>(9, 5));
    rules.count = 2;
    EXPECT_EQ(delays(rules), std::vector<std::int64_t>(2, 5));
}

TEST(RestartDelay, an_interval_of_zero_does_not_grow) {
    RestartRules rules;
    rules.interval_s = 0;
    rules.count = 3;
    EXPECT_EQ(delays(rules), std::vector<std::int64_t>(3, 0));
}

TEST(RestartDelay, a_limit_below_the_interval_gives_up_at_once) {
    RestartRules rules;
    rules.throttling_max_s = 3;
    EXPECT_TRUE(delays(rules).empty());
}

}  // namespace
}  // namespace godwit::control
