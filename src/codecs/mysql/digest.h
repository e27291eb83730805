#pragma once
// SQL by which both sides compute the same digest of the same rows. The text of a value must be the same on
// both: sessions run with utf8mb4 and time_zone '+00:00'; approximate numbers and documents are normalised.

#include <cstdint>
#include <string>
#include <vector>

#include "core/portable.h"

namespace godwit::mysql {

struct DigestColumn {
    std::string name;
    std::string data_type;  // DATA_TYPE of information_schema: "varchar"
    PortableType portable;  // known: the value is spelled so, for a comparison with another family
};

// Count and hash, independent of the order of rows. `from`: quoted. Generated columns are left out by the
// caller.
[[nodiscard]] std::string digest_sql(const std::string& from, const std::vector<DigestColumn>& columns);
// key text, row hash; `keys` empty: the whole row is the key
[[nodiscard]] std::string key_digest_sql(const std::string& from, const std::vector<DigestColumn>& columns,
                                         const std::vector<DigestColumn>& keys, std::uint32_t bucket,
                                         std::uint32_t buckets);

}  // namespace godwit::mysql
