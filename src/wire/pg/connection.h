#pragma once
// A PostgreSQL session over libpq. Every statement is bounded by a stop token or a timeout; errors carry the
// SQLSTATE and never a row value (DETAIL and HINT of the server are left out, because they quote values).

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace godwit::pg {

struct ConnectOptions {
    std::string host;
    std::uint16_t port = 5432;
    std::string database;
    std::string user;
    std::string password;
    std::string ssl_mode = "none";  // none, require, verify-ca, verify-full
    std::string ca_certificate_pem;
    std::string application_name = "godwit";
    bool replication = false;  // replication=database
    int connect_timeout_s = 10;
    // "name=value" server settings given at start-up, beyond the session defaults of source sessions
    std::vector<std::string> settings;
    // SQL of the user, run once the session stands; `settings` are given again behind it. An error ends the
    // connection, what it leaves open is committed.
    std::string script;
};

// Rows of one answer, in text.
class Rows {
public:
    explicit Rows(PGresult* result) : result_(result, &PQclear) {}
    [[nodiscard]] int size() const noexcept { return PQntuples(result_.get()); }
    [[nodiscard]] int columns() const noexcept { return PQnfields(result_.get()); }
    [[nodiscard]] bool null(int row, int column) const noexcept {
        return PQgetisnull(result_.get(), row, column) != 0;
    }
    [[nodiscard]] std::string text(int row, int column) const {
        return {PQgetvalue(result_.get(), row, column),
                static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
    }
    [[nodiscard]] std::int64_t number(int row, int column) const;  // 0 for null
    [[nodiscard]] bool flag(int row, int column) const {
        return PQgetvalue(result_.get(), row, column)[0] == 't';
    }
    [[nodiscard]] std::uint64_t affected() const;  // from the command tag
    [[nodiscard]] PGresult* raw() const noexcept { return result_.get(); }

private:
    std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

using Param = std::optional<std::string>;  // nothing: NULL

// Not thread safe, except cancel().
class Connection {
public:
    [[nodiscard]] static Result<Connection> open(const ConnectOptions& options);
    Connection(Connection&&) noexcept = default;
    Connection& operator=(Connection&&) noexcept = default;

    // One statement, or several without parameters. The last answer is returned.
    [[nodiscard]] Result<Rows> query(const std::string& sql);
    [[nodiscard]] Result<Rows> query(const std::string& sql, const std::vector<Param>& params);
    // Polls `stop` while it waits and cancels the statement on the server when it is asked to.
    [[nodiscard]] Result<Rows> query(const std::string& sql, std::stop_token stop);
    [[nodiscard]] Result<> run(const std::string& sql);

    // COPY ... TO STDOUT: f(bytes of one message, which is a row, or the end of a binary COPY). Returns the
    // server's row count. Behind an error in a transaction, libpq may not know that it has failed.
    [[nodiscard]] Result<std::uint64_t> copy_out(const std::string& sql, std::stop_token stop,
                                                 const std::function<Result<>(Bytes)>& f);
    // COPY ... FROM STDIN
    [[nodiscard]] Result<> copy_in_start(const std::string& sql);
    [[nodiscard]] Result<> copy_in_write(Bytes bytes);
    [[nodiscard]] Result<std::uint64_t> copy_in_end();
    void copy_in_abort(const char* why);

    [[nodiscard]] int server_version() const noexcept { return PQserverVersion(connection_.get()); }
    [[nodiscard]] std::string parameter(const char* name) const;
    [[nodiscard]] int backend_pid() const noexcept { return PQbackendPID(connection_.get()); }
    [[nodiscard]] bool healthy() const noexcept {
        return !lost_ && PQstatus(connection_.get()) == CONNECTION_OK;
    }
    [[nodiscard]] PGconn* raw() const noexcept { return connection_.get(); }
    // Asks the server to cancel what runs. Thread safe.
    void cancel() const;

    // the error of an answer, or of the connection when there is none
    [[nodiscard]] Error error_of(const PGresult* result, std::string_view what) const;

private:
    explicit Connection(PGconn* c) : connection_(c, &PQfinish) {}
    Result<Rows> collect(std::string_view what);
    // the bytes of TLS are libpq's to read
    Result<std::uint64_t> copy_out_by_libpq(const std::string& sql, std::stop_token stop,
                                            const std::function<Result<>(Bytes)>& f);
    static Error error_of(std::string sqlstate, std::string message, std::string_view what);
    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
    bool lost_ = false;  // in the middle of an answer, and libpq does not know
};

// "name" with its quotes doubled; always quoted
[[nodiscard]] std::string quote_name(std::string_view name);
[[nodiscard]] std::string quote_name(std::string_view schema, std::string_view table);
// 'text' with its quotes doubled; E'' when it holds a backslash
[[nodiscard]] std::string quote_literal(std::string_view text);

// The settings of spec/sources section 1.2 that make type output functions the same in every session,
// row_security off, and no idle time-out.
[[nodiscard]] std::vector<std::string> source_session_settings();

}  // namespace godwit::pg
