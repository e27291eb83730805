#include "sources/postgres/lsn.h"

#include <fmt/format.h>

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

Result<Lsn> parse_lsn(const Position& position) {
    if (position.empty()) return Lsn{};
    return parse_lsn(std::string_view(position.token));
}

}  // namespace godwit::postgres
