// Every spelling of COLUMN_TYPE, and what it is to other families.

#include "codecs/mysql/type.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

Type parsed(std::string_view text, std::string_view collation = {}) {
    auto type = parse_type(text, collation);
    EXPECT_TRUE(type) << text;
    return type ? *type : Type{};
}

PortableType portable(std::string_view text, std::string_view collation = {}, TypeOptions options = {}) {
    return portable_type(parsed(text, collation), options);
}

TEST(MysqlType, Integers) {
    EXPECT_EQ(parsed("tinyint(1)").length, 1U);
    EXPECT_FALSE(parsed("int").is_unsigned);
    EXPECT_TRUE(parsed("int(10) unsigned").is_unsigned);
    const Type filled = parsed("mediumint(8) unsigned zerofill");
    EXPECT_TRUE(filled.is_unsigned && filled.zerofill);
    EXPECT_EQ(portable("tinyint(1)").kind, PortableKind::int1);
    EXPECT_EQ(portable("tinyint(1)", {}, {.tinyint1_as_boolean = true}).kind, PortableKind::boolean);
    EXPECT_EQ(portable("tinyint(1) unsigned", {}, {.tinyint1_as_boolean = true}).kind, PortableKind::uint1);
    EXPECT_EQ(portable("smallint unsigned").kind, PortableKind::uint2);
    EXPECT_EQ(portable("mediumint").kind, PortableKind::int4);
    EXPECT_EQ(portable("int unsigned").kind, PortableKind::uint4);
    EXPECT_EQ(portable("bigint(20)").kind, PortableKind::int8);
    EXPECT_EQ(portable("bigint(20) unsigned").kind, PortableKind::uint8);
}

TEST(MysqlType, Decimals) {
    const Type d = parsed("decimal(12,4) unsigned");
    EXPECT_EQ(d.precision, 12);
    EXPECT_EQ(d.scale, 4);
    EXPECT_EQ(parsed("decimal").precision, 10);
    const PortableType p = portable("decimal(38,10)");
    EXPECT_EQ(p.kind, PortableKind::numeric);
    EXPECT_EQ(p.precision, 38);
    EXPECT_EQ(p.scale, 10);
    EXPECT_EQ(portable("decimal(39,0)").kind, PortableKind::string);
    EXPECT_EQ(portable("decimal(65,30)").length, 67U);
    EXPECT_FALSE(parse_type("decimal(66,0)", ""));
    EXPECT_FALSE(parse_type("decimal(3,4)", ""));
}

TEST(MysqlType, FloatsAndBits) {
    EXPECT_EQ(portable("float").kind, PortableKind::real8);
    EXPECT_EQ(portable("double(10,2)").kind, PortableKind::real8);
    EXPECT_EQ(portable("bit(1)").kind, PortableKind::boolean);
    EXPECT_EQ(portable("bit(9)"), (PortableType{.kind = PortableKind::bytes, .length = 2}));
    EXPECT_EQ(portable("bit(64)").length, 8U);
    EXPECT_FALSE(parse_type("bit(65)", ""));
}

TEST(MysqlType, Times) {
    EXPECT_EQ(portable("datetime(3)"), (PortableType{.kind = PortableKind::datetime, .scale = 3}));
    EXPECT_EQ(portable("timestamp"), (PortableType{.kind = PortableKind::datetime, .zoned = true}));
    EXPECT_EQ(portable("time(6)"), (PortableType{.kind = PortableKind::string, .length = 17}));
    EXPECT_EQ(portable("time").length, 10U);
    EXPECT_EQ(portable("year(4)").kind, PortableKind::int2);
    EXPECT_EQ(portable("date").kind, PortableKind::date);
    EXPECT_EQ(parsed("datetime /* mariadb-5.3 */").kind, TypeKind::datetime);
    EXPECT_FALSE(parse_type("time(7)", ""));
}

TEST(MysqlType, Characters) {
    const Type t = parsed("varchar(20)", "latin1_swedish_ci");
    EXPECT_EQ(t.charset, "latin1");
    EXPECT_EQ(t.length, 20U);
    EXPECT_TRUE(t.characters());
    EXPECT_EQ(charset_of("utf8_general_ci"), "utf8mb3");
    EXPECT_EQ(charset_of("utf8mb4_0900_ai_ci"), "utf8mb4");
    EXPECT_EQ(charset_of("binary"), "binary");
    EXPECT_EQ(charset_of(""), "");
    EXPECT_EQ(portable("varchar(20)"), (PortableType{.kind = PortableKind::wstring, .length = 20}));
    EXPECT_EQ(portable("tinytext").length, 255U);
    EXPECT_EQ(portable("text"), (PortableType{.kind = PortableKind::wstring, .length = 65535}));
    EXPECT_EQ(portable("mediumtext"), (PortableType{.kind = PortableKind::nclob}));
    EXPECT_EQ(portable("longtext", "utf8mb4_bin", {.mariadb = true}),
              (PortableType{.kind = PortableKind::nclob}));
    EXPECT_EQ(parsed("varchar(10) /*M!100301 COMPRESSED*/").length, 10U);
    EXPECT_EQ(portable("json"), (PortableType{.kind = PortableKind::clob, .json = true}));
}

TEST(MysqlType, BytesAndOthers) {
    EXPECT_EQ(portable("binary(16)"), (PortableType{.kind = PortableKind::bytes, .length = 16}));
    EXPECT_EQ(portable("varbinary(300)").length, 300U);
    EXPECT_EQ(portable("tinyblob").length, 255U);
    EXPECT_EQ(portable("blob").length, 65535U);
    EXPECT_EQ(portable("longblob"), (PortableType{.kind = PortableKind::blob}));
    EXPECT_EQ(portable("point").kind, PortableKind::blob);
    EXPECT_EQ(portable("vector(3)").kind, PortableKind::blob);
    EXPECT_EQ(portable("uuid").length, 36U);
    EXPECT_EQ(portable("inet6").length, 39U);
    EXPECT_FALSE(parsed("binary(16)").characters());
}

TEST(MysqlType, KindsByTheirNames) {
    for (const auto* name :
         {"binary", "varbinary", "tinyblob", "longblob", "point", "geomcollection", "vector"})
        EXPECT_TRUE(holds_bytes(kind_of(name).value())) << name;
    for (const auto* name : {"bit", "char", "longtext", "enum", "json", "int", "datetime", "uuid"})
        EXPECT_FALSE(holds_bytes(kind_of(name).value())) << name;
    EXPECT_FALSE(kind_of("blob(10)"));
    EXPECT_FALSE(kind_of("strange"));
}

TEST(MysqlType, Labels) {
    const Type e = parsed(R"(enum('a','it''s','x,y',')','back\\slash',''))", "utf8mb4_bin");
    EXPECT_EQ(e.labels, (std::vector<std::string>{"a", "it's", "x,y", ")", "back\\slash", ""}));
    EXPECT_EQ(portable_type(e, {}).length, 10U);
    const Type s = parsed("set('a','bc','\xC3\xA9')", "utf8mb4_bin");
    EXPECT_EQ(portable_type(s, {}).length, 6U);
}

TEST(MysqlType, WhatCannotBeReadIsNamed) {
    for (const auto* text : {"", "strange", "enum", "enum(", "enum('a", "enum('a'", "int(", "int(x)",
                             "decimal(1,2,3)", "set('a';'b')", "inet5"}) {
        const auto type = parse_type(text, "");
        ASSERT_FALSE(type) << text;
        EXPECT_EQ(type.error().code, ErrorCode::unsupported);
        EXPECT_NE(type.error().message.find(text), std::string::npos);
    }
}

}  // namespace
}  // namespace godwit::mysql
