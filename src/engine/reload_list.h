#pragma once
// The tables that are to be loaded again under a snapshot of their own, in the order in which they were
// wanted.
//
// What a user asked for is in the task's folder before it is answered, and until the target's ledger says
// that the reload has begun: a process that dies in between leaves it to the next one. What the ledger says
// already (a table that is suspended until it is loaded anew) is queued only. Thread safe.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "core/table.h"

namespace godwit::engine {

class ReloadList {
public:
    explicit ReloadList(std::filesystem::path file) : file_(std::move(file)) {}

    // What earlier processes were asked for and did not begin; or forgets it. A file that is not whole is
    // none.
    [[nodiscard]] std::vector<TableName> restore();
    [[nodiscard]] Result<> forget();

    // Durable when it returns; nothing is queued after an error.
    [[nodiscard]] Result<> ask(const std::vector<TableName>& tables);
    void add(const TableName& table);
    // The next one; waits as long as `wait` for it.
    [[nodiscard]] std::optional<TableName> take(std::chrono::milliseconds wait, std::stop_token stop);
    // They are loaded now, together: none of them a second time for what was asked before.
    void taken(const std::vector<TableName>& tables);
    // The ledger knows, or there is no such table any more.
    [[nodiscard]] Result<> begun(const std::vector<TableName>& tables);

private:
    Result<> save();

    const std::filesystem::path file_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable_any wanted_;
    std::deque<TableName> queue_;
    std::set<TableName> asked_;  // as in the file
};

}  // namespace godwit::engine
