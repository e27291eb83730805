#pragma once
// The tables of a running task: their shape, phase and marks, shared by load and apply.
//
//   waiting -> loading -> loaded -> joined          suspended from anywhere; a reload starts again at waiting
//
// The target's ledger is the truth; this is its copy in the task's memory. Thread safe.

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/source.h"
#include "core/target.h"

namespace godwit::engine {

struct TableEntry {
    TableSchema schema;
    TableState state;
    PreparedTable prepared;
    std::uint64_t hold_from = 1;  // chunk of the log from which changes wait while the table loads
    int loads = 0;                // tries of this load
    bool reload = false;          // suspended until it is loaded under a snapshot of its own
    // ... which waits for the log to say its new name: at the source, another table has got its old one.
    bool nameless = false;
};

class TableBook {
public:
    void put(TableEntry entry) {
        const std::lock_guard lock(mutex_);
        entries_[entry.schema.name] = std::move(entry);
        ++version_;
    }
    // false: no such table
    bool change(const TableName& name, const std::function<void(TableEntry&)>& f) {
        const std::lock_guard lock(mutex_);
        const auto it = entries_.find(name);
        if (it == entries_.end()) return false;
        f(it->second);
        ++version_;
        return true;
    }
    [[nodiscard]] std::optional<TableEntry> find(const TableName& name) const {
        const std::lock_guard lock(mutex_);
        const auto it = entries_.find(name);
        if (it == entries_.end()) return {};
        return it->second;
    }
    [[nodiscard]] std::optional<TableEntry> find_id(std::uint64_t source_id) const {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, entry] : entries_)
            if (entry.schema.source_id == source_id) return entry;
        return {};
    }
    void remove(const TableName& name) {
        const std::lock_guard lock(mutex_);
        entries_.erase(name);
        ++version_;
    }
    [[nodiscard]] std::vector<TableEntry> all() const {
        const std::lock_guard lock(mutex_);
        std::vector<TableEntry> out;
        for (const auto& [name, entry] : entries_) out.push_back(entry);
        return out;
    }
    [[nodiscard]] std::vector<TableName> in_phase(TablePhase phase) const {
        const std::lock_guard lock(mutex_);
        std::vector<TableName> out;
        for (const auto& [name, entry] : entries_)
            if (entry.state.phase == phase) out.push_back(name);
        return out;
    }
    [[nodiscard]] std::size_t count(TablePhase phase) const { return in_phase(phase).size(); }
    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return entries_.size();
    }
    // the first chunk that a table still waits for; nothing: no table holds the log
    [[nodiscard]] std::optional<std::uint64_t> held_from() const {
        const std::lock_guard lock(mutex_);
        std::optional<std::uint64_t> first;
        for (const auto& [name, e] : entries_) {
            const auto p = e.state.phase;
            if (p != TablePhase::waiting && p != TablePhase::loading && p != TablePhase::loaded) continue;
            if (!first || e.hold_from < *first) first = e.hold_from;
        }
        return first;
    }
    [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

private:
    mutable std::mutex mutex_;  // guards entries_
    std::map<TableName, TableEntry> entries_;
    std::atomic<std::uint64_t> version_ = 1;
};

}  // namespace godwit::engine
