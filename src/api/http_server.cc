#include "api/http_server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "api/json_text.h"

namespace godwit::api {
namespace {

constexpr std::size_t kBodyBytesMax = 8U << 20;  // the largest table mappings are far smaller
constexpr std::size_t kDiscardBytesMax =
    256U << 20;                           // of a body beyond that, read so that the answer gets through
constexpr std::size_t kThreadsMax = 512;  // a kept connection holds one
constexpr auto kIdleThreadLife = std::chrono::seconds(10);
constexpr int kKeepAliveS = 5;
constexpr const char* kAmzJson = "application/x-amz-json-1.1";
constexpr const char* kJson = "application/json";
constexpr std::string_view kTargetStart = "AmazonDMSv20160101.";
constexpr const char* kTooLarge = "RequestEntityTooLargeException";

// The service's REST pages use HTTP's own codes.
int rest_status(const Fault& fault) {
    if (fault.http_status != 400) return fault.http_status;
    if (fault.name == "ResourceNotFoundFault") return 404;
    if (fault.name == "InvalidResourceStateFault") return 409;
    if (fault.name.ends_with("TokenException") || fault.name.ends_with("SignatureException") ||
        fault.name == "UnrecognizedClientException")
        return 403;
    return 400;
}

// Threads as connections need them: an idle connection holds its thread, and clients keep many of them.
class GrowingThreads final : public httplib::TaskQueue {
public:
    void enqueue(std::function<void()> work) override {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(work));
        if (idle_ >= waiting_.size() || threads_ >= kThreadsMax) {
            wake_.notify_one();
            return;
        }
        try {
            std::thread([this] { run(); }).detach();
            ++threads_;
        } catch (const std::system_error&) {  // no more threads to be had: those that are there get to it
        }
    }
    void shutdown() override {
        std::unique_lock lock(mutex_);
        stopping_ = true;
        wake_.notify_all();
        ended_.wait(lock, [&] { return threads_ == 0; });
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            if (waiting_.empty()) {
                if (stopping_) break;
                ++idle_;
                const bool woken =
                    wake_.wait_for(lock, kIdleThreadLife, [&] { return !waiting_.empty() || stopping_; });
                --idle_;
                if (!woken) break;
                continue;
            }
            const auto work = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            work();
            lock.lock();
        }
        if (--threads_ == 0) ended_.notify_all();
    }

    std::mutex mutex_;  // guards all below
    std::condition_variable wake_, ended_;
    std::deque<std::function<void()>> waiting_;
    std::size_t threads_ = 0, idle_ = 0;
    bool stopping_ = false;
};

class HttplibServer final : public HttpServer {
public:
    HttplibServer(HttpOptions options, Service& service, Clock& clock, Log& log)
        : options_(std::move(options)), service_(service), clock_(clock), log_(log) {
        server_.new_task_queue = [] { return new GrowingThreads; };  // the library deletes it
        // SO_REUSEPORT, the library's default, would let two servers share one port unnoticed.
        server_.set_socket_options([](socket_t socket) {
            const int yes = 1;
            ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        });
        server_.set_tcp_nodelay(true);
        server_.set_payload_max_length(kBodyBytesMax);
        server_.set_keep_alive_max_count(1'000'000);
        server_.set_keep_alive_timeout(kKeepAliveS);
        server_.set_read_timeout(30);
        server_.set_write_timeout(30);
        routes();
    }

    Result<int> bind() override {
        if (options_.port == 0) {
            const int port = server_.bind_to_any_port(options_.host.c_str());
            if (port > 0) return port;
        } else if (server_.bind_to_port(options_.host.c_str(), options_.port)) {
            return options_.port;
        }
        return fail(ErrorCode::unavailable, fmt::format("cannot listen on {}:{}: {}", options_.host,
                                                        options_.port, std::strerror(errno)));
    }
    void run() override { server_.listen_after_bind(); }
    void stop() override { server_.stop(); }
    int busy() const override { return busy_; }

private:
    using Request = httplib::Request;
    using Response = httplib::Response;

    // A request that is being answered.
    class Busy {
    public:
        explicit Busy(std::atomic<int>& count) : count_(count) { ++count_; }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
        ~Busy() { --count_; }

    private:
        std::atomic<int>& count_;
    };

    // Reads the body, also a compressed or chunked one, up to the limit; false: not whole, and answered.
    static bool read_body(const httplib::ContentReader& reader, std::string& body, Response& response,
                          bool rest) {
        std::size_t size = 0;
        const bool whole = reader([&](const char* data, std::size_t length) {
            size += length;
            if (size <= kBodyBytesMax)
                body.append(data, length);
            else
                body.clear();
            return size <= kDiscardBytesMax;
        });
        if (whole && size <= kBodyBytesMax) return true;
        if (size > kBodyBytesMax || response.status == 413) {
            too_large(response, rest);
        } else {  // cut off, or not what its headers say
            response.status = 400;
            const auto* text = "The request's body could not be read.";
            response.set_content(rest ? message_page(text) : fault_page("SerializationException", text, {}),
                                 rest ? kJson : kAmzJson);
        }
        return false;
    }

    static void too_large(Response& response, bool rest) {
        response.status = 413;
        response.set_header("Connection", "close");
        const auto text = fmt::format("The request is larger than {} bytes.", kBodyBytesMax);
        response.set_content(rest ? message_page(text) : fault_page(kTooLarge, text, {}),
                             rest ? kJson : kAmzJson);
    }

    static void identify(Response& response) {
        response.set_header("x-amzn-RequestId", uuid());
        const auto now = std::time(nullptr);
        std::tm tm{};
        ::gmtime_r(&now, &tm);
        char date[64];
        std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        response.set_header("Date", date);
    }

    Answer<Caller> caller_of(const Request& request, std::string_view body) const {
        sigv4::Request sent;
        sent.method = request.method;
        const auto question = request.target.find('?');
        sent.path = request.target.substr(0, question);
        if (question != std::string::npos) sent.query = request.target.substr(question + 1);
        for (const auto& [name, value] : request.headers) sent.headers.emplace(lower(name), value);
        sent.body = body;
        return authenticate(sent, options_.keys, clock_.now());
    }

    void answer_dms(const Request& request, Response& response, const std::string& body) {
        const auto answer = [&]() -> Answer<std::string> {
            const auto caller = GW_TRY(caller_of(request, body));
            const auto target = request.get_header_value("X-Amz-Target");
            if (!target.starts_with(kTargetStart))
                return fault("UnknownOperationException", target.empty()
                                                              ? "The header X-Amz-Target is missing."
                                                              : "Unknown operation: " + shortened(target));
            return service_.call(target.substr(kTargetStart.size()), caller, body);
        }();
        if (answer) {
            response.set_content(*answer, kAmzJson);
            return;
        }
        const auto& error = answer.error();
        if (error.http_status >= 500) log_.error(Component::rest_server, error.name + ": " + error.message);
        response.status = error.http_status;
        response.set_content(fault_page(error.name, error.message, error.resource_arn), kAmzJson);
    }

    template <class F>
    void answer_rest(const Request& request, Response& response, const std::string& body, F&& work) {
        const auto answer = [&]() -> Answer<std::string> {
            const auto caller = GW_TRY(caller_of(request, body));
            return work(caller);
        }();
        if (answer) {
            response.set_content(*answer, kJson);
            return;
        }
        response.status = rest_status(answer.error());
        response.set_content(message_page(answer.error().message), kJson);
    }

    void routes() {
        server_.Post(
            "/", [this](const Request& request, Response& response, const httplib::ContentReader& reader) {
                const Busy busy(busy_);
                identify(response);
                std::string body;
                if (!read_body(reader, body, response, false)) return;
                answer_dms(request, response, body);
            });
        server_.Get("/healthz",
                    [](const Request&, Response& response) { response.set_content("ok\n", "text/plain"); });
        server_.Get("/metrics", [this](const Request& request, Response& response) {
            if (const auto caller = caller_of(request, {}); !caller) {
                response.status = 403;
                response.set_content(caller.error().message + "\n", "text/plain");
                return;
            }
            response.set_content(service_.metrics(), "text/plain; version=0.0.4");
        });
        server_.Get("/godwit/v1/regions", [this](const Request& request, Response& response) {
            answer_rest(request, response, {},
                        [&](const Caller& caller) { return service_.v1_regions(caller); });
        });
        server_.Get("/godwit/v1/tasks", [this](const Request& request, Response& response) {
            answer_rest(request, response, {},
                        [&](const Caller& caller) { return service_.v1_tasks(caller); });
        });
        server_.Get(R"(/godwit/v1/tasks/([^/]+))", [this](const Request& request, Response& response) {
            answer_rest(request, response, {},
                        [&](const Caller& caller) { return service_.v1_task(caller, request.matches[1]); });
        });
        server_.Get(R"(/godwit/v1/tasks/([^/]+)/logs)", [this](const Request& request, Response& response) {
            answer_rest(request, response, {}, [&](const Caller& caller) -> Answer<std::string> {
                const auto text = request.has_param("lines") ? request.get_param_value("lines") : "100";
                char* end = nullptr;
                const auto lines = std::strtoull(text.c_str(), &end, 10);
                if (text.empty() || *end != 0) return invalid_value("lines is a number");
                return service_.v1_logs(caller, request.matches[1], lines);
            });
        });
        server_.Post(
            R"(/godwit/v1/tasks/([^/]+)/(compare|cutover))",
            [this](const Request& request, Response& response, const httplib::ContentReader& reader) {
                const Busy busy(busy_);
                std::string body;
                if (!read_body(reader, body, response, true)) return;
                answer_rest(request, response, body, [&](const Caller& caller) {
                    return service_.v1_ask(caller, request.matches[1], request.matches[2], body);
                });
            });
        server_.set_error_handler([](const Request& request, Response& response) {
            if (!response.body.empty()) return;
            const bool rest = request.path.starts_with("/godwit/");
            if (response.status == 413) return too_large(response, rest);
            const auto text =
                response.status == 404 ? "There is nothing at this address." : "The request is not valid.";
            if (rest) return response.set_content(message_page(text), kJson);
            identify(response);
            response.set_content(
                fault_page(response.status == 404 ? "UnknownOperationException" : "SerializationException",
                           text, {}),
                kAmzJson);
        });
        server_.set_exception_handler([this](const Request&, Response& response, std::exception_ptr error) {
            std::string text = "unknown";
            try {
                std::rethrow_exception(std::move(error));
            } catch (const std::exception& e) {
                text = e.what();
            } catch (...) {  // NOLINT: whatever it was, the server goes on
            }
            log_.error(Component::rest_server, "internal error: " + text);
            response.status = 500;
            response.set_content(fault_page("InternalFailure", "The server met an internal error.", {}),
                                 kAmzJson);
        });
    }

    const HttpOptions options_;
    Service& service_;
    Clock& clock_;
    Log& log_;
    std::atomic<int> busy_{0};
    httplib::Server server_;
};

}  // namespace

std::unique_ptr<HttpServer> make_http_server(HttpOptions options, Service& service, Clock& clock, Log& log) {
    return std::make_unique<HttplibServer>(std::move(options), service, clock, log);
}

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

}  // namespace godwit::api
