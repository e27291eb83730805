#pragma once
// AWS Signature Version 4 for the requests of this client.

#include <map>
#include <string>
#include <string_view>

namespace godwit::cli {

struct Credentials {
    std::string access_key, secret_key, session_token;
};

struct SignedRequest {
    std::string method;
    std::string path;                            // "/godwit/v1/tasks", already percent-encoded
    std::string query;                           // "lines=5", encoded; may be empty
    std::map<std::string, std::string> headers;  // lower-case names; host and x-amz-date among them
    std::string body;
};

// The value of the Authorization header. Every header of the request is signed.
[[nodiscard]] std::string authorization(const SignedRequest& request, const Credentials& credentials,
                                        std::string_view region, std::string_view service);

}  // namespace godwit::cli
