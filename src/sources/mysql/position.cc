#include "sources/mysql/position.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>

namespace godwit::mysql {
namespace {

// "file:offset", more fields may follow: they are left in `text`, with their colon.
bool read_place(std::string_view& text, LogPosition& to) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    to.file = text.substr(0, colon);
    const auto rest = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), to.offset);
    text = rest.substr(static_cast<std::size_t>(end - rest.data()));
    return error == std::errc{} && (text.empty() || text.front() == ':') && file_number(to.file) != 0;
}

bool read_base(std::string_view text, LogPosition& to) {
    if (text.empty()) return true;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), to.base);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::uint64_t file_number(std::string_view file) {
    const auto dot = file.rfind('.');
    if (dot == std::string_view::npos) return 0;
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(file.data() + dot + 1, file.data() + file.size(), n);
    return error == std::errc{} && end == file.data() + file.size() ? n : 0;
}

std::uint64_t LogPosition::order() const { return log_order(file_number(file) + base, offset); }

Position LogPosition::token() const {
    std::string out = fmt::format("{};{}:{}", server, file, offset);
    if (base != 0) out += fmt::format(":{}", base);
    out += ';';
    out += gtids;
    if (!open_file.empty()) out += fmt::format(";{}:{}", open_file, open_offset);
    return {std::move(out)};
}

Result<LogPosition> parse_token(const Position& position) {
    const std::string& t = position.token;
    const auto first = t.find(';');
    const auto second = first == std::string::npos ? first : t.find(';', first + 1);
    LogPosition out;
    auto place = second == std::string::npos ? std::string_view()
                                             : std::string_view(t).substr(first + 1, second - first - 1);
    if (!read_place(place, out) || !read_base(place, out))
        return fail(ErrorCode::invalid_argument, "'" + t + "' is not a position of a binlog");
    out.server = t.substr(0, first);
    out.gtids = t.substr(second + 1);
    if (const auto third = out.gtids.find(';'); third != std::string::npos) {
        LogPosition open;
        auto begin = std::string_view(out.gtids).substr(third + 1);
        if (!read_place(begin, open))
            return fail(ErrorCode::invalid_argument, "'" + t + "' is not a position of a binlog");
        out.open_file = open.file;
        out.open_offset = open.offset;
        out.gtids.resize(third);
    }
    return out;
}

Result<LogPosition> parse_native(const std::string& native) {
    if (native.find(';') != std::string::npos) return parse_token({native});
    std::string text = native;
    if (text.starts_with("gtid:")) {
        LogPosition out;
        out.gtids = text.substr(5);
        return out;
    }
    if (text.starts_with("checkpoint:")) {
        std::size_t at = 0;
        for (int field = 0; field < 2 && at != std::string::npos; ++field) {
            at = text.find('#', at);
            if (at != std::string::npos) ++at;
        }
        if (at == std::string::npos) at = text.size();
        const auto end = text.find('#', at);
        text = text.substr(at, end == std::string::npos ? std::string::npos : end - at);
    }
    LogPosition out;
    std::string_view place = text;
    if (!read_place(place, out))
        return fail(ErrorCode::invalid_argument,
                    "'" + native + "' is not a place in a binlog, such as mysql-bin-changelog.000024:373");
    return out;
}

std::optional<std::int64_t> parse_time(const std::string& native) {
    std::tm tm{};
    const char* end = ::strptime(native.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
    if (end == nullptr || (*end != 0 && std::string_view(end) != "Z")) return {};
    return static_cast<std::int64_t>(::timegm(&tm)) * 1'000'000;
}

}  // namespace godwit::mysql
