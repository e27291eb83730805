#pragma once
// SQL by which both sides compute the same digest of the same rows. Row text depends on the session's output
// settings, which source and target sessions share; hashtextextended() is the same in all versions since 11.

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::pg {

// count and hash; independent of the order of rows. `from`: ONLY "s"."t"; columns are quoted, generated ones
// left out.
[[nodiscard]] std::string digest_sql(const std::string& from, const std::vector<std::string>& columns);
// key text, row hash; `keys` empty: the whole row is the key
[[nodiscard]] std::string key_digest_sql(const std::string& from, const std::vector<std::string>& columns,
                                         const std::vector<std::string>& keys, std::uint32_t bucket,
                                         std::uint32_t buckets);

// The same for two families: `values` are bytea (portable_digest_value()).
[[nodiscard]] std::string portable_digest_sql(const std::string& from,
                                              const std::vector<std::string>& values);
[[nodiscard]] std::string portable_key_digest_sql(const std::string& from,
                                                  const std::vector<std::string>& values,
                                                  const std::vector<std::string>& keys, std::uint32_t bucket,
                                                  std::uint32_t buckets);

}  // namespace godwit::pg
