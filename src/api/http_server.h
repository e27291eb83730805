#pragma once
// The HTTP front: POST / (DMS, JSON 1.1), /godwit/v1, /metrics, /healthz.

#include <memory>
#include <string>
#include <vector>

#include "api/service.h"
#include "api/sigv4.h"
#include "base/clock.h"
#include "base/result.h"

namespace godwit::api {

struct HttpOptions {
    std::string host = "127.0.0.1";
    int port = 4600;  // 0: any free one
    std::vector<KeyPair> keys;
};

// bind(), then run(); stop() from any thread.
class HttpServer {
public:
    virtual ~HttpServer() = default;
    // the port
    [[nodiscard]] virtual Result<int> bind() = 0;
    virtual void run() = 0;
    virtual void stop() = 0;
    // requests that are being answered; from any thread
    [[nodiscard]] virtual int busy() const = 0;
};

// Requests without keys are believed, which is for loopback addresses only: the caller sees to that.
[[nodiscard]] std::unique_ptr<HttpServer> make_http_server(HttpOptions options, Service& service,
                                                           Clock& clock, Log& log);

// 127.0.0.0/8, ::1, localhost
[[nodiscard]] bool is_loopback(const std::string& host);

}  // namespace godwit::api
