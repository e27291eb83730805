#include "sources/mysql/binlog_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

// needs what it does not include
#include <ma_pvio.h>

#include "wire/mysql/packets.h"

namespace godwit::mysql {
namespace {

constexpr int kRegisterReplica = 0x15;
constexpr int kBinlogDump = 0x12;
constexpr int kBinlogDumpGtid = 0x1e;
constexpr std::uint16_t kToTheEnd = 1;  // and no waiting there
constexpr std::uint16_t kAnnotateRows = 2;
constexpr std::uint16_t kThroughGtid = 4;
constexpr unsigned kErrorLogGone = 1236;  // ER_MASTER_FATAL_ERROR_READING_BINLOG
// The server is silent for at most this long, so that a stop is seen.
constexpr std::string_view kHeartbeatNs = "1000000000";

std::unexpected<Error> from_server(Connection& connection, std::string_view what) {
    Error e = connection.error_now(what);
    if (mysql_errno(connection.raw()) == kErrorLogGone) {
        e.code = ErrorCode::data_loss;
        e.retry = Retry::never;
        e.message =
            "the source's binlog does not go on where it was read (has it been purged, or reset?): start the "
            "task with reload-target; the server says: " +
            e.message;
    } else if (e.code == ErrorCode::permission_denied) {
        e.message += "; reading the log needs GRANT REPLICATION SLAVE ON *.*";
    }
    return std::unexpected(std::move(e));
}

Result<> send(Connection& connection, int command, const ByteBuffer& arguments, bool answered) {
    if (send_command(connection, command, arguments, answered)) return {};
    return from_server(connection, "ask for the binary log");
}

void put_short(ByteBuffer& to, std::string_view s) {
    to.put_u8(static_cast<std::uint8_t>(s.size()));
    to.append(s);
}

// Bytes that can be had without waiting. With TLS a record's rest may go unseen, which only calls idle()
// early.
bool waiting(MYSQL* c) {
    const MARIADB_PVIO* pvio = c->net.pvio;
    if (pvio != nullptr && pvio->cache != nullptr && pvio->cache_pos != nullptr &&
        pvio->cache_pos < pvio->cache + pvio->cache_size)
        return true;
    pollfd p{static_cast<int>(mysql_get_socket(c)), POLLIN, 0};
    return ::poll(&p, 1, 0) > 0;
}

Result<> register_replica(Connection& connection, const DumpRequest& request) {
    ByteBuffer b;
    b.put_le(request.server_id);
    put_short(b, "");  // host, user, password: shown by SHOW SLAVE HOSTS only
    put_short(b, "");
    put_short(b, "");
    b.put_le(std::uint16_t{0});
    b.put_le(std::uint32_t{0});
    b.put_le(std::uint32_t{0});
    return send(connection, kRegisterReplica, b, true);
}

Result<> ask(Connection& connection, const DumpRequest& request, LogSpot start, std::uint16_t flags = 0) {
    // The server sums what it sends when it knows that we understand sums.
    GW_CHECK(connection.run("SET @master_binlog_checksum = @@global.binlog_checksum"));
    GW_CHECK(connection.run("SET @source_binlog_checksum = @@global.binlog_checksum"));
    GW_CHECK(connection.run(
        fmt::format("SET @master_heartbeat_period = {0}, @source_heartbeat_period = {0}", kHeartbeatNs)));
    // While the target is slow we read nothing, and the server has to wait.
    GW_CHECK(connection.run("SET SESSION net_write_timeout = 86400"));
    const bool mariadb = connection.mariadb();
    if (mariadb) {
        GW_CHECK(connection.run("SET @mariadb_slave_capability = 4"));
    } else if (!request.replica_uuid.empty()) {
        GW_CHECK(connection.run("SET @slave_uuid = " + quote_literal(request.replica_uuid)));
        GW_CHECK(connection.run("SET @replica_uuid = " + quote_literal(request.replica_uuid)));
    }
    if (request.by_gtid) start = {{}, 4};
    if (mariadb && request.by_gtid) {
        GW_CHECK(connection.run("SET @slave_connect_state = " + quote_literal(request.from.gtids)));
        GW_CHECK(connection.run("SET @slave_gtid_strict_mode = 1"));
        GW_CHECK(connection.run("SET @slave_gtid_ignore_duplicates = 0"));
    }
    GW_CHECK(register_replica(connection, request));
    ByteBuffer b;
    if (!mariadb && request.by_gtid) {
        ByteBuffer set;
        GW_TRY(GtidSet::parse(request.from.gtids)).encode(set);
        b.put_le(kThroughGtid);
        b.put_le(request.server_id);
        b.put_le(std::uint32_t{0});
        b.put_le(std::uint64_t{4});
        b.put_le(static_cast<std::uint32_t>(set.size()));
        b.append(set.view());
        return send(connection, kBinlogDumpGtid, b, false);
    }
    b.put_le(static_cast<std::uint32_t>(start.offset));
    b.put_le(static_cast<std::uint16_t>(flags | (mariadb ? kAnnotateRows : 0)));
    b.put_le(request.server_id);
    b.append(start.file);
    return send(connection, kBinlogDump, b, false);
}

std::unexpected<Error> stream_ended() {
    return fail(ErrorCode::unavailable, "the server ended the binary log's stream", Retry::call);
}

// An event's bytes, valid until the next one is read; nothing: the server has ended the stream.
Result<std::optional<Bytes>> next_event(Connection& connection) {
    const auto packet = read_packet(connection);
    if (!packet) return from_server(connection, "read the binary log");
    if (packet->empty() || (packet->front() == std::byte{0xFE} && packet->size() < 9)) return std::nullopt;
    if (packet->front() != std::byte{0})
        return fail(ErrorCode::data_loss, "the binary log's stream has an unknown packet");
    return packet->subspan(1);
}

// The events of a stream, taken apart by the format that it says of itself.
class EventReader {
public:
    EventReader(Connection& connection, bool verify) : c_(connection), verify_(verify) {}
    Result<std::optional<Event>> next() {
        const auto bytes = GW_TRY(next_event(c_));
        if (!bytes) return std::nullopt;
        const bool says_format = bytes->size() >= kEventHeaderBytes &&
                                 static_cast<EventType>((*bytes)[4]) == EventType::format_description;
        if (says_format) {
            format_ = GW_TRY(read_format_description(*bytes));
            known_ = true;
        }
        return GW_TRY(read_event(*bytes, format_, known_, verify_ && !says_format));
    }

private:
    Connection& c_;
    const bool verify_;
    BinlogFormat format_;
    bool known_ = false;
};

}  // namespace

Result<> run_dump(Connection& connection, const DumpRequest& request, BinlogDecoder& decoder,
                  ChangeSink& sink, std::stop_token stop) {
    sink.streams_lost();
    LogPosition from = request.from;
    if (request.by_gtid) {
        from.file.clear();
        from.open_file.clear();
    }
    GW_CHECK(decoder.restart(from));
    GW_CHECK(ask(connection, request, decoder.start()));
    MYSQL* const c = connection.raw();
    // A reader that waits is woken by the end of its connection.
    const std::stop_callback wake(
        stop, [fd = static_cast<int>(mysql_get_socket(c))] { ::shutdown(fd, SHUT_RDWR); });
    auto kept_alive = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
        if (sink.full()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        if (!waiting(c)) {
            if (decoder.keepalive_due()) GW_CHECK(decoder.write_keepalive(sink));
            GW_CHECK(sink.idle());
        }
        const auto event = next_event(connection);
        if (stop.stop_requested()) break;
        if (!event) return std::unexpected(event.error());
        if (!*event) return stream_ended();
        GW_CHECK(decoder.decode(**event, sink));
        // A busy log without wanted rows moves on, too.
        if (decoder.keepalive_due()) {
            const auto now = std::chrono::steady_clock::now();
            if (now - kept_alive > std::chrono::seconds(1)) {
                kept_alive = now;
                GW_CHECK(decoder.write_keepalive(sink));
            }
        }
    }
    connection.close();
    return {};
}

Result<> scan_file(Connection& connection, const std::string& file, std::uint32_t server_id,
                   const TakeEvent& take) {
    DumpRequest request;
    request.server_id = server_id;
    std::uint64_t offset = 4;
    GW_CHECK(ask(connection, request, {file, offset}, kToTheEnd));
    EventReader events(connection, false);
    while (const auto event = GW_TRY(events.next())) {
        // the server goes on with the next file
        if (event->header.type == EventType::rotate && GW_TRY(read_rotate(event->body)).file != file) break;
        if (!is_placed(event->header) || event->header.type == EventType::heartbeat) continue;
        const std::uint64_t end = event_end(offset, event->header);
        if (!GW_TRY(take(*event, end - event->header.size))) break;
        offset = end;
    }
    connection.close();
    return {};
}

// The server sends what is not in the set, and of what it skips only where it is.
Result<bool> executed_before(Connection& connection, const DumpRequest& request, const LogPosition& place,
                             std::stop_token stop) {
    GW_CHECK(ask(connection, request, {}));
    EventReader events(connection, true);
    const std::uint64_t here =
        log_order(file_number(place.file), place.offset);  // of this server's log alone
    std::uint64_t file = 0, offset = 0;
    while (!stop.stop_requested()) {
        const auto e = GW_TRY(events.next());
        if (!e) return stream_ended();
        const EventHeader& h = e->header;
        switch (h.type) {
            case EventType::rotate: {
                const Rotate next = GW_TRY(read_rotate(e->body));
                file = file_number(next.file);
                offset = next.position;
                break;
            }
            case EventType::heartbeat:
            case EventType::heartbeat_v2:
                offset = heartbeat_end(offset, GW_TRY(read_heartbeat(*e)), h.type);
                if (log_order(file, offset) >= here) return true;
                break;
            case EventType::gtid:
            case EventType::anonymous_gtid:
            case EventType::gtid_tagged:
                return log_order(file, event_end(offset, h) - h.size) >= here;
            default:
                if (is_placed(h)) offset = event_end(offset, h);
                break;
        }
    }
    return fail(ErrorCode::cancelled, "the load was stopped");
}

}  // namespace godwit::mysql
