#include "targets/postgres/foreign.h"

#include <gtest/gtest.h>

namespace godwit::postgres {
namespace {

ColumnSchema column(PortableKind kind, std::uint32_t length = 0, int precision = 0, int scale = 0) {
    ColumnSchema c;
    c.name = "c";
    c.native_type = "whatever";
    c.default_expression = "now()";
    c.collation = "latin1_swedish_ci";
    c.portable = {kind, length, static_cast<std::uint16_t>(precision), static_cast<std::int16_t>(scale)};
    return c;
}

// Goal: unsigned types get room for their upper half, long strings no limit, and nothing of the foreign
// dialect comes along.
TEST(Foreign, TypesOfOtherFamiliesHaveRoom) {
    const auto spelled = [](const ColumnSchema& c) { return in_own_words(c)->native_type; };
    EXPECT_EQ(spelled(column(PortableKind::uint1)), "smallint");
    EXPECT_EQ(spelled(column(PortableKind::uint2)), "integer");
    EXPECT_EQ(spelled(column(PortableKind::uint4)), "bigint");
    EXPECT_EQ(spelled(column(PortableKind::uint8)), "numeric(20,0)");
    EXPECT_EQ(spelled(column(PortableKind::numeric, 0, 12, 3)), "numeric(12,3)");
    EXPECT_EQ(spelled(column(PortableKind::wstring, 40)), "character varying(40)");
    EXPECT_EQ(spelled(column(PortableKind::wstring, 65535)), "text");
    EXPECT_EQ(spelled(column(PortableKind::datetime, 0, 0, 3)), "timestamp(3) without time zone");
    EXPECT_EQ(spelled(column(PortableKind::datetime, 0, 0, 9)), "character varying(37)");
    EXPECT_EQ(spelled(column(PortableKind::blob)), "bytea");
    const auto own = in_own_words(column(PortableKind::numeric, 0, 10, 2));
    EXPECT_EQ(own->type_modifier, ((10 << 16) | 2) + 4);
    EXPECT_TRUE(own->default_expression.empty() && own->collation.empty());
}

TEST(Foreign, AColumnWithoutAPortableTypeIsRefusedByName) {
    const auto refused = in_own_words(column(PortableKind::unknown));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("column c of type whatever"), std::string::npos);
}

// Goal: a generated column is not written, and a date that may be zero may be NULL.
TEST(Foreign, GeneratedColumnsStayAndZeroDatesMayBeNull) {
    TableSchema t;
    t.primary_key = {"day"};
    for (const char* n : {"day", "seen", "sum"}) {
        t.columns.push_back(column(PortableKind::date));
        t.columns.back().name = n;
        t.columns.back().not_null = true;
    }
    t.columns[2].generated = true;
    const auto own = in_own_words(t);
    ASSERT_TRUE(own);
    ASSERT_EQ(own->columns.size(), 2U);
    EXPECT_TRUE(own->column("day")->not_null);
    EXPECT_FALSE(own->column("seen")->not_null);
}

}  // namespace
}  // namespace godwit::postgres
