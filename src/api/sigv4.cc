#include "api/sigv4.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>

#include "api/text.h"

namespace godwit::api {
namespace {

constexpr std::string_view kService = "dms";

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
    if (!header.starts_with(sigv4::kAlgorithm)) return incomplete("Algorithm AWS4-HMAC-SHA256");
    Authorization out;
    std::string credential;
    for (auto part : split(header.substr(sigv4::kAlgorithm.size()), ',')) {
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

Answer<Caller> authenticate(const sigv4::Request& request, std::span<const KeyPair> keys, WallTime now) {
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
    const auto expected = sigv4::signature(
        request, given.signed_headers, {given.date, given.region, given.service}, date->second, key->secret);
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

}  // namespace godwit::api
