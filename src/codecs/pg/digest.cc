#include "codecs/pg/digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace godwit::pg {
namespace {

// Length and bytes of each cell, so that no two rows have the same text; NULL is not empty.
std::string portable_row(const std::vector<std::string>& values) {
    std::vector<std::string> cells;
    for (const auto& v : values)
        cells.push_back(
            fmt::format("COALESCE(pg_catalog.octet_length({0}) || ':' || "
                        "pg_catalog.upper(pg_catalog.encode({0}, 'hex')), '-')",
                        v));
    return fmt::format("pg_catalog.concat_ws(',', {})", fmt::join(cells, ", "));
}

std::string part(std::string_view hash, int n) {
    return fmt::format("('x' || pg_catalog.substr({}, {}, 8))::bit(32)::pg_catalog.int8", hash, 1 + n * 8);
}

}  // namespace

std::string portable_digest_sql(const std::string& from, const std::vector<std::string>& values) {
    std::vector<std::string> sums;
    for (int n = 0; n < 4; ++n) sums.push_back(fmt::format("COALESCE(pg_catalog.sum({}), 0)", part("h", n)));
    return fmt::format(
        "SELECT pg_catalog.count(*), pg_catalog.concat_ws('-', {}) FROM (SELECT pg_catalog.md5({}) AS h FROM "
        "{}) AS "
        "rows",
        fmt::join(sums, ", "), portable_row(values), from);
}

std::string portable_key_digest_sql(const std::string& from, const std::vector<std::string>& values,
                                    const std::vector<std::string>& keys, std::uint32_t bucket,
                                    std::uint32_t buckets) {
    const std::string key = portable_row(keys.empty() ? values : keys);
    std::vector<std::string> text;
    for (const auto& k : keys) text.push_back(fmt::format("pg_catalog.convert_from({}, 'UTF8')", k));
    return fmt::format("SELECT {} AS gw_key, pg_catalog.md5({}) FROM {} WHERE {} % {} = {} ORDER BY 1",
                       keys.empty() ? "pg_catalog.md5(" + key + ")"
                                    : fmt::format("pg_catalog.concat_ws(',', {})", fmt::join(text, ", ")),
                       portable_row(values), from, part("pg_catalog.md5(" + key + ")", 0), buckets, bucket);
}

std::string digest_sql(const std::string& from, const std::vector<std::string>& columns) {
    return fmt::format(
        "SELECT pg_catalog.count(*), COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(r, 0)), 0) || ':' "
        "|| "
        "COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(r, 1)), 0) "
        "FROM (SELECT ROW({})::text COLLATE \"C\" AS r FROM {}) AS rows",
        fmt::join(columns, ", "), from);
}

std::string key_digest_sql(const std::string& from, const std::vector<std::string>& columns,
                           const std::vector<std::string>& keys, std::uint32_t bucket,
                           std::uint32_t buckets) {
    return fmt::format(
        "SELECT k, pg_catalog.sum(pg_catalog.hashtextextended(r, 0))::text FROM (SELECT ROW({})::text "
        "COLLATE \"C\" AS k, "
        "ROW({})::text COLLATE \"C\" AS r FROM {}) AS rows WHERE "
        "pg_catalog.abs(pg_catalog.hashtextextended(k, 7) % {}) = "
        "{} GROUP BY k ORDER BY k",
        fmt::join(keys.empty() ? columns : keys, ", "), fmt::join(columns, ", "), from, buckets, bucket);
}

}  // namespace godwit::pg
