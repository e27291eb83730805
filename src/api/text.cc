#include "api/text.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <variant>

namespace godwit::api {

std::optional<Timestamp> parse_iso_time(std::string_view text) {
    using namespace std::chrono;
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    std::size_t at = 0;
    const auto number = [&](std::size_t digits) -> int {
        if (text.size() - at < digits) return -1;
        int value = 0;
        for (std::size_t i = 0; i < digits; ++i) {
            const char c = text[at + i];
            if (c < '0' || c > '9') return -1;
            value = value * 10 + (c - '0');
        }
        at += digits;
        return value;
    };
    const auto sign = [&](char c) {
        if (at >= text.size() || text[at] != c) return false;
        ++at;
        return true;
    };
    const int y = number(4);
    if (y < 0 || !sign('-')) return {};
    const int mo = number(2);
    if (!sign('-')) return {};
    const int d = number(2);
    const year_month_day date{year{y}, month{static_cast<unsigned>(std::max(mo, 0))},
                              day{static_cast<unsigned>(std::max(d, 0))}};
    if (!date.ok()) return {};
    microseconds time = sys_days(date).time_since_epoch();
    if (at == text.size()) return Timestamp{time.count()};
    if (!sign('T') && !sign(' ') && !sign('t')) return {};
    const int h = number(2);
    if (!sign(':')) return {};
    const int mi = number(2);
    int s = 0;
    if (sign(':')) s = number(2);
    if (h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 60) return {};
    time += hours(h) + minutes(mi) + seconds(s);
    if (sign('.')) {
        std::int64_t unit = 100000;
        const auto from = at;
        for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
            time += microseconds(unit * (text[at] - '0'));
        if (at == from) return {};
    }
    if (sign('Z') || sign('z')) {
    } else if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
        const int direction = text[at] == '+' ? 1 : -1;
        ++at;
        const int oh = number(2);
        sign(':');
        const int om = at < text.size() ? number(2) : 0;
        if (oh < 0 || om < 0) return {};
        time -= direction * (hours(oh) + minutes(om));
    }
    if (at != text.size()) return {};
    return Timestamp{time.count()};
}

std::string format_iso_time(Timestamp time) {
    using namespace std::chrono;
    const sys_time<microseconds> at{microseconds(time.us)};
    const auto date = floor<days>(at);
    const year_month_day ymd{date};
    const hh_mm_ss rest{floor<seconds>(at - date)};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(ymd.year()),
                       static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                       rest.hours().count(), rest.minutes().count(), rest.seconds().count());
}

std::string base64_encode(std::string_view bytes) {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (j < have ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j) out += j <= have ? kLetters[group >> (18 - 6 * j) & 63U] : '=';
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    std::string out;
    std::uint32_t group = 0;
    int bits = 0;
    bool padded = false;
    for (const char c : text) {
        std::uint32_t v = 0;
        if (c >= 'A' && c <= 'Z')
            v = static_cast<std::uint32_t>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            v = static_cast<std::uint32_t>(c - 'a') + 26;
        else if (c >= '0' && c <= '9')
            v = static_cast<std::uint32_t>(c - '0') + 52;
        else if (c == '+')
            v = 62;
        else if (c == '/')
            v = 63;
        else if (c == '=') {
            padded = true;
            continue;
        } else if (c == '\n' || c == '\r')
            continue;
        else
            return {};
        if (padded) return {};
        group = (group << 6 | v) & 0xffffffU;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(group >> bits & 0xffU);
        }
    }
    if (bits == 6) return {};
    return out;
}

std::string random_bytes(std::size_t count) {
    std::string out(count, '\0');
    // without randomness neither secrets nor ids are safe
    if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1) std::abort();
    return out;
}

std::string uuid() {
    auto b = random_bytes(16);
    b[6] = static_cast<char>((b[6] & 0x0f) | 0x40);
    b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
    std::string out;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
        out += fmt::format("{:02x}", static_cast<unsigned char>(b[i]));
    }
    return out;
}

std::string new_resource_id() {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string out;
    for (const char c : random_bytes(26)) out += kLetters[static_cast<unsigned char>(c) & 31U];
    return out;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

std::string shortened(std::string_view text) {
    constexpr std::size_t kShown = 100;
    return text.size() <= kShown ? std::string(text) : std::string(text.substr(0, kShown)) + "...";
}

std::string Arn::text() const { return fmt::format("arn:aws:dms:{}:{}:{}:{}", region, account, type, id); }

std::optional<Arn> parse_arn(std::string_view text) {
    constexpr std::string_view kStart = "arn:aws:dms:";
    if (!text.starts_with(kStart)) return {};
    text.remove_prefix(kStart.size());
    Arn arn;
    for (std::string* part : {&arn.region, &arn.account, &arn.type}) {
        const auto colon = text.find(':');
        if (colon == std::string_view::npos) return {};
        *part = text.substr(0, colon);
        text.remove_prefix(colon + 1);
    }
    arn.id = text;
    if (arn.id.empty()) return {};
    return arn;
}

std::string last_part(std::string_view arn) {
    const auto colon = arn.rfind(':');
    return std::string(colon == std::string_view::npos ? arn : arn.substr(colon + 1));
}

Answer<std::monostate> check_identifier(std::string_view member, std::string_view value,
                                        std::size_t length_max) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    bool good = !value.empty() && value.size() <= length_max && letter(value.front()) &&
                value.back() != '-' && value.find("--") == std::string_view::npos;
    for (const char c : value) good = good && (letter(c) || (c >= '0' && c <= '9') || c == '-');
    if (good) return {};
    return invalid_value(
        fmt::format("The parameter {} is not a valid identifier. Identifiers must begin with a letter; must "
                    "contain only ASCII "
                    "letters, digits, and hyphens; must not end with a hyphen or contain two consecutive "
                    "hyphens; and are at most {} "
                    "characters long.",
                    member, length_max));
}

}  // namespace godwit::api
