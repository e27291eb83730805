#include "sources/mysql/reached_tables.h"

#include <gtest/gtest.h>

#include "sources/mysql/followed_tables.h"
#include "sources/mysql/statements.h"

namespace godwit::mysql {
namespace {

using namespace std::chrono_literals;

const std::vector<TableName> kTables = {{"shop", "t"}, {"shop", "u"}, {"other", "w"}};

std::string reached(std::string_view sql, const std::vector<StoredCode>& bodies,
                    const std::vector<TableName>& tables = kTables) {
    std::string out;
    for (const auto& name : reached_tables(sql, bodies, tables)) out += name.table + " ";
    return out;
}

TEST(ReachedTables, ThroughOneBodyAndMany) {
    const std::vector<StoredCode> bodies = {{"shop", "v", "select `shop`.`t`.`x` AS `x` from `shop`.`t`"},
                                            {"shop", "vv", "select * from `shop`.`v`"},
                                            {"shop", "x", "BEGIN INSERT INTO u VALUES (f(NEW.id)); END"},
                                            {"lib", "f", "BEGIN DELETE FROM other.w; RETURN 1; END"}};
    EXPECT_EQ(reached("UPDATE v SET x = 1", {bodies[0]}), "t ");
    EXPECT_EQ(reached("UPDATE Shop.`V` SET a = 1", bodies), "t u w ");  // x has a trigger, and is a column
    EXPECT_EQ(reached("UPDATE vv SET a = 1", {bodies[0], bodies[1]}), "t ");
    EXPECT_EQ(reached("INSERT INTO x VALUES (1)", bodies), "u w ");
    EXPECT_EQ(reached("UPDATE a SET b = f(1)", bodies), "w ");
    EXPECT_EQ(reached("UPDATE vvv SET a = 1", bodies), "");
    // what a statement names itself is not said again
    EXPECT_EQ(reached("UPDATE t SET a = 1", bodies), "");
    EXPECT_EQ(reached("UPDATE v SET x = 1", bodies, {}), "");
}

TEST(ReachedTables, CyclesEnd) {
    EXPECT_EQ(reached("DELETE FROM a", {{"shop", "a", "DELETE FROM b"},
                                        {"shop", "b", "DELETE FROM a, t"},
                                        {"shop", "b", "UPDATE b SET x = 1"}}),
              "t ");
}

// Goal: what may not be read may do anything to its schema.
TEST(ReachedTables, HiddenBodies) {
    EXPECT_EQ(reached("CREATE", {{"shop", "v", {}}}), "");
    EXPECT_EQ(reached("UPDATE v SET x = 1", {{"shop", "v", {}}}), "t u ");
    EXPECT_EQ(reached("UPDATE v SET x = 1", {{"shop", "v", "SELECT f(1)"}, {"other", "f", {}}}), "w ");
}

// Goal: names are found as mentions() finds them.
TEST(ReachedTables, NamesOfAnySpelling) {
    const std::vector<std::string> names = {"t",          "T1",  "a$b",   "_x", "my-t",
                                            "with blank", "a`b", "größe", "9"};
    for (const auto& name : names)
        for (const std::string_view sql :
             {"UPDATE t SET x=1", "update T1,`a$b`", "my-t", "`my-t`", "`with blank`.x", "`a``b`", "größe",
              "GRÖSSE", "tt t_ at", "ät", "_x._X", "x9 9x", "x=9", "", "t"}) {
            const bool found = !reached(sql, {{"s", name, "t"}}).empty();
            EXPECT_EQ(found, mentions(sql, name)) << sql << " " << name;
            EXPECT_EQ(!reached("v", {{"s", "v", std::string(sql)}}, {{"s", name}}).empty(),
                      mentions(sql, name))
                << sql << " " << name;
        }
}

struct Catalogue {
    int asked = 0;
    bool fails = false;
    std::vector<StoredCode> bodies = {{"shop", "v", "select 1 from t"}};
    ReachedTables tables{[this]() -> Result<std::vector<StoredCode>> {
        ++asked;
        if (fails) return fail(ErrorCode::unavailable, "it is gone", Retry::from_checkpoint);
        return bodies;
    }};
    std::size_t of(std::string_view sql, SteadyTime now, std::string_view database = "shop",
                   const std::vector<TableName>& all = kTables) {
        const auto got = tables.of(database, sql, all, now);
        return got ? got->size() : 99;
    }
};

TEST(ReachedTables, TheCatalogueIsAskedSeldom) {
    Catalogue c;
    const SteadyTime begin{};
    EXPECT_EQ(c.of("UPDATE v SET x = 1", begin, "shop", {}), 0U);
    EXPECT_EQ(c.asked, 0);
    EXPECT_EQ(c.of("UPDATE v SET x = 1", begin), 1U);
    EXPECT_EQ(c.of("UPDATE a SET x = 1", begin + 9s), 0U);
    EXPECT_EQ(c.asked, 1);
    c.bodies.push_back({"shop", "a", "t"});
    EXPECT_EQ(c.of("UPDATE a SET x = 1", begin + 10s), 1U);
    EXPECT_EQ(c.asked, 2);
    EXPECT_EQ(c.of("UPDATE a SET x = 1", begin + 19s), 1U);
    EXPECT_EQ(c.asked, 2);
}

TEST(ReachedTables, AFailureIsNoAnswer) {
    Catalogue c;
    c.fails = true;
    const auto got = c.tables.of("shop", "UPDATE v SET x = 1", kTables, {});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().retry, Retry::from_checkpoint);
    c.fails = false;
    EXPECT_EQ(c.of("UPDATE v SET x = 1", {}), 1U);
}

// Goal: what a service writes into the server's own tables has no consequence, whatever words it has.
TEST(ReachedTables, TablesOfTheServer) {
    Catalogue c;
    c.bodies = {{"shop", "value", {}}, {"shop", "f", {}}};
    for (const auto& [database, sql] : std::vector<std::pair<std::string, std::string>>{
             {"",
              "INSERT INTO mysql.rds_heartbeat2(id, value) values (1,17) ON DUPLICATE KEY UPDATE value = 17"},
             {"mysql", "/* mark */ REPLACE INTO heartbeat (value) VALUES (1)"},
             {"shop", "update `mysql`.`heartbeat` set value = 2"},
             {"shop", "DELETE QUICK FROM mysql.heartbeat WHERE value = 2"}})
        EXPECT_EQ(c.of(sql, {}, database), 0U) << sql;
    EXPECT_EQ(c.asked, 0);
    for (const auto& [database, sql] : std::vector<std::pair<std::string, std::string>>{
             {"mysql", "UPDATE shop.value SET x = 1"},
             {"shop", "INSERT INTO mysql.heartbeat SELECT f(1)"},
             {"mysql", "UPDATE heartbeat, shop.value SET x = 1"},
             {"mysql", "UPDATE heartbeat h JOIN shop.value v SET x = 1"},
             {"shop", "UPDATE value SET x = 1"}})
        EXPECT_EQ(c.of(sql, {}, database), 2U) << sql;
}

TEST(ReachedTables, FollowedOnes) {
    FollowedTables tables(
        [](const TableName&) -> Result<TableSchema> { return fail(ErrorCode::not_found, ""); },
        []() -> Result<std::vector<StoredCode>> { return {{{"shop", "v", "select 1 from t"}}}; });
    TableSchema t;
    for (const char* name : {"t", "u"}) {
        t.name = {"shop", name};
        tables.follow(t);
    }
    const auto got = tables.reached("shop", "UPDATE v SET x = 1");
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, (std::vector<TableName>{{"shop", "t"}}));
}

}  // namespace
}  // namespace godwit::mysql
