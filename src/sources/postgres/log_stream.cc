#include "sources/postgres/log_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "sources/postgres/slot.h"

namespace godwit::postgres {
namespace {

constexpr std::int64_t kPostgresEpochUs = 946'684'800'000'000;
constexpr std::size_t kDrainBytes = 64U << 10;        // decoded between two looks at the clock
constexpr std::chrono::milliseconds kFullPause{50};   // before a full sink is asked again
constexpr std::chrono::milliseconds kReplyPause{10};  // between answers to a server that asks again and again
constexpr std::chrono::milliseconds kWithoutTimeout{10'000};  // feedback where wal_sender_timeout is 0
constexpr std::chrono::milliseconds kRetryBusySlot{100};
constexpr int kHotWakes = 32;                         // so many quick ones in a row: a busy stream
constexpr std::chrono::microseconds kQuickWake{300};  // the next message came within
constexpr std::chrono::microseconds kHotPause{
    60};  // longer, and small packets fill the socket: the server waits
constexpr std::chrono::milliseconds kIdleMax{1};  // what a busy stream may hold back from readers

// Wakes a poll() when the stop token asks to.
class StopWaker {
public:
    explicit StopWaker(std::stop_token stop)
        : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(std::move(stop), Wake{fd_}) {}
    StopWaker(const StopWaker&) = delete;
    StopWaker& operator=(const StopWaker&) = delete;
    ~StopWaker() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    struct Wake {
        int fd;
        void operator()() const noexcept {
            const std::uint64_t one = 1;
            [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
        }
    };
    const int fd_;
    std::stop_callback<Wake> callback_;
};

// A literal of the replication grammar, which knows no backslash escapes.
std::string replication_literal(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += '\'';
        out += c;
    }
    return out + "'";
}

Error lost(std::string message) {
    return Error{ErrorCode::unavailable, Retry::from_checkpoint, std::move(message), {}, {}};
}

}  // namespace

std::string start_statement(const LogStreamOptions& options, Lsn from, int server_version) {
    const bool is_14 = server_version >= 140000;
    std::string sql = fmt::format("START_REPLICATION SLOT {} LOGICAL {} (", pg::quote_name(options.slot),
                                  to_server_text(from));
    if (options.plugin == "test_decoding")
        return sql +
               "\"include-xids\" 'on', \"include-timestamp\" 'on', \"skip-empty-xacts\" 'on', "
               "\"include-rewrites\" 'off')";
    const bool streaming = options.streaming && is_14;
    sql += fmt::format("proto_version '{}'", streaming ? 2 : 1);
    std::string names;
    for (const auto& p : options.publications) names += (names.empty() ? "" : ",") + pg::quote_name(p);
    sql += ", publication_names " + replication_literal(names);
    if (options.binary && is_14) sql += ", binary 'true'";
    if (streaming) sql += ", streaming 'on'";
    if (options.messages && is_14) sql += ", messages 'true'";
    return sql + ")";
}

// One connection that streams.
class LogStream::Session {
public:
    Session(LogStream& owner, pg::Connection connection, ChangeSink& sink, std::stop_token stop)
        : options_(owner.options_),
          decoder_(owner.decoder_),
          clock_(owner.clock_),
          log_(owner.log_),
          progress_(owner.progress_),
          reselect_(owner.reselect_),
          connection_(std::move(connection)),
          sink_(sink),
          stop_(std::move(stop)),
          waker_(stop_) {}
    ~Session() { progress_.walsender_pid = 0; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Up to the server's consent; then receive().
    Result<> start(Lsn from);
    Result<> receive();

private:
    Result<SlotInfo> free_slot();
    Result<bool> drain();  // false: nothing was there
    Result<> message(Bytes message);
    // feedback and keepalive record
    Result<> keep_time();
    Result<> send_feedback(SteadyTime now);
    Result<> flush();
    Result<> goodbye();
    bool wait(std::chrono::microseconds time, bool for_socket);
    // why the server ended the stream
    Error ended();

    const LogStreamOptions& options_;
    Decoder& decoder_;
    Clock& clock_;
    Log& log_;
    LogStreamProgress& progress_;
    std::atomic<bool>& reselect_;
    pg::Connection connection_;
    ChangeSink& sink_;
    const std::stop_token stop_;
    StopWaker waker_;

    std::chrono::milliseconds interval_{kWithoutTimeout};
    SteadyTime last_feedback_, last_keepalive_, last_idle_;
    int quick_wakes_ = 0;  // in a row
    bool reply_asked_ = false;
    Lsn flushed_;  // never less than what the slot has confirmed: older servers would go back
};

LogStream::LogStream(LogStreamOptions options, Decoder& decoder, Clock& clock, Log& log)
    : options_(std::move(options)), decoder_(decoder), clock_(clock), log_(log) {}

Result<> LogStream::run(Lsn from, ChangeSink& sink, std::stop_token stop) {
    pg::ConnectOptions connect = options_.connect;
    connect.replication = true;
    // first, so that the caller's own may win
    auto settings = pg::source_session_settings();
    settings.insert(settings.end(), connect.settings.begin(), connect.settings.end());
    connect.settings = std::move(settings);
    auto connection = GW_TRY(pg::Connection::open(connect));

    Session session(*this, std::move(connection), sink, stop);
    if (auto started = session.start(from); !started) {
        if (stop.stop_requested() && started.error().code == ErrorCode::cancelled) return {};
        return std::unexpected(std::move(started).error().with("replication slot " + options_.slot));
    }
    auto outcome = session.receive();
    sink.streams_lost();
    if (!outcome)
        return std::unexpected(std::move(outcome).error().with("replication slot " + options_.slot));
    return {};
}

Result<SlotInfo> LogStream::Session::free_slot() {
    auto slot = wait_until_free(connection_, options_.slot, options_.slot_wait_max, clock_, stop_);
    if (!slot && slot.error().code == ErrorCode::not_found)
        return fail(ErrorCode::data_loss,
                    slot.error().message + ": what it held back is lost, the tables need a reload");
    return slot;
}

Result<> LogStream::Session::start(Lsn from) {
    // type output functions of the plugins run in this session
    if (options_.plugin == "test_decoding" && connection_.parameter("server_encoding") != "UTF8")
        return fail(ErrorCode::unsupported,
                    fmt::format("test_decoding sends text in the database's encoding {}: use pgoutput",
                                connection_.parameter("server_encoding")));
    if (options_.plugin == "test_decoding" && connection_.server_version() >= 180000)
        log_.warning(
            Component::source_capture,
            "test_decoding of PostgreSQL 18 can crash the server: when a transaction with savepoints and "
            "more "
            "changes than logical_decoding_work_mem is rolled back. Use pgoutput, or raise that setting");
    // A standby may have taken over since the positions were compared with the source's history.
    if (const auto self = GW_TRY(connection_.query("IDENTIFY_SYSTEM"));
        options_.timeline != 0 && self.number(0, 1) != static_cast<std::int64_t>(options_.timeline))
        return std::unexpected(lost(fmt::format("the source is on timeline {} now, no longer on {}",
                                                self.number(0, 1), options_.timeline)));
    const auto timeout =
        GW_TRY(connection_.query("SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'"));
    if (const auto ms = timeout.number(0, 0); ms > 0)
        interval_ = std::max(std::chrono::milliseconds(ms / 3), std::chrono::milliseconds(1));

    const auto deadline = clock_.steady() + options_.slot_wait_max;
    for (;;) {
        const SlotInfo slot = GW_TRY(free_slot());
        if (slot.plugin != options_.plugin)
            return fail(ErrorCode::failed_precondition,
                        fmt::format("the slot's plugin is {}, not {}", slot.plugin, options_.plugin));
        flushed_ = slot.confirmed_flush;
        Lsn begin = from == Lsn{} ? slot.confirmed_flush : from;
        if (begin < slot.confirmed_flush) {
            log_.warning(
                Component::source_capture,
                fmt::format(
                    "slot {} was confirmed up to {}: the server sends nothing before, although {} was "
                    "asked for",
                    slot.name, to_token(slot.confirmed_flush), to_token(begin)));
            begin = slot.confirmed_flush;
        }
        const std::string sql = start_statement(options_, begin, connection_.server_version());
        auto answer = connection_.query(sql, stop_);
        if (answer && PQresultStatus(answer->raw()) == PGRES_COPY_BOTH) {
            decoder_.restart(begin);
            progress_.walsender_pid = connection_.backend_pid();
            progress_.acknowledged = flushed_.value();
            log_.info(Component::source_capture,
                      fmt::format("streaming from slot {} at {}", options_.slot, to_token(begin)));
            return {};
        }
        if (answer) return fail(ErrorCode::internal, "the server did not start to stream");
        Error e = std::move(answer).error();
        if (e.sqlstate == "55006" && clock_.steady() < deadline) {  // somebody was faster
            if (!clock_.sleep(kRetryBusySlot, stop_)) return fail(ErrorCode::cancelled, "stopped");
            continue;
        }
        // the log was removed, or the slot invalidated since it was looked at
        if (e.sqlstate == "58P01") e.code = ErrorCode::data_loss, e.retry = Retry::never;
        if (e.sqlstate == "42704")
            return fail(
                ErrorCode::data_loss,
                fmt::format(
                    "replication slot \"{}\" is gone from the source (dropped by someone); the changes "
                    "since are lost to this task: reload it",
                    options_.slot));
        if (e.sqlstate == "55000" && connection_.healthy())
            GW_CHECK(require_slot(connection_, options_.slot));
        return std::unexpected(std::move(e));
    }
}

Error LogStream::Session::ended() {
    std::optional<Error> why;
    while (PGresult* raw = PQgetResult(connection_.raw())) {
        const auto status = PQresultStatus(raw);
        if (status == PGRES_FATAL_ERROR && !why) why = connection_.error_of(raw, "");
        PQclear(raw);
        if (status == PGRES_COPY_BOTH || status == PGRES_COPY_OUT || status == PGRES_COPY_IN) break;
    }
    if (!why) return lost("the source ended the stream");
    if (why->sqlstate == "42704") {
        why->code = ErrorCode::failed_precondition;
        why->retry = Retry::never;
        why->message +=
            ": a publication has to exist before the changes that are read through it were written";
    } else if (why->sqlstate == "58P01") {
        why->code = ErrorCode::data_loss;
        why->retry = Retry::never;
    }
    return *std::move(why);
}

Result<> LogStream::Session::message(Bytes block) {
    ByteReader in(block);
    switch (static_cast<char>(in.u8())) {
        case 'w': {
            const Lsn at(in.be<std::uint64_t>());
            const auto end = in.be<std::uint64_t>();
            in.be<std::int64_t>();
            if (in.failed()) break;
            progress_.server_end.store(std::max(end, at.value()), std::memory_order_relaxed);
            return decoder_.decode(in.take(in.left()), at, sink_);
        }
        case 'k': {
            const Lsn end(in.be<std::uint64_t>());
            in.be<std::int64_t>();
            const bool asked = in.u8() != 0;
            if (in.failed()) break;
            progress_.server_end.store(end.value(), std::memory_order_relaxed);
            decoder_.keepalive(end);
            reply_asked_ = reply_asked_ || asked;
            return {};
        }
        default:
            break;
    }
    return fail(ErrorCode::data_loss, "the source sent a replication message that makes no sense");
}

Result<bool> LogStream::Session::drain() {
    std::size_t bytes = 0;
    std::uint64_t messages = 0;
    while (bytes < kDrainBytes) {
        char* block = nullptr;
        const int n = PQgetCopyData(connection_.raw(), &block, 1);
        if (n == 0) break;
        if (n == -1) return std::unexpected(ended());
        if (n < 0) return std::unexpected(lost(connection_.error_of(nullptr, "").message));
        bytes += static_cast<std::size_t>(n);
        ++messages;
        auto done = message({reinterpret_cast<const std::byte*>(block), static_cast<std::size_t>(n)});
        PQfreemem(block);
        if (!done) return std::unexpected(std::move(done).error());
    }
    progress_.messages.fetch_add(messages, std::memory_order_relaxed);
    progress_.bytes.fetch_add(bytes, std::memory_order_relaxed);
    return messages != 0;
}

Result<> LogStream::Session::receive() {
    last_feedback_ = last_keepalive_ = last_idle_ = clock_.steady();
    for (;;) {
        if (stop_.stop_requested()) return goodbye();
        if (reselect_.exchange(false)) decoder_.reselect();
        GW_CHECK(keep_time());
        if (sink_.full()) {
            GW_CHECK(sink_.idle());
            wait(kFullPause, false);
            continue;
        }
        if (GW_TRY(drain())) continue;

        // The server sends message by message. While they follow each other closely, a short sleep lets some
        // gather: one wake-up for many, and no small chunks. What comes now and then is passed on at once.
        const bool hot = quick_wakes_ >= kHotWakes;
        if (hot) wait(kHotPause, false);
        if (!wait(std::chrono::microseconds(0), true)) {
            const auto now = clock_.steady();
            if (!hot || now - last_idle_ >= kIdleMax) {
                GW_CHECK(sink_.idle());
                last_idle_ = now;
            }
            auto pause = std::min(options_.feedback_max, interval_);
            if (decoder_.keepalive_due()) pause = std::min(pause, options_.keepalive_min);
            if (reply_asked_) pause = std::min(pause, kReplyPause);
            if (hot) pause = std::min(pause, kIdleMax);  // then what was held back is shown
            const bool came = wait(pause, true);
            quick_wakes_ =
                came && clock_.steady() - now < kQuickWake ? std::min(quick_wakes_ + 1, kHotWakes) : 0;
            if (!came) continue;
        }
        // A TLS record may leave bytes inside the library that poll() does not see: it is asked as often as
        // one record may need.
        for (int i = PQsslInUse(connection_.raw()) != 0 ? 3 : 1; i > 0; --i) {
            if (PQconsumeInput(connection_.raw()) == 1) continue;
            // what came before the end still counts, and its error says more
            const Error e = connection_.error_of(nullptr, "");
            while (GW_TRY(drain())) {
            }
            return std::unexpected(lost(e.message));
        }
    }
}

// true: the socket has something to read
bool LogStream::Session::wait(std::chrono::microseconds time, bool for_socket) {
    pollfd fds[2] = {{waker_.fd(), POLLIN, 0}, {PQsocket(connection_.raw()), POLLIN, 0}};
    const timespec t{time.count() / 1'000'000, (time.count() % 1'000'000) * 1'000};
    return ::ppoll(fds, for_socket ? 2 : 1, &t, nullptr) > 0 && fds[1].revents != 0;
}

Result<> LogStream::Session::keep_time() {
    const auto now = clock_.steady();
    if (decoder_.keepalive_due() && now - last_keepalive_ >= options_.keepalive_min && !sink_.full()) {
        GW_CHECK(decoder_.write_keepalive(sink_));
        last_keepalive_ = now;
    }
    const auto since = now - last_feedback_;
    if (since >= interval_ || (reply_asked_ && since >= kReplyPause)) return send_feedback(now);
    if (since >= options_.feedback_max) {
        const Lsn acknowledged = GW_TRY(parse_lsn(sink_.acknowledged()));
        if (acknowledged > flushed_) return send_feedback(now);
    }
    return {};
}

Result<> LogStream::Session::send_feedback(SteadyTime now) {
    flushed_ = std::max(flushed_, GW_TRY(parse_lsn(sink_.acknowledged())));
    std::byte m[34];
    m[0] = std::byte{'r'};
    for (const std::size_t at : {1U, 9U, 17U})
        ByteBuffer::store_be(m + at, flushed_.value());  // write, flush, apply
    ByteBuffer::store_be(m + 25, clock_.now().time_since_epoch().count() - kPostgresEpochUs);
    m[33] = std::byte{0};
    if (PQputCopyData(connection_.raw(), reinterpret_cast<const char*>(m), sizeof m) != 1)
        return std::unexpected(lost(connection_.error_of(nullptr, "").message));
    GW_CHECK(flush());
    last_feedback_ = now;
    reply_asked_ = false;
    progress_.acknowledged.store(flushed_.value(), std::memory_order_relaxed);
    return {};
}

Result<> LogStream::Session::flush() {
    if (PQflush(connection_.raw()) != 0)
        return std::unexpected(lost(connection_.error_of(nullptr, "").message));
    return {};
}

Result<> LogStream::Session::goodbye() {
    // Neither a lost connection nor a slow server changes that the stream has ended as it was asked to.
    if (auto sent = send_feedback(clock_.steady()); !sent) return {};
    if (PQputCopyEnd(connection_.raw(), nullptr) != 1 || !flush()) return {};
    const auto deadline = clock_.steady() + options_.goodbye_max;
    while (clock_.steady() < deadline) {
        char* block = nullptr;
        const int n = PQgetCopyData(connection_.raw(), &block, 1);
        if (n > 0) {
            PQfreemem(block);  // comes again
            continue;
        }
        if (n < 0) break;
        pollfd p{PQsocket(connection_.raw()), POLLIN, 0};
        ::poll(&p, 1, 20);
        if (PQconsumeInput(connection_.raw()) != 1) break;
    }
    return {};
}

}  // namespace godwit::postgres
