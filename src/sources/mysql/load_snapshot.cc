#include "sources/mysql/load_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/failpoint.h"
#include "sources/mysql/binlog_stream.h"
#include "sources/mysql/catalogue.h"
#include "sources/mysql/own_answer.h"

namespace godwit::mysql {
namespace {

using Options = LoadSnapshot::Options;
using Clock = std::chrono::steady_clock;

constexpr unsigned kLockWaitTimeout = 1205;
constexpr std::uint32_t kLockWaitS = 5;
constexpr std::chrono::milliseconds kLockPauseMax(4000);
// A session that says nothing for so long is ended by the server, and its lock with it: a host that vanishes
// cannot tell. Nothing that happens under the lock takes nearly as long.
constexpr std::uint32_t kSilentS = 15;
constexpr std::uint32_t kSilentWithoutLockS = 28800;
// access denied to a database, to a command on a table
constexpr unsigned kDenied = 1044, kTableDenied = 1142;

// The transactions that are prepared and not decided, by name; nothing when the user may not ask.
Result<std::vector<std::string>> prepared_transactions(Connection& c, Log* log) {
    std::vector<std::string> out;
    const auto rows = c.query("XA RECOVER");
    if (!rows) {
        if (!c.healthy()) return std::unexpected(rows.error());
        if (log != nullptr)
            log->warning(Component::source_unload,
                         "the user may not see prepared transactions (GRANT XA_RECOVER_ADMIN ON *.*): rows "
                         "of one that is prepared now and committed later would be missing");
        return out;
    }
    const int data = rows->find("data");
    for (std::size_t i = 0; i < rows->size() && data >= 0; ++i)
        out.push_back(rows->text(i, static_cast<unsigned>(data)));
    return out;
}

// Is any transaction prepared? The rows of one are in no view and behind no mark.
class PreparedWait {
public:
    PreparedWait(const Options& options, Log* log) : options_(options), log_(log) {}
    // false: not yet; try again later
    [[nodiscard]] Result<bool> over(Connection& c) {
        if (!options_.mark || !options_.wait_for_prepared || !GW_RULE("mysql.prepared_before_mark"))
            return true;
        const auto prepared = GW_TRY(prepared_transactions(c, log_));
        if (prepared.empty()) return true;
        if (Clock::now() > until_)
            return fail(
                ErrorCode::failed_precondition,
                fmt::format(
                    "{} transactions of the source are prepared and not decided, for example {}: XA COMMIT "
                    "or XA ROLLBACK them (XA RECOVER lists them), or set "
                    "ignoreOpenXaTransactionsCheck=true when they touch no selected table",
                    prepared.size(), prepared.front()));
        if (!std::exchange(told_, true) && log_ != nullptr)
            log_->info(Component::source_unload,
                       fmt::format("waiting for {} prepared transactions of the source", prepared.size()));
        return false;
    }

private:
    const Options& options_;
    Log* const log_;
    const Clock::time_point until_ = Clock::now() + std::chrono::seconds(options_.wait_s);
    bool told_ = false;
};

Result<Connection> open_session(const Options& options) {
    auto c = GW_TRY(Connection::open(options.connect));
    GW_CHECK(c.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"));
    return c;
}

Result<> open_view(Connection& c) { return c.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); }

// The view's own place, which later writes do not move (MariaDB). The server puts it where it puts that of
// any other session that asks for its status, and one that asks at the same moment gives us its own: what is
// said nearly always is ours.
Result<LogPosition> place_of_view(Connection& c, const std::string& server) {
    struct Said {
        std::string file;
        std::uint64_t offset = 0;
        auto operator<=>(const Said&) const = default;
    };
    for (OwnAnswer<Said> answer; !answer.given_up();) {
        const auto rows = GW_TRY(c.query("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'"));
        Said said;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::string name = rows.text(i, 0);
            for (char& letter : name)
                letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
            if (name == "binlog_snapshot_file") said.file = rows.text(i, 1);
            if (name == "binlog_snapshot_position") said.offset = rows.unsigned_number(i, 1);
        }
        if (!answer.heard(said)) continue;
        if (file_number(said.file) == 0)
            return fail(
                ErrorCode::failed_precondition,
                "the server does not say at which place of its binlog a snapshot stands; grant LOCK TABLES "
                "on the selected schemas");
        LogPosition out;
        out.server = server;
        out.file = said.file;
        out.offset = said.offset;
        out.gtids = GW_TRY(gtids_at(c, out.file, out.offset)).value_or("");
        return out;
    }
    return fail(
        ErrorCode::unavailable,
        "other sessions ask for the status of the source (SHOW STATUS) so often that the place of a "
        "snapshot cannot be told from theirs; stop them, or grant LOCK TABLES on the selected schemas",
        Retry::from_checkpoint);
}

Result<LogPosition> end_of_log(Connection& c, const std::string& server) {
    auto place = GW_TRY(log_place(c));
    if (!place.gtids) place.gtids = GW_TRY(gtids_at(c, place.file, place.offset));
    return LogPosition{server, place.file, place.offset, place.gtids.value_or(""), {}, 0};
}

std::unexpected<Error> lock_not_granted(const std::vector<TableName>& tables, std::uint32_t wait_s) {
    const std::string others =
        tables.size() == 1 ? "" : fmt::format(" and {} others, all at once", tables.size() - 1);
    return fail(
        ErrorCode::unavailable,
        fmt::format("the load waits for the moment in which it may lock table {}{} (LOCK TABLES ... READ), "
                    "and for {} s another session of the source, a transaction that has written to it "
                    "or a statement that alters it, did not end (SHOW PROCESSLIST; "
                    "information_schema.INNODB_TRX)",
                    tables.front().text(), others, wait_s),
        Retry::from_checkpoint);
}

// false: the user may not.
Result<bool> lock_tables(Connection& c, const Options& options, const std::vector<TableName>& tables,
                         Log* log, std::stop_token stop) {
    std::string list;
    for (const auto& t : tables) list += (list.empty() ? "" : ", ") + quote_name(t.schema, t.table) + " READ";
    if (GW_RULE("mysql.silent_lock")) GW_CHECK(c.run(fmt::format("SET SESSION wait_timeout = {}", kSilentS)));
    // Who writes queues behind us while we wait.
    GW_CHECK(
        c.run(fmt::format("SET SESSION lock_wait_timeout = {}", std::clamp(options.wait_s, 1U, kLockWaitS))));
    auto pause = std::chrono::milliseconds(500);
    const auto until = Clock::now() + std::chrono::seconds(options.wait_s);
    PreparedWait prepared(options, log);
    while (!stop.stop_requested()) {
        if (auto done = c.run("LOCK TABLES " + list); done) {
            if (GW_TRY(prepared.over(c))) return true;
            GW_CHECK(c.run("UNLOCK TABLES"));
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        } else if (c.error_number() == kDenied || c.error_number() == kTableDenied) {
            GW_CHECK(c.run(fmt::format("SET SESSION wait_timeout = {}", kSilentWithoutLockS)));
            return false;
        } else if (c.error_number() != kLockWaitTimeout) {
            return std::unexpected(std::move(done).error().with("locking the tables of the load"));
        } else if (Clock::now() > until) {
            return lock_not_granted(tables, options.wait_s);
        } else {
            // Between two tries they go on.
            std::this_thread::sleep_for(pause);
            pause = std::min(pause * 2, kLockPauseMax);
        }
    }
    return fail(ErrorCode::cancelled, "the load was stopped");
}

std::unexpected<Error> needs_lock(std::string why) {
    return std::unexpected(
        Error{ErrorCode::permission_denied,
              Retry::never,
              "the source's tables are to be locked for some milliseconds, and the user may not "
              "lock: GRANT LOCK TABLES, SELECT on the selected schemas (" +
                  why + ")",
              {},
              {}});
}

// A place of the log before which everything is in every view that is opened from now on. The log is written
// before the engine commits, so its end is such a place only when the GTIDs of all that stands before it are
// executed. Without GTIDs nobody says when that is.
Result<LogPosition> lower_bound(Connection& c, const Options& options, Log* log, std::stop_token stop) {
    const auto until = Clock::now() + std::chrono::seconds(options.wait_s);
    PreparedWait prepared(options, log);
    LogPosition place = GW_TRY(end_of_log(c, options.server));
    if (!GW_RULE("mysql.range_lower")) return place;
    while (!stop.stop_requested()) {
        const auto gtids = GW_TRY(c.query("SELECT @@global.gtid_executed"));
        auto reader = GW_TRY(Connection::open(options.connect));
        DumpRequest request;
        request.from.gtids = gtids.text(0, 0);
        request.by_gtid = true;
        request.server_id = options.replica_id;
        if (GW_TRY(executed_before(reader, request, place, stop))) {
            if (GW_TRY(prepared.over(c))) return place;
            place = GW_TRY(end_of_log(c, options.server));  // what is decided meanwhile lies before it
        }
        if (Clock::now() > until)
            return fail(
                ErrorCode::unavailable,
                "transactions that are written to the binlog do not commit (is the server waiting for a "
                "replica?)",
                Retry::from_checkpoint);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return fail(ErrorCode::cancelled, "the load was stopped");
}

}  // namespace

Result<LogPosition> end_without_prepared(Connection& c, const Options& options, Log* log,
                                         std::stop_token stop) {
    PreparedWait prepared(options, log);
    while (!stop.stop_requested()) {
        const auto place = GW_TRY(end_of_log(c, options.server));  // before the question
        if (GW_TRY(prepared.over(c))) return place;
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return fail(ErrorCode::cancelled, "the task was stopped");
}

Result<std::shared_ptr<LoadSnapshot>> LoadSnapshot::take(const Options& options,
                                                         const std::vector<TableName>& tables, Log* log,
                                                         std::stop_token stop) {
    auto out = std::make_shared<LoadSnapshot>();
    auto c = GW_TRY(Connection::open(options.connect));
    const bool locks = !tables.empty() && options.how != LoadLock::range && GW_RULE("mysql.lock_for_mark");
    // Writers wait while the tables are locked: what takes long is done before.
    const std::size_t wanted = std::max(1U, options.sessions);
    while (locks && out->idle_.size() < wanted) out->idle_.push_back(GW_TRY(open_session(options)));
    const bool locked = locks && GW_TRY(lock_tables(c, options, tables, log, stop));
    const bool exact = locked || tables.empty() || !GW_RULE("mysql.lock_for_mark");
    if (!exact && options.how == LoadLock::lock) return needs_lock("snapshotMode=lock");
    const bool ranged = !exact && options.mark && !c.mariadb();
    if (ranged && !options.may_range)
        return needs_lock("a comparison under traffic knows the place of its snapshot only so");
    if (ranged && GW_TRY(c.query("SELECT @@global.gtid_mode")).text(0, 0) != "ON")
        return needs_lock("without GTIDs, gtid_mode=ON, there is no other exact way");
    if (!exact && log != nullptr)
        log->warning(
            Component::source_unload,
            ranged ? "the tables are loaded without a lock: for a moment of the log the images of its rows "
                     "decide, so tables need one unique key and whole row images"
                   : "the tables are loaded without a lock, by one session");
    const std::size_t sessions = exact || ranged ? wanted : 1;
    while (out->idle_.size() > sessions) out->idle_.pop_back();
    while (out->idle_.size() < sessions) out->idle_.push_back(GW_TRY(open_session(options)));
    if (ranged) out->lower_ = GW_TRY(lower_bound(c, options, log, stop));
    // Of its own accord a view does not wait for them, as a lock does.
    if (!exact && !ranged && options.mark) out->start_ = GW_TRY(end_without_prepared(c, options, log, stop));
    if (ranged && !GW_RULE("mysql.range_upper")) out->mark_ = GW_TRY(end_of_log(c, options.server));
    GW_FAILPOINT("load.views");
    for (auto& session : out->idle_) GW_CHECK(open_view(session));
    GW_FAILPOINT("load.viewed");
    if (options.mark && out->mark_.file.empty())
        out->mark_ = exact || ranged || !GW_RULE("mysql.place_of_view")
                         ? GW_TRY(end_of_log(c, options.server))
                         : GW_TRY(place_of_view(out->idle_.front(), options.server));
    // Only a session that still is there has held the lock all the while.
    if (locked) GW_CHECK(c.run("UNLOCK TABLES"));
    out->alive_ = out->idle_.size();
    return out;
}

Result<Connection> LoadSnapshot::borrow(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    const bool found = freed_.wait(lock, stop, [&] { return !idle_.empty() || alive_ == 0; });
    if (!found) return fail(ErrorCode::cancelled, "the load was stopped");
    if (idle_.empty())
        return fail(ErrorCode::unavailable, "every session of the snapshot was lost", Retry::from_checkpoint);
    auto c = std::move(idle_.back());
    idle_.pop_back();
    return c;
}

void LoadSnapshot::give_back(Connection session) {
    const std::lock_guard lock(mutex_);
    if (session.healthy())
        idle_.push_back(std::move(session));
    else
        --alive_;
    freed_.notify_all();
}

}  // namespace godwit::mysql
