#include "codecs/mysql/type.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace godwit::mysql {
namespace {

struct Name {
    std::string_view name;
    TypeKind kind;
    std::uint32_t length = 0;
};
constexpr Name kNames[] = {
    {"tinyint", TypeKind::tinyint},
    {"smallint", TypeKind::smallint},
    {"mediumint", TypeKind::mediumint},
    {"int", TypeKind::integer},
    {"integer", TypeKind::integer},
    {"bigint", TypeKind::bigint},
    {"decimal", TypeKind::decimal},
    {"numeric", TypeKind::decimal},
    {"float", TypeKind::real4},
    {"double", TypeKind::real8},
    {"real", TypeKind::real8},
    {"bit", TypeKind::bit, 1},
    {"date", TypeKind::date},
    {"datetime", TypeKind::datetime},
    {"timestamp", TypeKind::timestamp},
    {"time", TypeKind::time},
    {"year", TypeKind::year},
    {"char", TypeKind::character, 1},
    {"varchar", TypeKind::varchar},
    {"binary", TypeKind::binary, 1},
    {"varbinary", TypeKind::varbinary},
    {"tinytext", TypeKind::text, 0xFF},
    {"text", TypeKind::text, 0xFFFF},
    {"mediumtext", TypeKind::text, 0xFF'FFFF},
    {"longtext", TypeKind::text, 0xFFFF'FFFF},
    {"tinyblob", TypeKind::blob, 0xFF},
    {"blob", TypeKind::blob, 0xFFFF},
    {"mediumblob", TypeKind::blob, 0xFF'FFFF},
    {"longblob", TypeKind::blob, 0xFFFF'FFFF},
    {"enum", TypeKind::enumeration},
    {"set", TypeKind::set},
    {"json", TypeKind::json},
    {"geometry", TypeKind::geometry},
    {"point", TypeKind::geometry},
    {"linestring", TypeKind::geometry},
    {"polygon", TypeKind::geometry},
    {"multipoint", TypeKind::geometry},
    {"multilinestring", TypeKind::geometry},
    {"multipolygon", TypeKind::geometry},
    {"geometrycollection", TypeKind::geometry},
    {"geomcollection", TypeKind::geometry},
    {"vector", TypeKind::vector},
    {"uuid", TypeKind::uuid},
    {"inet4", TypeKind::inet4},
    {"inet6", TypeKind::inet6},
};

constexpr std::uint16_t kDocumentedPrecisionMax = 38;  // of the DMS type NUMERIC

std::unexpected<Error> unreadable(std::string_view column_type) {
    return fail(ErrorCode::unsupported, fmt::format("column type {} is not known", column_type));
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::size_t characters_of(std::string_view utf8) {
    return static_cast<std::size_t>(
        std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// 'a','it''s' up to the closing parenthesis. The catalogue doubles quotes and escapes \0 \n \r \\.
std::optional<std::vector<std::string>> read_labels(std::string_view& rest) {
    std::vector<std::string> labels;
    for (;;) {
        if (rest.empty() || rest.front() != '\'') return std::nullopt;
        rest.remove_prefix(1);
        std::string label;
        for (;;) {
            if (rest.empty()) return std::nullopt;
            const char c = rest.front();
            rest.remove_prefix(1);
            if (c == '\'') {
                if (rest.empty() || rest.front() != '\'') break;
                rest.remove_prefix(1);
                label += '\'';
            } else if (c == '\\' && !rest.empty()) {
                const char escaped = rest.front();
                rest.remove_prefix(1);
                label += escaped == '0' ? '\0' : escaped == 'n' ? '\n' : escaped == 'r' ? '\r' : escaped;
            } else {
                label += c;
            }
        }
        labels.push_back(std::move(label));
        if (rest.empty()) return std::nullopt;
        const char next = rest.front();
        rest.remove_prefix(1);
        if (next == ')') return labels;
        if (next != ',') return std::nullopt;
    }
}

std::optional<std::uint32_t> read_number(std::string_view& rest) {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    std::uint32_t v = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), v);
    if (error != std::errc{}) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    return v;
}

PortableType plain(PortableKind kind) { return {.kind = kind}; }
PortableType sized(PortableKind kind, std::size_t length) {
    return {.kind = kind, .length = static_cast<std::uint32_t>(length)};
}

PortableKind integer_kind(const Type& type) {
    switch (type.kind) {
        case TypeKind::tinyint:
            return type.is_unsigned ? PortableKind::uint1 : PortableKind::int1;
        case TypeKind::smallint:
            return type.is_unsigned ? PortableKind::uint2 : PortableKind::int2;
        case TypeKind::bigint:
            return type.is_unsigned ? PortableKind::uint8 : PortableKind::int8;
        default:
            return type.is_unsigned ? PortableKind::uint4 : PortableKind::int4;
    }
}

const Name* find_name(std::string_view name) {
    const auto* known = std::ranges::find(kNames, name, &Name::name);
    return known == std::end(kNames) ? nullptr : known;
}

}  // namespace

std::optional<TypeKind> kind_of(std::string_view data_type) {
    const Name* known = find_name(data_type);
    return known == nullptr ? std::nullopt : std::optional(known->kind);
}

bool holds_bytes(TypeKind kind) noexcept {
    switch (kind) {
        case TypeKind::binary:
        case TypeKind::varbinary:
        case TypeKind::blob:
        case TypeKind::geometry:
        case TypeKind::vector:
            return true;
        default:
            return false;
    }
}

std::string charset_of(std::string_view collation) {
    std::string charset(collation.substr(0, collation.find('_')));
    std::ranges::transform(charset, charset.begin(), lower);
    if (charset == "utf8") return "utf8mb3";
    return charset;
}

Result<Type> parse_type(std::string_view column_type, std::string_view collation) {
    std::string_view rest = column_type;
    const std::size_t name_end = std::min(rest.find_first_of("( /"), rest.size());
    std::string name(rest.substr(0, name_end));
    std::ranges::transform(name, name.begin(), lower);
    rest.remove_prefix(name_end);
    const Name* known = find_name(name);
    if (known == nullptr) return unreadable(column_type);

    Type type;
    type.kind = known->kind;
    type.length = known->length;
    if (!rest.empty() && rest.front() == '(') {
        rest.remove_prefix(1);
        if (type.kind == TypeKind::enumeration || type.kind == TypeKind::set) {
            auto labels = read_labels(rest);
            if (!labels) return unreadable(column_type);
            type.labels = std::move(*labels);
        } else {
            std::array<std::uint32_t, 2> args{};
            std::size_t n = 0;
            for (;;) {
                const auto v = read_number(rest);
                if (!v || n == args.size() || rest.empty()) return unreadable(column_type);
                args[n++] = *v;
                const char next = rest.front();
                rest.remove_prefix(1);
                if (next == ')') break;
                if (next != ',') return unreadable(column_type);
            }
            switch (type.kind) {
                case TypeKind::decimal:
                    if (args[0] > 65 || args[1] > args[0]) return unreadable(column_type);
                    type.precision = static_cast<std::uint16_t>(args[0]);
                    type.scale = static_cast<std::uint16_t>(args[1]);
                    break;
                case TypeKind::datetime:
                case TypeKind::timestamp:
                case TypeKind::time:
                    if (args[0] > 6) return unreadable(column_type);
                    type.scale = static_cast<std::uint16_t>(args[0]);
                    break;
                case TypeKind::real4:
                case TypeKind::real8:
                    break;  // FLOAT(m,d) is rounded when it is stored
                case TypeKind::bit:
                    if (args[0] == 0 || args[0] > 64) return unreadable(column_type);
                    type.length = args[0];
                    break;
                case TypeKind::text:
                case TypeKind::blob:
                    break;
                default:
                    type.length = args[0];
            }
        }
    } else if (type.kind == TypeKind::decimal) {
        type.precision = 10;
    } else if (type.kind == TypeKind::enumeration || type.kind == TypeKind::set) {
        return unreadable(column_type);
    }

    // What follows: unsigned, zerofill, remarks as /* mariadb-5.3 */ and /*M!100301 COMPRESSED*/
    rest = rest.substr(0, rest.find("/*"));
    while (!rest.empty()) {
        while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
        std::string word(rest.substr(0, rest.find(' ')));
        rest.remove_prefix(word.size());
        std::ranges::transform(word, word.begin(), lower);
        if (word == "unsigned") type.is_unsigned = true;
        if (word == "zerofill") type.is_unsigned = type.zerofill = true;
    }

    switch (type.kind) {
        case TypeKind::character:
        case TypeKind::varchar:
        case TypeKind::text:
        case TypeKind::enumeration:
        case TypeKind::set:
            type.charset = charset_of(collation);
            if (type.charset.empty()) type.charset = "utf8mb4";
            break;
        default:
            break;
    }
    return type;
}

PortableType portable_type(const Type& type, const TypeOptions& options) {
    switch (type.kind) {
        case TypeKind::tinyint:
            if (options.tinyint1_as_boolean && type.length == 1 && !type.is_unsigned)
                return plain(PortableKind::boolean);
            return plain(integer_kind(type));
        case TypeKind::smallint:
        case TypeKind::mediumint:
        case TypeKind::integer:
        case TypeKind::bigint:
            return plain(integer_kind(type));
        case TypeKind::decimal:
            if (type.precision > kDocumentedPrecisionMax)  // digits, sign and point
                return sized(PortableKind::string, type.precision + 2U);
            return {.kind = PortableKind::numeric,
                    .precision = type.precision,
                    .scale = static_cast<std::int16_t>(type.scale)};
        case TypeKind::real4:
        case TypeKind::real8:
            return plain(PortableKind::real8);
        case TypeKind::bit:
            if (type.length == 1) return plain(PortableKind::boolean);
            return sized(PortableKind::bytes, (type.length + 7U) / 8U);
        case TypeKind::date:
            return plain(PortableKind::date);
        case TypeKind::datetime:
        case TypeKind::timestamp:
            return {.kind = PortableKind::datetime,
                    .scale = static_cast<std::int16_t>(type.scale),
                    .zoned = type.kind == TypeKind::timestamp};
        case TypeKind::time:  // beyond a day, and negative: no other family has it
            return sized(PortableKind::string, 10U + (type.scale == 0 ? 0U : type.scale + 1U));
        case TypeKind::year:
            return plain(PortableKind::int2);
        case TypeKind::character:
        case TypeKind::varchar:
            return sized(PortableKind::wstring, type.length);
        case TypeKind::binary:
        case TypeKind::varbinary:
            return sized(PortableKind::bytes, type.length);
        case TypeKind::text:
            if (type.length <= 0xFFFF) return sized(PortableKind::wstring, type.length);
            return plain(PortableKind::nclob);
        case TypeKind::blob:
            if (type.length <= 0xFFFF) return sized(PortableKind::bytes, type.length);
            return plain(PortableKind::blob);
        case TypeKind::enumeration: {
            std::size_t longest = 1;
            for (const auto& label : type.labels) longest = std::max(longest, characters_of(label));
            return sized(PortableKind::wstring, longest);
        }
        case TypeKind::set: {
            std::size_t all = type.labels.empty() ? 0 : type.labels.size() - 1;
            for (const auto& label : type.labels) all += characters_of(label);
            return sized(PortableKind::wstring, std::max<std::size_t>(all, 1));
        }
        case TypeKind::json:
            return {.kind = PortableKind::clob, .json = true};
        case TypeKind::geometry:
        case TypeKind::vector:
            return plain(PortableKind::blob);
        case TypeKind::uuid:
            return sized(PortableKind::string, 36);
        case TypeKind::inet4:
        case TypeKind::inet6:
            return sized(PortableKind::string, 39);
    }
    return {};
}

}  // namespace godwit::mysql
