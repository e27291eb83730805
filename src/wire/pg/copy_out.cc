#include "wire/pg/copy_out.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace godwit::pg {
namespace {

constexpr std::size_t kHead = 5, kBuffer = 256U << 10;
// a server makes rows of less than 1 GiB (MaxAllocSize), and counts the length's own bytes
constexpr std::uint32_t kLengthMax = 0x3fffffff + sizeof(std::uint32_t);

// Waits for as many bytes as a batch has. A server sends 8 KiB at a time, and to wake up for each costs more
// than to copy them.
class BatchedReads {
public:
    explicit BatchedReads(int socket) : socket_(socket) {}
    ~BatchedReads() { wait_for(1); }  // libpq itself waits for every byte
    BatchedReads(const BatchedReads&) = delete;
    BatchedReads& operator=(const BatchedReads&) = delete;

    // Until there is something to read, or a moment has passed.
    void wait() {
        pollfd p{socket_, POLLIN, 0};
        const bool ready = ::poll(&p, 1, wanted_ > 1 ? kBatchMs : kIdleMs) > 0;
        // The last bytes are fewer, and a server may rest: then each counts, until there are some.
        wait_for(ready ? kBatch : 1);
    }

private:
    static constexpr int kBatch = 64 << 10, kBatchMs = 2, kIdleMs = 100;
    // A socket that does not know the option wakes for each.
    void wait_for(int bytes) {
        if (std::exchange(wanted_, bytes) != bytes)
            ::setsockopt(socket_, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
    }

    const int socket_;
    int wanted_ = 1;
};

bool send_query(int socket, const std::string& sql) {
    ByteBuffer message;
    message.put_u8('Q');
    message.put_be(static_cast<std::int32_t>(sizeof(std::int32_t) + sql.size() + 1));
    message.append(sql);
    message.put_u8(0);
    Bytes left = message.view();
    while (!left.empty()) {
        const auto n = ::send(socket, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            left = left.subspan(static_cast<std::size_t>(n));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
        pollfd p{socket, POLLOUT, 0};
        ::poll(&p, 1, 100);
    }
    return true;
}

}  // namespace

Messages::Messages() : data_(std::make_unique_for_overwrite<std::byte[]>(kBuffer)), capacity_(kBuffer) {}

std::span<std::byte> Messages::space() {
    const std::size_t left = end_ - begin_;
    const std::size_t capacity = std::max(kBuffer, wanted_);
    if (capacity > capacity_ || (capacity_ > kBuffer && capacity == kBuffer && left < kBuffer)) {
        auto other = std::make_unique_for_overwrite<std::byte[]>(capacity);
        if (left != 0) std::memcpy(other.get(), data_.get() + begin_, left);
        data_ = std::move(other);
        capacity_ = capacity;
        begin_ = 0, end_ = left;
    } else if (begin_ != 0) {
        if (left != 0) std::memmove(data_.get(), data_.get() + begin_, left);
        begin_ = 0, end_ = left;
    }
    return {data_.get() + end_, capacity_ - end_};
}

std::optional<Messages::Message> Messages::next() {
    const std::size_t left = end_ - begin_;
    if (left < kHead) {
        wanted_ = kHead;
        return {};
    }
    const std::byte* head = data_.get() + begin_;
    const auto length = ByteReader({head + 1, sizeof(std::uint32_t)}).be<std::uint32_t>();
    if (length < sizeof length || length > kLengthMax) {
        broken_ = true;
        return {};
    }
    wanted_ = 1 + std::size_t{length};
    if (left < wanted_) return {};
    begin_ += wanted_;
    return Message{static_cast<char>(head[0]), {head + kHead, length - sizeof length}};
}

CopyAnswer::Step CopyAnswer::take(const Messages::Message& m) {
    switch (m.type) {
        case 'd':  // CopyData
            return state_ == State::rows ? Step::row : Step::broken;
        case 'H':  // CopyOutResponse
            if (state_ != State::begins || error_) return Step::broken;
            state_ = State::rows;
            return Step::on;
        case 'c':  // CopyDone
            if (state_ != State::rows) return Step::broken;
            state_ = State::ends;
            return Step::on;
        case 'C': {  // CommandComplete: "COPY 42"
            if (state_ != State::ends) return Step::broken;
            const auto tag = ByteReader(m.body).cstring();
            const auto number = tag.substr(std::min(tag.find(' ') + 1, tag.size()));
            const auto [at, bad] = std::from_chars(number.data(), number.data() + number.size(), affected_);
            return bad == std::errc{} ? Step::on : Step::broken;
        }
        case 'E': {  // ErrorResponse: a letter and a string for each field
            state_ = state_ == State::begins ? State::begins : State::ends;
            ServerError e;
            ByteReader fields(m.body);
            for (auto field = fields.u8(); field != 0 && !fields.failed(); field = fields.u8()) {
                const auto text = fields.cstring();
                if (field == 'C') e.sqlstate = text;
                if (field == 'M') e.message = text;
            }
            if (!error_) error_ = std::move(e);
            return Step::on;
        }
        case 'N':  // NoticeResponse
        case 'S':  // ParameterStatus
        case 'A':  // NotificationResponse
            return Step::on;
        case 'Z':  // ReadyForQuery
            return state_ == State::rows ? Step::broken : Step::ready;
        default:
            return Step::broken;
    }
}

CopyOutcome copy_out(int socket, const std::string& sql, std::stop_token stop,
                     const std::function<void()>& cancel, const std::function<Result<>(Bytes)>& f) {
    CopyOutcome out;
    if (!send_query(socket, sql)) return out;
    Messages messages;
    BatchedReads reads(socket);
    bool ready = false;
    while (true) {
        while (auto message = messages.next()) {
            const auto step = out.answer.take(*message);
            if (step == CopyAnswer::Step::broken) {
                out.complaint = fmt::format("a message of type {:#04x}", static_cast<int>(message->type));
                return out;
            }
            if (step == CopyAnswer::Step::ready) ready = true;
            if (step != CopyAnswer::Step::row || !out.consumer) continue;
            out.consumer = f(message->body);
            if (!out.consumer) cancel();
        }
        if (messages.broken()) {
            out.complaint = "a message of an impossible length";
            return out;
        }
        // What has come behind it (a changed parameter) is read to its end: libpq must not meet half of it.
        if (ready && messages.empty()) break;
        if (out.consumer && stop.stop_requested() && !ready) {
            out.consumer = fail(ErrorCode::cancelled, "stopped");
            cancel();
        }
        reads.wait();
        const auto space = messages.space();
        const auto n = ::recv(socket, space.data(), space.size(), MSG_DONTWAIT);
        if (n > 0)
            messages.filled(static_cast<std::size_t>(n));
        else if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
            return out;
    }
    out.idle = true;
    return out;
}

}  // namespace godwit::pg
