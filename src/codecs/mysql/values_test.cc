// Spelling of values.

#include "codecs/mysql/values.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace godwit::mysql {
namespace {

template <class F>
std::string real(F v) {
    char text[kRealChars];
    return {text, print_real(v, text)};
}

TEST(MysqlValues, Reals) {
    EXPECT_EQ(real(1.1F), "1.1");
    EXPECT_EQ(real(16777217.0F), "16777216");
    EXPECT_EQ(real(1234567.8F), "1234567.8");
    EXPECT_EQ(real(3.402823466E+38F), "3.4028235e+38");
    EXPECT_EQ(real(2.2250738585072014E-308), "2.2250738585072014e-308");
    EXPECT_EQ(real(-0.5), "-0.5");
    EXPECT_EQ(real(std::numeric_limits<double>::quiet_NaN()), "NaN");
    EXPECT_EQ(real(-std::numeric_limits<float>::infinity()), "-Infinity");
}

std::string decimal(std::vector<unsigned> bytes, unsigned precision, unsigned scale) {
    std::vector<std::byte> raw;
    for (const unsigned b : bytes) raw.push_back(static_cast<std::byte>(b));
    EXPECT_EQ(raw.size(), decimal_bytes(precision, scale));
    char text[kDecimalChars];
    const char* const begin = text;
    const char* end = print_decimal(raw.data(), precision, scale, text);
    return end == nullptr ? "damaged" : std::string(begin, end);
}

TEST(MysqlValues, Decimals) {
    // the manual's example: 1234567890.1234 as DECIMAL(14,4)
    EXPECT_EQ(decimal({0x81, 0x0D, 0xFB, 0x38, 0xD2, 0x04, 0xD2}, 14, 4), "1234567890.1234");
    EXPECT_EQ(decimal({0x7E, 0xF2, 0x04, 0xC7, 0x2D, 0xFB, 0x2D}, 14, 4), "-1234567890.1234");
    EXPECT_EQ(decimal({0x80, 0, 0, 0, 0, 0, 0}, 14, 4), "0.0000");
    EXPECT_EQ(decimal({0x76}, 1, 1), "-0.9");
    EXPECT_EQ(decimal({0xE3}, 2, 0), "99");
    EXPECT_EQ(decimal({0xFF}, 2, 0), "damaged");
    EXPECT_EQ(decimal_bytes(66, 0), 0U);
    EXPECT_EQ(decimal_bytes(3, 4), 0U);
    EXPECT_EQ(decimal_bytes(65, 30), 30U);
}

TEST(MysqlValues, Times) {
    char text[kDateTimeChars];
    Date d;
    Clock c;
    split_seconds(0x7FFF'FFFF, d, c);
    c.microsecond = 999'999;
    EXPECT_EQ(std::string(text, print_datetime(d, c, 6, text)), "2038-01-19 03:14:07.999999");
    split_seconds(0xFFFF'FFFF, d, c);
    EXPECT_EQ(std::string(text, print_datetime(d, c, 0, text)), "2106-02-07 06:28:15");
    split_seconds(951'782'400, d, c);
    EXPECT_EQ(std::string(text, print_date(d, text)), "2000-02-29");
    c = {838, 59, 59, 500'000};
    EXPECT_EQ(std::string(text, print_time(true, c, 1, text)), "-838:59:59.5");
    c = {5, 4, 3, 7};
    EXPECT_EQ(std::string(text, print_time(false, c, 5, text)), "05:04:03.00000");
    EXPECT_EQ(std::string(text, print_year(1901, text)), "1901");
    EXPECT_TRUE(partial_date("0000-00-00 00:00:00"));
    EXPECT_TRUE(partial_date("2024-00-10"));
    EXPECT_TRUE(partial_date("2024-10-00"));
    EXPECT_FALSE(partial_date("2024-10-10 00:00:00"));
}

}  // namespace
}  // namespace godwit::mysql
