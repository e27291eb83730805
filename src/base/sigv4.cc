#include "base/sigv4.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

namespace godwit::sigv4 {
namespace {

std::string hex(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return out;
}

std::string hmac(std::string_view key, std::string_view text) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
    return {reinterpret_cast<const char*>(mac), size};
}

std::string uri_encode(std::string_view text, bool keep_slash) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || c == '.' || c == '~' || (keep_slash && c == '/');
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string uri_decode(std::string_view text) {
    const auto digit = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
            out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

// Sorted by name, then value; a name without '=' gets one.
std::string canonical_query(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> parts;
    while (!query.empty()) {
        const auto part = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), part.size() + 1));
        if (part.empty()) continue;
        const auto eq = part.find('=');
        parts.emplace_back(
            uri_encode(uri_decode(part.substr(0, eq)), false),
            eq == std::string_view::npos ? "" : uri_encode(uri_decode(part.substr(eq + 1)), false));
    }
    std::ranges::sort(parts);
    std::string out;
    for (const auto& [name, value] : parts) out += (out.empty() ? "" : "&") + name + "=" + value;
    return out;
}

// Trimmed, runs of blanks as one; several values joined by commas.
std::string canonical_value(const Request& request, const std::string& name) {
    std::string out;
    const auto [from, to] = request.headers.equal_range(name);
    for (auto it = from; it != to; ++it) {
        if (it != from) out += ',';
        std::string value;
        for (const char c : it->second) {
            if ((c == ' ' || c == '\t') && (value.empty() || value.back() == ' ')) continue;
            value += c == '\t' ? ' ' : c;
        }
        while (!value.empty() && value.back() == ' ') value.pop_back();
        out += value;
    }
    return out;
}

std::string canonical_request(const Request& request, const std::vector<std::string>& signed_headers) {
    std::string out = request.method + "\n" + uri_encode(request.path.empty() ? "/" : request.path, true) +
                      "\n" + canonical_query(request.query) + "\n";
    for (const auto& name : signed_headers) out += name + ":" + canonical_value(request, name) + "\n";
    out += "\n" + fmt::format("{}", fmt::join(signed_headers, ";")) + "\n" + sha256_hex(request.body);
    return out;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
    return hex({reinterpret_cast<const char*>(digest), sizeof digest});
}

std::string signature(const Request& request, const std::vector<std::string>& signed_headers,
                      const Scope& scope, std::string_view amz_date, std::string_view secret) {
    const auto text =
        fmt::format("{}\n{}\n{}/{}/{}/aws4_request\n{}", kAlgorithm, amz_date, scope.date, scope.region,
                    scope.service, sha256_hex(canonical_request(request, signed_headers)));
    auto key = hmac("AWS4" + std::string(secret), scope.date);
    for (const std::string_view part :
         {std::string_view(scope.region), std::string_view(scope.service), std::string_view("aws4_request")})
        key = hmac(key, part);
    return hex(hmac(key, text));
}

std::string authorization(const Request& request, std::string_view key_id, std::string_view secret,
                          const std::string& region, const std::string& service) {
    std::vector<std::string> names;
    for (const auto& [name, value] : request.headers)
        if (names.empty() || names.back() != name) names.push_back(name);
    const auto amz_date = canonical_value(request, "x-amz-date");
    const Scope scope{amz_date.substr(0, 8), region, service};
    return fmt::format("{} Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}", kAlgorithm,
                       key_id, scope.date, region, service, fmt::join(names, ";"),
                       signature(request, names, scope, amz_date, secret));
}

}  // namespace godwit::sigv4
