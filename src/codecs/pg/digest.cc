#include "codecs/pg/digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace godwit::pg {

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
