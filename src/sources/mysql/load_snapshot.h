#pragma once
// One consistent view of some tables, held by a few sessions, with the place of the binlog that it stands
// for.
//
// LOCK TABLES ... READ for as long as the sessions take to open their snapshots (milliseconds): nobody is
// then between writing the log and committing to these tables, so a transaction is in the view exactly if it
// begins below the noted place. On MariaDB a single session knows its own place without any lock. On MySQL
// without a lock there is no such place, only a range of the log: what lies before it is in the view, what
// lies behind it is not, and in it the images of the rows decide by key.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/log.h"
#include "core/table.h"
#include "sources/mysql/position.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

// Endpoint attribute snapshotMode.
enum class LoadLock : std::uint8_t { automatic, lock, range };

class LoadSnapshot {
public:
    struct Options {
        ConnectOptions connect;
        std::string server;          // for the mark's position
        unsigned sessions = 4;       // that read at the same time
        std::uint32_t wait_s = 600;  // for the locks
        // Wait until no transaction stands prepared: its rows are in no view and behind no mark, because the
        // log has them before it and their commit after it.
        bool wait_for_prepared = true;
        bool mark = true;  // a binlog is written, and its place is wanted
        LoadLock how = LoadLock::automatic;
        bool may_range = false;        // the mark may be a range
        std::uint32_t replica_id = 0;  // to read the log with
    };
    // `tables`: base tables only
    [[nodiscard]] static Result<std::shared_ptr<LoadSnapshot>> take(const Options& options,
                                                                    const std::vector<TableName>& tables,
                                                                    Log* log, std::stop_token stop);
    [[nodiscard]] const LogPosition& mark() const noexcept { return mark_; }
    // Where the log has to be read from: a transaction that is prepared behind it may be decided behind the
    // mark.
    [[nodiscard]] const LogPosition& start() const noexcept {
        return !start_.file.empty() ? start_ : lower_ ? *lower_ : mark_;
    }
    // Where the range begins that ends with mark(); nothing: the mark is exact.
    [[nodiscard]] const std::optional<LogPosition>& lower() const noexcept { return lower_; }

    // A session of the view; waits for a free one. Thread safe. Always give it back.
    [[nodiscard]] Result<Connection> borrow(std::stop_token stop);
    // One that broke cannot join the view again.
    void give_back(Connection session);

private:
    LogPosition mark_, start_;
    std::optional<LogPosition> lower_;
    std::mutex mutex_;  // guards idle_, alive_
    std::condition_variable_any freed_;
    std::vector<Connection> idle_;
    std::size_t alive_ = 0;
};

// The end of the log at a moment behind which no transaction stood prepared; waits for such a moment.
[[nodiscard]] Result<LogPosition> end_without_prepared(Connection& connection,
                                                       const LoadSnapshot::Options& options, Log* log,
                                                       std::stop_token stop);

}  // namespace godwit::mysql
