// Goal: no value that comes from MySQL or MariaDB is changed silently by a table of the user's own.
// tests/integration/target/preparation_test.cc has the pairs of PostgreSQL's own types.

#include "targets/postgres/narrowing.h"

#include <gtest/gtest.h>

#include "targets/postgres/foreign.h"

namespace godwit::postgres {
namespace {

constexpr std::uint32_t kReal = 700, kDouble = 701, kDate = 1082, kTime = 1083, kTimestamp = 1114,
                        kTimestamptz = 1184, kInterval = 1186, kNumeric = 1700;

Narrowing into(PortableType from, std::uint32_t oid, std::int32_t modifier = -1) {
    ColumnSchema source;
    source.name = "c";
    source.portable = from;
    const auto own = in_own_words(source);
    EXPECT_TRUE(own.has_value());
    ColumnSchema target;
    target.type_id = oid;
    target.type_modifier = modifier;
    return narrowing(*own, {}, target, {});
}

std::int32_t digits(int precision, int scale) { return (precision << 16 | (scale & 0x7ff)) + 4; }

TEST(Narrowing, OfCellsFromAnotherFamily) {
    const PortableType decimal{.kind = PortableKind::numeric, .precision = 10, .scale = 4};
    EXPECT_EQ(into(decimal, kNumeric, digits(10, 2)), Narrowing::value);
    EXPECT_EQ(into(decimal, kNumeric, digits(10, 4)), Narrowing::none);
    EXPECT_EQ(into(decimal, kNumeric), Narrowing::none);
    EXPECT_EQ(into(decimal, kReal), Narrowing::value);
    EXPECT_EQ(into({.kind = PortableKind::int4}, kNumeric, digits(10, -2)), Narrowing::value);
    EXPECT_EQ(into({.kind = PortableKind::uint8}, kDouble), Narrowing::value);
    EXPECT_EQ(into({.kind = PortableKind::real8}, kReal), Narrowing::value);
    EXPECT_EQ(into({.kind = PortableKind::real8}, kNumeric, digits(20, 5)), Narrowing::value);
    EXPECT_EQ(into({.kind = PortableKind::real4}, kDouble), Narrowing::none);
    for (const bool zoned : {false, true}) {
        const PortableType micro{.kind = PortableKind::datetime, .scale = 6, .zoned = zoned};
        const PortableType second{.kind = PortableKind::datetime, .scale = 0, .zoned = zoned};
        for (const auto oid : {kTimestamp, kTimestamptz}) {
            EXPECT_EQ(into(micro, oid, 5), Narrowing::value);
            EXPECT_EQ(into(micro, oid), Narrowing::none);
            EXPECT_EQ(into(second, oid, 0), Narrowing::none);
        }
        EXPECT_EQ(into(second, kDate), Narrowing::value);
    }
    EXPECT_EQ(into({.kind = PortableKind::date}, kDate), Narrowing::none);
    EXPECT_EQ(into({.kind = PortableKind::time, .scale = 3}, kTime, 2), Narrowing::value);
    EXPECT_EQ(into({.kind = PortableKind::time, .scale = 3}, kTime, 3), Narrowing::none);
}

TEST(Narrowing, OfText) {
    const PortableType text{.kind = PortableKind::nclob}, label{.kind = PortableKind::wstring, .length = 9};
    for (const auto& from : {text, label}) {
        EXPECT_EQ(into(from, kNumeric, digits(10, 2)), Narrowing::value);
        EXPECT_EQ(into(from, kNumeric), Narrowing::none);  // what it cannot read is an error
        for (const auto to : {kReal, kDouble, kDate}) EXPECT_EQ(into(from, to), Narrowing::value);
        for (const auto to : {kTime, kTimestamp, kTimestamptz, kInterval}) {
            EXPECT_EQ(into(from, to, 5), Narrowing::value) << to;
            EXPECT_EQ(into(from, to), Narrowing::none) << to;
        }
    }
    // times of MySQL, to the second and to the millisecond
    const PortableType time{.kind = PortableKind::string, .length = 10};
    const PortableType milli{.kind = PortableKind::string, .length = 14};
    EXPECT_EQ(into(time, kTime, 0), Narrowing::none);
    EXPECT_EQ(into(milli, kTime, 3), Narrowing::none);
    EXPECT_EQ(into(milli, kTime, 2), Narrowing::value);
    EXPECT_EQ(into(milli, kInterval), Narrowing::none);
    EXPECT_EQ(into({.kind = PortableKind::string, .length = 47}, kTime, 5), Narrowing::value);
}

}  // namespace
}  // namespace godwit::postgres
