#include "api/maintenance.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/text.h"

namespace godwit::api {
namespace {

constexpr std::string_view kDays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr int kWeekMinutes = 7 * 24 * 60, kWindowMinutesMin = 30;

// ddd:hh:mm; -1: it is not
int minute_of_week(std::string_view part) {
    const auto* day = std::ranges::find(kDays, part.substr(0, 3));
    if (day == std::end(kDays) || part[3] != ':' || part[6] != ':') return -1;
    for (const std::size_t i : {4U, 5U, 7U, 8U})
        if (part[i] < '0' || part[i] > '9') return -1;
    const int hour = (part[4] - '0') * 10 + part[5] - '0', minute = (part[7] - '0') * 10 + part[8] - '0';
    if (hour > 23 || minute > 59) return -1;
    return (static_cast<int>(day - std::begin(kDays)) * 24 + hour) * 60 + minute;
}

}  // namespace

std::optional<MaintenanceWindow> parse_window(std::string_view text) {
    constexpr std::size_t kHalf = 9;
    const auto window = lower(text);
    if (window.size() != 2 * kHalf + 1 || window[kHalf] != '-') return {};
    const int from = minute_of_week(std::string_view(window).substr(0, kHalf)),
              to = minute_of_week(std::string_view(window).substr(kHalf + 1));
    if (from < 0 || to < 0 || (to - from + kWeekMinutes) % kWeekMinutes < kWindowMinutesMin) return {};
    return MaintenanceWindow{from, to};
}

std::string random_window() {
    const auto r = random_bytes(3);
    const auto number = [&](std::size_t i, unsigned below) {
        return static_cast<unsigned char>(r[i]) % below;
    };
    const auto day = kDays[number(0, 7)];
    const auto hour = number(1, 23);
    const auto half = number(2, 2) * 30;
    return half == 0 ? fmt::format("{0}:{1:02}:00-{0}:{1:02}:30", day, hour)
                     : fmt::format("{0}:{1:02}:30-{0}:{2:02}:00", day, hour, hour + 1);
}

std::chrono::microseconds until_open(const MaintenanceWindow& window, WallTime now) {
    using namespace std::chrono;
    constexpr microseconds kWeek = minutes(kWeekMinutes);
    constexpr auto kMonday = days(4);  // 1970-01-05
    // both as a time since the window opened or will open
    const auto at = ((now.time_since_epoch() - kMonday - minutes(window.from)) % kWeek + kWeek) % kWeek;
    const auto length = minutes((window.to - window.from + kWeekMinutes) % kWeekMinutes);
    return at < length ? microseconds(0) : kWeek - at;
}

}  // namespace godwit::api
