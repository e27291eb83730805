#include "api/sigv4.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>

#include "api/text.h"

namespace godwit::api {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kService = "dms";

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

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> out;
    for (std::size_t from = 0; from <= text.size();) {
        auto to = text.find(at, from);
        if (to == std::string_view::npos) to = text.size();
        out.emplace_back(text.substr(from, to - from));
        from = to + 1;
    }
    return out;
}

// Sorted by name, then value; a name without '=' gets one.
std::string canonical_query(std::string_view query) {
    if (query.empty()) return {};
    std::vector<std::pair<std::string, std::string>> parts;
    for (const auto& part : split(query, '&')) {
        if (part.empty()) continue;
        const auto eq = part.find('=');
        parts.emplace_back(uri_encode(uri_decode(part.substr(0, eq)), false),
                           eq == std::string::npos ? "" : uri_encode(uri_decode(part.substr(eq + 1)), false));
    }
    std::ranges::sort(parts);
    std::string out;
    for (const auto& [name, value] : parts) out += (out.empty() ? "" : "&") + name + "=" + value;
    return out;
}

// Trimmed, runs of blanks as one; several values joined by commas.
std::string canonical_value(const SignedRequest& request, const std::string& name) {
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

std::string canonical_request(const SignedRequest& request, const std::vector<std::string>& signed_headers) {
    std::string out = request.method + "\n" + uri_encode(request.path.empty() ? "/" : request.path, true) +
                      "\n" + canonical_query(request.query) + "\n";
    for (const auto& name : signed_headers) out += name + ":" + canonical_value(request, name) + "\n";
    out += "\n" + fmt::format("{}", fmt::join(signed_headers, ";")) + "\n" + sha256_hex(request.body);
    return out;
}

std::string signature(const std::string& secret, const std::string& date, const std::string& region,
                      const std::string& service, const std::string& amz_date, const std::string& canonical) {
    const auto scope = date + "/" + region + "/" + service + "/aws4_request";
    const auto text = std::string(kAlgorithm) + "\n" + amz_date + "\n" + scope + "\n" + sha256_hex(canonical);
    auto key = hmac("AWS4" + secret, date);
    key = hmac(key, region);
    key = hmac(key, service);
    key = hmac(key, "aws4_request");
    return hex(hmac(key, text));
}

// 20150830T123600Z
std::optional<WallTime> parse_amz_date(const std::string& text) {
    if (text.size() != 16) return {};
    const auto iso = text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6, 5) + ":" +
                     text.substr(11, 2) + ":" + text.substr(13);
    const auto time = parse_iso_time(iso);
    if (!time) return {};
    return WallTime{std::chrono::microseconds(time->us)};
}

struct Authorization {
    std::string key_id, date, region, service, terminator, signature;
    std::vector<std::string> signed_headers;
};

Answer<Authorization> parse_authorization(std::string_view header) {
    const auto incomplete = [](std::string_view what) {
        return fault("IncompleteSignatureException",
                     fmt::format("Authorization header requires '{}' parameter.", what));
    };
    if (!header.starts_with(kAlgorithm)) return incomplete("Algorithm AWS4-HMAC-SHA256");
    Authorization out;
    std::string credential;
    for (auto part : split(header.substr(kAlgorithm.size()), ',')) {
        part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
        const auto eq = part.find('=');
        if (eq == std::string::npos) continue;
        auto value = part.substr(eq + 1);
        while (!value.empty() && value.back() == ' ') value.pop_back();
        if (part.starts_with("Credential="))
            credential = value;
        else if (part.starts_with("SignedHeaders="))
            out.signed_headers = split(value, ';');
        else if (part.starts_with("Signature="))
            out.signature = value;
    }
    if (credential.empty()) return incomplete("Credential");
    if (out.signed_headers.empty()) return incomplete("SignedHeaders");
    if (out.signature.empty()) return incomplete("Signature");
    // the key id itself may hold slashes
    auto parts = split(credential, '/');
    if (parts.size() < 5)
        return fault("IncompleteSignatureException",
                     "Credential must have exactly 5 slash-delimited elements, e.g. "
                     "keyid/date/region/service/term.");
    out.terminator = parts.back();
    out.service = parts[parts.size() - 2];
    out.region = parts[parts.size() - 3];
    out.date = parts[parts.size() - 4];
    for (std::size_t i = 0; i + 4 < parts.size(); ++i) out.key_id += (i == 0 ? "" : "/") + parts[i];
    return out;
}

bool valid_region(std::string_view region) {
    return !region.empty() && region.size() <= 64 && std::ranges::all_of(region, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
    return hex({reinterpret_cast<const char*>(digest), sizeof digest});
}

Result<std::vector<KeyPair>> parse_key_pairs(const std::string& text) {
    std::vector<KeyPair> out;
    if (text.empty()) return out;
    for (const auto& part : split(text, ',')) {
        if (part.empty()) continue;
        const auto fields = split(part, ':');
        if (fields.size() < 2 || fields.size() > 3 || fields[0].empty() || fields[1].empty())
            return fail(ErrorCode::invalid_argument,
                        "access keys are written as KEYID:SECRET[:ACCOUNT][,...]");
        KeyPair key{fields[0], fields[1]};
        if (fields.size() == 3) {
            key.account = fields[2];
            if (key.account.size() != 12 ||
                !std::ranges::all_of(key.account, [](char c) { return c >= '0' && c <= '9'; }))
                return fail(ErrorCode::invalid_argument, "the account of an access key has 12 digits");
        }
        out.push_back(std::move(key));
    }
    return out;
}

Answer<Caller> authenticate(const SignedRequest& request, std::span<const KeyPair> keys, WallTime now) {
    const auto header = request.headers.find("authorization");
    Caller caller;
    if (keys.empty()) {
        if (header == request.headers.end()) return caller;
        const auto parsed = parse_authorization(header->second);
        if (!parsed) return caller;
        if (valid_region(parsed->region)) caller.region = parsed->region;
        caller.key_id = parsed->key_id;
        return caller;
    }
    if (header == request.headers.end())
        return fault("MissingAuthenticationTokenException", "Missing Authentication Token");
    const Authorization given = GW_TRY(parse_authorization(header->second));
    const auto key = std::ranges::find(keys, given.key_id, &KeyPair::id);
    if (key == keys.end())
        return fault("UnrecognizedClientException", "The security token included in the request is invalid.");
    auto date = request.headers.find("x-amz-date");
    if (date == request.headers.end())
        return fault("IncompleteSignatureException",
                     "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
    const auto time = parse_amz_date(date->second);
    if (!time) return fault("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.");
    if (given.terminator != "aws4_request")
        return fault("InvalidSignatureException",
                     "Credential should be scoped with a valid terminator: 'aws4_request'.");
    if (given.service != kService)
        return fault("InvalidSignatureException", "Credential should be scoped to correct service: 'dms'.");
    if (!valid_region(given.region))
        return fault("InvalidSignatureException", "Credential should be scoped to a valid region.");
    if (!date->second.starts_with(given.date) || given.date.size() != 8)
        return fault(
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.");
    if (*time < now - kClockSkewMax)
        return fault("InvalidSignatureException",
                     fmt::format("Signature expired: {} is older than {} minutes.", date->second,
                                 kClockSkewMax.count()));
    if (*time > now + kClockSkewMax)
        return fault("InvalidSignatureException",
                     fmt::format("Signature not yet current: {} is more than {} minutes ahead.", date->second,
                                 kClockSkewMax.count()));
    const auto is_signed = [&](std::string_view name) {
        return std::ranges::find(given.signed_headers, name) != given.signed_headers.end();
    };
    for (const char* needed : {"host", "x-amz-date"})
        if (!is_signed(needed))
            return fault("InvalidSignatureException",
                         fmt::format("'{}' must be a 'SignedHeader' in the AWS Authorization.", needed));
    if (request.headers.contains("x-amz-target") && !is_signed("x-amz-target"))
        return fault("InvalidSignatureException",
                     "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.");
    const auto expected = signature(key->secret, given.date, given.region, given.service, date->second,
                                    canonical_request(request, given.signed_headers));
    if (expected.size() != given.signature.size() ||
        CRYPTO_memcmp(expected.data(), given.signature.data(), expected.size()) != 0)
        return fault(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details.");
    caller.region = given.region;
    caller.account = key->account;
    caller.key_id = key->id;
    return caller;
}

std::string sign(const SignedRequest& request, const KeyPair& key, const std::string& region,
                 const std::string& service) {
    std::vector<std::string> names;
    for (const auto& [name, value] : request.headers)
        if (names.empty() || names.back() != name) names.push_back(name);
    const auto amz_date = canonical_value(request, "x-amz-date");
    const auto date = amz_date.substr(0, 8);
    return fmt::format(
        "{} Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, Signature={}", kAlgorithm, key.id, date,
        region, service, fmt::join(names, ";"),
        signature(key.secret, date, region, service, amz_date, canonical_request(request, names)));
}

}  // namespace godwit::api
