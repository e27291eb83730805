// Any bytes in place of a cell: one well-formed field of COPY BINARY comes out, and what it holds is the
// cell's own value, NULL for a date in part, or a length that the server refuses.
// Input: u8 kind, then the cell.

#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "codecs/rows/copy_binary.h"

namespace {

using namespace godwit;
using namespace godwit::rows;

constexpr std::array kKinds = {PortableKind::boolean, PortableKind::int2,    PortableKind::int4,
                               PortableKind::int8,    PortableKind::numeric, PortableKind::real4,
                               PortableKind::real8,   PortableKind::date,    PortableKind::datetime,
                               PortableKind::blob,    PortableKind::nclob};

void must(bool holds) {
    if (!holds) std::abort();
}

template <class T>
T whole(ByteReader& in, std::int32_t size) {
    must(size == static_cast<std::int32_t>(sizeof(T)));
    return in.be<T>();
}

// "-007.10" is "-7.10", "-0" is "0"
std::string without_needless(std::string text) {
    const bool negative = text.starts_with('-');
    if (negative) text.erase(0, 1);
    std::size_t zeros = 0;
    while (zeros + 1 < text.size() && text[zeros] == '0' && text[zeros + 1] != '.') ++zeros;
    text.erase(0, zeros);
    if (text.ends_with('.')) text.pop_back();
    const bool zero = text.find_first_not_of("0.") == std::string::npos;
    return negative && !zero ? "-" + text : text;
}

// As numeric_out reads the groups that numeric_recv took.
std::string read_numeric(ByteReader& in, std::int32_t size) {
    const auto count = in.be<std::uint16_t>();
    const int weight = in.be<std::int16_t>();
    const auto sign = in.be<std::uint16_t>(), scale = in.be<std::uint16_t>();
    must(size == 8 + 2 * count);
    must(sign == 0 || sign == 0x4000);
    std::string before, behind;
    for (int i = 0; i < count; ++i) {
        const auto group = in.be<std::uint16_t>();
        must(group <= 9999);
        must(group != 0 || (i != 0 && i != count - 1));
        char four[8];
        std::snprintf(four, sizeof four, "%04u", group);
        if (weight - i >= 0) {
            before += four;
        } else {
            behind.resize(std::size_t(4) * static_cast<unsigned>(i - weight - 1), '0');
            behind += four;
        }
    }
    if (weight >= 0 && count != 0) before.resize(std::size_t(4) * static_cast<unsigned>(weight + 1), '0');
    if (behind.size() > scale) must(behind.find_first_not_of('0', scale) == std::string::npos);
    behind.resize(scale, '0');
    std::string out = before.empty() ? "0" : before;
    if (scale != 0) out += "." + behind;
    return without_needless(sign == 0 ? out : "-" + out);
}

std::string day_of(std::int64_t days) {
    using namespace std::chrono;
    const year_month_day d{sys_days(year(2000) / 1 / 1) + std::chrono::days(days)};
    char text[32];
    std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(d.year()), unsigned(d.month()),
                  unsigned(d.day()));
    return text;
}

std::string moment_of(std::int64_t us) {
    constexpr std::int64_t kSecond = 1'000'000, kDay = 86'400 * kSecond;
    std::int64_t days = us / kDay, rest = us % kDay;
    if (rest < 0) --days, rest += kDay;
    const auto second = static_cast<int>(rest / kSecond);
    char clock[32];
    std::snprintf(clock, sizeof clock, " %02d:%02d:%02d.%06d", second / 3600, second / 60 % 60, second % 60,
                  static_cast<int>(rest % kSecond));
    return day_of(days) + clock;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const PortableKind kind = kKinds[data[0] % kKinds.size()];
    const std::string cell(reinterpret_cast<const char*>(data) + 1, size - 1);
    ByteBuffer printed;
    binary::printer_of({.kind = kind, .scale = 6})(printed, as_bytes(cell));

    ByteReader in(printed.view());
    const auto length = in.be<std::int32_t>();
    if (length == -2) {
        must(in.left() == 0);
        must(kind != PortableKind::blob && kind != PortableKind::nclob);  // each of these has a form
        return 0;
    }
    if (length == -1) {
        must(in.left() == 0);
        must(kind == PortableKind::date || kind == PortableKind::datetime);
        must(cell.starts_with("0000-") || cell.substr(5, 2) == "00" || cell.substr(8, 2) == "00");
        return 0;
    }
    must(length >= 0 && in.left() == static_cast<std::size_t>(length));
    switch (kind) {
        case PortableKind::boolean:
            must(std::to_string(whole<std::uint8_t>(in, length)) == cell);
            break;
        case PortableKind::int2:
            must(std::to_string(whole<std::int16_t>(in, length)) == without_needless(cell));
            break;
        case PortableKind::int4:
            must(std::to_string(whole<std::int32_t>(in, length)) == without_needless(cell));
            break;
        case PortableKind::int8:
            must(std::to_string(whole<std::int64_t>(in, length)) == without_needless(cell));
            break;
        case PortableKind::numeric:
            must(read_numeric(in, length) == without_needless(cell));
            break;
        case PortableKind::real4: {
            const auto value = std::bit_cast<float>(whole<std::uint32_t>(in, length));
            must(value != value || value == std::strtof(cell.c_str(), nullptr));
            break;
        }
        case PortableKind::real8: {
            const auto value = std::bit_cast<double>(whole<std::uint64_t>(in, length));
            must(value != value || value == std::strtod(cell.c_str(), nullptr));
            break;
        }
        case PortableKind::date:
            must(day_of(whole<std::int32_t>(in, length)) == cell);
            break;
        case PortableKind::datetime: {
            std::string full = cell;
            if (full.size() == 19) full += '.';
            full.resize(26, '0');
            must(moment_of(whole<std::int64_t>(in, length)) == full);
            break;
        }
        default: {
            std::string expected = cell;
            if (kind == PortableKind::nclob)
                for (char& c : expected)
                    if (c == 0) c = ' ';
            must(as_text(printed.view().subspan(4)) == expected);
            return 0;
        }
    }
    must(in.left() == 0);
    return 0;
}
