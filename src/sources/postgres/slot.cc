#include "sources/postgres/slot.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <random>

namespace godwit::postgres {
namespace {

constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::seconds kDropWait{15};
constexpr std::chrono::seconds kCancelWait{10};

constexpr std::string_view kInUse = "55006";
constexpr std::string_view kUndefinedObject = "42704";

Lsn lsn_or_zero(const pg::Rows& rows, int column) {
    if (rows.null(0, column)) return {};
    return parse_lsn(rows.text(0, column)).value_or(Lsn{});
}

Error in_use(const SlotInfo& slot) {
    return Error{
        ErrorCode::failed_precondition,
        Retry::never,
        fmt::format("replication slot \"{}\" is read by another session, pid {}", slot.name, slot.active_pid),
        {},
        std::string(kInUse)};
}

}  // namespace

std::string slot_name(std::string_view task_resource_id, std::uint32_t database_oid) {
    std::random_device device;
    std::uint8_t bytes[16];
    for (auto& b : bytes) b = static_cast<std::uint8_t>(device());
    return slot_name(task_resource_id, database_oid, bytes);
}

std::string slot_name(std::string_view task_resource_id, std::uint32_t database_oid,
                      const std::uint8_t (&random)[16]) {
    std::string name;
    for (const char c : task_resource_id) {
        const auto u = static_cast<unsigned char>(c);
        if (name.size() < 16 && u < 128 && std::isalnum(u) != 0) name += static_cast<char>(std::tolower(u));
    }
    name.resize(16, '0');
    // more digits would make the name of the second publication longer than 63
    name += fmt::format("_{:08}_", database_oid % 100'000'000U);
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) name += '_';
        name += fmt::format("{:02x}", random[i]);
    }
    return name;
}

Result<std::uint32_t> database_oid(pg::Connection& session) {
    const auto rows = GW_TRY(session.query("SELECT oid FROM pg_database WHERE datname = current_database()"));
    return static_cast<std::uint32_t>(rows.number(0, 0));
}

Result<std::optional<SlotInfo>> inspect_slot(pg::Connection& session, const std::string& name) {
    // by way of jsonb, because the columns differ between versions; no parameters, so that walsenders take it
    // too
    auto found = session.query(fmt::format(
        "SELECT s.plugin, s.database, s.temporary, coalesce((j->>'two_phase')::bool, false), "
        "coalesce(s.active_pid, 0),"
        " s.restart_lsn, s.confirmed_flush_lsn, coalesce(s.wal_status, ''),"
        " coalesce(j->>'invalidation_reason', CASE WHEN s.wal_status = 'lost' THEN 'wal_removed'"
        "  WHEN (j->>'conflicting')::bool THEN 'conflict with recovery' ELSE '' END),"
        " greatest(coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
        "  ELSE pg_current_wal_lsn() END, s.restart_lsn), 0), 0)::bigint"
        " FROM pg_replication_slots s, to_jsonb(s) j WHERE s.slot_name = {}",
        pg::quote_literal(name)));
    if (!found) return std::unexpected(std::move(found).error().with("replication slot " + name));
    if (found->size() == 0) return std::optional<SlotInfo>{};
    const pg::Rows& r = *found;
    SlotInfo slot;
    slot.name = name;
    slot.plugin = r.text(0, 0);
    slot.database = r.text(0, 1);
    slot.temporary = r.flag(0, 2);
    slot.two_phase = r.flag(0, 3);
    slot.active_pid = static_cast<int>(r.number(0, 4));
    slot.restart = lsn_or_zero(r, 5);
    slot.confirmed_flush = lsn_or_zero(r, 6);
    slot.wal_status = r.text(0, 7);
    slot.invalidation_reason = r.text(0, 8);
    slot.retained_bytes = static_cast<std::uint64_t>(r.number(0, 9));
    return std::optional(std::move(slot));
}

Result<SlotInfo> require_slot(pg::Connection& session, const std::string& name) {
    auto slot = GW_TRY(inspect_slot(session, name));
    if (!slot) return fail(ErrorCode::not_found, fmt::format("replication slot \"{}\" does not exist", name));
    if (slot->plugin.empty())
        return fail(ErrorCode::failed_precondition,
                    fmt::format("replication slot \"{}\" is not a logical one", name));
    if (slot->lost())
        return fail(
            ErrorCode::data_loss,
            fmt::format("the server has invalidated replication slot \"{}\" ({}): changes are lost, the "
                        "tables need a reload",
                        name, slot->invalidation_reason));
    const auto here = GW_TRY(session.query("SELECT current_database()"));
    if (slot->database != here.text(0, 0))
        return fail(ErrorCode::failed_precondition,
                    fmt::format("replication slot \"{}\" belongs to database \"{}\"", name, slot->database));
    return *std::move(slot);
}

std::string transactions_in_the_way(pg::Connection& observer, int waiting_pid) {
    // pg_locks shows pids of all users; pg_stat_activity hides the rest of their lines from ordinary roles
    auto sessions = observer.query(fmt::format(
        "WITH b AS (SELECT unnest(pg_blocking_pids({0})) AS pid),"
        " h AS (SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'transactionid' AND mode = "
        "'ExclusiveLock' AND granted)"
        " SELECT pid, coalesce(nullif(a.application_name, ''), a.backend_type, ''), coalesce(a.usename, ''),"
        " coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint, -1)"
        " FROM (SELECT pid FROM b UNION SELECT pid FROM h) x LEFT JOIN pg_stat_activity a USING (pid)"
        " WHERE pid IS NOT NULL AND pid NOT IN (0, {0}, pg_backend_pid())"
        " ORDER BY pid IN (SELECT pid FROM b) DESC, a.xact_start NULLS LAST LIMIT 20",
        waiting_pid));
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
    if (sessions)
        for (int i = 0; i < sessions->size(); ++i) {
            std::string part = "pid " + sessions->text(i, 0);
            std::string more = sessions->text(i, 1);
            if (!sessions->text(i, 2).empty())
                more += (more.empty() ? "user " : ", user ") + sessions->text(i, 2);
            if (sessions->number(i, 3) >= 0) more += fmt::format(", for {} s", sessions->number(i, 3));
            if (!more.empty()) part += " (" + more + ")";
            add(part);
        }
    auto prepared = observer.query("SELECT gid, database FROM pg_prepared_xacts ORDER BY prepared LIMIT 20");
    if (prepared)
        for (int i = 0; i < prepared->size(); ++i)
            add(fmt::format("prepared transaction '{}' of database {}", prepared->text(i, 0),
                            prepared->text(i, 1)));
    return text;
}

Result<CreatedSlot> create_slot(pg::Connection& replication, pg::Connection& observer,
                                const SlotRequest& request, Clock& clock, std::stop_token stop) {
    std::string sql = fmt::format("CREATE_REPLICATION_SLOT {}{} LOGICAL {}", pg::quote_name(request.name),
                                  request.temporary ? " TEMPORARY" : "", pg::quote_name(request.plugin));
    if (replication.server_version() >= 150000) {
        sql += request.export_snapshot ? " (SNAPSHOT 'export'" : " (SNAPSHOT 'nothing'";
        if (request.failover && replication.server_version() >= 170000) sql += ", FAILOVER true";
        sql += ")";
    } else {
        sql += request.export_snapshot ? " EXPORT_SNAPSHOT" : " NOEXPORT_SNAPSHOT";
    }
    const std::string what = "replication slot " + request.name;
    if (PQsendQuery(replication.raw(), sql.c_str()) != 1)
        return std::unexpected(replication.error_of(nullptr, what));

    auto deadline = clock.steady() + request.wait_max;
    std::optional<Error> gave_up;
    while (PQisBusy(replication.raw()) != 0) {
        pollfd p{PQsocket(replication.raw()), POLLIN, 0};
        ::poll(&p, 1, static_cast<int>(kPoll.count()));
        if (PQconsumeInput(replication.raw()) != 1)
            return std::unexpected(replication.error_of(nullptr, what));
        const bool late = clock.steady() >= deadline;
        if (gave_up) {
            if (late)  // the server does not even answer to the cancel: the caller closes the session
                return std::unexpected(*gave_up);
            continue;
        }
        if (stop.stop_requested()) {
            gave_up = Error{
                ErrorCode::cancelled, Retry::never, "stopped while a replication slot was made", {}, {}};
        } else if (late) {
            const std::string who = transactions_in_the_way(observer, replication.backend_pid());
            gave_up =
                Error{ErrorCode::failed_precondition,
                      Retry::never,
                      fmt::format("the transactions that run on the source did not end within {} s, and a "
                                  "replication slot starts only after them: {}",
                                  request.wait_max.count(),
                                  who.empty() ? "none is visible (on a standby, run "
                                                "pg_log_standby_snapshot() on its primary)"
                                              : who),
                      {},
                      {}};
        }
        if (gave_up) {
            replication.cancel();
            deadline = clock.steady() + kCancelWait;
        }
    }
    std::optional<CreatedSlot> created;
    std::optional<Error> failed;
    while (PGresult* raw = PQgetResult(replication.raw())) {
        const pg::Rows rows(raw);
        if (PQresultStatus(raw) == PGRES_TUPLES_OK && rows.size() == 1) {
            auto point = parse_lsn(rows.text(0, 1));
            if (!point)
                failed = std::move(point).error();
            else
                created = CreatedSlot{rows.text(0, 0), *point, rows.null(0, 2) ? "" : rows.text(0, 2)};
        } else if (PQresultStatus(raw) == PGRES_FATAL_ERROR && !failed) {
            failed = replication.error_of(raw, what);
        }
    }
    if (created && !failed)
        return *std::move(created);  // also when it was made just before the cancel arrived
    if (gave_up) return std::unexpected(std::move(*gave_up).with(what));
    if (!failed) return std::unexpected(replication.error_of(nullptr, what));
    if (failed->code == ErrorCode::permission_denied)
        failed->message += fmt::format(
            "; the user needs the attribute REPLICATION, and where the server has the setting "
            "output_plugin_libraries "
            "it must list {}",
            request.plugin);
    return std::unexpected(*std::move(failed));
}

Result<SlotInfo> wait_until_free(pg::Connection& session, const std::string& name,
                                 std::chrono::milliseconds wait_max, Clock& clock, std::stop_token stop) {
    const auto deadline = clock.steady() + wait_max;
    for (;;) {
        auto slot = GW_TRY(require_slot(session, name));
        if (slot.active_pid == 0) return slot;
        if (clock.steady() >= deadline) return std::unexpected(in_use(slot));
        if (!clock.sleep(kPoll, stop))
            return fail(ErrorCode::cancelled, "stopped while waiting for replication slot " + name);
    }
}

Result<> drop_slot(pg::Connection& session, const std::string& name, const std::string& own_application,
                   Clock& clock, std::stop_token stop) {
    const auto deadline = clock.steady() + kDropWait;
    for (;;) {
        const auto slot = GW_TRY(inspect_slot(session, name));
        if (!slot) return {};
        if (slot->active_pid != 0) {
            const auto reader = GW_TRY(session.query(fmt::format(
                "SELECT application_name FROM pg_stat_activity WHERE pid = {}", slot->active_pid)));
            const bool own = !own_application.empty() && reader.size() == 1 &&
                             reader.text(0, 0).starts_with(own_application);
            if (reader.size() == 1 && !own) return std::unexpected(in_use(*slot));
            if (own) GW_CHECK(session.run(fmt::format("SELECT pg_terminate_backend({})", slot->active_pid)));
        } else {
            auto dropped =
                session.run(fmt::format("SELECT pg_drop_replication_slot({})", pg::quote_literal(name)));
            if (dropped || dropped.error().sqlstate == kUndefinedObject) return {};
            if (dropped.error().sqlstate != kInUse)
                return std::unexpected(std::move(dropped).error().with("replication slot " + name));
        }
        if (clock.steady() >= deadline) return std::unexpected(in_use(*slot));
        if (!clock.sleep(kPoll, stop))
            return fail(ErrorCode::cancelled, "stopped while dropping slot " + name);
    }
}

Result<Lsn> copy_slot(pg::Connection& session, const std::string& from, const std::string& to,
                      bool temporary) {
    auto copied = session.query(fmt::format("SELECT lsn FROM pg_copy_logical_replication_slot({}, {}, {})",
                                            pg::quote_literal(from), pg::quote_literal(to), temporary));
    if (!copied) return std::unexpected(std::move(copied).error().with("copy of replication slot " + from));
    return parse_lsn(copied->text(0, 0));
}

}  // namespace godwit::postgres
