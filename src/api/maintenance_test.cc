#include "api/maintenance.h"

#include <gtest/gtest.h>

#include "api/text.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

WallTime at(const char* iso) { return WallTime{std::chrono::microseconds(parse_iso_time(iso)->us)}; }
std::chrono::microseconds wait(const char* window, const char* now) {
    return until_open(parse_window(window).value(), at(now));
}

// 2026-11-21 is a Saturday.
TEST(MaintenanceWindow, is_open_from_its_first_minute_to_its_last) {
    EXPECT_EQ(wait("sat:07:00-sat:07:30", "2026-11-21T07:00:00Z"), 0s);
    EXPECT_EQ(wait("sat:07:00-sat:07:30", "2026-11-21T07:29:59Z"), 0s);
    EXPECT_EQ(wait("sat:07:00-sat:07:30", "2026-11-21T06:59:59Z"), 1s);
    EXPECT_EQ(wait("sat:07:00-sat:07:30", "2026-11-21T07:30:00Z"), 7 * 24h - 30min);
    EXPECT_EQ(wait("mon:00:00-mon:01:00", "2026-11-21T00:00:00Z"), 48h);
}

TEST(MaintenanceWindow, may_cross_the_end_of_the_week) {
    EXPECT_EQ(wait("sun:23:30-mon:00:30", "2026-11-22T23:45:00Z"), 0s);
    EXPECT_EQ(wait("sun:23:30-mon:00:30", "2026-11-23T00:29:00Z"), 0s);
    EXPECT_EQ(wait("sun:23:30-mon:00:30", "2026-11-23T00:30:00Z"), 7 * 24h - 1h);
}

TEST(MaintenanceWindow, refuses_what_is_none) {
    for (const char* text :
         {"", "someday", "mon:10:00-mon:10:29", "mon:10:00-mon:10:00", "mon:24:00-tue:01:00",
          "mon:10:60-mon:12:00", "mon:1000:-mon:12:00", "xyz:10:00-mon:12:00", "mon:10:00 mon:12:00"})
        EXPECT_FALSE(parse_window(text)) << text;
    EXPECT_TRUE(parse_window("MON:10:00-mon:10:30"));
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(parse_window(random_window()));
}

}  // namespace
}  // namespace godwit::api
