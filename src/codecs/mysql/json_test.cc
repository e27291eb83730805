// Binary JSON documents, built by hand; what servers make of real ones is in tests/integration/binlog.

#include "codecs/mysql/json.h"

#include <gtest/gtest.h>

#include <bit>

#include "fakes/event_builder.h"

namespace godwit::mysql {
namespace {

std::string printed(const Body& document) {
    ByteBuffer out;
    if (!print_json(document.view(), out)) return "damaged";
    return std::string(as_text(out.view()));
}
Body scalar(unsigned kind) { return std::move(Body().u8(kind)); }

TEST(MysqlJson, Scalars) {
    EXPECT_EQ(printed({}), "null");
    EXPECT_EQ(printed(scalar(4).u8(0)), "null");
    EXPECT_EQ(printed(scalar(4).u8(1)), "true");
    EXPECT_EQ(printed(scalar(4).u8(2)), "false");
    EXPECT_EQ(printed(scalar(4).u8(3)), "damaged");
    EXPECT_EQ(printed(scalar(5).u16(0x8000)), "-32768");
    EXPECT_EQ(printed(scalar(6).u16(65535)), "65535");
    EXPECT_EQ(printed(scalar(7).u32(0x8000'0000)), "-2147483648");
    EXPECT_EQ(printed(scalar(9).u64(~std::uint64_t{0})), "-1");
    EXPECT_EQ(printed(scalar(10).u64(~std::uint64_t{0})), "18446744073709551615");
    EXPECT_EQ(printed(scalar(12).short_text("a\"\\\n\x01/")), "\"a\\\"\\\\\\n\\u0001/\"");
    EXPECT_EQ(printed(scalar(12).u8(200)), "damaged");
    EXPECT_EQ(printed(scalar(13)), "damaged");
}

TEST(MysqlJson, Doubles) {
    const auto real = [](double v) { return printed(scalar(11).u64(std::bit_cast<std::uint64_t>(v))); };
    EXPECT_EQ(real(1.0), "1.0");
    EXPECT_EQ(real(0.0), "0.0");
    EXPECT_EQ(real(-2.5), "-2.5");
    EXPECT_EQ(real(1e14), "100000000000000.0");
    EXPECT_EQ(real(1e15), "1e15");
    EXPECT_EQ(real(1e308), "1e308");
    EXPECT_EQ(real(1.5e-16), "1.5e-16");
    EXPECT_EQ(real(1e-14), "0.00000000000001");
    EXPECT_EQ(real(123456.75), "123456.75");
}

TEST(MysqlJson, Opaque) {
    EXPECT_EQ(printed(scalar(15).u8(246).u8(3).bytes({2, 1, 0x9E})), "damaged");  // too short
    EXPECT_EQ(printed(scalar(15).u8(246).u8(4).bytes({3, 1, 0x8C, 0x05})), "12.5");
    // 2015-01-15 23:24:25.000000
    const std::uint64_t day = ((2015ULL * 13 + 1) << 5U | 15) << 17U;
    const std::uint64_t clock = 23ULL << 12U | 24 << 6U | 25;
    EXPECT_EQ(printed(scalar(15).u8(12).u8(8).u64((day | clock) << 24U)), "\"2015-01-15 23:24:25.000000\"");
    EXPECT_EQ(printed(scalar(15).u8(10).u8(8).u64(day << 24U)), "\"2015-01-15\"");
    EXPECT_EQ(printed(scalar(15).u8(11).u8(8).u64(~((clock << 24U) + 5) + 1)), "\"-23:24:25.000005\"");
    EXPECT_EQ(printed(scalar(15).u8(15).u8(1).text("f")), "\"base64:type15:Zg==\"");
}

// {"a": 1, "bb": [true, "x"]}, small
Body sample() {
    Body inner;
    inner.u16(2).u16(12).u8(4).u16(1).u8(12).u16(10).short_text("x");
    Body b;
    // count, size, two keys, two values, names, array
    b.u8(0).u16(2).u16(18 + 3 + 12).u16(18).u16(1).u16(19).u16(2);
    b.u8(5).u16(1).u8(2).u16(21).text("a").text("bb").text(inner.str());
    return b;
}

TEST(MysqlJson, Containers) {
    EXPECT_EQ(printed(sample()), "{\"a\": 1, \"bb\": [true, \"x\"]}");
    EXPECT_EQ(printed(scalar(2).u16(0).u16(4)), "[]");
    EXPECT_EQ(printed(scalar(0).u16(0).u16(4)), "{}");
    // large array with an inlined i32
    EXPECT_EQ(printed(scalar(3).u32(1).u32(13).u8(7).u32(70000)), "[70000]");
}

// Every cut and every flipped byte: no crash, no read beyond the end.
TEST(MysqlJson, Damage) {
    const std::string whole = sample().str();
    for (std::size_t n = 1; n < whole.size(); ++n) {
        const std::vector<std::byte> cut(as_bytes(whole).begin(),
                                         as_bytes(whole).begin() + static_cast<long>(n));
        ByteBuffer out;
        EXPECT_FALSE(print_json(cut, out)) << n;
    }
    for (std::size_t i = 0; i < whole.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            std::vector<std::byte> other(as_bytes(whole).begin(), as_bytes(whole).end());
            other[i] ^= static_cast<std::byte>(1 << bit);
            ByteBuffer out;
            (void)print_json(other, out);
        }
    // an array that contains itself
    ByteBuffer out;
    EXPECT_FALSE(print_json(scalar(2).u16(1).u16(7).u8(2).u16(0).view(), out));
}

TEST(MysqlJson, Changes) {
    const auto changed = [](const Body& changes) {
        ByteBuffer out;
        if (!print_json_changed(sample().view(), changes.view(), out)) return std::string("damaged");
        return std::string(as_text(out.view()));
    };
    const auto change = [](unsigned what, std::string_view path, const Body& value) {
        Body b;
        b.u8(what).short_text(path);
        if (what != 2) b.short_text(value.str());
        return b;
    };
    const Body seven = std::move(Body().u8(5).u16(7));
    EXPECT_EQ(changed({}), "{\"a\": 1, \"bb\": [true, \"x\"]}");
    EXPECT_EQ(changed(change(0, "$.a", seven)), "{\"a\": 7, \"bb\": [true, \"x\"]}");
    EXPECT_EQ(changed(change(0, "$.bb[1]", sample())),
              "{\"a\": 1, \"bb\": [true, {\"a\": 1, \"bb\": [true, \"x\"]}]}");
    EXPECT_EQ(changed(change(1, "$.bb[0]", seven)), "{\"a\": 1, \"bb\": [7, true, \"x\"]}");
    EXPECT_EQ(changed(change(1, "$.bb[9]", seven)), "{\"a\": 1, \"bb\": [true, \"x\", 7]}");
    EXPECT_EQ(changed(change(1, "$.\"\\u00e9\"", seven)),
              "{\"a\": 1, \"bb\": [true, \"x\"], \"\xC3\xA9\": 7}");
    EXPECT_EQ(changed(change(2, "$.a", {})), "{\"bb\": [true, \"x\"]}");
    for (const char* path : {"$.c", "$.a.b", "$.bb[2]", "a", "$.", "$[0", "$.\"x"})
        EXPECT_EQ(changed(change(0, path, seven)), "damaged") << path;
    EXPECT_EQ(changed(std::move(Body().u8(3))), "damaged");
}

}  // namespace
}  // namespace godwit::mysql
