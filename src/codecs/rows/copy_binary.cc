#include "codecs/rows/copy_binary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <optional>

namespace godwit::rows::binary {
namespace {

template <class T>
void read_integer(ByteBuffer& to, Bytes cell) {
    const auto text = as_text(cell);
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return put_refused(to);
    put_integer(to, value);
}

void put_flag(ByteBuffer& to, Bytes cell) {
    const auto text = as_text(cell);
    if (text != "0" && text != "1") return put_refused(to);
    put_boolean(to, text == "1");
}

template <class F>
void put_real(ByteBuffer& to, Bytes cell) {
    const auto text = as_text(cell);
    F value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return put_refused(to);
    put_integer(to, std::bit_cast<std::conditional_t<sizeof(F) == 4, std::uint32_t, std::uint64_t>>(value));
}

// Groups of four digits, from the point to both sides; zeros at either end are left out.
void put_numeric(ByteBuffer& to, Bytes cell) {
    constexpr std::size_t kGroup = 4, kDigitsMax = 1000;
    constexpr std::uint16_t kNegative = 0x4000;
    auto text = as_text(cell);
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const std::size_t point = std::min(text.find('.'), text.size());
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = point == text.size() ? std::string_view{} : text.substr(point + 1);
    if (whole.empty() || whole.size() + fraction.size() > kDigitsMax) return put_refused(to);
    std::array<std::uint16_t, (kDigitsMax / kGroup) + 2> groups;
    std::size_t n = 0;
    unsigned value = 0;
    const auto take = [&](char c) {
        const auto digit = static_cast<unsigned char>(c - '0');
        value = value * 10 + digit;
        return digit <= 9;
    };
    std::size_t left = whole.size();  // digits in front of the point
    for (const char c : whole) {
        if (!take(c)) return put_refused(to);
        if (--left % kGroup != 0) continue;
        groups[n++] = static_cast<std::uint16_t>(value);
        value = 0;
    }
    auto weight = static_cast<std::int16_t>(n) - 1;
    for (std::size_t i = 0; i < fraction.size(); ++i) {
        if (!take(fraction[i])) return put_refused(to);
        if ((i + 1) % kGroup != 0) continue;
        groups[n++] = static_cast<std::uint16_t>(value);
        value = 0;
    }
    if (const std::size_t rest = fraction.size() % kGroup; rest != 0) {
        for (std::size_t i = rest; i < kGroup; ++i) value *= 10;
        groups[n++] = static_cast<std::uint16_t>(value);
    }
    std::size_t first = 0;
    while (first < n && groups[first] == 0) ++first, --weight;
    while (n > first && groups[n - 1] == 0) --n;
    const std::size_t count = n - first;
    if (count == 0) weight = 0;
    std::byte* at = to.extend(4 + 8 + 2 * count);
    const auto put = [&](auto v) {
        ByteBuffer::store_be(at, v);
        at += sizeof v;
    };
    put(static_cast<std::int32_t>(8 + 2 * count));
    put(static_cast<std::uint16_t>(count));
    put(static_cast<std::int16_t>(weight));
    put(static_cast<std::uint16_t>(negative && count != 0 ? kNegative : 0));
    put(static_cast<std::uint16_t>(fraction.size()));
    for (std::size_t i = first; i < n; ++i) put(groups[i]);
}

// `n` digits, or nothing
std::optional<unsigned> digits(std::string_view text, std::size_t at, std::size_t n) {
    unsigned value = 0;
    for (std::size_t i = at; i < at + n; ++i) {
        const auto digit = static_cast<unsigned char>(text[i] - '0');
        if (digit > 9) return {};
        value = value * 10 + digit;
    }
    return value;
}

// YYYY-MM-DD at the begin of `text`
bool read_date(std::string_view text, Moment& m) {
    if (text.size() < 10 || text[4] != '-' || text[7] != '-') return false;
    const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    if (!year || !month || !day) return false;
    m = {.year = *year, .month = *month, .day = *day};
    return true;
}

// HH:MM:SS[.ffffff]
bool read_clock(std::string_view text, Moment& m) {
    constexpr std::size_t kFractionMax = 6;
    if (text.size() < 8 || text[2] != ':' || text[5] != ':') return false;
    const auto hour = digits(text, 0, 2), minute = digits(text, 3, 2), second = digits(text, 6, 2);
    if (!hour || !minute || !second) return false;
    m.hour = *hour, m.minute = *minute, m.second = *second;
    if (text.size() == 8) return true;
    const std::size_t n = text.size() - 9;
    if (text[8] != '.' || n == 0 || n > kFractionMax) return false;
    auto fraction = digits(text, 9, n);
    if (!fraction) return false;
    for (std::size_t i = n; i < kFractionMax; ++i) *fraction *= 10;
    m.us = *fraction;
    return true;
}

bool partial(const Moment& m) { return m.year == 0 || m.month == 0 || m.day == 0; }

// Days from 2000-01-01; nothing: a source may have taken 30 February
std::optional<std::int32_t> days_of(const Moment& m) {
    constexpr std::chrono::sys_days kEpoch = std::chrono::year(2000) / 1 / 1;
    constexpr unsigned kYearMax = 9999;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(m.year)),
                                           std::chrono::month(m.month), std::chrono::day(m.day)};
    if (m.year > kYearMax || !date.ok()) return {};
    return static_cast<std::int32_t>((std::chrono::sys_days(date) - kEpoch).count());
}

void put_date_text(ByteBuffer& to, Bytes cell) {
    const auto text = as_text(cell);
    Moment m;
    if (!read_date(text, m)) return put_refused(to);
    if (text.size() != 10 && !partial(m)) return put_refused(to);
    put_date(to, m);
}

void put_datetime_text(ByteBuffer& to, Bytes cell) {
    const auto text = as_text(cell);
    Moment m;
    if (!read_date(text, m)) return put_refused(to);
    if (partial(m)) return put_null(to);
    if (text.size() < 11 || text[10] != ' ' || !read_clock(text.substr(11), m)) return put_refused(to);
    put_datetime(to, m);
}

void put_bytes(ByteBuffer& to, Bytes bytes) {
    constexpr std::size_t kBytesMax = 1U << 30;  // of a value of PostgreSQL
    if (bytes.size() >= kBytesMax) return put_refused(to);
    std::byte* const at = to.extend(4 + bytes.size());
    ByteBuffer::store_be(at, static_cast<std::int32_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(at + 4, bytes.data(), bytes.size());
}

// U+0000 is a blank, as in the other forms of this dialect.
void put_characters(ByteBuffer& to, Bytes text) {
    const std::size_t from = to.size() + 4;
    put_bytes(to, text);
    if (to.size() != from + text.size() || text.empty() ||
        std::memchr(text.data(), 0, text.size()) == nullptr)
        return;
    std::replace(to.data() + from, to.data() + to.size(), std::byte{0}, std::byte{' '});
}

}  // namespace

Printer printer_of(const PortableType& type) noexcept {
    switch (type.kind) {
        case PortableKind::boolean:
            return put_flag;
        case PortableKind::int1:
        case PortableKind::int2:
        case PortableKind::uint1:
            return read_integer<std::int16_t>;
        case PortableKind::int4:
        case PortableKind::uint2:
            return read_integer<std::int32_t>;
        case PortableKind::int8:
        case PortableKind::uint4:
            return read_integer<std::int64_t>;
        case PortableKind::uint8:
        case PortableKind::numeric:
            return put_numeric;
        case PortableKind::real4:
            return put_real<float>;
        case PortableKind::real8:
            return put_real<double>;
        case PortableKind::date:
            return put_date_text;
        case PortableKind::datetime:
            return type.scale <= 6 ? put_datetime_text : nullptr;
        case PortableKind::bytes:
        case PortableKind::blob:
            return put_bytes;
        case PortableKind::string:
        case PortableKind::wstring:
        case PortableKind::clob:
        case PortableKind::nclob:
            return put_characters;
        case PortableKind::time:
        case PortableKind::unknown:
            break;
    }
    return nullptr;
}

void put_header(ByteBuffer& to) { to.append(std::string_view("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19)); }

void put_trailer(ByteBuffer& to) { to.put_be(std::int16_t{-1}); }

// No value of any type has this length, so the server refuses it whatever the column is.
void put_refused(ByteBuffer& to) { to.put_be(std::int32_t{-2}); }

void put_date(ByteBuffer& to, const Moment& m) {
    if (partial(m)) return put_null(to);
    const auto days = days_of(m);
    days ? put_integer(to, *days) : put_refused(to);
}

void put_datetime(ByteBuffer& to, const Moment& m) {
    constexpr std::int64_t kSecond = 1'000'000, kDay = 86'400 * kSecond;
    if (partial(m)) return put_null(to);
    const auto days = days_of(m);
    if (!days || m.hour > 23 || m.minute > 59 || m.second > 59 || m.us >= kSecond) return put_refused(to);
    put_integer(to, *days * kDay + ((m.hour * 60LL + m.minute) * 60 + m.second) * kSecond + m.us);
}

void put_boolean(ByteBuffer& to, bool value) { put_integer(to, static_cast<std::uint8_t>(value ? 1 : 0)); }

void put_real8(ByteBuffer& to, double value) { put_integer(to, std::bit_cast<std::uint64_t>(value)); }

}  // namespace godwit::rows::binary
