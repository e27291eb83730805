#include "targets/postgres/foreign.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::postgres {
namespace {

// Longer ones are text: a VARCHAR of PostgreSQL counts characters and gains nothing from a limit.
constexpr std::uint32_t kLongestVarchar = 21845;
constexpr int kMicroseconds = 6;

struct OwnType {
    std::string spelled;
    std::uint32_t oid;
    std::int32_t modifier = -1;
};

OwnType numeric(int precision, int scale) {
    if (precision == 0) return {"numeric", 1700};
    return {fmt::format("numeric({},{})", precision, scale), 1700,
            static_cast<std::int32_t>((static_cast<std::uint32_t>(precision) << 16U) |
                                      static_cast<std::uint32_t>(scale)) +
                4};
}

OwnType characters(std::uint32_t length) {
    if (length == 0 || length > kLongestVarchar) return {"text", 25};
    return {fmt::format("character varying({})", length), 1043, static_cast<std::int32_t>(length) + 4};
}

OwnType own_type(const PortableType& t) {
    switch (t.kind) {
        case PortableKind::unknown:
            break;
        case PortableKind::boolean:
            return {"boolean", 16};
        case PortableKind::int1:
        case PortableKind::int2:
        case PortableKind::uint1:
            return {"smallint", 21};
        case PortableKind::int4:
        case PortableKind::uint2:
            return {"integer", 23};
        case PortableKind::int8:
        case PortableKind::uint4:
            return {"bigint", 20};
        case PortableKind::uint8:  // BIGINT would overflow in its upper half
            return numeric(20, 0);
        case PortableKind::numeric:
            return numeric(t.precision, t.scale);
        case PortableKind::real4:
            return {"real", 700};
        case PortableKind::real8:
            return {"double precision", 701};
        case PortableKind::date:
            return {"date", 1082};
        case PortableKind::time:
            return {fmt::format("time({}) without time zone", std::min<int>(t.scale, kMicroseconds)), 1083,
                    std::min<int>(t.scale, kMicroseconds)};
        case PortableKind::datetime:
            if (t.scale > kMicroseconds) return characters(37);
            return {fmt::format("timestamp({}) without time zone", t.scale), 1114, t.scale};
        case PortableKind::bytes:
        case PortableKind::blob:
            return {"bytea", 17};
        case PortableKind::string:
        case PortableKind::wstring:
            return characters(t.length);
        case PortableKind::clob:
        case PortableKind::nclob:
            return {"text", 25};
    }
    return {"", 0};
}

}  // namespace

Result<ColumnSchema> in_own_words(const ColumnSchema& foreign) {
    const OwnType type = own_type(foreign.portable);
    if (type.oid == 0)
        return fail(ErrorCode::unsupported,
                    fmt::format("column {} of type {} has no form that PostgreSQL takes", foreign.name,
                                foreign.native_type));
    ColumnSchema own;
    own.name = foreign.name;
    own.native_type = type.spelled;
    own.type_id = type.oid;
    own.type_modifier = type.modifier;
    own.number = foreign.number;
    own.not_null = foreign.not_null;
    own.portable = foreign.portable;
    return own;
}

Result<TableSchema> in_own_words(const TableSchema& foreign) {
    TableSchema own = foreign;
    own.columns.clear();
    own.types.clear();
    own.extras = {};
    own.primary_key_name.clear();  // "PRIMARY", whatever the table
    for (const auto& c : foreign.columns) {
        if (c.generated) continue;
        own.columns.push_back(GW_TRY(in_own_words(c)));
    }
    // a zero date of a NOT NULL column arrives as NULL
    for (auto& c : own.columns) {
        const bool key = std::ranges::find(own.primary_key, c.name) != own.primary_key.end();
        if (!key && (c.portable.kind == PortableKind::date || c.portable.kind == PortableKind::datetime))
            c.not_null = false;
    }
    return own;
}

}  // namespace godwit::postgres
