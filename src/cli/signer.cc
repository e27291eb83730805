#include "cli/signer.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <vector>

namespace godwit::cli {
namespace {

std::string hex(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto b = static_cast<unsigned char>(c);
        out += kDigits[b >> 4];
        out += kDigits[b & 15];
    }
    return out;
}

std::string sha256(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr);
    return {reinterpret_cast<const char*>(digest.data()), length};
}

std::string hmac(std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &length);
    return {reinterpret_cast<const char*>(digest.data()), length};
}

// Sorted by name, then value; a name without value gets an empty one.
std::string canonical_query(std::string_view query) {
    std::vector<std::string> parts;
    while (!query.empty()) {
        const auto end = query.find('&');
        std::string part(query.substr(0, end));
        if (part.find('=') == std::string::npos) part += '=';
        parts.push_back(std::move(part));
        if (end == std::string_view::npos) break;
        query.remove_prefix(end + 1);
    }
    std::ranges::sort(parts);
    std::string out;
    for (const auto& part : parts) out += (out.empty() ? "" : "&") + part;
    return out;
}

std::string trimmed(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
        out += c;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}  // namespace

std::string authorization(const SignedRequest& request, const Credentials& credentials,
                          std::string_view region, std::string_view service) {
    std::string names, lines;
    for (const auto& [name, value] : request.headers) {
        names += (names.empty() ? "" : ";") + name;
        lines += name + ":" + trimmed(value) + "\n";
    }
    const std::string canonical = request.method + "\n" + request.path + "\n" +
                                  canonical_query(request.query) + "\n" + lines + "\n" + names + "\n" +
                                  hex(sha256(request.body));
    const std::string& time = request.headers.at("x-amz-date");
    const std::string day = time.substr(0, 8);
    const std::string scope = day + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
    const std::string to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + hex(sha256(canonical));
    const std::string key =
        hmac(hmac(hmac(hmac("AWS4" + credentials.secret_key, day), region), service), "aws4_request");
    return "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope +
           ", SignedHeaders=" + names + ", Signature=" + hex(hmac(key, to_sign));
}

}  // namespace godwit::cli
