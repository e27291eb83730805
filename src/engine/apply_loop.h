#pragma once
// Takes transactions from the change log in commit order and applies them to the target, grouped only while
// there is a backlog. Tables that are still loading are passed over; when one is loaded it catches up from
// where its changes wait in the log and joins the common position.
//
// Invariants:
//  * the common position, the states of tables and their rows commit in one target transaction;
//  * a group ends at a source commit, never inside a transaction. One exception: where the target's DDL
//    commits, a change of shape ends it, and how far each table has come in the transaction commits with it;
//  * tables that are bound to each other (TableSchema::bound_to) are at one place of the log from their first
//    change on: while one of them loads, nothing is applied;
//  * a group that fails is applied again from its first record, row by row where needed; one that the target
//    gave up for another session's sake (a deadlock, a lock not granted) comes again as it was.

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

    // Runs `work` on the thread of run(), between two groups and while no table catches up; what it changes
    // in the book is obeyed when obeyed() has come so far. Thread safe.
    void at_boundary(std::function<void()> work);
    // The target's tables may have other columns: they are looked at again. On the thread of run(), at a
    // boundary.
    void forget_shapes();
    // The version of the book that is obeyed: no row of a table that had left by then is applied any more.
    // Thread safe.
    [[nodiscard]] std::uint64_t obeyed() const { return obeyed_; }

    // Pauses before the first transaction whose order is at least `order`, after all earlier ones (for
    // comparisons); 0: before the next one. A later order moves a pause on. Thread safe.
    void pause_at(std::uint64_t order) { pause_order_ = order; }
    void unpause() { pause_order_ = kNoPause; }
    [[nodiscard]] bool paused() const { return pause_order_ != kNoPause && paused_for_ == pause_order_; }

private:
    struct Transaction {
        bool open = false;
        bool whole = false;        // its end was seen in the log
        bool by_image = false;     // catching up: the snapshot may hold it or not
        std::uint64_t serial = 0;  // of this reading; 0: none
        // At or below the common position already. So is what comes before the first begin: a log that was
        // read back may start inside a transaction, which was released because it had been applied.
        bool done_before = true;
        std::uint64_t order = 0;
        std::int64_t commit_time_us = 0;
        Record begin;  // without its list
        std::set<std::uint32_t> aborted;
    };
    // How far the main cursor has come with one table.
    struct Way {
        std::uint64_t serial = 0;   // the reading of a transaction that `records` counts in
        std::uint64_t records = 0;  // applied, or known to be in
        TablePart part;             // on the target
    };
    // A relation of the log, judged for the main cursor.
    struct View {
        std::shared_ptr<const Relation> relation;
        bool tracked = false;
        bool apply = false;      // joined
        bool defined = false;    // the applier knows it
        bool mark_open = false;  // transactions may still be contained in the snapshot
        SnapshotMark mark;
        TableName name;      // in the book; the log may name it otherwise
        Way* way = nullptr;  // of that name; only where it is tracked
    };
    struct Place {
        std::uint64_t chunk = 1;
        std::size_t offset = 0;
    };

    Result<StopCause> apply_log(std::stop_token stop);
    Result<> open_group();
    Result<> commit_group();
    Result<> save_parts();
    void keep_parts();
    Result<> wait_whole();
    [[nodiscard]] bool met_before(View& v) const;
    Result<> recover_group(const Error& why);
    [[nodiscard]] bool comes_again(const Error& why);
    void undo_shapes();
    void give_up_group();
    void take_names(const Ledger& ledger);
    void rewind();
    Result<> keep_shapes();
    Result<> record(const Record& r);
    Result<> change(const Record& r);
    Result<> truncate(const Record& r);
    Result<> new_relation(const Record& r);
    Result<> reshape(TableEntry& entry, const Relation& relation);
    Result<> follow(TableEntry& entry, const ReshapePlan& plan, const TableSchema* now);
    Result<> follow_changes(TableEntry& entry, const ReshapePlan& plan);
    Result<> change_shape(const SchemaChange& change, const TableName& name, std::uint64_t plan,
                          std::uint32_t steps);
    [[nodiscard]] std::optional<TableEntry> entry_of(const Relation& relation) const;
    View& view(std::uint32_t relation);
    Result<> define(View& v);
    Result<> rename(const TableName& from, const TableName& to);
    [[nodiscard]] std::optional<TableName> renamed_here(const TableName& name) const;
    Result<> rename_all(std::vector<std::pair<TableName, TableName>> names);
    Result<> drop(const CatalogueChange& change);
    [[nodiscard]] static bool loads(const TableEntry& entry);
    Result<> alter(const CatalogueChange& change);
    Result<> suspend_for_shape(const TableName& name, const Error& why, bool reload = false);
    Result<> act_on_catalogue();
    Result<> catch_up(const TableName& name);
    Result<> apply_by_image(const Relation& relation, const Record& r);
    [[nodiscard]] Result<bool> in_snapshot(const View& v) const;
    [[nodiscard]] bool may_catch_up(const TableEntry& entry) const;
    Result<> join_loaded();
    void judge_views();
    Result<bool> idle_stop();
    [[nodiscard]] bool asks_to_stop() const;
    Result<> save_idle_position();
    void start_group_here();
    void set_applied(std::optional<Position> position, std::uint64_t order);
    Result<> wait_paused(std::uint64_t order, std::stop_token stop);
    Result<> settle(std::chrono::milliseconds after);
    void set_acknowledged();
    void take_results();
    // After a restart the log begins before the common position. A table that joined in between would lose
    // what lies between its own position and the common one, because the main cursor skips it.
    [[nodiscard]] bool may_join() const {
        return seen_order_ >= applied_order_ || !GW_RULE("join.after_common");
    }
    // Does nothing apply until tables that are bound to each other are in step again?
    [[nodiscard]] bool stands();
    [[nodiscard]] bool attention(std::stop_token stop) const;
    void do_boundary_work();
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
    std::optional<Position> group_start_position_;  // what group_start_ is behind
    std::uint64_t group_start_order_ = 0, group_start_seen_ = 0;
    bool begun_ = false;
    bool group_open_ = false;
    bool careful_ = false;              // the open group may suspend tables by itself
    bool again_without_table_ = false;  // the group failed for a table that is suspended now
    std::uint64_t group_changes_ = 0, group_transactions_ = 0;
    std::uint64_t careful_until_ = 0;  // order; groups that begin below are applied carefully
    int aborted_ = 0;                  // how often in a row the target gave a group up
    std::map<std::uint32_t, View> views_;
    std::map<TableName, Way> ways_;  // views point into it
    std::uint64_t serial_ = 0;       // of the newest reading of a transaction
    bool unfinished_ = false;        // the log ended inside of a transaction that had to be cut
    std::stop_token stop_;           // of run()
    // Tables whose shape or name the open group has changed and may still lose: their name now, and the entry
    // before.
    std::vector<std::pair<TableName, TableEntry>> reshaped_;
    std::map<TableName, ApplyCounts> seen_;
    std::uint64_t book_version_ = 0;
    std::atomic<std::uint64_t> obeyed_ = 0;
    bool bound_unfinished_ = false;  // of the book's version
    std::uint64_t bound_version_ = 0;
    std::chrono::steady_clock::time_point saved_at_{}, asked_at_{}, settled_at_{}, stop_asked_at_{};
    std::mutex later_mutex_;  // guards later_, boundary_work_
    std::vector<std::function<void()>> boundary_work_;
    std::atomic<bool> boundary_work_waits_ = false;
    std::vector<CatalogueChange> later_;
    std::atomic<bool> later_waits_ = false;
    static constexpr std::uint64_t kNoPause = ~0ULL;
    std::atomic<std::uint64_t> pause_order_ = kNoPause;
    std::atomic<std::uint64_t> paused_for_ = kNoPause;  // the pause that has been reached
};

}  // namespace godwit::engine
