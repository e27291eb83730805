#pragma once
// The weekly window in which an instance takes its pending changes.

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace godwit::api {

// Minutes of a week that begins on Monday 00:00 UTC; `to` may lie before `from`: it is the next week's.
struct MaintenanceWindow {
    int from = 0, to = 0;
};

// ddd:hh24:mi-ddd:hh24:mi in any case, at least 30 minutes
[[nodiscard]] std::optional<MaintenanceWindow> parse_window(std::string_view text);
[[nodiscard]] std::string random_window();
// 0: it is open
[[nodiscard]] std::chrono::microseconds until_open(const MaintenanceWindow& window, WallTime now);

}  // namespace godwit::api
