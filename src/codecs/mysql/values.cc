#include "codecs/mysql/values.h"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cmath>

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

struct CharsetName {
    std::string_view mysql;
    const char* iconv;
    std::uint8_t unit = 1;
};
constexpr CharsetName kCharsets[] = {
    {"armscii8", "ARMSCII-8"},
    {"big5", "BIG5"},
    {"cp1250", "CP1250"},
    {"cp1251", "CP1251"},
    {"cp1256", "CP1256"},
    {"cp1257", "CP1257"},
    {"cp850", "CP850"},
    {"cp852", "CP852"},
    {"cp866", "CP866"},
    {"cp932", "CP932"},
    {"dec8", "DEC-MCS"},
    {"eucjpms", "EUC-JP-MS"},
    {"euckr", "UHC"},
    {"gb18030", "GB18030"},
    {"gb2312", "GB2312"},
    {"gbk", "GBK"},
    {"greek", "ISO-8859-7"},
    {"hebrew", "ISO-8859-8"},
    {"hp8", "HP-ROMAN8"},
    {"koi8r", "KOI8-R"},
    {"koi8u", "KOI8-U"},
    {"latin2", "ISO-8859-2"},
    {"latin5", "ISO-8859-9"},
    {"latin7", "ISO-8859-13"},
    {"macce", "MAC-CENTRALEUROPE"},
    {"macroman", "MACINTOSH"},
    {"sjis", "SJIS"},
    {"tis620", "TIS-620"},
    {"ucs2", "UCS-2BE", 2},
    {"ujis", "EUC-JP"},
    {"utf16", "UTF-16BE", 2},
    {"utf16le", "UTF-16LE", 2},
    {"utf32", "UTF-32BE", 4},
};

// cp1252 for 0x80 to 0x9F; the five places that it leaves empty are control codes to MySQL
constexpr std::array<char16_t, 32> kLatin1High = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
};

bool ascii(Bytes text) noexcept {
    const std::byte* at = text.data();
    std::size_t n = text.size();
    std::uint64_t all = 0;
    for (; n >= 8; n -= 8, at += 8) {
        std::uint64_t v = 0;
        std::memcpy(&v, at, 8);
        all |= v;
    }
    for (; n != 0; --n) all |= std::to_integer<std::uint64_t>(*at++);
    return (all & 0x8080'8080'8080'8080U) == 0;
}

void append_latin1(Bytes text, ByteBuffer& to) {
    auto* at = reinterpret_cast<unsigned char*>(to.extend(text.size() * 3));
    for (const std::byte b : text) {
        auto c = std::to_integer<unsigned>(b);
        if (c < 0x80) {
            *at++ = static_cast<unsigned char>(c);
            continue;
        }
        if (c < 0xA0) c = kLatin1High[c - 0x80];
        if (c < 0x800) {
            *at++ = static_cast<unsigned char>(0xC0U | c >> 6U);
        } else {
            *at++ = static_cast<unsigned char>(0xE0U | c >> 12U);
            *at++ = static_cast<unsigned char>(0x80U | (c >> 6U & 0x3FU));
        }
        *at++ = static_cast<unsigned char>(0x80U | (c & 0x3FU));
    }
    to.resize_down(static_cast<std::size_t>(reinterpret_cast<std::byte*>(at) - to.data()));
}

// 0x5C and 0x7E of Shift JIS are yen and overline to iconv, backslash and tilde to MySQL, whose wide
// backslash is the narrow one.
void as_ascii(ByteBuffer& to, std::size_t begin) {
    const std::string text(as_text(to.view().subspan(begin)));
    to.resize_down(begin);
    for (std::size_t i = 0; i < text.size();) {
        const std::string_view rest = std::string_view(text).substr(i);
        if (rest.starts_with("\xC2\xA5")) {
            to.put_u8('\\');
            i += 2;
        } else if (rest.starts_with("\xEF\xBC\xBC")) {
            to.put_u8('\\');
            i += 3;
        } else if (rest.starts_with("\xE2\x80\xBE")) {
            to.put_u8('~');
            i += 3;
        } else {
            to.put_u8(static_cast<std::uint8_t>(rest.front()));
            ++i;
        }
    }
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

void Transcoder::Close::operator()(void* descriptor) const noexcept { ::iconv_close(descriptor); }

Result<Transcoder> Transcoder::open(std::string_view charset) {
    Transcoder t;
    if (charset.empty() || charset == "utf8mb4" || charset == "utf8mb3" || charset == "utf8" ||
        charset == "ascii" || charset == "binary")
        return t;
    if (charset == "latin1") {
        t.kind_ = Kind::latin1;
        return t;
    }
    for (const auto& name : kCharsets) {
        if (name.mysql != charset) continue;
        const iconv_t descriptor = ::iconv_open("UTF-8", name.iconv);
        if (descriptor == iconv_t(-1)) break;
        t.kind_ = Kind::iconv;
        t.unit_ = name.unit;
        t.yen_ = charset == "sjis";
        t.iconv_.reset(descriptor);
        return t;
    }
    return fail(ErrorCode::unsupported, fmt::format("character set {} cannot be read", charset));
}

void Transcoder::append(Bytes text, ByteBuffer& to) const {
    if (kind_ == Kind::pass) {
        to.append(text);
        return;
    }
    if (kind_ == Kind::latin1) {
        if (ascii(text))
            to.append(text);
        else
            append_latin1(text, to);
        return;
    }
    const std::size_t begin = to.size();
    // iconv takes a pointer to characters that it does not change
    auto* in = const_cast<char*>(reinterpret_cast<const char*>(text.data()));
    std::size_t left = text.size();
    ::iconv(iconv_.get(), nullptr, nullptr, nullptr, nullptr);
    while (left != 0) {
        const std::size_t had = to.size();
        std::size_t room = left * 3 + 8;
        auto* out = reinterpret_cast<char*>(to.extend(room));
        const std::size_t before = left;
        const std::size_t done = ::iconv(iconv_.get(), &in, &left, &out, &room);
        to.resize_down(static_cast<std::size_t>(reinterpret_cast<std::byte*>(out) - to.data()));
        if (done != static_cast<std::size_t>(-1)) continue;
        if (errno == E2BIG && (to.size() != had || left != before)) continue;
        const std::size_t skip = std::min<std::size_t>(unit_, left);
        in += skip;
        left -= skip;
        to.put_u8('?');
    }
    if (yen_) as_ascii(to, begin);
}

}  // namespace godwit::mysql