#pragma once
// A MySQL or MariaDB session over MariaDB Connector/C. Every wait is bounded by a stop token or a timeout;
// errors carry the SQLSTATE and the server's number and never a row value.

#include <mysql.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace godwit::mysql {

struct ConnectOptions {
    std::string host;
    std::uint16_t port = 3306;
    std::string database;
    std::string user;
    std::string password;
    std::string ssl_mode = "none";  // none, require, verify-ca, verify-full
    std::string ca_certificate_pem;
    std::string program_name = "godwit";  // connection attribute, seen in performance_schema
    int connect_timeout_s = 10;
    int read_timeout_s = 0;  // 0: none; a dead peer is found by keep-alive
    bool local_infile = false;
    bool multi_statements = false;
    // Of the user, each of one statement or several, ahead of after_connect. What fails is kept for
    // script_error() and the session goes on, as DMS does; what a script leaves open is committed.
    std::vector<std::string> scripts;
    std::vector<std::string> after_connect;  // statements; an error ends the connection
};

// Rows of one answer, held whole, in text.
class Rows {
public:
    Rows() : result_(nullptr, &mysql_free_result) {}
    Rows(MYSQL_RES* result, std::uint64_t affected, unsigned warnings);
    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
    [[nodiscard]] unsigned columns() const noexcept;
    [[nodiscard]] bool null(std::size_t row, unsigned column) const noexcept;
    [[nodiscard]] std::string text(std::size_t row, unsigned column) const;
    [[nodiscard]] std::int64_t number(std::size_t row, unsigned column) const;            // 0 for null
    [[nodiscard]] std::uint64_t unsigned_number(std::size_t row, unsigned column) const;  // 0 for null
    [[nodiscard]] std::string name(unsigned column) const;
    // -1 when there is no such column
    [[nodiscard]] int find(std::string_view column_name) const;
    [[nodiscard]] std::uint64_t affected() const noexcept { return affected_; }
    [[nodiscard]] unsigned warnings() const noexcept { return warnings_; }

private:
    std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> result_;
    struct Row {
        char** cells;
        std::vector<unsigned long> lengths;
    };
    std::vector<Row> rows_;
    std::uint64_t affected_ = 0;
    unsigned warnings_ = 0;
};

// Not thread safe, except kill() of another session by its id.
class Connection {
public:
    [[nodiscard]] static Result<Connection> open(const ConnectOptions& options);
    Connection(Connection&&) noexcept = default;
    Connection& operator=(Connection&&) noexcept = default;

    // One statement; with multi_statements several, of which the first error ends the packet. The last answer
    // that has rows is returned, else the last.
    [[nodiscard]] Result<Rows> query(std::string_view sql);
    // `stop` ends the session, and with it what runs on the server.
    [[nodiscard]] Result<Rows> query(std::string_view sql, std::stop_token stop);
    [[nodiscard]] Result<> run(std::string_view sql);
    // All answers of a packet of several statements, in order; the first error ends it.
    [[nodiscard]] Result<std::vector<Rows>> query_all(std::string_view sql);
    // The two halves of query_all(): between them the server works and we may too. `done` receives the
    // answers of the statements that went well, also when a later one failed.
    [[nodiscard]] Result<> start(std::string_view sql);
    [[nodiscard]] Result<> finish(std::vector<Rows>& done);
    // Rows one by one as the server sends them, never held: f(cells, lengths); a null pointer is NULL. An
    // error of f or `stop` ends the session. Returns the number of rows.
    [[nodiscard]] Result<std::uint64_t> stream(
        std::string_view sql, std::stop_token stop,
        const std::function<Result<>(const char* const* cells, const unsigned long* lengths)>& f);
    // LOAD DATA LOCAL INFILE: `next` gives block after block and an empty one at the end. An error of `next`
    // closes the socket, because an empty packet would be plain end of file (a part would be loaded).
    struct Loaded {
        std::uint64_t affected = 0;
        unsigned warnings = 0;
    };
    [[nodiscard]] Result<Loaded> load_local(std::string_view sql, const std::function<Result<Bytes>()>& next);

    [[nodiscard]] const std::string& server_version_text() const noexcept { return version_text_; }
    [[nodiscard]] bool mariadb() const noexcept { return mariadb_; }
    // 80015, 101119 (MariaDB 10.11.19)
    [[nodiscard]] int version() const noexcept { return version_; }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] bool healthy() const noexcept { return healthy_; }
    // The number of the last error that a call returned (1062); 0: none yet.
    [[nodiscard]] unsigned error_number() const noexcept { return error_number_; }
    // As the answer before said: outside a transaction nothing is open.
    [[nodiscard]] bool in_transaction() const noexcept;
    // Ends what waits on the socket; the session is lost. Thread safe as long as the object lives.
    void interrupt() noexcept;
    // Of the options' scripts: the number of the first that failed, and why.
    [[nodiscard]] const std::optional<std::pair<std::size_t, Error>>& script_error() const noexcept {
        return script_error_;
    }
    // Breaks the session off: the server rolls back what was open.
    void close() noexcept;
    [[nodiscard]] MYSQL* raw() const noexcept { return connection_.get(); }

    // The error of the last call of the library.
    [[nodiscard]] Error error_now(std::string_view what);

private:
    explicit Connection(MYSQL* c) : connection_(c, &mysql_close) {}
    // `sql` is sent and its first answer's head is in; fails when it was an error
    [[nodiscard]] Result<> send(std::string_view sql);
    [[nodiscard]] Result<> run_scripts(const ConnectOptions& options);
    [[nodiscard]] Result<> collect(std::vector<Rows>& done);
    std::unique_ptr<MYSQL, decltype(&mysql_close)> connection_;
    std::uint64_t id_ = 0;
    int socket_ = -1;
    unsigned error_number_ = 0;
    std::optional<std::pair<std::size_t, Error>> script_error_;
    std::string version_text_;
    int version_ = 0;
    bool mariadb_ = false;
    bool healthy_ = true;
};

// What an error of the server means. The text is the server's without the row values that it quotes.
[[nodiscard]] Error make_error(unsigned number, std::string_view sqlstate, std::string_view message);

// `name` with its backticks doubled; always quoted
[[nodiscard]] std::string quote_name(std::string_view name);
[[nodiscard]] std::string quote_name(std::string_view schema, std::string_view table);
// 'text' safe in every sql_mode but NO_BACKSLASH_ESCAPES, which our sessions never set
[[nodiscard]] std::string quote_literal(std::string_view text);

}  // namespace godwit::mysql
