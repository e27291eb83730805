#include "api/secret_source.h"

#include <curl/curl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "api/text.h"
#include "base/files.h"

namespace godwit::api {
namespace {

constexpr long kConnectTimeoutS = 5, kTimeoutS = 15;
constexpr std::size_t kAnswerBytesMax = 1U << 20;

Result<DatabaseSecret> read_secret(const nlohmann::json& json, const std::string& id) {
    if (!json.is_object()) return fail(ErrorCode::invalid_argument, "secret " + id + " is not a JSON object");
    const auto text = [&](const char* name) -> std::string {
        const auto it = json.find(name);
        if (it == json.end()) return {};
        if (it->is_string()) return it->get<std::string>();
        return it->is_number() ? it->dump() : std::string();
    };
    DatabaseSecret out{text("username"), text("password"), text("host"), 0};
    if (const auto port = text("port"); !port.empty()) {
        char* end = nullptr;
        const long number = std::strtol(port.c_str(), &end, 10);
        if (*end != 0 || number < 1 || number > 65535)
            return fail(ErrorCode::invalid_argument, "secret " + id + ": port is not a port number");
        out.port = static_cast<std::uint16_t>(number);
    }
    if (out.username.empty()) return fail(ErrorCode::invalid_argument, "secret " + id + " has no username");
    return out;
}

class NoSecrets final : public SecretSource {
public:
    Result<DatabaseSecret> find(const std::string& secret_id, const std::string&) override {
        return fail(ErrorCode::failed_precondition, "secret " + secret_id +
                                                        " cannot be read: no secret source is configured "
                                                        "(GODWIT_SECRETS_FILE or GODWIT_SECRETS_URL)");
    }
};

class FileSecrets final : public SecretSource {
public:
    explicit FileSecrets(std::string file) : file_(std::move(file)) {}
    Result<DatabaseSecret> find(const std::string& secret_id, const std::string&) override {
        const auto text = GW_TRY(read_file(file_));
        const auto json = nlohmann::json::parse(text, nullptr, false);
        if (!json.is_object()) return fail(ErrorCode::failed_precondition, file_ + " is not a JSON object");
        auto it = json.find(secret_id);
        for (auto at = json.begin(); it == json.end() && at != json.end(); ++at)
            if (names(secret_id, at.key())) it = at;
        if (it == json.end())
            return fail(ErrorCode::not_found, "secret " + secret_id + " is not in " + file_);
        return read_secret(*it, secret_id);
    }

private:
    // An ARN ends with the name and often "-" and six more characters; one side may be an ARN, the other a
    // name.
    static bool names(const std::string& asked, const std::string& stored) {
        const auto bare = [](const std::string& id) { return id.starts_with("arn:") ? last_part(id) : id; };
        const auto a = bare(asked), s = bare(stored);
        constexpr std::size_t kSuffix = 7;
        const auto with_suffix = [](const std::string& longer, const std::string& name) {
            return longer.size() == name.size() + kSuffix && longer.starts_with(name) &&
                   longer[name.size()] == '-';
        };
        return a == s || (asked.starts_with("arn:") && with_suffix(a, s)) ||
               (stored.starts_with("arn:") && with_suffix(s, a));
    }
    const std::string file_;
};

class RemoteSecrets final : public SecretSource {
public:
    RemoteSecrets(std::string url, KeyPair key) : url_(std::move(url)), key_(std::move(key)) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
    }
    Result<DatabaseSecret> find(const std::string& secret_id, const std::string& region) override {
        const auto body = nlohmann::json{{"SecretId", secret_id}}.dump();
        const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
        if (!curl) return fail(ErrorCode::resource_exhausted, "no HTTP client");

        sigv4::Request request;
        request.method = "POST";
        request.path = "/";
        request.body = body;
        request.headers = {{"content-type", "application/x-amz-json-1.1"},
                           {"host", host()},
                           {"x-amz-date", fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::time(nullptr)))},
                           {"x-amz-target", "secretsmanager.GetSecretValue"}};
        curl_slist* list = nullptr;
        for (const auto& [name, value] : request.headers)
            list = curl_slist_append(list, (name + ": " + value).c_str());
        if (!key_.id.empty())
            list = curl_slist_append(
                list, ("Authorization: " +
                       sigv4::authorization(request, key_.id, key_.secret, region, "secretsmanager"))
                          .c_str());
        const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, &curl_slist_free_all);

        std::string answer;
        curl_easy_setopt(curl.get(), CURLOPT_URL, url_.c_str());
        curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
        curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
        curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectTimeoutS);
        curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kTimeoutS);
        curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
        curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &RemoteSecrets::take);
        const auto code = curl_easy_perform(curl.get());
        if (code != CURLE_OK)
            return fail(ErrorCode::unavailable, fmt::format("secret {} cannot be read from {}: {}", secret_id,
                                                            url_, curl_easy_strerror(code)));
        const auto json = nlohmann::json::parse(answer, nullptr, false);
        const auto text_of = [&](const char* name) -> std::string {
            if (!json.is_object()) return {};
            const auto it = json.find(name);
            return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
        };
        long status = 0;
        curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
        if (status != 200) {
            auto type = text_of("__type");
            if (const auto hash = type.find('#'); hash != std::string::npos) type.erase(0, hash + 1);
            const auto message = text_of("message") + text_of("Message");
            return fail(type == "ResourceNotFoundException" ? ErrorCode::not_found : ErrorCode::unavailable,
                        fmt::format("secret {} cannot be read from {}: {} {} {}", secret_id, url_, status,
                                    type, message));
        }
        if (!json.is_object()) return fail(ErrorCode::unavailable, url_ + " gave no JSON object");
        auto text = text_of("SecretString");
        if (text.empty()) text = base64_decode(text_of("SecretBinary")).value_or("");
        return read_secret(nlohmann::json::parse(text, nullptr, false), secret_id);
    }

private:
    static std::size_t take(char* data, std::size_t size, std::size_t count, void* to) {
        auto& answer = *static_cast<std::string*>(to);
        if (answer.size() + size * count > kAnswerBytesMax) return 0;
        answer.append(data, size * count);
        return size * count;
    }
    [[nodiscard]] std::string host() const {
        auto from = url_.find("://");
        from = from == std::string::npos ? 0 : from + 3;
        return url_.substr(from, url_.find('/', from) - from);
    }
    const std::string url_;
    const KeyPair key_;
};

}  // namespace

std::unique_ptr<SecretSource> make_secret_source(std::string url, std::string file, KeyPair key) {
    if (!file.empty()) return std::make_unique<FileSecrets>(std::move(file));
    if (!url.empty()) return std::make_unique<RemoteSecrets>(std::move(url), std::move(key));
    return std::make_unique<NoSecrets>();
}

}  // namespace godwit::api
