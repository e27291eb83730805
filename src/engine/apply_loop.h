#pragma once
// Takes transactions from the change log in commit order and applies them to the target, grouped only while
// there is a backlog. Tables that are still loading are passed over; when one is loaded it catches up from
// where its changes wait in the log and joins the common position.
//
// Invariants:
//  * the common position, the states of tables and their rows commit in one target transaction;
//  * a group ends at a source commit, never inside a transaction;
//  * a group that fails is applied again from its first record, row by row where needed.

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "core/source.h"
#include "core/target.h"
#include "engine/change_log.h"
#include "engine/progress.h"
#include "engine/schema_changes.h"
#include "engine/table_book.h"
#include "mapping/settings.h"

namespace godwit::engine {

// Where to stop by itself. Orders are the source's (Source::order).
struct StopRule {
    std::optional<std::int64_t> commit_time_us;  // never apply a transaction that committed after it
    std::optional<std::int64_t> server_time_us;  // our own clock
    bool after_load = false;                     // StopTaskCachedChangesNotApplied
    bool after_cached_changes = false;           // StopTaskCachedChangesApplied
};

enum class StopCause : std::uint8_t { asked, after_load, cached_changes, commit_time, server_time };

class ApplyLoop {
public:
    struct Parts {
        Source& source;
        Target& target;
        ChangeLog& log;
        TableBook& book;
        Progress& progress;
        const mapping::Settings& settings;
        Clock& clock;
        Log& task_log;
        bool binary = false;                        // the stream's cells
        std::function<void()> shapes_changed = {};  // on the target: the book's are now true of it
    };
    // `applied`: the common position on the target. `log_start`: where the change log begins, at or before
    // it.
    ApplyLoop(Parts parts, std::optional<Position> applied, Position log_start, StopRule stop)
        : p_(parts), applied_(std::move(applied)), log_start_(std::move(log_start)), stop_rule_(stop) {}

    // Runs until stopped, a stop rule, or an error. Everything before the returned cause is durable on the
    // target.
    [[nodiscard]] Result<StopCause> run(std::stop_token stop);
    // After an error of run(): the target was away and says what it holds. The next run() goes on from the
    // start of the group that was lost. An error: it has forgotten what this log no longer holds.
    [[nodiscard]] Result<> reconnected(const Ledger& ledger);
    [[nodiscard]] const std::optional<Position>& applied() const { return applied_; }

    // What a catalogue poll saw: acted on once everything before `change.seen_at` is applied. Thread safe.
    void later(CatalogueChange change);

    // Pauses before the first transaction whose order is at least `order`, after all earlier ones (for
    // comparisons). Thread safe.
    void pause_at(std::uint64_t order) { pause_order_ = order; }
    void unpause() { pause_order_ = kNoPause; }
    [[nodiscard]] bool paused() const { return paused_; }

private:
    struct Transaction {
        bool open = false;
        // At or below the common position already. So is what comes before the first begin: a log that was
        // read back may start inside a transaction, which was released because it had been applied.
        bool done_before = true;
        std::uint64_t order = 0;
        std::int64_t commit_time_us = 0;
        Record begin;  // without its list
        std::set<std::uint32_t> aborted;
    };
    // A relation of the log, judged for the main cursor.
    struct View {
        std::shared_ptr<const Relation> relation;
        bool tracked = false;
        bool apply = false;      // joined
        bool defined = false;    // the applier knows it
        bool mark_open = false;  // transactions may still be contained in the snapshot
        SnapshotMark mark;
        TableName name;  // in the book; the log may name it otherwise
    };
    struct Place {
        std::uint64_t chunk = 1;
        std::size_t offset = 0;
    };

    Result<> open_group();
    Result<> commit_group();
    Result<> recover_group(const Error& why);
    void undo_shapes();
    Result<> keep_shapes();
    Result<> record(const Record& r);
    Result<> change(const Record& r);
    Result<> truncate(const Record& r);
    Result<> new_relation(const Record& r);
    Result<> reshape(TableEntry& entry, const Relation& relation);
    Result<> follow(TableEntry& entry, const ReshapePlan& plan, const TableSchema* now);
    [[nodiscard]] std::optional<TableEntry> entry_of(const Relation& relation) const;
    View& view(std::uint32_t relation);
    Result<> define(View& v);
    Result<> rename(const TableName& from, const TableName& to);
    Result<> rename_all(std::vector<std::pair<TableName, TableName>> names);
    Result<> drop(const CatalogueChange& change);
    Result<> alter(const CatalogueChange& change);
    Result<> suspend_for_shape(const TableName& name, const Error& why);
    Result<> act_on_catalogue();
    Result<> catch_up(const TableName& name);
    Result<> join_loaded();
    Result<bool> idle_stop();
    Result<> save_idle_position();
    Result<> wait_paused(std::stop_token stop);
    Result<> settle(std::chrono::milliseconds after);
    void set_acknowledged();
    void take_results();
    // After a restart the log begins before the common position. A table that joined in between would lose
    // what lies between its own position and the common one, because the main cursor skips it.
    [[nodiscard]] bool may_join() const {
        return seen_order_ >= applied_order_ || !GW_RULE("join.after_common");
    }
    [[nodiscard]] bool attention(std::stop_token stop) const;
    [[nodiscard]] bool boundary() const { return !transaction_.open && !group_open_; }

    Parts p_;
    std::unique_ptr<Applier> applier_;
    std::optional<Position> applied_;
    std::uint64_t applied_order_ = 0;
    const Position log_start_;
    std::uint64_t seen_order_ = 0;     // the main cursor has read everything up to here
    std::optional<Position> pending_;  // of the newest whole transaction or keepalive seen
    std::uint64_t pending_order_ = 0;
    std::int64_t pending_time_us_ = 0;
    StopRule stop_rule_;
    std::optional<std::uint64_t> cut_;       // cached changes end here
    std::optional<std::uint64_t> idle_end_;  // idle source: everything up to here must be seen
    std::optional<StopCause> stopping_;
    Transaction transaction_;
    Place place_, group_start_;
    bool begun_ = false;
    bool group_open_ = false;
    bool again_without_table_ = false;  // the group failed for a table that is suspended now
    std::uint64_t group_changes_ = 0, group_transactions_ = 0;
    std::uint64_t careful_until_ = 0;  // order; groups that begin below are applied carefully
    std::map<std::uint32_t, View> views_;
    // Tables whose shape or name the open group has changed: their name now, and the entry before.
    std::vector<std::pair<TableName, TableEntry>> reshaped_;
    std::map<TableName, ApplyCounts> seen_;
    std::uint64_t book_version_ = 0;
    std::chrono::steady_clock::time_point saved_at_{}, asked_at_{}, settled_at_{};
    std::mutex later_mutex_;  // guards later_
    std::vector<CatalogueChange> later_;
    std::atomic<bool> later_waits_ = false;
    static constexpr std::uint64_t kNoPause = ~0ULL;
    std::atomic<std::uint64_t> pause_order_ = kNoPause;
    std::atomic<bool> paused_ = false;
};

}  // namespace godwit::engine
