#include "codecs/mysql/packed.h"

#include <gtest/gtest.h>

#include <string>

#include "codecs/mysql/binlog_events.h"

namespace godwit::mysql {
namespace {

using namespace std::string_literals;

constexpr bool kUnsigned = true;

std::string text_of(Bytes bytes) { return std::string(as_text(bytes)); }

PackedPrinter printer(WireType wire, bool is_unsigned, PortableKind kind, bool single = false) {
    return packed_printer_of(static_cast<std::uint8_t>(wire), is_unsigned, {.kind = kind, .scale = 6},
                             single);
}

// The field that a cell becomes. Each shorter cell is damaged.
std::string packed(WireType wire, bool is_unsigned, PortableKind kind, const std::string& cell,
                   bool single = false) {
    const PackedPrinter print = printer(wire, is_unsigned, kind, single);
    if (print == nullptr) return "no printer";
    const auto text = rows::binary::printer_of({.kind = kind, .scale = 6});
    const Bytes bytes = as_bytes(cell);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        ByteBuffer to;
        EXPECT_EQ(print(to, bytes.data(), bytes.data() + n, text), nullptr) << n;
    }
    ByteBuffer to;
    EXPECT_EQ(print(to, bytes.data(), bytes.data() + bytes.size(), text), bytes.data() + bytes.size());
    return text_of(to.view());
}

// The same value when it comes as text.
std::string printed(PortableKind kind, const std::string& text) {
    ByteBuffer to;
    rows::binary::printer_of({.kind = kind, .scale = 6})(to, as_bytes(text));
    return text_of(to.view());
}

TEST(Packed, WholeNumbersOfEachWidth) {
    EXPECT_EQ(packed(WireType::tiny, false, PortableKind::int1, "\x80"), printed(PortableKind::int1, "-128"));
    EXPECT_EQ(packed(WireType::tiny, kUnsigned, PortableKind::uint1, "\xff"),
              printed(PortableKind::uint1, "255"));
    EXPECT_EQ(packed(WireType::small, false, PortableKind::int2, "\x00\x80"s),
              printed(PortableKind::int2, "-32768"));
    EXPECT_EQ(packed(WireType::small, kUnsigned, PortableKind::uint2, "\xff\xff"),
              printed(PortableKind::uint2, "65535"));
    EXPECT_EQ(packed(WireType::medium, false, PortableKind::int4, "\x00\x00\x80\xff"s),
              printed(PortableKind::int4, "-8388608"));
    EXPECT_EQ(packed(WireType::integer, kUnsigned, PortableKind::uint4, "\xff\xff\xff\xff"),
              printed(PortableKind::uint4, "4294967295"));
    EXPECT_EQ(packed(WireType::big, false, PortableKind::int8, "\0\0\0\0\0\0\0\x80"s),
              printed(PortableKind::int8, "-9223372036854775808"));
    EXPECT_EQ(packed(WireType::big, kUnsigned, PortableKind::uint8, std::string(8, '\xff')),
              printed(PortableKind::uint8, "18446744073709551615"));
    EXPECT_EQ(packed(WireType::year, kUnsigned, PortableKind::int2, "\x6b\x08"),
              printed(PortableKind::int2, "2155"));
}

TEST(Packed, WhatAColumnCannotHoldIsRefused) {
    // an expression of the SELECT list may come wider than its column
    EXPECT_EQ(packed(WireType::big, kUnsigned, PortableKind::uint4, "\x2a\0\0\0\0\0\0\0"s),
              printed(PortableKind::uint4, "42"));
    ByteBuffer refused;
    rows::binary::put_refused(refused);
    EXPECT_EQ(packed(WireType::big, kUnsigned, PortableKind::int8, std::string(8, '\xff')),
              text_of(refused.view()));
    EXPECT_EQ(packed(WireType::integer, false, PortableKind::int2, "\x00\x80\x00\x00"s),
              text_of(refused.view()));
}

TEST(Packed, Flags) {
    EXPECT_EQ(packed(WireType::tiny, false, PortableKind::boolean, "\x02"),
              printed(PortableKind::boolean, "1"));
    EXPECT_EQ(packed(WireType::tiny, false, PortableKind::boolean, "\0"s),
              printed(PortableKind::boolean, "0"));
}

TEST(Packed, Reals) {
    const double tenth = 0.1;
    std::string cell(reinterpret_cast<const char*>(&tenth), sizeof tenth);
    EXPECT_EQ(packed(WireType::real8, false, PortableKind::real8, cell), printed(PortableKind::real8, "0.1"));
    const double as_float = static_cast<double>(0.1F);  // FLOAT comes as what its bits are worth
    cell.assign(reinterpret_cast<const char*>(&as_float), sizeof as_float);
    EXPECT_EQ(packed(WireType::real8, false, PortableKind::real8, cell, true),
              printed(PortableKind::real8, "0.1"));
}

TEST(Packed, DatesAndTimes) {
    const auto date = [](const std::string& cell) {
        return packed(WireType::date, false, PortableKind::date, cell);
    };
    const auto time = [](const std::string& cell) {
        return packed(WireType::datetime, false, PortableKind::datetime, cell);
    };
    EXPECT_EQ(date("\x04\xe8\x07\x02\x1d"), printed(PortableKind::date, "2024-02-29"));
    EXPECT_EQ(date("\x04\x0f\x27\x0c\x1f"), printed(PortableKind::date, "9999-12-31"));
    EXPECT_EQ(date("\x04\xe7\x07\x02\x1d"), printed(PortableKind::date, "2023-02-29"));  // refused
    EXPECT_EQ(date("\0"s), printed(PortableKind::date, "0000-00-00"));
    EXPECT_EQ(date("\x04\xe8\x07\x00\x1d"s), printed(PortableKind::date, "2024-00-29"));
    EXPECT_EQ(time("\x04\xe8\x07\x02\x1d"), printed(PortableKind::datetime, "2024-02-29 00:00:00"));
    EXPECT_EQ(time("\x07\xe8\x07\x02\x1d\x17\x3b\x3b"),
              printed(PortableKind::datetime, "2024-02-29 23:59:59"));
    EXPECT_EQ(time("\x0b\xb1\x07\x0c\x1f\x17\x3b\x3b\x01\x00\x00\x00"s),
              printed(PortableKind::datetime, "1969-12-31 23:59:59.000001"));
    EXPECT_EQ(time("\0"s), printed(PortableKind::datetime, "0000-00-00 00:00:00"));
    EXPECT_EQ(time("\x07\xe8\x07\x02\x1d\x18\x00\x00"s),
              printed(PortableKind::datetime, "2024-02-29 24:00:00"));  // refused
    // lengths that no server sends
    const std::string odd = "\x05\xe8\x07\x02\x1d\x01";
    ByteBuffer to;
    EXPECT_EQ(printer(WireType::date, false, PortableKind::date)(to, as_bytes(odd).data(),
                                                                 as_bytes(odd).data() + odd.size(), nullptr),
              nullptr);
}

TEST(Packed, TextAndBytesOfEveryLength) {
    for (const std::size_t n : {0U, 1U, 250U, 251U, 65535U, 65536U}) {
        const std::string value(n, 'x');
        std::string length;
        if (n < 251) {
            length = static_cast<char>(n);
        } else {
            const std::size_t width = n < 65536 ? 2 : 3;
            length = static_cast<char>(width == 2 ? 252 : 253);
            for (std::size_t i = 0; i < width; ++i) length += static_cast<char>(n >> (8 * i) & 0xFFU);
        }
        const std::string cell = length + value;
        ByteBuffer to;
        const auto text = rows::binary::printer_of({.kind = PortableKind::nclob});
        const Bytes bytes = as_bytes(cell);
        const auto print = printer(WireType::long_blob, false, PortableKind::nclob);
        EXPECT_EQ(print(to, bytes.data(), bytes.data() + bytes.size(), text), bytes.data() + bytes.size());
        EXPECT_EQ(text_of(to.view()), printed(PortableKind::nclob, value)) << n;
        to.clear();
        EXPECT_EQ(print(to, bytes.data(), bytes.data() + bytes.size() - 1, text), nullptr);
    }
    EXPECT_EQ(packed(WireType::decimal, false, PortableKind::numeric, "\x06-12.50"),
              printed(PortableKind::numeric, "-12.50"));
    EXPECT_EQ(packed(WireType::bit, true, PortableKind::bytes, "\x02\x01\xff"),
              printed(PortableKind::bytes, "\x01\xff"));
}

TEST(Packed, OtherPairsComeAsText) {
    EXPECT_EQ(printer(WireType::time, false, PortableKind::time), nullptr);
    EXPECT_EQ(printer(WireType::real4, false, PortableKind::real4), nullptr);
    EXPECT_EQ(printer(WireType::var_string, false, PortableKind::int4), nullptr);
    EXPECT_EQ(printer(WireType::integer, false, PortableKind::nclob), nullptr);
    EXPECT_EQ(printer(WireType::datetime, false, PortableKind::date), nullptr);
    EXPECT_EQ(printer(WireType::big, false, PortableKind::uint8), nullptr);
}

}  // namespace
}  // namespace godwit::mysql
