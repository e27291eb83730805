#pragma once
// Two PostgreSQL servers for a test: a fresh database on each, dropped afterwards.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/endpoint.h"
#include "wire/pg/connection.h"

namespace godwit::test {

// "" when the variable is not set
[[nodiscard]] std::string server_address(const char* variable);

struct Database {
    std::string host;
    std::uint16_t port = 0;
    std::string name;
    // search_path empty unless `plain`
    [[nodiscard]] pg::Connection connect(const std::string& user = {}, bool plain = false) const;
    [[nodiscard]] EndpointConfig endpoint() const;
    // rows as "a|b" lines, in the order of the query
    [[nodiscard]] std::string ask(const std::string& sql) const;
    void run(const std::string& sql) const;
};

// A new database on the server that `variable` names. Nothing when it names none; an exception when servers
// are required (GODWIT_TEST_REQUIRE_SERVERS=1).
[[nodiscard]] std::optional<Database> fresh_database(const char* variable, const std::string& prefix);
void drop_database(const Database& database);

// Creates `source_` and `target_` before each test. Skips without servers; fails when they are required.
class ServersTest : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;
    // both databases as one text, for another process of the same test
    [[nodiscard]] std::string databases() const { return source_.name + "," + target_.name; }
    void adopt(const std::string& databases);
    Database source_, target_;

private:
    std::vector<Database> made_;
};

// the error's text, or fails
template <class R>
std::string error_text(const R& result) {
    if (result.has_value()) return "(no error)";
    return result.error().text();
}

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
