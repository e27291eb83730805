#include "sources/postgres/artifacts.h"

#include <fmt/format.h>

namespace godwit::postgres {
namespace {

constexpr std::string_view kHeartbeat = "awsdms_heartbeat";
constexpr std::string_view kAudit = "awsdms_ddl_audit";
constexpr std::string_view kIntercept = "awsdms_intercept_ddl";
constexpr std::string_view kNoRights = "42501";

}  // namespace

Result<> beat(pg::Connection& session, const std::string& schema, const std::string& task, bool& created) {
    created = false;
    const std::string table = pg::quote_name(schema, std::string(kHeartbeat));
    const auto state = GW_TRY(
        session.query("SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.to_regclass($1) IS NULL", {table}));
    if (state.flag(0, 0)) return {};
    const auto touch = [&]() -> Result<> {
        if (state.flag(0, 1)) {
            GW_CHECK(session.run(
                fmt::format("CREATE TABLE IF NOT EXISTS {} (hb_key serial PRIMARY KEY, hb_created_at "
                            "timestamp, hb_created_by "
                            "varchar(64), hb_last_heartbeat_at timestamp, hb_last_heartbeat_by varchar(64))",
                            table)));
            created = true;
        }
        const std::string who = pg::quote_literal(("godwit/" + task).substr(0, 64));
        return session.run(fmt::format(
            "INSERT INTO {0} AS h VALUES (1, pg_catalog.now(), {1}, pg_catalog.now(), {1}) ON CONFLICT "
            "(hb_key) DO "
            "UPDATE SET hb_last_heartbeat_at = excluded.hb_last_heartbeat_at, hb_last_heartbeat_by = "
            "excluded.hb_last_heartbeat_by",
            table, who));
    };
    auto done = touch();
    if (done || done.error().sqlstate != kNoRights) return done;
    return session.run("SELECT pg_catalog.pg_logical_emit_message(false, 'godwit', 'heartbeat')");
}

Result<> drop_heartbeat(pg::Connection& session, const std::string& schema) {
    return session.run("DROP TABLE IF EXISTS " + pg::quote_name(schema, std::string(kHeartbeat)));
}

Result<bool> create_ddl_audit(pg::Connection& session, const std::string& schema) {
    const auto there = GW_TRY(session.query("SELECT 1 FROM pg_catalog.pg_event_trigger WHERE evtname = $1",
                                            {std::string(kIntercept)}));
    if (there.size() != 0) return false;
    const std::string table = pg::quote_name(schema, std::string(kAudit));
    const std::string function = pg::quote_name(schema, std::string(kIntercept));
    // The table stays empty: the statement travels in the log, in its place of the transaction.
    // It runs with our rights and with the search path of whoever runs the statement: every name says where
    // it is.
    auto made = session.run(fmt::format(
        R"(BEGIN;
CREATE TABLE IF NOT EXISTS {0} (
    c_key bigserial PRIMARY KEY,
    c_time timestamp,
    c_user varchar(64),
    c_txn varchar(16),
    c_tag varchar(24),
    c_oid integer,
    c_name varchar(64),
    c_schema varchar(64),
    c_ddlqry text);
CREATE OR REPLACE FUNCTION {1}() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $intercept$
BEGIN
    IF tg_tag OPERATOR(pg_catalog.=) ANY (ARRAY['CREATE TABLE', 'ALTER TABLE', 'DROP TABLE',
                                                'CREATE TABLE AS']::pg_catalog.text[]) THEN
        INSERT INTO {0} VALUES (DEFAULT, pg_catalog.now(), current_user,
                                pg_catalog.txid_current()::pg_catalog.varchar(16), tg_tag,
                                0, '', pg_catalog.current_schema(), pg_catalog.current_query());
        DELETE FROM {0};
    END IF;
END
$intercept$;
CREATE EVENT TRIGGER {2} ON ddl_command_end EXECUTE FUNCTION {1}();
COMMIT)",
        table, function, pg::quote_name(std::string(kIntercept))));
    if (made) return true;
    if (session.healthy()) [[maybe_unused]]
        auto ignored = session.run("ROLLBACK");
    return std::unexpected(std::move(made).error().with("DDL artifacts in schema " + schema));
}

Result<> drop_ddl_audit(pg::Connection& session, const std::string& schema) {
    return session.run(
        fmt::format("DROP EVENT TRIGGER IF EXISTS {}; DROP FUNCTION IF EXISTS {}(); DROP TABLE IF EXISTS {}",
                    pg::quote_name(std::string(kIntercept)), pg::quote_name(schema, std::string(kIntercept)),
                    pg::quote_name(schema, std::string(kAudit))));
}

}  // namespace godwit::postgres
