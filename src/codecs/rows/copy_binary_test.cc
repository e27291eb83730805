#include "codecs/rows/copy_binary.h"

#include <gtest/gtest.h>

#include <string>

namespace godwit::rows::binary {
namespace {

std::string hex(Bytes bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const std::byte b : bytes) {
        out += kDigits[std::to_integer<unsigned>(b) >> 4U];
        out += kDigits[std::to_integer<unsigned>(b) & 15U];
    }
    return out;
}

// length and value
std::string printed(PortableType type, std::string_view cell) {
    ByteBuffer to;
    printer_of(type)(to, as_bytes(cell));
    return hex(to.view());
}

std::string printed(PortableKind kind, std::string_view cell) {
    return printed(PortableType{.kind = kind}, cell);
}

constexpr const char* kRefused = "fffffffe";  // a length that COPY BINARY has no meaning for
constexpr const char* kNull = "ffffffff";

TEST(CopyBinary, Integers) {
    EXPECT_EQ(printed(PortableKind::int2, "-2"), "00000002fffe");
    EXPECT_EQ(printed(PortableKind::uint1, "255"), "0000000200ff");
    EXPECT_EQ(printed(PortableKind::uint2, "65535"), "000000040000ffff");
    EXPECT_EQ(printed(PortableKind::uint4, "4294967295"), "0000000800000000ffffffff");
    EXPECT_EQ(printed(PortableKind::int8, "-9223372036854775808"), "000000088000000000000000");
    for (const char* wrong : {"", "32768", "1 ", "x", "1.0"})
        EXPECT_EQ(printed(PortableKind::int2, wrong), kRefused);
    EXPECT_EQ(printed(PortableKind::boolean, "1"), "0000000101");
    EXPECT_EQ(printed(PortableKind::boolean, "t"), kRefused);
}

TEST(CopyBinary, Decimals) {
    // length, groups, weight, sign, digits behind the point, the groups
    EXPECT_EQ(printed(PortableKind::numeric, "0"), "000000080000000000000000");
    EXPECT_EQ(printed(PortableKind::numeric, "-0.00"), "000000080000000000000002");
    EXPECT_EQ(printed(PortableKind::numeric, "12345.678"), "0000000e0003000100000003000109291a7c");
    EXPECT_EQ(printed(PortableKind::numeric, "10000.00"), "0000000a00010001000000020001");
    EXPECT_EQ(printed(PortableKind::numeric, "-0.0001"), "0000000a0001ffff400000040001");
    EXPECT_EQ(printed(PortableKind::numeric, "0.00001"), "0000000a0001fffe0000000503e8");
    EXPECT_EQ(printed(PortableKind::uint8, "18446744073709551615"),
              "00000012000500040000000007341a5802e103bb064f");
    for (const char* wrong : {"", "-", ".5", "1e3", "1,5", "NaN", "1.2.3", "+1"})
        EXPECT_EQ(printed(PortableKind::numeric, wrong), kRefused) << wrong;
}

TEST(CopyBinary, DatesAndTimes) {
    EXPECT_EQ(printed(PortableKind::date, "2000-01-01"), "0000000400000000");
    EXPECT_EQ(printed(PortableKind::date, "1999-12-31"), "00000004ffffffff");
    EXPECT_EQ(printed(PortableKind::date, "2024-02-29"), "0000000400002279");
    EXPECT_EQ(printed({.kind = PortableKind::datetime, .scale = 1}, "2000-01-01 00:00:00.5"),
              "00000008000000000007a120");
    EXPECT_EQ(printed(PortableKind::datetime, "1999-12-31 23:59:59"), "00000008fffffffffff0bdc0");
    for (const char* partial : {"0000-00-00", "2024-00-01", "2024-01-00", "0000-05-05"}) {
        EXPECT_EQ(printed(PortableKind::date, partial), kNull);
        EXPECT_EQ(printed(PortableKind::datetime, std::string(partial) + " 00:00:00"), kNull);
    }
    for (const char* wrong : {"", "2023-02-30", "2023-13-01", "2023-2-1", "2023-02-011", "12023-01-01"})
        EXPECT_EQ(printed(PortableKind::date, wrong), kRefused) << wrong;
    for (const char* wrong : {"2023-02-01", "2023-02-01 24:00:00", "2023-02-01 00:00:00.",
                              "2023-02-30 00:00:00", "2023-02-01 00:00:00.1234567", "2023-02-01 00:00"})
        EXPECT_EQ(printed(PortableKind::datetime, wrong), kRefused) << wrong;
}

TEST(CopyBinary, TextAndBytes) {
    EXPECT_EQ(printed(PortableKind::wstring, "a\tb\\"), "000000046109625c");
    EXPECT_EQ(printed(PortableKind::clob, std::string_view("a\0b", 3)), "00000003612062");
    EXPECT_EQ(printed(PortableKind::blob, std::string_view("a\0b", 3)), "00000003610062");
    EXPECT_EQ(printed(PortableKind::nclob, ""), "00000000");
    EXPECT_EQ(printed(PortableKind::real8, "1.5"), "000000083ff8000000000000");
    EXPECT_EQ(printed(PortableKind::real4, "-0.5"), "00000004bf000000");
    EXPECT_EQ(printed(PortableKind::real8, "1.5x"), kRefused);
}

// Three bytes in its place would be a value to BYTEA.
TEST(CopyBinary, WhatIsTooLongForPostgresIsRefusedInEveryType) {
    const std::byte first{};
    const Bytes huge(&first, std::size_t{1} << 30U);  // only its size is looked at
    for (const auto kind : {PortableKind::blob, PortableKind::bytes, PortableKind::clob}) {
        ByteBuffer to;
        printer_of({.kind = kind})(to, huge);
        EXPECT_EQ(hex(to.view()), kRefused);
    }
}

TEST(CopyBinary, OtherTypesHaveNoSuchForm) {
    EXPECT_EQ(printer_of({.kind = PortableKind::time}), nullptr);
    EXPECT_EQ(printer_of({.kind = PortableKind::unknown}), nullptr);
    EXPECT_EQ(printer_of({.kind = PortableKind::datetime, .scale = 7}), nullptr);
}

}  // namespace
}  // namespace godwit::rows::binary
