#pragma once
// AWS Signature Version 4: the one canonical form of a request. Who sends signs with it (the command line,
// the secret source), who receives verifies with it (api/sigv4.h).

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::sigv4 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

struct Request {
    std::string method;
    std::string path;                                 // as sent, without the query
    std::string query;                                // as sent, without '?'
    std::multimap<std::string, std::string> headers;  // lower-case names
    std::string_view body;
};

struct Scope {
    std::string date, region, service;  // 20150830, us-east-1, dms
};

// Hexadecimal. `signed_headers` in the order of the Authorization header; an absent one counts as empty.
[[nodiscard]] std::string signature(const Request& request, const std::vector<std::string>& signed_headers,
                                    const Scope& scope, std::string_view amz_date, std::string_view secret);

// The Authorization header of a request whose headers (host, x-amz-date, ...) are all signed.
[[nodiscard]] std::string authorization(const Request& request, std::string_view key_id,
                                        std::string_view secret, const std::string& region,
                                        const std::string& service);

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace godwit::sigv4
