#include "codecs/mysql/digest.h"

#include <fmt/format.h>

#include <string_view>

#include "codecs/mysql/type.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {
namespace {

bool is_bytes(std::string_view data_type) {
    const auto kind = kind_of(data_type);
    return kind && (holds_bytes(*kind) || *kind == TypeKind::bit);
}

// The value in the form that another family spells as well (codecs/pg/portable.cc has the other half).
std::string portable_value(const DigestColumn& c) {
    const std::string name = quote_name(c.name);
    switch (c.portable.kind) {
        case PortableKind::boolean:
            return fmt::format("CASE WHEN {0} = 0 THEN '0' WHEN {0} IS NOT NULL THEN '1' END", name);
        case PortableKind::int1:
        case PortableKind::int2:
        case PortableKind::int4:
        case PortableKind::int8:
        case PortableKind::uint1:
        case PortableKind::uint2:
        case PortableKind::uint4:
        case PortableKind::uint8:
            return fmt::format("CAST({} + 0 AS CHAR)", name);
        case PortableKind::numeric: {
            const std::string text =
                c.data_type == "decimal" ? fmt::format("CAST({} + 0 AS CHAR)", name) : name;
            return fmt::format(
                "IF(LOCATE('.', {0}) > 0, TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {0})), {0})", text);
        }
        case PortableKind::real4:
        case PortableKind::real8:
            return fmt::format("CASE WHEN {} IS NOT NULL THEN '0' END", name);
        case PortableKind::date:
            return fmt::format(
                "CASE WHEN YEAR({0}) <> 0 AND MONTH({0}) <> 0 AND DAYOFMONTH({0}) <> 0 THEN "
                "DATE_FORMAT({0}, '%Y-%m-%d') END",
                name);
        case PortableKind::datetime:
            return fmt::format(
                "CASE WHEN YEAR({0}) <> 0 AND MONTH({0}) <> 0 AND DAYOFMONTH({0}) <> 0 THEN "
                "DATE_FORMAT({0}, '%Y-%m-%d %H:%i:%s.%f') END",
                name);
        case PortableKind::time:
            return fmt::format("TIME_FORMAT({}, '%H:%i:%s.%f')", name);
        case PortableKind::bytes:
        case PortableKind::blob:
            if (c.data_type == "bit")
                return fmt::format("UNHEX(LPAD(HEX({} + 0), {}, '0'))", name, 2 * c.portable.length);
            return name;
        case PortableKind::string:
        case PortableKind::wstring:
        case PortableKind::clob:
        case PortableKind::nclob:
        case PortableKind::unknown:
            break;
    }
    return fmt::format("REPLACE(CONVERT({} USING utf8mb4), CHAR(0), ' ')", name);
}

// The value as bytes that are the same on every server of the family.
std::string value(const DigestColumn& c) {
    if (c.portable.kind != PortableKind::unknown) return portable_value(c);
    const std::string name = quote_name(c.name);
    if (c.data_type == "bit") return fmt::format("CAST({} + 0 AS CHAR)", name);
    if (is_bytes(c.data_type)) return name;
    // FLOAT as text has six digits: its double has all of them
    if (c.data_type == "float") return fmt::format("CAST({} + 0e0 AS CHAR)", name);
    return fmt::format("CONVERT({} USING utf8mb4)", name);
}

// Length and bytes of each cell, so that no two rows have the same text; NULL is not empty.
std::string row(const std::vector<DigestColumn>& columns) {
    std::string out;
    for (const auto& c : columns)
        out += (out.empty() ? "" : ", ") +
               fmt::format("COALESCE(CONCAT(LENGTH({0}), ':', HEX({0})), '-')", value(c));
    return out.empty() ? "''" : "CONCAT_WS(',', " + out + ")";
}

}  // namespace

std::string digest_sql(const std::string& from, const std::vector<DigestColumn>& columns) {
    // Sums, not XOR: equal rows do not cancel each other. The hash in four parts of 32 bits.
    std::string sums;
    for (int part = 0; part < 4; ++part)
        sums +=
            (part == 0 ? "" : ", ") +
            fmt::format("COALESCE(SUM(CAST(CONV(SUBSTR(h, {}, 8), 16, 10) AS UNSIGNED)), 0)", 1 + part * 8);
    return fmt::format("SELECT COUNT(*), CONCAT_WS('-', {}) FROM (SELECT MD5({}) AS h FROM {}) AS gw_rows",
                       sums, row(columns), from);
}

std::string key_digest_sql(const std::string& from, const std::vector<DigestColumn>& columns,
                           const std::vector<DigestColumn>& keys, std::uint32_t bucket,
                           std::uint32_t buckets) {
    const std::string key = row(keys.empty() ? columns : keys);
    // readable where it can be: plain text for keys that are not bytes
    std::string text;
    for (const auto& k : keys)
        text += (text.empty() ? "" : ", ',', ") +
                (is_bytes(k.data_type) ? fmt::format("HEX({})", value(k)) : value(k));
    return fmt::format(
        "SELECT {} AS gw_key, MD5({}) FROM {} WHERE MOD(CAST(CONV(SUBSTR(MD5({}), 1, 8), 16, 10) AS "
        "UNSIGNED), "
        "{}) = {} ORDER BY gw_key",
        keys.empty() ? "MD5(" + key + ")" : "CONCAT(" + text + ")", row(columns), from, key, buckets, bucket);
}

}  // namespace godwit::mysql
