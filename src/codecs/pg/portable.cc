#include "codecs/pg/portable.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "wire/pg/connection.h"

namespace godwit::postgres {
namespace {

// Built-in types that need more than their number. https://github.com/postgres/postgres pg_type.dat
enum Oid : std::uint32_t {
    kBool = 16,
    kBytea = 17,
    kChar = 18,
    kName = 19,
    kInt8 = 20,
    kInt2 = 21,
    kInt4 = 23,
    kText = 25,
    kOid = 26,
    kXid = 28,
    kJson = 114,
    kXml = 142,
    kPoint = 600,
    kLseg = 601,
    kPath = 602,
    kBox = 603,
    kPolygon = 604,
    kLine = 628,
    kCidr = 650,
    kFloat4 = 700,
    kFloat8 = 701,
    kCircle = 718,
    kMacaddr8 = 774,
    kMoney = 790,
    kMacaddr = 829,
    kInet = 869,
    kBpchar = 1042,
    kVarchar = 1043,
    kDate = 1082,
    kTime = 1083,
    kTimestamp = 1114,
    kTimestamptz = 1184,
    kInterval = 1186,
    kTimetz = 1266,
    kBit = 1560,
    kVarbit = 1562,
    kNumeric = 1700,
    kUuid = 2950,
    kLsn = 3220,
    kJsonb = 3802,
};

struct Base {
    std::uint32_t oid;
    std::int32_t modifier;
    const UserType* user = nullptr;  // not built in
};

// Through domains to what is stored.
Base base_of(const ColumnSchema& column, const std::vector<UserType>& types) {
    Base b{column.type_id, column.type_modifier};
    for (int depth = 0; depth < 32; ++depth) {
        const auto it = std::ranges::find(types, b.oid, &UserType::type_id);
        if (it == types.end()) return b;
        if (it->kind != UserType::Kind::domain) {
            b.user = &*it;
            return b;
        }
        b = {it->base.type_id, it->base.type_modifier};
    }
    return b;
}

PortableType plain(PortableKind kind, std::uint32_t length = 0, int scale = 0) {
    PortableType t;
    t.kind = kind;
    t.length = length;
    t.scale = static_cast<std::int16_t>(scale);
    return t;
}

PortableType numeric_of(std::int32_t modifier) {
    if (modifier < 4) return plain(PortableKind::numeric);  // precision 0: as many digits as there are
    const auto bits = static_cast<std::uint32_t>(modifier - 4);
    const auto precision = static_cast<std::uint16_t>(bits >> 16U);
    auto scale = static_cast<int>(bits & 0x7ffU);
    if (scale > 1023) scale -= 2048;  // eleven bits, signed, from 15 on
    if (scale < 0 || scale > precision) return plain(PortableKind::string);
    PortableType t = plain(PortableKind::numeric, 0, scale);
    t.precision = precision;
    return t;
}

std::int32_t fraction(std::int32_t modifier) { return modifier < 0 ? 6 : modifier; }

// ---- cells

PortableCell text_of(ByteBuffer& scratch, std::string_view text) {
    scratch.clear();
    scratch.append(text);
    return {CellState::text, scratch.view()};
}

PortableCell bool_as_flag(Bytes text, ByteBuffer& scratch) {
    return text_of(scratch, as_text(text) == "t" ? "1" : "0");
}
PortableCell bool_as_word(Bytes text, ByteBuffer& scratch) {
    return text_of(scratch, as_text(text) == "t" ? "true" : "false");
}

int digit(std::byte b) {
    const auto c = std::to_integer<unsigned>(b);
    return static_cast<int>(c <= '9' ? c - '0' : (c | 0x20U) - 'a' + 10);
}

PortableCell bytes_of_hex(Bytes text, ByteBuffer& scratch) {
    scratch.clear();
    if (text.size() < 2) return {CellState::binary, scratch.view()};
    const std::size_t n = (text.size() - 2) / 2;
    std::byte* at = scratch.extend(n);
    for (std::size_t i = 0; i < n; ++i)
        at[i] = static_cast<std::byte>((digit(text[2 + 2 * i]) << 4) | digit(text[3 + 2 * i]));
    return {CellState::binary, scratch.view()};
}

constexpr std::string_view kForever = "9999-12-31 23:59:59";
constexpr std::string_view kEver = "4713-01-01 00:00:00 BC";

PortableCell instant(Bytes text, ByteBuffer& scratch) {
    std::string_view t = as_text(text);
    if (t == "infinity") return text_of(scratch, kForever);
    if (t == "-infinity") return text_of(scratch, kEver);
    // sessions are in UTC, so the offset is +00, in front of BC where there is one
    if (const auto at = t.find("+00"); at != std::string_view::npos) {
        scratch.clear();
        scratch.append(t.substr(0, at));
        scratch.append(t.substr(at + 3));
        return {CellState::text, scratch.view()};
    }
    return {CellState::text, text};
}
PortableCell civil_time(Bytes text, ByteBuffer& scratch) {
    if (as_text(text) == "infinity") return text_of(scratch, kForever);
    if (as_text(text) == "-infinity") return text_of(scratch, kEver);
    return {CellState::text, text};
}
PortableCell civil_date(Bytes text, ByteBuffer& scratch) {
    if (as_text(text) == "infinity") return text_of(scratch, kForever.substr(0, 10));
    if (as_text(text) == "-infinity") return text_of(scratch, "4713-01-01 BC");
    return {CellState::text, text};
}
PortableCell without_offset(Bytes text, ByteBuffer&) {
    const auto t = as_text(text);
    const auto at = t.find_last_of("+-");
    return {CellState::text, at == std::string_view::npos ? text : text.first(at)};
}
PortableCell amount(Bytes text, ByteBuffer& scratch) {
    scratch.clear();
    for (const std::byte b : text)
        if (b != std::byte{'$'} && b != std::byte{','}) scratch.put_u8(std::to_integer<std::uint8_t>(b));
    return {CellState::text, scratch.view()};
}
// Servers of other families read the digits as a double first, and the shortest form of the largest float is
// beyond it.
PortableCell as_double(Bytes text, ByteBuffer& scratch) {
    const auto t = as_text(text);
    float narrow = 0;
    if (const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), narrow);
        error != std::errc{} || end != t.data() + t.size())
        return {CellState::text, text};
    if (!std::isfinite(narrow)) return {CellState::text, text};
    char digits[40];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, static_cast<double>(narrow));
    return text_of(scratch, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}
PortableCell without_trailing_blanks(Bytes text, ByteBuffer&) {
    std::size_t n = text.size();
    while (n != 0 && text[n - 1] == std::byte{' '}) --n;
    return {CellState::text, text.first(n)};
}

}  // namespace

PortableOptions PortableOptions::of(const EndpointConfig& endpoint) {
    PortableOptions o;
    o.boolean_as_boolean = endpoint.flag("mapbooleanasboolean", false);
    o.trim_char = endpoint.flag("trimspaceinchar", true);
    return o;
}

PortableType portable_type(const ColumnSchema& column, const std::vector<UserType>& types,
                           const PortableOptions& options) {
    const Base b = base_of(column, types);
    if (b.user != nullptr)
        return b.user->kind == UserType::Kind::enumeration ? plain(PortableKind::string, 64)
                                                           : plain(PortableKind::nclob);
    const auto limited = [&](PortableKind kind, std::int32_t header) {
        return plain(kind, b.modifier < header ? 0 : static_cast<std::uint32_t>(b.modifier - header));
    };
    PortableType t;
    switch (b.oid) {
        case kBool:
            return options.boolean_as_boolean ? plain(PortableKind::boolean) : plain(PortableKind::string, 5);
        case kInt2:
            return plain(PortableKind::int2);
        case kInt4:
            return plain(PortableKind::int4);
        case kInt8:
            return plain(PortableKind::int8);
        case kOid:
        case kXid:
            return plain(PortableKind::uint4);
        case kNumeric:
            return numeric_of(b.modifier);
        case kMoney:
            t = plain(PortableKind::numeric, 0, 2);
            t.precision = 38;
            return t;
        case kFloat4:
            return plain(PortableKind::real4);
        case kFloat8:
            return plain(PortableKind::real8);
        case kBytea:
            return plain(PortableKind::blob);
        case kDate:
            return plain(PortableKind::date);
        case kTime:
        case kTimetz:
            return plain(PortableKind::time, 0, fraction(b.modifier));
        case kTimestamp:
            return plain(PortableKind::datetime, 0, fraction(b.modifier));
        case kTimestamptz:
            t = plain(PortableKind::datetime, 0, fraction(b.modifier));
            t.zoned = true;
            return t;
        case kBpchar:
        case kVarchar:
            return limited(PortableKind::wstring, 4);
        case kChar:
            return plain(PortableKind::wstring, 1);
        case kBit:
        case kVarbit:
            return limited(PortableKind::string, 0);
        case kUuid:
            return plain(PortableKind::string, 36);
        case kInterval:
            return plain(PortableKind::string, 128);
        case kCidr:
        case kInet:
            return plain(PortableKind::string, 50);
        case kMacaddr:
            return plain(PortableKind::string, 18);
        case kMacaddr8:
            return plain(PortableKind::string, 24);
        case kLsn:
            return plain(PortableKind::string, 20);
        case kPoint:
        case kLine:
        case kLseg:
        case kBox:
        case kCircle:
            return plain(PortableKind::string, 255);
        case kXml:
        case kPath:
        case kPolygon:
            return plain(PortableKind::clob);
        case kJson:
        case kJsonb:
            t = plain(PortableKind::nclob);
            t.json = true;
            return t;
        case kText:
        case kName:
        default:
            return plain(PortableKind::nclob);  // text output
    }
}

void add_portable_types(TableSchema& table, const PortableOptions& options) {
    for (auto& c : table.columns) c.portable = portable_type(c, table.types, options);
}

std::string portable_expression(const ColumnSchema& column, const std::vector<UserType>& types,
                                const PortableOptions& options) {
    const std::string c = pg::quote_name(column.name);
    const auto finite = [&](std::string_view otherwise, std::string_view forever, std::string_view ever) {
        return fmt::format(
            "CASE WHEN pg_catalog.isfinite({0}) THEN {1} WHEN {0} > 'epoch' THEN '{2}' WHEN {0} IS NOT NULL "
            "THEN "
            "'{3}' END",
            c, otherwise, forever, ever);
    };
    switch (base_of(column, types).oid) {
        case kBool:
            return options.boolean_as_boolean
                       ? fmt::format("{}::pg_catalog.bool::pg_catalog.int4", c)
                       : fmt::format("CASE WHEN {0} THEN 'true' WHEN NOT {0} THEN 'false' END", c);
        case kTimestamptz:
            return finite(fmt::format("({}::pg_catalog.timestamptz AT TIME ZONE 'UTC')::pg_catalog.text", c),
                          kForever, kEver);
        case kTimestamp:
            return finite(fmt::format("{}::pg_catalog.text", c), kForever, kEver);
        case kDate:
            return finite(fmt::format("{}::pg_catalog.text", c), kForever.substr(0, 10), "4713-01-01 BC");
        case kFloat4:
            return fmt::format("{}::pg_catalog.float8", c);
        case kTimetz:
            return fmt::format("{}::pg_catalog.time", c);
        case kMoney:
            return fmt::format("{}::pg_catalog.numeric", c);
        case kBpchar:
            return options.trim_char
                       ? fmt::format("pg_catalog.rtrim({}::pg_catalog.bpchar::pg_catalog.text, ' ')", c)
                       : c;
        default:
            return c;
    }
}

std::string portable_digest_value(const ColumnSchema& column, const std::vector<UserType>& types,
                                  const PortableOptions& options, bool source) {
    const std::string c = pg::quote_name(column.name);
    const auto bytes = [](const std::string& text) {
        return fmt::format("pg_catalog.convert_to(({})::pg_catalog.text, 'UTF8')", text);
    };
    const PortableType& t = column.portable;
    switch (t.kind) {
        case PortableKind::boolean:
            return bytes(fmt::format("{}::pg_catalog.bool::pg_catalog.int4", c));
        case PortableKind::numeric: {
            const std::string text = fmt::format("({})::pg_catalog.text",
                                                 source ? portable_expression(column, types, options) : c);
            return bytes(
                fmt::format("CASE WHEN {0} LIKE '%.%' THEN pg_catalog.rtrim(pg_catalog.rtrim({0}, '0'), '.') "
                            "ELSE {0} END",
                            text));
        }
        case PortableKind::real4:
        case PortableKind::real8:
            return bytes(fmt::format("CASE WHEN {} IS NOT NULL THEN '0' END", c));
        case PortableKind::date:
            return bytes(fmt::format("pg_catalog.to_char({}::pg_catalog.timestamp, 'YYYY-MM-DD')", c));
        case PortableKind::datetime: {
            const std::string civil = t.zoned && source ? fmt::format("({} AT TIME ZONE 'UTC')", c)
                                                        : fmt::format("{}::pg_catalog.timestamp", c);
            return bytes(fmt::format("pg_catalog.to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')", civil));
        }
        case PortableKind::time:
            return bytes(fmt::format(
                "pg_catalog.to_char({}::pg_catalog.time::pg_catalog.interval, 'HH24:MI:SS.US')", c));
        case PortableKind::bytes:
        case PortableKind::blob:
            return c;
        default:
            // cast to text, an address has a length of prefix that its own output leaves out
            if (source && base_of(column, types).oid == kInet)
                return bytes(fmt::format("pg_catalog.abbrev({}::pg_catalog.inet)", c));
            return bytes(source ? portable_expression(column, types, options) : c);
    }
}

CellConverter cell_converter(const ColumnSchema& column, const std::vector<UserType>& types,
                             const PortableOptions& options) {
    switch (base_of(column, types).oid) {
        case kBool:
            return options.boolean_as_boolean ? bool_as_flag : bool_as_word;
        case kBytea:
            return bytes_of_hex;
        case kTimestamptz:
            return instant;
        case kTimestamp:
            return civil_time;
        case kDate:
            return civil_date;
        case kFloat4:
            return as_double;
        case kTimetz:
            return without_offset;
        case kMoney:
            return amount;
        case kBpchar:
            return options.trim_char ? without_trailing_blanks : nullptr;
        default:
            return nullptr;
    }
}

}  // namespace godwit::postgres
