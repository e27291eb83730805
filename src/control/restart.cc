#include <algorithm>

#include "control/supervisor.h"

namespace godwit::control {

namespace {
constexpr std::uint32_t kRestartsUnthrottledMax = 9;  // RecoverableErrorCount -1 without growing delays
}

std::optional<std::int64_t> restart_delay_s(const RestartRules& rules, std::uint32_t restarts) {
    if (rules.count >= 0 && restarts >= static_cast<std::uint64_t>(rules.count)) return {};
    const std::int64_t interval_s = std::max<std::int64_t>(rules.interval_s, 0);
    if (!rules.throttling) {
        if (rules.count < 0 && restarts >= kRestartsUnthrottledMax) return {};
        return interval_s;
    }
    std::int64_t delay_s = interval_s;
    for (std::uint32_t i = 0; i < restarts && delay_s < rules.throttling_max_s && delay_s > 0; ++i)
        delay_s *= 2;
    if (delay_s < rules.throttling_max_s) return delay_s;
    if (rules.stop_after_throttling_max) return {};
    return rules.throttling_max_s;
}

}  // namespace godwit::control
