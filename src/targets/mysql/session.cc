#include "targets/mysql/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "targets/mysql/ledger.h"

namespace godwit::mysql {
namespace {

constexpr std::size_t kIdleMax = 4;

// After the user's scripts, so that none can change how values are written, which rows are met or what is
// refused. Without NO_ZERO_DATE: a source of the same family may hold them.
std::string essential_settings(bool mariadb) {
    std::string sql = fmt::format(
        "SET SESSION sql_mode = '{}STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
        "{}foreign_key_checks = 0, unique_checks = 1, sql_safe_updates = 0, "
        "sql_auto_is_null = 0, sql_notes = 1, sql_warnings = 0, max_error_count = 1024, "
        "sql_select_limit = 18446744073709551615, sql_big_selects = 1, completion_type = 0, "
        "wait_timeout = 28800, net_read_timeout = 600, net_write_timeout = 600, lock_wait_timeout = 120, "
        "innodb_lock_wait_timeout = 60; "
        "SET NAMES utf8mb4; "
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "
        "SET SESSION TRANSACTION READ WRITE; ",
        GW_RULE("session.zero_is_a_value") ? "NO_AUTO_VALUE_ON_ZERO," : "",
        GW_RULE("session.utc") ? "time_zone = '+00:00', " : "");
    sql += mariadb ? "SET SESSION max_statement_time = 0; " : "SET SESSION max_execution_time = 0; ";
    sql += "SET autocommit = 0";
    return sql;
}

}  // namespace

Sessions::Sessions(EndpointConfig endpoint, std::string task, Log* log)
    : endpoint_(std::move(endpoint)), task_(std::move(task)), log_(log) {}

ConnectOptions Sessions::options() const {
    ConnectOptions o;
    o.host = endpoint_.host;
    o.port = endpoint_.port;
    o.user = endpoint_.user;
    o.password = endpoint_.password;
    o.ssl_mode = endpoint_.ssl_mode;
    o.ca_certificate_pem = endpoint_.ca_certificate_pem;
    o.program_name = "godwit/" + task_;
    o.connect_timeout_s =
        static_cast<int>(std::clamp<std::int64_t>(endpoint_.number("connectiontimeout", 10), 1, 300));
    o.local_infile = true;
    o.multi_statements = true;
    for (auto& script : endpoint_.scripts()) o.scripts.push_back(std::move(script.sql));
    return o;
}

Result<> Sessions::settle(Connection& c) const {
    auto set = c.run(essential_settings(c.mariadb()));
    if (!set) return std::unexpected(std::move(set).error().with("settings of a target session"));
    return {};
}

Result<ServerTraits> Sessions::probe() {
    auto c = GW_TRY(Connection::open(options()));
    const bool old = c.mariadb() ? c.version() < 100500 : c.version() < 50700;
    if (old)
        return fail(ErrorCode::unsupported,
                    fmt::format("the target is {} {}; godwit writes to MySQL 5.7, MariaDB 10.5 and later",
                                c.mariadb() ? "MariaDB" : "MySQL", c.server_version_text()));
    if (const auto& wrong = c.script_error(); wrong && log_ != nullptr)
        log_->warning(Component::target_load,
                      fmt::format("{}: {}", endpoint_.scripts()[wrong->first].name, wrong->second.text()));
    GW_CHECK(settle(c));
    ServerFacts f;
    f.mariadb = c.mariadb();
    f.version = c.version();
    const auto rows = GW_TRY(c.query(
        fmt::format("SELECT @@global.local_infile, @@explicit_defaults_for_timestamp, "
                    "@@max_allowed_packet, {}, @@global.read_only",
                    f.mariadb ? "concat(@@hostname, ':', @@port, ':', @@server_id)" : "@@server_uuid")));
    f.local_infile = rows.number(0, 0) == 1;
    f.explicit_timestamps = rows.number(0, 1) == 1;
    f.packet_bytes = rows.unsigned_number(0, 2);
    const auto known =
        GW_TRY(c.query("SELECT collation_name FROM information_schema.collations WHERE collation_name IN "
                       "('utf8mb4_0900_bin', 'utf8mb4_nopad_bin')"));
    if (known.size() != 0) f.key_collation = known.text(0, 0);
    f.text_collation = f.key_collation.empty() ? "utf8mb4_bin" : f.key_collation;
    if (!f.local_infile && log_ != nullptr)
        log_->warning(Component::target_load,
                      "local_infile is off on the target: tables are loaded by INSERT, which takes longer "
                      "(SET GLOBAL local_infile = 1)");
    if (rows.number(0, 4) != 0 && log_ != nullptr)
        log_->warning(Component::target_load, "the target is read_only");
    facts_ = f;
    ServerTraits t;
    t.family = "mysql";
    t.version = f.version;
    t.encoding = "UTF8";
    t.system_id = rows.text(0, 3);
    return t;
}

void Sessions::set_epoch(std::uint64_t epoch) {
    const std::lock_guard lock(mutex_);
    epoch_ = epoch;
    idle_.clear();
}

std::uint64_t Sessions::epoch() const {
    const std::lock_guard lock(mutex_);
    return epoch_;
}

Result<Connection> Sessions::open() const {
    const std::uint64_t epoch = this->epoch();
    auto c = GW_TRY(Connection::open(options()));
    GW_CHECK(settle(c));
    if (epoch != 0) GW_CHECK(register_session(c, task_, epoch));
    return c;
}

Result<Sessions::Held> Sessions::hold() {
    std::uint64_t epoch = 0;
    {
        const std::lock_guard lock(mutex_);
        epoch = epoch_;
        while (!idle_.empty()) {
            auto c = std::move(idle_.back());
            idle_.pop_back();
            if (c->healthy() && mysql_ping(c->raw()) == 0) return Held(*this, std::move(c), epoch);
        }
    }
    auto fresh = GW_TRY(open());
    return Held(*this, std::make_unique<Connection>(std::move(fresh)), epoch);
}

Sessions::Held::~Held() {
    if (c_ == nullptr || !c_->healthy() || c_->in_transaction()) return;  // closing it rolls back
    const std::lock_guard lock(owner_->mutex_);
    if (owner_->epoch_ == epoch_ && owner_->idle_.size() < kIdleMax) owner_->idle_.push_back(std::move(c_));
}

Result<> run_ddl(Connection& c, const TargetContext& x, const TableName& target, const std::string& sql) {
    const auto refers = GW_TRY(c.query(
        fmt::format("SELECT EXISTS (SELECT 1 FROM information_schema.table_constraints WHERE constraint_type "
                    "= 'FOREIGN KEY' AND table_schema = {} AND table_name = {})",
                    quote_literal(target.schema), quote_literal(target.table))));
    std::unique_lock turn(x.ddl_turn, std::defer_lock);
    if (refers.number(0, 0) != 0 || sql.find(" FOREIGN KEY ") != std::string::npos) turn.lock();
    return c.run(sql);
}

}  // namespace godwit::mysql
