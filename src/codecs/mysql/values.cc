#include "codecs/mysql/values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace godwit::mysql {
namespace {

constexpr std::array<char, 200> kPairs = [] {
    std::array<char, 200> pairs{};
    for (unsigned i = 0; i < 100; ++i) {
        pairs[2 * i] = static_cast<char>('0' + i / 10);
        pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
}();

char* two(unsigned v, char* to) noexcept {
    std::memcpy(to, &kPairs[2 * (v % 100)], 2);
    return to + 2;
}

char* fraction(unsigned microsecond, unsigned digits, char* to) noexcept {
    if (digits == 0) return to;
    *to++ = '.';
    char all[6];
    two(microsecond / 10'000, all);
    two(microsecond / 100 % 100, all + 2);
    two(microsecond % 100, all + 4);
    for (unsigned i = 0; i < digits; ++i) to[i] = all[i];
    return to + digits;
}

char* clock_text(const Clock& c, unsigned digits, char* to) noexcept {
    *to++ = ':';
    to = two(c.minute, to);
    *to++ = ':';
    to = two(c.second, to);
    return fraction(c.microsecond, digits, to);
}

template <class F>
char* real_text(F v, char* to) noexcept {
    if (std::isnan(v)) return std::copy_n("NaN", 3, to);
    if (std::isinf(v)) {
        if (v < 0) *to++ = '-';
        return std::copy_n("Infinity", 8, to);
    }
    return std::to_chars(to, to + kRealChars, v).ptr;
}

constexpr unsigned kDigits = 9;  // in a group of four bytes
constexpr std::array<std::uint8_t, 10> kGroupBytes = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};

// exactly `n` digits
char* digits(std::uint32_t v, unsigned n, char* to) noexcept {
    for (unsigned i = n; i-- > 0; v /= 10) to[i] = static_cast<char>('0' + v % 10);
    return to + n;
}

}  // namespace

char* print_real(float v, char* to) noexcept { return real_text(v, to); }
char* print_real(double v, char* to) noexcept { return real_text(v, to); }

double double_of_digits(float v) noexcept {
    char digits[kRealChars];
    double out = 0;
    std::from_chars(digits, print_real(v, digits), out);
    return out;
}

bool partial_date(std::string_view t) noexcept {
    if (t.size() < 10) return false;
    return t.starts_with("0000") || (t[5] == '0' && t[6] == '0') || (t[8] == '0' && t[9] == '0');
}

char* print_date(const Date& d, char* to) noexcept {
    to = two(d.year / 100, to);
    to = two(d.year % 100, to);
    *to++ = '-';
    to = two(d.month, to);
    *to++ = '-';
    return two(d.day, to);
}

char* print_datetime(const Date& d, const Clock& c, unsigned digits, char* to) noexcept {
    to = print_date(d, to);
    *to++ = ' ';
    to = two(c.hour, to);
    return clock_text(c, digits, to);
}

char* print_time(bool negative, const Clock& c, unsigned digits, char* to) noexcept {
    if (negative) *to++ = '-';
    if (c.hour >= 100) *to++ = static_cast<char>('0' + c.hour / 100 % 10);
    to = two(c.hour % 100, to);
    return clock_text(c, digits, to);
}

char* print_year(unsigned year, char* to) noexcept { return two(year % 100, two(year / 100, to)); }

void split_seconds(std::uint64_t seconds, Date& date, Clock& clock) noexcept {
    const auto rest = static_cast<unsigned>(seconds % 86'400);
    clock.hour = rest / 3600;
    clock.minute = rest / 60 % 60;
    clock.second = rest % 60;
    // days since 0000-03-01, in eras of 400 years
    const auto day = static_cast<unsigned>(seconds / 86'400) + 719'468;
    const unsigned era = day / 146'097;
    const unsigned of_era = day % 146'097;
    const unsigned year = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    const unsigned month = (5 * of_year + 2) / 153;  // from March
    date.day = of_year - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = year + era * 400 + (date.month <= 2 ? 1 : 0);
}

void split_packed_datetime(std::int64_t packed, Date& date, Clock& clock) noexcept {
    const std::uint64_t v =
        packed < 0 ? ~static_cast<std::uint64_t>(packed) + 1 : static_cast<std::uint64_t>(packed);
    clock.microsecond = static_cast<unsigned>(v & 0xFF'FFFFU);
    const std::uint64_t seconds = v >> 24U;
    const std::uint64_t day = seconds >> 17U;
    const std::uint64_t month = day >> 5U;
    date = {static_cast<unsigned>(month / 13 % 10'000), static_cast<unsigned>(month % 13),
            static_cast<unsigned>(day & 31U)};
    clock.hour = static_cast<unsigned>(seconds >> 12U & 31U);
    clock.minute = static_cast<unsigned>(seconds >> 6U & 63U);
    clock.second = static_cast<unsigned>(seconds & 63U);
}

bool split_packed_time(std::int64_t packed, Clock& clock) noexcept {
    const bool negative = packed < 0;
    const std::uint64_t v =
        negative ? ~static_cast<std::uint64_t>(packed) + 1 : static_cast<std::uint64_t>(packed);
    clock.microsecond = static_cast<unsigned>(v & 0xFF'FFFFU);
    const std::uint64_t seconds = v >> 24U;
    clock.hour = static_cast<unsigned>(seconds >> 12U & 0x3FFU);
    clock.minute = static_cast<unsigned>(seconds >> 6U & 63U);
    clock.second = static_cast<unsigned>(seconds & 63U);
    return negative;
}

std::size_t decimal_bytes(unsigned precision, unsigned scale) noexcept {
    if (precision == 0 || precision > 65 || scale > precision) return 0;
    const unsigned whole = precision - scale;
    return whole / kDigits * 4 + kGroupBytes[whole % kDigits] + scale / kDigits * 4 +
           kGroupBytes[scale % kDigits];
}

char* print_decimal(const std::byte* from, unsigned precision, unsigned scale, char* to) noexcept {
    // The sign is the highest bit, inverted; a negative number has all its bits inverted.
    const bool negative = (from[0] & std::byte{0x80}) == std::byte{0};
    const unsigned invert = negative ? 0xFFU : 0U;
    bool first = true;
    const auto group = [&](unsigned bytes) {
        std::uint32_t v = 0;
        for (unsigned i = 0; i < bytes; ++i) {
            unsigned b = std::to_integer<unsigned>(*from++);
            if (first) b ^= 0x80U;
            first = false;
            v = v << 8U | ((b ^ invert) & 0xFFU);
        }
        return v;
    };
    constexpr std::array<std::uint32_t, 10> kPowers = {
        1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
    if (negative) *to++ = '-';
    const unsigned whole = precision - scale;
    bool leading = true;  // zeros in front are not printed
    const auto whole_group = [&](unsigned n) {
        const std::uint32_t v = group(n == kDigits ? 4U : kGroupBytes[n]);
        if (v >= kPowers[n]) return false;
        if (!leading) {
            to = digits(v, n, to);
        } else if (v != 0) {
            to = std::to_chars(to, to + kDigits, v).ptr;
            leading = false;
        }
        return true;
    };
    if (whole % kDigits != 0 && !whole_group(whole % kDigits)) return nullptr;
    for (unsigned i = 0; i < whole / kDigits; ++i)
        if (!whole_group(kDigits)) return nullptr;
    if (leading) *to++ = '0';
    if (scale == 0) return to;
    *to++ = '.';
    for (unsigned left = scale; left != 0;) {
        const unsigned n = left < kDigits ? left : kDigits;
        const std::uint32_t v = group(n == kDigits ? 4U : kGroupBytes[n]);
        if (v >= kPowers[n]) return nullptr;
        to = digits(v, n, to);
        left -= n;
    }
    return to;
}

}  // namespace godwit::mysql
