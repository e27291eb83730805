#include "codecs/mysql/describe.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

// As MySQL 8.0.15 and MariaDB 10.11 say them in information_schema.COLUMNS.
TEST(Describe, DefaultsAsAStatementTakesThem) {
    const auto mysql = [](const char* text, const char* type, bool expression = false) {
        return default_of(text, type, false, expression);
    };
    EXPECT_EQ(mysql("5", "int"), "'5'");
    EXPECT_EQ(mysql("it's \\ x", "varchar(20)"), R"('it\'s \\ x')");
    EXPECT_EQ(mysql("b'101'", "bit(4)"), "b'101'");
    EXPECT_EQ(mysql("(1 + 1)", "bit(3)", true), "((1 + 1))");
    EXPECT_EQ(mysql("0x6162", "binary(3)"), "0x6162");
    EXPECT_EQ(mysql("0x", "varbinary(9)"), "");
    EXPECT_EQ(mysql("0x6162", "varchar(9)"), "'0x6162'");
    EXPECT_EQ(mysql("CURRENT_TIMESTAMP(3)", "datetime(3)", true), "CURRENT_TIMESTAMP(3)");
    EXPECT_EQ(mysql("CURRENT_TIMESTAMP", "timestamp"), "CURRENT_TIMESTAMP");  // 5.7 remarks on nothing
    EXPECT_EQ(mysql("CURRENT_TIMESTAMP", "varchar(20)"), "'CURRENT_TIMESTAMP'");
    EXPECT_EQ(mysql(R"(concat(_utf8mb4\'a\',_utf8mb4\'b\'))", "varchar(9)", true),
              "(concat(_utf8mb4'a',_utf8mb4'b'))");
    for (const std::string text :
         {"5", "'it''s \\\\ x'", "b'101'", "current_timestamp(3)", "concat('a','b')"})
        EXPECT_EQ(default_of(text, "varchar(20)", true, false), text);
    EXPECT_EQ(default_of("NULL", "int(11)", true, false), "");
}

TEST(Describe, OnUpdate) {
    EXPECT_EQ(on_update_of("DEFAULT_GENERATED on update CURRENT_TIMESTAMP(3)"),
              "ON UPDATE CURRENT_TIMESTAMP(3)");
    EXPECT_EQ(on_update_of("on update current_timestamp(), INVISIBLE"), "ON UPDATE CURRENT_TIMESTAMP()");
    EXPECT_EQ(on_update_of("auto_increment"), "");
}

}  // namespace
}  // namespace godwit::mysql
