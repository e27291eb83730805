#include "wire/mysql/connection.h"

#include <errmsg.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/failpoint.h"
#include "wire/certificate_file.h"
#include "wire/retry.h"

namespace godwit::mysql {
namespace {

constexpr unsigned long kNetBuffer = 64U << 10;
constexpr unsigned long kPacketMax = 1UL << 30;  // what the protocol allows; the server has its own limit

bool one_of(unsigned number, std::initializer_list<unsigned> list) {
    return std::find(list.begin(), list.end(), number) != list.end();
}

bool session_is_lost(unsigned number) {
    return (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR && number != CR_COMMANDS_OUT_OF_SYNC) ||
           one_of(number, {1053, 1077, 1079, 1080, 1152, 1153, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1927,
                           3169, 4031});
}

ErrorCode code_of(unsigned number, std::string_view state) {
    // CR_AUTH_PLUGIN_*: the login, not the network
    if (one_of(number, {1044, 1045, 1130, 1131, 1132, 1133, 1142, 1143, 1211, 1227, 1251, 1370,
                        1410, 1524, 1698, 1820, 1862, 2049, 2059, 2061, 3118, 3955, 4151}))
        return ErrorCode::permission_denied;
    if (one_of(number, {1040, 1203, 1226, 1836}) || session_is_lost(number)) return ErrorCode::unavailable;
    if (one_of(number, {1317, 1907, 1969, 3024})) return ErrorCode::cancelled;
    if (one_of(number, {1020, 1205, 1213, 1412, 1479, 1613, 1614, 1637, 3572, 4024}))
        return ErrorCode::aborted;
    if (one_of(number, {3, 1021, 1037, 1038, 1041, 1114, 1197, 1206, 1390, 2008, 3168, 4078}))
        return ErrorCode::resource_exhausted;
    if (one_of(number, {1049, 1051, 1054, 1072, 1091, 1109, 1146, 1176, 1305})) return ErrorCode::not_found;
    if (one_of(number, {1007, 1050, 1060, 1061, 1304, 1826})) return ErrorCode::already_exists;
    if (one_of(number, {1022, 1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 1761, 1762, 1859,
                        3819, 4025}))
        return ErrorCode::conflict;
    if (one_of(number, {1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1416, 1441, 1525,
                        1526, 1690, 1977, 3140, 3141, 3144, 3156, 3854, 4038, 4079}) ||
        state.starts_with("22"))
        return ErrorCode::invalid_argument;
    if (one_of(number, {1235, 1148, 1178, 3948, 4166}) || state.starts_with("0A"))
        return ErrorCode::unsupported;
    if (state.starts_with("23")) return ErrorCode::conflict;
    if (state.starts_with("08")) return ErrorCode::unavailable;
    if (state.starts_with("28")) return ErrorCode::permission_denied;
    if (state.starts_with("40")) return ErrorCode::aborted;
    if (state.starts_with("42")) return ErrorCode::failed_precondition;
    // --read-only, --super-read-only, gtid rules, LOCK TABLES, binary log
    if (one_of(number, {1066, 1118, 1069, 1071, 1100, 1099, 1105, 1059, 1193, 1228,
                        1229, 1231, 1232, 1236, 1290, 1295, 1298, 1792, 1785, 3098}))
        return ErrorCode::failed_precondition;
    return ErrorCode::internal;
}

// The server quotes what it did not like; all of it up to the name behind it is cut.
std::string without_values(unsigned number, std::string_view text) {
    const auto head = [&](std::string_view mark) {
        const auto at = text.find(mark);
        return at == std::string_view::npos ? std::string(text) : std::string(text.substr(0, at));
    };
    if (one_of(number, {1022, 1062, 1169, 1557, 1586, 1761, 1762, 1859})) {
        const auto key = text.rfind("for key ");
        return key == std::string_view::npos ? head(" '")
                                             : "Duplicate entry " + std::string(text.substr(key));
    }
    if (one_of(number, {1064, 1149})) return head(" near '");
    if (one_of(number, {1367, 1526, 1690})) return head(number == 1526 ? " for value" : " '");
    if (one_of(number, {1977, 3854})) return "Cannot convert a character to the column's character set";
    const auto value = text.find(": '");
    if (value == std::string_view::npos) {
        const auto quoted = text.find(": \"");
        return std::string(quoted == std::string_view::npos ? text : text.substr(0, quoted));
    }
    std::string out(text.substr(0, value));
    for (const std::string_view after : {"' for column ", "' for function "})
        if (const auto at = text.rfind(after); at != std::string_view::npos && at > value) {
            out += text.substr(at + 1);
            break;
        }
    return out;
}

// Blocks on their way into LOAD DATA. An error closes the socket before the library can end the file.
struct Feed {
    const std::function<Result<Bytes>()>* next = nullptr;
    Connection* session = nullptr;
    Bytes block;
    Result<> outcome;
};

int feed_init(void** handle, const char*, void* data) {
    *handle = data;
    return 0;
}
int feed_read(void* handle, char* to, unsigned int room) {
    auto& feed = *static_cast<Feed*>(handle);
    if (!feed.outcome) return -1;
    if (feed.block.empty()) {
        auto block = (*feed.next)();
        if (!block) {
            feed.outcome = std::unexpected(std::move(block).error());
            if (GW_RULE("load.close_on_error")) feed.session->interrupt();
            return -1;
        }
        feed.block = *block;
    }
    const auto n = std::min<std::size_t>(room, feed.block.size());
    if (n != 0) std::memcpy(to, feed.block.data(), n);
    feed.block = feed.block.subspan(n);
    return static_cast<int>(n);
}
void feed_end(void*) {}
int feed_error(void*, char* text, unsigned int room) {
    if (room != 0) text[0] = 0;
    return CR_UNKNOWN_ERROR;
}

}  // namespace

Error make_error(unsigned number, std::string_view sqlstate, std::string_view message) {
    Error e;
    e.sqlstate = sqlstate == "00000" ? "" : std::string(sqlstate);
    e.message = without_values(number, message);
    while (!e.message.empty() && (e.message.back() == '\n' || e.message.back() == ' ')) e.message.pop_back();
    e.code = code_of(number, sqlstate);
    e.retry = retry_of(e.code);
    e.message += fmt::format(" [{} {}]", number, sqlstate);
    return e;
}

// ---------------------------------------------------------------------------------------------- rows

Rows::Rows(MYSQL_RES* result, std::uint64_t affected, unsigned warnings)
    : result_(result, &mysql_free_result), affected_(affected), warnings_(warnings) {
    if (result == nullptr) return;
    const unsigned n = mysql_num_fields(result);
    rows_.reserve(mysql_num_rows(result));
    while (MYSQL_ROW row = mysql_fetch_row(result)) {
        const unsigned long* lengths = mysql_fetch_lengths(result);
        rows_.push_back({row, std::vector<unsigned long>(lengths, lengths + n)});
    }
}

unsigned Rows::columns() const noexcept { return result_ ? mysql_num_fields(result_.get()) : 0; }

bool Rows::null(std::size_t row, unsigned column) const noexcept {
    return rows_[row].cells[column] == nullptr;
}

std::string Rows::text(std::size_t row, unsigned column) const {
    const Row& r = rows_[row];
    return r.cells[column] == nullptr ? std::string() : std::string(r.cells[column], r.lengths[column]);
}

std::int64_t Rows::number(std::size_t row, unsigned column) const {
    const char* cell = rows_[row].cells[column];
    return cell == nullptr ? 0 : std::strtoll(cell, nullptr, 10);
}

std::uint64_t Rows::unsigned_number(std::size_t row, unsigned column) const {
    const char* cell = rows_[row].cells[column];
    return cell == nullptr ? 0 : std::strtoull(cell, nullptr, 10);
}

std::string Rows::name(unsigned column) const {
    return mysql_fetch_field_direct(result_.get(), column)->name;
}

int Rows::find(std::string_view column_name) const {
    for (unsigned i = 0; i < columns(); ++i)
        if (column_name == mysql_fetch_field_direct(result_.get(), i)->name) return static_cast<int>(i);
    return -1;
}

// ---------------------------------------------------------------------------------------------- opening

Result<Connection> Connection::open(const ConnectOptions& o) {
    static std::once_flag once;
    std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
    MYSQL* raw = mysql_init(nullptr);
    if (raw == nullptr) return fail(ErrorCode::resource_exhausted, "no memory for a MySQL connection");
    Connection c(raw);

    const auto timeout = static_cast<unsigned>(std::max(o.connect_timeout_s, 1));
    const auto read_timeout = static_cast<unsigned>(std::max(o.read_timeout_s, 0));
    const my_bool off = 0, on = 1;
    const unsigned no_files = 0, files = 1;
    mysql_optionsv(raw, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    if (read_timeout != 0) {
        mysql_optionsv(raw, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
        mysql_optionsv(raw, MYSQL_OPT_WRITE_TIMEOUT, &read_timeout);
    }
    mysql_optionsv(raw, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(raw, MYSQL_OPT_RECONNECT, &off);
    mysql_optionsv(raw, MYSQL_OPT_LOCAL_INFILE, o.local_infile ? &files : &no_files);
    mysql_optionsv(raw, MYSQL_OPT_NET_BUFFER_LENGTH, &kNetBuffer);
    mysql_optionsv(raw, MYSQL_OPT_MAX_ALLOWED_PACKET, &kPacketMax);
    mysql_optionsv(raw, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", o.program_name.c_str());

    const CertificateFile ca(o.ca_certificate_pem);
    const bool verify_chain = o.ssl_mode == "verify-ca" || o.ssl_mode == "verify-full";
    if (verify_chain || o.ssl_mode == "require") {
        mysql_optionsv(raw, MYSQL_OPT_SSL_ENFORCE, &on);
        // with a certificate (or folder of them) the library checks the chain before the login
        if (verify_chain && !o.ca_certificate_pem.empty() && ca.path().empty())
            return fail(ErrorCode::resource_exhausted, "the CA certificate could not be handed over");
        if (verify_chain)
            mysql_optionsv(raw, ca.path().empty() ? MYSQL_OPT_SSL_CAPATH : MYSQL_OPT_SSL_CA,
                           ca.path().empty() ? "/etc/ssl/certs" : ca.path().c_str());
        mysql_optionsv(raw, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, o.ssl_mode == "verify-full" ? &on : &off);
    } else if (!o.ssl_mode.empty() && o.ssl_mode != "none") {
        return fail(ErrorCode::invalid_argument, "unknown SslMode " + o.ssl_mode);
    }

    unsigned long flags = GW_RULE("session.found_rows") ? CLIENT_FOUND_ROWS : 0;
    if (o.multi_statements) flags |= CLIENT_MULTI_STATEMENTS;
    if (o.local_infile) flags |= CLIENT_LOCAL_FILES;
    const std::uint16_t port = o.port == 0 ? std::uint16_t{3306} : o.port;
    // "localhost" would mean the library's own socket file
    const std::string host = o.host == "localhost" ? "127.0.0.1" : o.host;
    if (mysql_real_connect(raw, host.c_str(), o.user.c_str(), o.password.c_str(),
                           o.database.empty() ? nullptr : o.database.c_str(), port, nullptr,
                           flags) == nullptr) {
        Error e = make_error(mysql_errno(raw), mysql_sqlstate(raw), mysql_error(raw));
        e.message = fmt::format("cannot connect to {}:{}: {}", o.host, port, e.message);
        return std::unexpected(std::move(e));
    }
    // The library falls back to plain text where the server offers no TLS and no certificate is asked for.
    if ((verify_chain || o.ssl_mode == "require") && mysql_get_ssl_cipher(raw) == nullptr)
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("{}:{} offers no TLS, which SslMode {} asks for: set ssl_cert and ssl_key on the "
                        "server, or SslMode none",
                        o.host, port, o.ssl_mode));
    c.id_ = mysql_thread_id(raw);
    c.socket_ = static_cast<int>(mysql_get_socket(raw));
    const auto set = [&](int level, int name, int value) {
        ::setsockopt(c.socket_, level, name, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    set(IPPROTO_TCP, TCP_NODELAY, 1);

    const char* version = mysql_get_server_info(raw);
    c.version_text_ = version == nullptr ? "" : version;
    c.mariadb_ = mariadb_connection(raw) != 0;
    c.version_ = static_cast<int>(mysql_get_server_version(raw));
    if (!o.scripts.empty()) GW_CHECK(c.run_scripts(o));
    for (const auto& sql : o.after_connect) {
        auto ran = c.run(sql);
        if (!ran) return std::unexpected(std::move(ran).error().with("statements after connecting"));
    }
    return c;
}

Result<> Connection::run_scripts(const ConnectOptions& o) {
    const auto several = [&](enum_mysql_set_option how) -> Result<> {
        if (o.multi_statements || mysql_set_server_option(connection_.get(), how) == 0) return {};
        return std::unexpected(error_now("several statements in one script"));
    };
    GW_CHECK(several(MYSQL_OPTION_MULTI_STATEMENTS_ON));
    for (std::size_t i = 0; i < o.scripts.size(); ++i) {
        auto ran = run(o.scripts[i]);
        if (ran) continue;
        if (!healthy_) return ran;
        if (!script_error_) script_error_.emplace(i, std::move(ran).error());
    }
    GW_CHECK(several(MYSQL_OPTION_MULTI_STATEMENTS_OFF));
    return run("COMMIT");
}

void Connection::interrupt() noexcept {
    if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

void Connection::close() noexcept {
    healthy_ = false;
    interrupt();
    socket_ = -1;
    connection_.reset();
}

bool Connection::in_transaction() const noexcept {
    return connection_ && (connection_->server_status & SERVER_STATUS_IN_TRANS) != 0;
}

Error Connection::error_now(std::string_view what) {
    MYSQL* raw = connection_.get();
    error_number_ = raw == nullptr ? CR_SERVER_GONE_ERROR : mysql_errno(raw);
    Error e = raw == nullptr ? make_error(error_number_, "08S01", "the session is closed")
                             : make_error(error_number_, mysql_sqlstate(raw), mysql_error(raw));
    if (session_is_lost(error_number_)) healthy_ = false;
    if (!what.empty()) e.context.emplace_back(what);
    return e;
}

// ---------------------------------------------------------------------------------------------- asking

Result<> Connection::send(std::string_view sql) {
    if (!connection_) return std::unexpected(error_now(""));
    if (mysql_real_query(connection_.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0)
        return std::unexpected(error_now(""));
    return {};
}

Result<> Connection::start(std::string_view sql) {
    if (!connection_) return std::unexpected(error_now(""));
    if (mysql_send_query(connection_.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0)
        return std::unexpected(error_now(""));
    return {};
}

Result<> Connection::finish(std::vector<Rows>& done) {
    if (!connection_) return std::unexpected(error_now(""));
    MYSQL* raw = connection_.get();
    if (mysql_read_query_result(raw) != 0) return std::unexpected(error_now(""));
    return collect(done);
}

Result<> Connection::collect(std::vector<Rows>& done) {
    MYSQL* raw = connection_.get();
    for (;;) {
        MYSQL_RES* result = mysql_store_result(raw);
        if (result == nullptr && mysql_field_count(raw) != 0) return std::unexpected(error_now(""));
        done.emplace_back(result, result == nullptr ? mysql_affected_rows(raw) : 0, mysql_warning_count(raw));
        const int more = mysql_next_result(raw);
        if (more == -1) return {};
        if (more > 0) return std::unexpected(error_now(""));
    }
}

Result<std::vector<Rows>> Connection::query_all(std::string_view sql) {
    GW_CHECK(send(sql));
    std::vector<Rows> out;
    GW_CHECK(collect(out));
    return out;
}

Result<Rows> Connection::query(std::string_view sql) {
    auto all = GW_TRY(query_all(sql));
    for (std::size_t i = all.size(); i-- > 0;)
        if (all[i].columns() != 0) return std::move(all[i]);
    return std::move(all.back());
}

Result<Rows> Connection::query(std::string_view sql, std::stop_token stop) {
    const std::stop_callback end(stop, [this] { interrupt(); });
    auto rows = query(sql);
    if (!rows && stop.stop_requested()) {
        healthy_ = false;
        return fail(ErrorCode::cancelled, "stopped");
    }
    return rows;
}

Result<> Connection::run(std::string_view sql) {
    auto rows = query_all(sql);
    if (!rows) return std::unexpected(std::move(rows).error());
    return {};
}

Result<std::uint64_t> Connection::stream(
    std::string_view sql, std::stop_token stop,
    const std::function<Result<>(const char* const* cells, const unsigned long* lengths)>& f) {
    const std::stop_callback end(stop, [this] { interrupt(); });
    const auto stopped = [&](Error e) -> std::unexpected<Error> {
        if (!stop.stop_requested()) return std::unexpected(std::move(e));
        healthy_ = false;
        return fail(ErrorCode::cancelled, "stopped");
    };
    if (auto sent = send(sql); !sent) return stopped(std::move(sent).error());
    MYSQL* raw = connection_.get();
    MYSQL_RES* result = mysql_use_result(raw);
    if (result == nullptr)
        return mysql_errno(raw) != 0 ? stopped(error_now(""))
                                     : fail(ErrorCode::internal, "the statement gives no rows");
    std::uint64_t rows = 0;
    while (MYSQL_ROW row = mysql_fetch_row(result)) {
        auto taken = f(row, mysql_fetch_lengths(result));
        if (!taken) {
            interrupt();  // or freeing the answer would read all that is left of it
            mysql_free_result(result);
            close();
            return std::unexpected(std::move(taken).error());
        }
        ++rows;
    }
    const bool failed = mysql_errno(raw) != 0;
    Result<> outcome;
    if (failed) outcome = stopped(error_now(""));
    mysql_free_result(result);
    if (!outcome) return std::unexpected(std::move(outcome).error());
    while (mysql_next_result(raw) == 0)
        if (MYSQL_RES* rest = mysql_store_result(raw)) mysql_free_result(rest);
    return rows;
}

Result<Connection::Loaded> Connection::load_local(std::string_view sql,
                                                  const std::function<Result<Bytes>()>& next) {
    if (!connection_) return std::unexpected(error_now(""));
    MYSQL* raw = connection_.get();
    Feed feed{&next, this, {}, {}};
    mysql_set_local_infile_handler(raw, feed_init, feed_read, feed_end, feed_error, &feed);
    const bool failed = mysql_real_query(raw, sql.data(), static_cast<unsigned long>(sql.size())) != 0;
    mysql_set_local_infile_default(raw);
    if (!feed.outcome) {
        close();
        return std::unexpected(std::move(feed.outcome).error());
    }
    if (failed) return std::unexpected(error_now("LOAD DATA"));
    return Loaded{mysql_affected_rows(raw), mysql_warning_count(raw)};
}

// ---------------------------------------------------------------------------------------------- quoting

std::string quote_name(std::string_view name) {
    std::string out = "`";
    for (const char c : name) {
        if (c == '`') out += '`';
        out += c;
    }
    return out + "`";
}

std::string quote_name(std::string_view schema, std::string_view table) {
    return quote_name(schema) + "." + quote_name(table);
}

std::string quote_literal(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        switch (c) {
            case '\0':
                out += "\\0";
                break;
            case '\'':
                out += "\\'";
                break;
            case '\\':
                out += "\\\\";
                break;
            default:
                out += c;
        }
    }
    return out + "'";
}

}  // namespace godwit::mysql
