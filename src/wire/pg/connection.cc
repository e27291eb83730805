#include "wire/pg/connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/failpoint.h"
#include "wire/certificate_file.h"
#include "wire/pg/copy_out.h"
#include "wire/retry.h"

namespace godwit::pg {
namespace {

ErrorCode code_of(std::string_view state) {
    if (state.empty() || state.starts_with("08") || state.starts_with("57P")) return ErrorCode::unavailable;
    if (state == "57014") return ErrorCode::cancelled;
    if (state.starts_with("40") || state == "55P03") return ErrorCode::aborted;
    if (state.starts_with("53")) return ErrorCode::resource_exhausted;
    if (state == "42501" || state.starts_with("28")) return ErrorCode::permission_denied;
    if (state == "3D000" || state == "3F000" || state == "42P01" || state == "42703" || state == "42704")
        return ErrorCode::not_found;
    if (state == "42P07" || state == "42710" || state == "42P06") return ErrorCode::already_exists;
    if (state.starts_with("23")) return ErrorCode::conflict;
    if (state.starts_with("22")) return ErrorCode::invalid_argument;
    if (state.starts_with("0A")) return ErrorCode::unsupported;
    if (state.starts_with("55") || state.starts_with("42")) return ErrorCode::failed_precondition;
    if (state.starts_with("XX")) return ErrorCode::internal;
    return ErrorCode::internal;
}

std::string trimmed(const char* text) {
    std::string s = text == nullptr ? "" : text;
    while (!s.empty() && (s.back() == '\n' || s.back() == ' ')) s.pop_back();
    return s;
}

std::string settings_again(const std::vector<std::string>& settings) {
    std::string sql;
    for (const auto& s : settings) {
        const auto eq = s.find('=');
        sql += fmt::format("SELECT pg_catalog.set_config({}, {}, false); ", quote_literal(s.substr(0, eq)),
                           quote_literal(s.substr(eq + 1)));
    }
    return sql;
}

// Whether the bytes of the socket are the server's own, and libpq has none of an answer.
bool plain_and_idle(PGconn* c) {
    const auto transaction = PQtransactionStatus(c);
    return PQsslInUse(c) == 0 && PQgssEncInUse(c) == 0 && PQsocket(c) >= 0 && PQisnonblocking(c) == 0 &&
           PQpipelineStatus(c) == PQ_PIPELINE_OFF &&
           (transaction == PQTRANS_IDLE || transaction == PQTRANS_INTRANS);
}

}  // namespace

std::int64_t Rows::number(int row, int column) const {
    return std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
}

std::uint64_t Rows::affected() const { return std::strtoull(PQcmdTuples(result_.get()), nullptr, 10); }

Result<Connection> Connection::open(const ConnectOptions& o) {
    const CertificateFile ca(o.ca_certificate_pem);
    std::string options;
    for (const auto& s : o.settings) {
        options += "-c ";
        for (const char c : s) {
            if (c == ' ' || c == '\\') options += '\\';
            options += c;
        }
        options += ' ';
    }
    const std::string port = std::to_string(o.port == 0 ? 5432 : o.port);
    const std::string timeout = std::to_string(o.connect_timeout_s);
    std::vector<const char*> names, values;
    const auto put = [&](const char* n, const std::string& v) {
        names.push_back(n);
        values.push_back(v.c_str());
    };
    const std::string ssl = o.ssl_mode == "none" || o.ssl_mode.empty() ? "prefer" : o.ssl_mode;
    const std::string utf8 = "UTF8", replication = "database", on = "1", idle = "10", interval = "5",
                      count = "4";
    const std::string user_timeout = "30000", no_gss = "disable";
    put("host", o.host);
    put("port", port);
    put("dbname", o.database);
    put("user", o.user);
    if (!o.password.empty()) put("password", o.password);
    put("connect_timeout", timeout);
    put("application_name", o.application_name);
    put("client_encoding", utf8);
    put("sslmode", ssl);
    put("gssencmode", no_gss);
    if (!ca.path().empty()) put("sslrootcert", ca.path());
    if (!options.empty()) put("options", options);
    if (o.replication) put("replication", replication);
    put("keepalives", on);
    put("keepalives_idle", idle);
    put("keepalives_interval", interval);
    put("keepalives_count", count);
    put("tcp_user_timeout", user_timeout);
    names.push_back(nullptr);
    values.push_back(nullptr);
    PGconn* raw = PQconnectdbParams(names.data(), values.data(), 0);
    if (raw == nullptr) return fail(ErrorCode::resource_exhausted, "no memory for a PostgreSQL connection");
    Connection c(raw);
    if (!c.healthy()) {
        const std::string text = trimmed(PQerrorMessage(raw));
        // libpq keeps no SQLSTATE of a refused start-up
        const bool denied = text.find("authentication failed") != std::string::npos ||
                            text.find("no pg_hba.conf entry") != std::string::npos ||
                            text.find("does not exist") != std::string::npos ||
                            text.find("permission denied") != std::string::npos;
        return std::unexpected(
            Error{denied ? ErrorCode::permission_denied : ErrorCode::unavailable,
                  denied ? Retry::never : Retry::from_checkpoint,
                  fmt::format("cannot connect to PostgreSQL at {}:{}: {}", o.host, port, text),
                  {},
                  denied ? "28000" : "08001"});
    }
    PQsetNoticeProcessor(raw, [](void*, const char*) {}, nullptr);
    // not among the settings of the start, because older servers refuse what they do not know
    if (c.server_version() >= 140000) GW_CHECK(c.run("SET idle_session_timeout = 0"));
    if (c.server_version() >= 170000) GW_CHECK(c.run("SET transaction_timeout = 0"));
    if (!o.script.empty())
        for (const auto& sql : {o.script, "COMMIT; " + settings_again(o.settings)}) {
            auto ran = c.run(sql);
            if (!ran) return std::unexpected(std::move(ran).error().with("AfterConnectScript"));
        }
    return c;
}

Error Connection::error_of(const PGresult* result, std::string_view what) const {
    const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* primary = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    Error e = error_of(state == nullptr ? "" : state,
                       primary != nullptr ? primary : trimmed(PQerrorMessage(connection_.get())), what);
    if (e.sqlstate.empty() && healthy() && result != nullptr) e.code = ErrorCode::internal;
    e.retry = retry_of(e.code);
    return e;
}

Error Connection::error_of(std::string sqlstate, std::string message, std::string_view what) {
    Error e;
    e.sqlstate = std::move(sqlstate);
    e.message = std::move(message);
    if (e.message.empty()) e.message = "the server closed the connection";
    // a few primary messages quote the offending value
    if (e.sqlstate.starts_with("22"))
        if (const auto colon = e.message.find(": \""); colon != std::string::npos) e.message.resize(colon);
    e.code = code_of(e.sqlstate);
    e.retry = retry_of(e.code);
    if (!e.sqlstate.empty()) e.message += " [" + e.sqlstate + "]";
    if (!what.empty()) e.context.emplace_back(what);
    return e;
}

Result<Rows> Connection::collect(std::string_view what) {
    PGresult* last = nullptr;
    PGresult* bad = nullptr;
    while (PGresult* r = PQgetResult(connection_.get())) {
        const auto status = PQresultStatus(r);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            PQclear(last);
            PQclear(bad);
            return Rows(r);
        }
        if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR) {
            if (bad == nullptr) {
                bad = r;
                continue;
            }
            PQclear(r);
            if (!healthy()) break;
            continue;
        }
        PQclear(last);
        last = r;
    }
    if (bad != nullptr) {
        Error e = error_of(bad, what);
        PQclear(bad);
        PQclear(last);
        return std::unexpected(std::move(e));
    }
    if (last == nullptr) return std::unexpected(error_of(nullptr, what));
    return Rows(last);
}

Result<Rows> Connection::query(const std::string& sql) {
    if (PQsendQuery(connection_.get(), sql.c_str()) != 1) return std::unexpected(error_of(nullptr, ""));
    return collect("");
}

Result<Rows> Connection::query(const std::string& sql, const std::vector<Param>& params) {
    std::vector<const char*> values;
    values.reserve(params.size());
    for (const auto& p : params) values.push_back(p ? p->c_str() : nullptr);
    if (PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                          values.data(), nullptr, nullptr, 0) != 1)
        return std::unexpected(error_of(nullptr, ""));
    return collect("");
}

Result<Rows> Connection::query(const std::string& sql, std::stop_token stop) {
    if (PQsendQuery(connection_.get(), sql.c_str()) != 1) return std::unexpected(error_of(nullptr, ""));
    bool cancelled = false;
    while (PQisBusy(connection_.get()) != 0) {
        pollfd p{PQsocket(connection_.get()), POLLIN, 0};
        ::poll(&p, 1, 100);
        if (PQconsumeInput(connection_.get()) != 1) return std::unexpected(error_of(nullptr, ""));
        if (stop.stop_requested() && !cancelled) {
            cancel();
            cancelled = true;
        }
    }
    return collect("");
}

Result<> Connection::run(const std::string& sql) {
    auto r = query(sql);
    if (!r) return std::unexpected(std::move(r).error());
    return {};
}

Result<std::uint64_t> Connection::copy_out(const std::string& sql, std::stop_token stop,
                                           const std::function<Result<>(Bytes)>& f) {
    if (!plain_and_idle(connection_.get())) return copy_out_by_libpq(sql, stop, f);
    auto read = pg::copy_out(PQsocket(connection_.get()), sql, stop, [this] { cancel(); }, f);
    lost_ = !read.idle;
    if (!read.consumer) return std::unexpected(std::move(read.consumer).error());
    if (const auto& e = read.answer.error())
        return std::unexpected(error_of(e->sqlstate, e->message, "COPY TO"));
    if (!read.complaint.empty())
        return std::unexpected(
            error_of("", "the server's answer is not understood: " + read.complaint, "COPY TO"));
    if (lost_) return std::unexpected(error_of("", "", "COPY TO"));
    if (!read.answer.started()) return fail(ErrorCode::internal, "the server did not start COPY");
    return read.answer.affected();
}

Result<std::uint64_t> Connection::copy_out_by_libpq(const std::string& sql, std::stop_token stop,
                                                    const std::function<Result<>(Bytes)>& f) {
    {
        auto started = GW_TRY(query(sql, stop));
        if (PQresultStatus(started.raw()) != PGRES_COPY_OUT)
            return fail(ErrorCode::internal, "the server did not start COPY");
    }
    std::uint64_t rows = 0;
    Result<> outcome;
    while (outcome) {
        char* block = nullptr;
        const int n = PQgetCopyData(connection_.get(), &block, 1);
        if (n == -1) break;
        if (n == -2) return std::unexpected(error_of(nullptr, "COPY TO"));
        if (n > 0) {
            outcome = f({reinterpret_cast<const std::byte*>(block), static_cast<std::size_t>(n)});
            PQfreemem(block);
            if ((++rows & 0xffU) != 0) continue;
        } else {
            pollfd p{PQsocket(connection_.get()), POLLIN, 0};
            ::poll(&p, 1, 100);
            if (PQconsumeInput(connection_.get()) != 1) return std::unexpected(error_of(nullptr, "COPY TO"));
        }
        if (outcome && stop.stop_requested()) outcome = fail(ErrorCode::cancelled, "stopped");
    }
    if (!outcome) {
        cancel();
        // the server ends the COPY with an error; read up to it so that the session stays usable
        for (char* rest = nullptr; PQgetCopyData(connection_.get(), &rest, 0) > 0;) PQfreemem(rest);
    }
    auto end = collect("COPY TO");
    if (!outcome) return std::unexpected(std::move(outcome).error());
    if (!end) return std::unexpected(std::move(end).error());
    return end->affected();
}

Result<> Connection::copy_in_start(const std::string& sql) {
    auto started = GW_TRY(query(sql));
    if (PQresultStatus(started.raw()) != PGRES_COPY_IN)
        return fail(ErrorCode::internal, "the server did not start COPY");
    return {};
}

Result<> Connection::copy_in_write(Bytes bytes) {
    if (PQputCopyData(connection_.get(), reinterpret_cast<const char*>(bytes.data()),
                      static_cast<int>(bytes.size())) != 1) {
        // the server's own reason, when it has sent one
        auto why = collect("COPY FROM");
        if (!why) return std::unexpected(std::move(why).error());
        return std::unexpected(error_of(nullptr, "COPY FROM"));
    }
    return {};
}

Result<std::uint64_t> Connection::copy_in_end() {
    if (PQputCopyEnd(connection_.get(), nullptr) != 1) return std::unexpected(error_of(nullptr, "COPY FROM"));
    auto end = GW_TRY(collect("COPY FROM"));
    return end.affected();
}

void Connection::copy_in_abort(const char* why) {
    if (PQputCopyEnd(connection_.get(), why) == 1) [[maybe_unused]]
        auto ignored = collect("");
}

std::string Connection::parameter(const char* name) const {
    const char* v = PQparameterStatus(connection_.get(), name);
    return v == nullptr ? "" : v;
}

void Connection::cancel() const {
    PGcancel* handle = PQgetCancel(connection_.get());
    if (handle == nullptr) return;
    char text[256];
    PQcancel(handle, text, sizeof text);
    PQfreeCancel(handle);
}

std::string quote_name(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

std::string quote_name(std::string_view schema, std::string_view table) {
    return quote_name(schema) + "." + quote_name(table);
}

std::string quote_literal(std::string_view text) {
    const bool escape = text.find('\\') != std::string_view::npos;
    std::string out = escape ? "E'" : "'";
    for (const char c : text) {
        if (c == '\'' || (c == '\\' && escape)) out += c;
        out += c;
    }
    return out + "'";
}

std::vector<std::string> source_session_settings() {
    return {"client_encoding=UTF8",
            "DateStyle=ISO",
            "IntervalStyle=postgres",
            "TimeZone=UTC",
            "extra_float_digits=3",
            "bytea_output=hex",
            "lc_monetary=C",
            "xmloption=content",
            GW_RULE("session.row_security") ? "row_security=off" : "row_security=on",
            "idle_in_transaction_session_timeout=0",
            "statement_timeout=0",
            "lock_timeout=0",
            "default_transaction_isolation=read committed",
            "search_path="};
}

}  // namespace godwit::pg
