#include "sources/postgres/lsn.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace godwit::postgres {
namespace {

// 1 to 8 significant hex digits
bool parse_half(std::string_view text, std::uint32_t& to) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to, 16);
    return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string to_token(Lsn lsn) {
    return fmt::format("{:08X}/{:08X}", lsn.value() >> 32U, lsn.value() & 0xFFFFFFFFU);
}

std::string to_server_text(Lsn lsn) {
    return fmt::format("{:X}/{:X}", lsn.value() >> 32U, lsn.value() & 0xFFFFFFFFU);
}

Result<Lsn> parse_lsn(std::string_view text) {
    const auto slash = text.find('/');
    std::uint32_t high = 0, low = 0;
    if (slash == std::string_view::npos || !parse_half(text.substr(0, slash), high) ||
        !parse_half(text.substr(slash + 1), low))
        return fail(ErrorCode::invalid_argument,
                    fmt::format("\"{}\" is not a PostgreSQL log position such as 4AF/B00000D0", text));
    return Lsn(std::uint64_t{high} << 32U | low);
}

Result<std::optional<Lsn>> timeline_end(std::string_view history, std::uint32_t timeline) {
    while (!history.empty()) {
        const auto line = history.substr(0, history.find('\n'));
        history.remove_prefix(std::min(history.size(), line.size() + 1));
        std::uint32_t number = 0;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
        if (error != std::errc{} || number != timeline) continue;  // comments, other timelines
        const auto from = line.find_first_not_of(" \t", static_cast<std::size_t>(end - line.data()));
        if (from == std::string_view::npos) continue;
        const auto place = line.substr(from, line.find_first_of(" \t", from) - from);
        return std::optional(GW_TRY(parse_lsn(place)));
    }
    return std::nullopt;
}

Result<Lsn> parse_lsn(const Position& position) {
    if (position.empty()) return Lsn{};
    return parse_lsn(std::string_view(position.token));
}

}  // namespace godwit::postgres
