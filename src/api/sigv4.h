#pragma once
// AWS Signature Version 4, the server's side: who calls, and from which region.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/fault.h"
#include "base/clock.h"
#include "base/sigv4.h"

namespace godwit::api {

struct KeyPair {
    std::string id;
    std::string secret;
    std::string account = "000000000000";
};
// "AKID:SECRET[:ACCOUNT][,..]"
[[nodiscard]] Result<std::vector<KeyPair>> parse_key_pairs(const std::string& text);

struct Caller {
    std::string region = "us-east-1";
    std::string account = "000000000000";
    std::string key_id;
};

inline constexpr std::chrono::minutes kClockSkewMax{15};

// No keys: anybody passes, and the scope's region is believed. With keys the signature must fit one of them.
[[nodiscard]] Answer<Caller> authenticate(const sigv4::Request& request, std::span<const KeyPair> keys,
                                          WallTime now);

}  // namespace godwit::api
