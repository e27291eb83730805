#include "sources/mysql/position.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

// Goal: what a token says is what it was made of, and later places order behind earlier ones.
TEST(MySqlPosition, TokensRoundTripAndOrder) {
    const LogPosition p{"uuid-1", "binlog.000024", 373, "0-1-7"};
    const auto again = parse_token(p.token());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->server, "uuid-1");
    EXPECT_EQ(again->file, "binlog.000024");
    EXPECT_EQ(again->offset, 373U);
    EXPECT_EQ(again->gtids, "0-1-7");
    EXPECT_LT(p.order(), (LogPosition{"uuid-1", "binlog.000024", 374, {}}.order()));
    EXPECT_LT((LogPosition{"uuid-1", "binlog.000024", 5'000'000'000, {}}.order()),
              (LogPosition{"uuid-1", "binlog.000025", 4, {}}.order()));
}

// Goal: every place of a server that has taken over is behind those of the one before it.
TEST(MySqlPosition, ABaseOrdersServers) {
    const LogPosition before{"uuid-1", "binlog.000024", 373, "s:1-9"};
    LogPosition after{"uuid-2", "binlog.000001", 4, "s:1-9", "binlog.000001", 4};
    after.base = 25;
    EXPECT_EQ(after.token().token, "uuid-2;binlog.000001:4:25;s:1-9;binlog.000001:4");
    EXPECT_EQ(parse_token(after.token()), after);
    EXPECT_GT(after.order(), before.order());
    EXPECT_FALSE(parse_token({"uuid-2;binlog.000001:4:x;"}));
    EXPECT_EQ(parse_token({";binlog.000001:4;s:1-9"})->server, "");
}

TEST(MySqlPosition, Times) {
    EXPECT_EQ(parse_time("1970-01-02T00:00:01"), 86401'000'000);
    EXPECT_EQ(parse_time("1970-01-02T00:00:01Z"), 86401'000'000);
    for (const char* bad : {"", "binlog.000024:373", "1970-01-02", "1970-01-02T00:00:01x"})
        EXPECT_FALSE(parse_time(bad)) << bad;
}

// Goal: an open prepared transaction travels with the position and does not change its order.
TEST(MySqlPosition, OpenTransaction) {
    const LogPosition p{"uuid-1", "binlog.000024", 373, "", "binlog.000023", 99};
    EXPECT_EQ(p.token().token, "uuid-1;binlog.000024:373;;binlog.000023:99");
    const auto again = parse_token(p.token());
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, p);
    EXPECT_FALSE(parse_token({"uuid-1;binlog.000024:373;;x"}));
}

// Goal: the forms of spec/sources 0.1 are read, everything else is refused.
TEST(MySqlPosition, NativeForms) {
    EXPECT_EQ(parse_native("mysql-bin-changelog.000024:373")->offset, 373U);
    const auto checkpoint = parse_native(
        "checkpoint:V1#27#mysql-bin-changelog.157832:1975:-1:2002:677883278264080:mysql-bin-changelog.157832:"
        "1876"
        "#0#0#*#0#93");
    ASSERT_TRUE(checkpoint);
    EXPECT_EQ(checkpoint->file, "mysql-bin-changelog.157832");
    EXPECT_EQ(checkpoint->offset, 1975U);
    EXPECT_EQ(parse_native("gtid:0-1-100")->gtids, "0-1-100");
    for (const char* bad :
         {"", "0/1388", "binlog:1", "binlog.000001", "binlog.000001:x", "checkpoint:V1", "checkpoint:V1#1"})
        EXPECT_FALSE(parse_native(bad)) << bad;
}

}  // namespace
}  // namespace godwit::mysql
