#pragma once
// COPY ... TO STDOUT, read from the socket of a libpq session without libpq: that allocates, copies and frees
// each row, which is most of what reading a table costs. libpq does everything else, and need not know: the
// session is idle before, and again behind ReadyForQuery.
//
// Messages: PostgreSQL 15 documentation, 55.7 "Message Formats": a type byte, the length of itself and the
// contents, the contents. Not thread safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace godwit::pg {

// Cuts what the server sends into messages. Memory: the largest message, of 1 GB at most.
class Messages {
public:
    struct Message {
        char type = 0;
        Bytes body;  // good until space()
    };

    Messages();
    // Where what comes next is to be written, never empty; then filled(n) says how much it was.
    [[nodiscard]] std::span<std::byte> space();
    void filled(std::size_t bytes) { end_ += bytes; }
    // nothing: it is not whole yet, or cannot be one
    [[nodiscard]] std::optional<Message> next();
    [[nodiscard]] bool broken() const noexcept { return broken_; }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }

private:
    std::unique_ptr<std::byte[]> data_;
    std::size_t capacity_, begin_ = 0, end_ = 0;
    std::size_t wanted_ = 0;  // of the message that is not whole
    bool broken_ = false;
};

// What the messages say, taken one by one.
class CopyAnswer {
public:
    enum class Step : std::uint8_t { on, row, ready, broken };
    // broken: no such message can be here
    [[nodiscard]] Step take(const Messages::Message& message);

    struct ServerError {
        std::string sqlstate, message;
    };
    [[nodiscard]] const std::optional<ServerError>& error() const noexcept { return error_; }  // the first
    [[nodiscard]] bool started() const noexcept { return state_ != State::begins; }
    [[nodiscard]] std::uint64_t affected() const noexcept { return affected_; }

private:
    enum class State : std::uint8_t { begins, rows, ends };
    State state_ = State::begins;
    std::optional<ServerError> error_;
    std::uint64_t affected_ = 0;
};

struct CopyOutcome {
    CopyAnswer answer;
    Result<> consumer;      // of f; or cancelled: it was to stop
    bool idle = false;      // the session is what it was before; else it is of no more use
    std::string complaint;  // when the server said what it cannot say here
};

// Sends the statement and reads its answer to the end. f: one row, its memory good until it returns. When f
// fails or `stop` asks, `cancel` is called once, and what still comes is thrown away.
[[nodiscard]] CopyOutcome copy_out(int socket, const std::string& sql, std::stop_token stop,
                                   const std::function<void()>& cancel,
                                   const std::function<Result<>(Bytes)>& f);

}  // namespace godwit::pg
