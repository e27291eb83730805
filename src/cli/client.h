#pragma once
// HTTP to one godwit server: the DMS API (POST /) and godwit's own (/godwit/v1).

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace godwit::cli {

struct Credentials {
    std::string access_key, secret_key, session_token;
};

struct ServerAddress {
    std::string url = "http://127.0.0.1:4600";
    std::string region;                      // empty: the server's own
    std::optional<Credentials> credentials;  // nothing: unsigned, which a server on loopback accepts
};

// What is set in GODWIT_SERVER / AWS_ENDPOINT_URL, GODWIT_ACCESS_KEY / AWS_ACCESS_KEY_ID ..., AWS_REGION /
// AWS_DEFAULT_REGION.
[[nodiscard]] ServerAddress address_from_environment();

// Use by one thread. Errors: unavailable when nobody answers, aborted when the time for an answer is over;
// else what the server said, its name first.
class Client {
public:
    explicit Client(ServerAddress address);
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) = delete;

    // One DMS operation; `body` and the answer are JSON objects as text. `region` empty: that of the address.
    [[nodiscard]] Result<std::string> dms(const std::string& operation, const std::string& body,
                                          const std::string& region = {});
    // path with query: "/godwit/v1/tasks/ab?lines=5"
    [[nodiscard]] Result<std::string> get(const std::string& path);
    [[nodiscard]] Result<std::string> post(const std::string& path, const std::string& body,
                                           long timeout_s = 0);
    [[nodiscard]] const ServerAddress& address() const { return address_; }

private:
    struct Handle;
    struct Outgoing {
        std::string method, path, target, body, region;
        long timeout_s = 0;  // 0: the usual
    };
    [[nodiscard]] Result<std::string> send(const Outgoing& out);

    const ServerAddress address_;
    std::unique_ptr<Handle> handle_;
};

// Percent-encodes one part of a path.
[[nodiscard]] std::string path_part(const std::string& text);

}  // namespace godwit::cli
