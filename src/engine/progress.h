#pragma once
// What a running task tells of itself. Thread safe; every figure is true at the moment it is read.

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "core/task.h"

namespace godwit::engine {

class Progress {
public:
    Progress(Clock& clock, TaskReport start) : clock_(clock), report_(std::move(start)) { index(); }

    void update(const std::function<void(TaskReport&)>& change) {
        const std::lock_guard lock(mutex_);
        change(report_);
        index();
    }
    // Adds the table when it is new.
    void table(const TableName& name, const std::function<void(TableReport&)>& change) {
        const std::lock_guard lock(mutex_);
        auto it = tables_.find(name);
        if (it == tables_.end()) {
            TableReport fresh;
            fresh.name = name;
            report_.tables.push_back(std::move(fresh));
            it = tables_.emplace(name, report_.tables.size() - 1).first;
        }
        TableReport& t = report_.tables[it->second];
        change(t);
        t.last_update_us = now_us();
    }
    void rename_table(const TableName& from, const TableName& to) {
        const std::lock_guard lock(mutex_);
        const auto it = tables_.find(from);
        if (it == tables_.end()) return;
        report_.tables[it->second].name = to;
        tables_.emplace(to, it->second);
        tables_.erase(it);
    }
    void event(const std::string& category, const std::string& message) {
        const std::lock_guard lock(mutex_);
        report_.events.push_back({next_event_++, now_us(), category, message});
        if (report_.events.size() > 1000) report_.events.erase(report_.events.begin());
    }
    [[nodiscard]] TaskReport snapshot() const {
        const std::lock_guard lock(mutex_);
        TaskReport copy = report_;
        copy.written_us = now_us();
        return copy;
    }
    [[nodiscard]] std::int64_t now_us() const { return clock_.now().time_since_epoch().count(); }

private:
    void index() {
        if (tables_.size() == report_.tables.size()) return;
        tables_.clear();
        for (std::size_t i = 0; i < report_.tables.size(); ++i) tables_[report_.tables[i].name] = i;
        for (const auto& e : report_.events) next_event_ = std::max(next_event_, e.number + 1);
    }
    Clock& clock_;
    mutable std::mutex mutex_;  // guards everything below
    TaskReport report_;
    std::map<TableName, std::size_t> tables_;
    std::uint64_t next_event_ = 1;
};

}  // namespace godwit::engine
