#include "base/failpoint.h"

#ifdef GODWIT_FAILPOINTS

#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace godwit {
namespace {

struct Armed {
    std::string action;
    long at = 1;
    long seen = 0;
};

struct Table {
    std::mutex mutex;  // guards points
    std::map<std::string, Armed, std::less<>> points;
    std::set<std::string, std::less<>> mutants;

    Table() {
        each(std::getenv("GODWIT_FAILPOINT"), [&](const std::string& item) {
            const auto eq = item.find('=');
            if (eq == std::string::npos) return;
            Armed armed{item.substr(eq + 1)};
            if (const auto at = armed.action.find('@'); at != std::string::npos) {
                armed.at = std::atol(armed.action.c_str() + at + 1);
                armed.action.resize(at);
            }
            points.emplace(item.substr(0, eq), armed);
        });
        each(std::getenv("GODWIT_MUTANT"), [&](const std::string& item) { mutants.insert(item); });
    }
    template <class F>
    static void each(const char* text, F f) {
        if (text == nullptr) return;
        const std::string all = text;
        for (std::size_t from = 0; from <= all.size();) {
            auto to = all.find(';', from);
            if (to == std::string::npos) to = all.size();
            if (to > from) f(all.substr(from, to - from));
            from = to + 1;
        }
    }
};

Table& table() {
    static Table t;
    return t;
}

}  // namespace

Result<> failpoint(std::string_view name) {
    Table& t = table();
    std::string action;
    {
        const std::lock_guard lock(t.mutex);
        const auto it = t.points.find(name);
        if (it == t.points.end() || ++it->second.seen != it->second.at) return {};
        action = it->second.action;
        if (action.starts_with("then:")) t.points[action.substr(5)] = Armed{"kill"};
    }
    if (action == "kill") {
        std::raise(SIGKILL);
    } else if (action.starts_with("sleep:")) {
        std::this_thread::sleep_for(std::chrono::milliseconds(std::atol(action.c_str() + 6)));
    } else if (action == "error") {
        return fail(ErrorCode::unavailable, "failpoint " + std::string(name), Retry::from_checkpoint);
    }
    return {};
}

bool mutant(std::string_view rule) { return table().mutants.contains(rule); }

}  // namespace godwit

#endif
