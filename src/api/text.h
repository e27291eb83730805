#pragma once
// Small texts of the API: times, base64, ids, ARNs, identifiers.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/fault.h"
#include "api/shape.h"

namespace godwit::api {

// 2018-03-08T12:12:12, with fraction, Z or an offset; a blank instead of T; a date alone is midnight
[[nodiscard]] std::optional<Timestamp> parse_iso_time(std::string_view text);
[[nodiscard]] std::string format_iso_time(Timestamp time);  // 2018-03-08T12:12:12

[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);
[[nodiscard]] std::string random_bytes(std::size_t count);
[[nodiscard]] std::string uuid();
[[nodiscard]] std::string new_resource_id();  // 26 characters A-Z2-7
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] std::string shortened(std::string_view text);  // for messages

// arn:aws:dms:REGION:ACCOUNT:TYPE:ID
struct Arn {
    std::string region, account, type, id;
    [[nodiscard]] std::string text() const;
};
[[nodiscard]] std::optional<Arn> parse_arn(std::string_view text);
[[nodiscard]] std::string last_part(std::string_view arn);

// ASCII letters, digits, hyphens; a letter first; no hyphen last, no two in a row
[[nodiscard]] Answer<std::monostate> check_identifier(std::string_view member, std::string_view value,
                                                      std::size_t length_max);

}  // namespace godwit::api
