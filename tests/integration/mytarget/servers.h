#pragma once
// A MySQL or MariaDB server for a test, from GODWIT_TEST_MYSQL and GODWIT_TEST_MARIADB (host:port). The
// ledger has one name on a server, so programs that use one server run one after the other.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/endpoint.h"
#include "wire/mysql/connection.h"

namespace godwit::test {

struct MyHost {
    std::string host;
    std::uint16_t port = 0;
    [[nodiscard]] bool given() const { return port != 0; }
    [[nodiscard]] mysql::Connection connect(bool local_infile = false) const;
    [[nodiscard]] EndpointConfig endpoint() const;
    // rows as "a|b" lines, in the order of the query; NULL is the word
    [[nodiscard]] std::string ask(const std::string& sql) const;
    void run(const std::string& sql) const;
    // Drops these databases and the ledger.
    void clean(const std::vector<std::string>& databases) const;
};

// Nothing when the variable is not set; an exception when servers are required
// (GODWIT_TEST_REQUIRE_SERVERS=1).
[[nodiscard]] MyHost my_host(const char* variable);

}  // namespace godwit::test

#define ASSERT_OK(expr)                                         \
    do {                                                        \
        const auto& gw_ok = (expr);                             \
        ASSERT_TRUE(gw_ok.has_value()) << gw_ok.error().text(); \
    } while (false)
#define EXPECT_OK(expr)                                         \
    do {                                                        \
        const auto& gw_ok = (expr);                             \
        EXPECT_TRUE(gw_ok.has_value()) << gw_ok.error().text(); \
    } while (false)
