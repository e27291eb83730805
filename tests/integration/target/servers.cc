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

void ServersTest::SetUp() {
    static std::atomic<int> number{0};
    const std::string s = server_address("GODWIT_TEST_PG_SOURCE"),
                      t = server_address("GODWIT_TEST_PG_TARGET");
    if (s.empty() || t.empty()) {
        const char* require = std::getenv("GODWIT_TEST_REQUIRE_SERVERS");
        if (require != nullptr && std::string(require) == "1")
            FAIL() << "GODWIT_TEST_PG_SOURCE and GODWIT_TEST_PG_TARGET must name two servers";
        GTEST_SKIP() << "no PostgreSQL servers given";
    }
    const std::string tag = std::to_string(::getpid()) + "_" + std::to_string(++number);
    for (const bool source : {true, false}) {
        Database& d = source ? source_ : target_;
        d = address_of(source ? s : t, "postgres");
        const std::string fresh = (source ? "gw_source_" : "gw_target_") + tag;
        d.run("CREATE DATABASE " + fresh + " TEMPLATE template0 ENCODING 'UTF8'");
        d.name = fresh;
        made_.push_back(d);
    }
}

void ServersTest::adopt(const std::string& databases) {
    const auto comma = databases.find(',');
    source_ = address_of(server_address("GODWIT_TEST_PG_SOURCE"), databases.substr(0, comma));
    target_ = address_of(server_address("GODWIT_TEST_PG_TARGET"), databases.substr(comma + 1));
}

void ServersTest::TearDown() {
    for (auto& d : made_) {
        Database admin = d;
        admin.name = "postgres";
        admin.run("DROP DATABASE IF EXISTS " + d.name + " WITH (FORCE)");
    }
}

}  // namespace godwit::test
