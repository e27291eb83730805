#include "cli/client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/sigv4.h"

namespace godwit::cli {
namespace {

constexpr long kConnectTimeoutS = 5, kAnswerTimeoutS = 120;

std::string environment(std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
    return "";
}

std::size_t collect(char* data, std::size_t size, std::size_t count, void* into) {
    static_cast<std::string*>(into)->append(data, size * count);
    return size * count;
}

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[20];
    return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

// "http://host:port/..." -> "host:port"
std::string host_of(const std::string& url) {
    auto begin = url.find("://");
    begin = begin == std::string::npos ? 0 : begin + 3;
    return url.substr(begin, url.find('/', begin) - begin);
}

ErrorCode code_of(const std::string& name, long status) {
    if (name.find("NotFound") != std::string::npos || status == 404) return ErrorCode::not_found;
    if (name.find("AlreadyExists") != std::string::npos) return ErrorCode::already_exists;
    if (name == "InvalidResourceStateFault") return ErrorCode::failed_precondition;
    if (status == 401 || status == 403 || name.find("Signature") != std::string::npos ||
        name == "UnrecognizedClientException" || name == "MissingAuthenticationTokenException" ||
        name == "AccessDeniedFault")
        return ErrorCode::permission_denied;
    return status >= 500 ? ErrorCode::internal : ErrorCode::invalid_argument;
}

}  // namespace

ServerAddress address_from_environment() {
    ServerAddress out;
    if (const std::string url =
            environment({"GODWIT_SERVER", "AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE", "AWS_ENDPOINT_URL"});
        !url.empty())
        out.url = url;
    out.region = environment({"AWS_REGION", "AWS_DEFAULT_REGION"});
    Credentials keys{environment({"GODWIT_ACCESS_KEY", "AWS_ACCESS_KEY_ID"}),
                     environment({"GODWIT_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"}),
                     environment({"AWS_SESSION_TOKEN"})};
    if (!keys.access_key.empty()) out.credentials = std::move(keys);
    return out;
}

struct Client::Handle {
    CURL* curl = curl_easy_init();
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { curl_easy_cleanup(curl); }
};

Client::Client(ServerAddress address) : address_(std::move(address)), handle_(std::make_unique<Handle>()) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Result<std::string> Client::dms(const std::string& operation, const std::string& body,
                                const std::string& region) {
    return send({"POST", "/", "AmazonDMSv20160101." + operation, body, region});
}
Result<std::string> Client::get(const std::string& path) { return send({"GET", path, "", "", ""}); }
Result<std::string> Client::post(const std::string& path, const std::string& body, long timeout_s) {
    return send({"POST", path, "", body, "", timeout_s});
}

Result<std::string> Client::send(const Outgoing& out) {
    const auto& [method, path, target, body, wanted_region, timeout_s] = out;
    const std::string& region = wanted_region.empty() ? address_.region : wanted_region;
    CURL* curl = handle_->curl;
    curl_easy_reset(curl);  // keeps the connection
    std::string url = address_.url;
    while (url.ends_with('/')) url.pop_back();
    const std::string host = host_of(url);
    url += path;

    sigv4::Request request{method, path.substr(0, path.find('?')), "", {}, body};
    if (const auto query = path.find('?'); query != std::string::npos) request.query = path.substr(query + 1);
    request.headers.emplace("host", host);
    if (method == "POST")
        request.headers.emplace("content-type",
                                target.empty() ? "application/json" : "application/x-amz-json-1.1");
    if (!target.empty()) request.headers.emplace("x-amz-target", target);
    std::string authorization_line;
    if (address_.credentials || !region.empty()) {
        // A region without keys still has to be said; a server without configured keys accepts any signature.
        const Credentials keys = address_.credentials.value_or(Credentials{"godwit", "godwit", ""});
        request.headers.emplace("x-amz-date", utc_now());
        if (!keys.session_token.empty()) request.headers.emplace("x-amz-security-token", keys.session_token);
        authorization_line =
            "authorization: " + sigv4::authorization(request, keys.access_key, keys.secret_key,
                                                     region.empty() ? "us-east-1" : region, "dms");
    }
    curl_slist* headers = nullptr;
    for (const auto& [name, value] : request.headers)
        headers = curl_slist_append(headers, (name + ": " + value).c_str());
    if (!authorization_line.empty()) headers = curl_slist_append(headers, authorization_line.c_str());
    headers = curl_slist_append(headers, "expect:");

    std::string answer;
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "godwit-cli");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s != 0 ? timeout_s : kAnswerTimeoutS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (method == "POST") {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    }
    const CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (double connect_s = 0; code == CURLE_OPERATION_TIMEDOUT &&
                              curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME, &connect_s) == CURLE_OK &&
                              connect_s > 0)
        return fail(ErrorCode::aborted,
                    fmt::format("{} took the request and gave no answer in time", address_.url));
    if (code != CURLE_OK)
        return fail(ErrorCode::unavailable, fmt::format("no answer from {}: {}", address_.url,
                                                        *reason != '\0' ? reason : curl_easy_strerror(code)));
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) return answer;

    const auto json = nlohmann::json::parse(answer, nullptr, false);
    std::string name, message;
    if (json.is_object()) {
        const auto text = [&](const char* key) {
            return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
        };
        name = text("__type");
        if (const auto hash = name.rfind('#'); hash != std::string::npos) name.erase(0, hash + 1);
        message = text("message");
        if (message.empty()) message = text("Message");
        if (message.empty()) message = text("error");
    }
    if (message.empty()) message = fmt::format("the server answered with status {}", status);
    return fail(code_of(name, status), name.empty() ? message : name + ": " + message);
}

std::string path_part(const std::string& text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || c == '.' || c == '~';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace godwit::cli
