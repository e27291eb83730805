#include "targets/postgres/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "codecs/pg/describe.h"
#include "targets/postgres/ledger.h"
#include "wire/retry.h"

namespace godwit::postgres {
namespace {

constexpr std::size_t kIdleMax = 4;

// After AfterConnectScript, so that a script cannot change how values are read.
std::string essential_settings(int version, const std::string& synchronous_commit) {
    std::string sql =
        "SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = "
        "'UTC'; "
        "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmloption = "
        "'content'; "
        "SET array_nulls = on; SET standard_conforming_strings = on; SET row_security = off; "
        "SET search_path = pg_catalog; SET default_transaction_isolation = 'read committed'; "
        "SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = 0; "
        "SET idle_in_transaction_session_timeout = 0; "
        "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
        "SET client_min_messages = 'warning'; ";
    if (version >= 120000) sql += "SET tcp_user_timeout = 30000; ";
    if (version >= 140000)
        sql += "SET client_connection_check_interval = 10000; SET idle_session_timeout = 0; ";
    if (version >= 170000) sql += "SET transaction_timeout = 0; ";
    if (!synchronous_commit.empty())
        sql += "SET synchronous_commit = " + pg::quote_literal(synchronous_commit) + "; ";
    // Where the database's or role's default is off, our sessions wait for their own disk all the same: a
    // commit that the server can lose is asked for by name.
    sql +=
        "SELECT pg_catalog.set_config('synchronous_commit', 'local', false) "
        "WHERE pg_catalog.current_setting('synchronous_commit') = 'off'; ";
    return sql;
}

pg::ConnectOptions options_of(const EndpointConfig& e, const std::string& name) {
    pg::ConnectOptions o;
    o.host = e.host;
    o.port = e.port == 0 ? std::uint16_t{5432} : e.port;
    o.database = e.database;
    o.user = e.user;
    o.password = e.password;
    o.ssl_mode = e.ssl_mode;
    o.ca_certificate_pem = e.ca_certificate_pem;
    o.application_name = name;
    o.connect_timeout_s =
        static_cast<int>(std::clamp<std::int64_t>(e.number("connectiontimeout", 10), 1, 300));
    return o;
}

}  // namespace

bool commits_unflushed(const EndpointConfig& endpoint) {
    const auto commit = endpoint.attribute("synchronouscommit");
    return commit == "off" || commit == "false" || commit == "no" || commit == "0";
}

Error away(Error error) {
    if (error.sqlstate == "25006") error.code = ErrorCode::unavailable;
    if (error.sqlstate == "57014") error.code = ErrorCode::aborted;
    if (error.sqlstate == "25006" || error.sqlstate == "57014") error.retry = retry_of(error.code);
    return error;
}

Sessions::Sessions(EndpointConfig endpoint, std::string task)
    : endpoint_(std::move(endpoint)), task_(std::move(task)) {}

Result<> Sessions::settle(pg::Connection& c, bool replica) const {
    if (const auto script = endpoint_.attribute("afterconnectscript"); !script.empty()) {
        auto ran = c.run(script);
        if (ran) ran = c.run("COMMIT");  // what it left open
        if (!ran) return std::unexpected(std::move(ran).error().with("AfterConnectScript"));
    }
    const auto commit = commits_unflushed(endpoint_) ? "local" : endpoint_.attribute("synchronouscommit");
    auto set = c.run(essential_settings(c.server_version(), commit));
    if (!set) return std::unexpected(std::move(set).error().with("settings of a target session"));
    if (replica && GW_RULE("session.replica_role")) return c.run("SET session_replication_role = 'replica'");
    return {};
}

Result<ServerTraits> Sessions::probe() {
    auto c = GW_TRY(pg::Connection::open(options_of(endpoint_, session_prefix(task_) + "probe")));
    const auto traits = GW_TRY(read_server_traits(c));  // before lc_monetary is set
    if (traits.version < 100000)
        return fail(ErrorCode::unsupported,
                    fmt::format("the target is PostgreSQL {}; godwit writes to 10 and later",
                                c.parameter("server_version")));
    GW_CHECK(settle(c, false));
    bool replica = true;
    if (auto set = c.run("SET session_replication_role = 'replica'"); !set) {
        if (set.error().sqlstate != "42501") return std::unexpected(std::move(set).error());
        // the script may have found another way
        replica = GW_TRY(c.query("SHOW session_replication_role")).text(0, 0) == "replica";
    }
    const std::lock_guard lock(mutex_);
    replica_role_ = replica;
    return traits;
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

bool Sessions::replica_role() const {
    const std::lock_guard lock(mutex_);
    return replica_role_;
}

Result<pg::Connection> Sessions::open() const {
    std::uint64_t epoch = 0;
    bool replica = false;
    {
        const std::lock_guard lock(mutex_);
        epoch = epoch_;
        replica = replica_role_;
    }
    const std::string name = session_prefix(task_) + (epoch == 0 ? "start" : std::to_string(epoch));
    auto c = GW_TRY(pg::Connection::open(options_of(endpoint_, name)));
    // a script may need the right that we lack, so the role is set only when the probe could
    auto settled =
        settle(c, replica && endpoint_.attribute("afterconnectscript").find("session_replication_role") ==
                                 std::string::npos);
    if (!settled) return std::unexpected(std::move(settled).error());
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
            if (c->healthy()) return Held(*this, std::move(c), epoch);
        }
    }
    auto fresh = GW_TRY(open());
    return Held(*this, std::make_unique<pg::Connection>(std::move(fresh)), epoch);
}

Sessions::Held::~Held() {
    if (c_ == nullptr || !c_->healthy()) return;
    if (PQtransactionStatus(c_->raw()) != PQTRANS_IDLE) return;  // closing it rolls back
    const std::lock_guard lock(owner_->mutex_);
    if (owner_->epoch_ == epoch_ && owner_->idle_.size() < kIdleMax) owner_->idle_.push_back(std::move(c_));
}

}  // namespace godwit::postgres
