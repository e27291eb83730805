#pragma once
// AWS Signature Version 4, the server's side, and the signing that its tests and our own clients need.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/fault.h"
#include "base/clock.h"

namespace godwit::api {

struct KeyPair {
    std::string id;
    std::string secret;
    std::string account = "000000000000";
};
// "AKID:SECRET[:ACCOUNT][,..]"
[[nodiscard]] Result<std::vector<KeyPair>> parse_key_pairs(const std::string& text);

struct SignedRequest {
    std::string method;
    std::string path;                                 // as sent, without the query
    std::string query;                                // as sent, without '?'
    std::multimap<std::string, std::string> headers;  // lower-case names
    std::string_view body;
};

struct Caller {
    std::string region = "us-east-1";
    std::string account = "000000000000";
    std::string key_id;
};

inline constexpr std::chrono::minutes kClockSkewMax{15};

// No keys: anybody passes, and the scope's region is believed. With keys the signature must fit one of them.
[[nodiscard]] Answer<Caller> authenticate(const SignedRequest& request, std::span<const KeyPair> keys,
                                          WallTime now);

// The Authorization header for a request whose headers (host, x-amz-date, ...) are all signed.
[[nodiscard]] std::string sign(const SignedRequest& request, const KeyPair& key, const std::string& region,
                               const std::string& service);

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace godwit::api
