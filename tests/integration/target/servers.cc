#include "target/servers.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace godwit::test {
namespace {

std::string user() {
    const char* u = std::getenv("GODWIT_TEST_PG_USER");
    return u == nullptr ? "postgres" : u;
}

std::string password() {
    const char* p = std::getenv("GODWIT_TEST_PG_PASSWORD");
    return p == nullptr ? "" : p;
}

Database address_of(const std::string& text, const std::string& database) {
    const auto colon = text.rfind(':');
    return {text.substr(0, colon), static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)), database};
}

}  // namespace

std::string server_address(const char* variable) {
    const char* v = std::getenv(variable);
    return v == nullptr ? "" : v;
}

pg::Connection Database::connect(const std::string& as, bool plain) const {
    pg::ConnectOptions o;
    o.host = host;
    o.port = port;
    o.database = name;
    o.user = as.empty() ? user() : as;
    o.password = password();
    o.application_name = "test";
    if (!plain)
        o.settings = pg::source_session_settings();
    else
        o.settings = {"extra_float_digits=3", "DateStyle=ISO", "TimeZone=UTC"};
    auto c = pg::Connection::open(o);
    if (!c) throw std::runtime_error(c.error().text());
    return std::move(*c);
}

EndpointConfig Database::endpoint() const {
    EndpointConfig e;
    e.engine_name = "postgres";
    e.host = host;
    e.port = port;
    e.database = name;
    e.user = user();
    e.password = password();
    return e;
}

std::string Database::ask(const std::string& sql) const {
    auto c = connect({}, true);
    const auto rows = c.query(sql);
    if (!rows) throw std::runtime_error(sql + ": " + rows.error().text());
    std::string out;
    for (int i = 0; i < rows->size(); ++i) {
        for (int k = 0; k < rows->columns(); ++k) {
            if (k > 0) out += '|';
            out += rows->text(i, k);
        }
        out += '\n';
    }
    if (!out.empty()) out.pop_back();
    return out;
}

void Database::run(const std::string& sql) const {
    auto c = connect({}, true);
    const auto done = c.run(sql);
    if (!done) throw std::runtime_error(sql + ": " + done.error().text());
}

std::optional<Database> fresh_database(const char* variable, const std::string& prefix) {
    static std::atomic<int> number{0};
    const std::string server = server_address(variable);
    if (server.empty()) {
        const char* require = std::getenv("GODWIT_TEST_REQUIRE_SERVERS");
        if (require != nullptr && std::string(require) == "1")
            throw std::runtime_error(std::string(variable) + " must name a server");
        return {};
    }
    Database d = address_of(server, "postgres");
    const std::string fresh = prefix + "_" + std::to_string(::getpid()) + "_" + std::to_string(++number);
    d.run("CREATE DATABASE " + fresh + " TEMPLATE template0 ENCODING 'UTF8'");
    d.name = fresh;
    return d;
}

void drop_database(const Database& database) {
    Database admin = database;
    admin.name = "postgres";
    admin.run("DROP DATABASE IF EXISTS " + database.name + " WITH (FORCE)");
}

void ServersTest::SetUp() {
    for (const bool source : {true, false}) {
        auto made = fresh_database(source ? "GODWIT_TEST_PG_SOURCE" : "GODWIT_TEST_PG_TARGET",
                                   source ? "gw_source" : "gw_target");
        if (!made) GTEST_SKIP() << "no PostgreSQL servers given";
        (source ? source_ : target_) = *made;
        made_.push_back(*made);
    }
}

void ServersTest::adopt(const std::string& databases) {
    const auto comma = databases.find(',');
    source_ = address_of(server_address("GODWIT_TEST_PG_SOURCE"), databases.substr(0, comma));
    target_ = address_of(server_address("GODWIT_TEST_PG_TARGET"), databases.substr(comma + 1));
}

void ServersTest::TearDown() {
    for (const auto& d : made_) drop_database(d);
}

}  // namespace godwit::test
