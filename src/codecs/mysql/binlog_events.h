#pragma once
// Events of the binary log, version 4, of MySQL 5.5 to 9 and MariaDB 5.5 to 11, taken apart without copying;
// see "Replication Protocol" and "binlog event" in the manuals of both. Pure functions of bytes: every length
// is checked, damage is data_loss. Views belong to the event.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "codecs/mysql/gtid.h"

namespace godwit::mysql {

enum class EventType : std::uint8_t {
    query = 2,
    stop = 3,
    rotate = 4,
    intvar = 5,
    append_block = 9,
    delete_file = 11,
    rand = 13,
    user_var = 14,
    format_description = 15,
    xid = 16,
    begin_load_query = 17,
    execute_load_query = 18,
    table_map = 19,
    write_rows_v1 = 23,
    update_rows_v1 = 24,
    delete_rows_v1 = 25,
    incident = 26,
    heartbeat = 27,
    ignorable = 28,
    rows_query = 29,
    write_rows = 30,
    update_rows = 31,
    delete_rows = 32,
    gtid = 33,
    anonymous_gtid = 34,
    previous_gtids = 35,
    transaction_context = 36,
    view_change = 37,
    xa_prepare = 38,
    partial_update_rows = 39,
    transaction_payload = 40,
    heartbeat_v2 = 41,
    gtid_tagged = 42,
    mariadb_annotate_rows = 160,
    mariadb_binlog_checkpoint = 161,
    mariadb_gtid = 162,
    mariadb_gtid_list = 163,
    mariadb_start_encryption = 164,
    mariadb_query_compressed = 165,
    mariadb_write_rows_compressed_v1 = 166,
    mariadb_update_rows_compressed_v1 = 167,
    mariadb_delete_rows_compressed_v1 = 168,
    mariadb_write_rows_compressed = 169,
    mariadb_update_rows_compressed = 170,
    mariadb_delete_rows_compressed = 171,
};

inline constexpr std::size_t kEventHeaderBytes = 19;
inline constexpr std::size_t kChecksumBytes = 4;
// The statement opened a temporary table of its session.
inline constexpr std::uint16_t kEventThreadSpecific = 0x04;
inline constexpr std::uint16_t kEventArtificial = 0x20;
inline constexpr std::uint16_t kEventIgnorable = 0x80;
// What a compressed event may grow to; a server's max_allowed_packet is at most this.
inline constexpr std::uint64_t kUncompressedBytesMax = std::uint64_t{1} << 30U;

struct EventHeader {
    std::uint32_t timestamp = 0;  // seconds since 1970, of the statement's start
    EventType type{};
    std::uint32_t server_id = 0;
    std::uint32_t size = 0;
    std::uint32_t next_position = 0;  // the low 32 bits; 0: not said
    std::uint16_t flags = 0;
};

// Where an event ends that begins at `offset`. Positions have 32 bits and are left out (0) inside of
// MariaDB's transactions from 11.4 on. A gap is what the server stepped over.
[[nodiscard]] constexpr std::uint64_t event_end(std::uint64_t offset, const EventHeader& h) {
    std::uint64_t end = offset + h.size;
    if (h.next_position == 0) return end;
    const std::uint32_t gap = h.next_position - static_cast<std::uint32_t>(end);
    return gap < 0xF000'0000U ? end + gap : end;
}

// What the server made up for this connection has no place in the file.
[[nodiscard]] constexpr bool is_placed(const EventHeader& h) {
    return (h.flags & kEventArtificial) == 0 &&
           (h.next_position != 0 ||
            (h.type != EventType::mariadb_gtid_list && h.type != EventType::mariadb_start_encryption));
}

struct Event {
    EventHeader header;
    Bytes body;  // without header and checksum
};

// What the format description says of the events behind it.
struct BinlogFormat {
    std::string server_version;
    bool mariadb = false;
    bool checksum = false;                   // CRC32 behind every event
    std::vector<std::uint8_t> post_headers;  // by type - 1
    std::uint32_t created = 0;               // not 0: the server was restarted, its temporary tables are gone

    [[nodiscard]] std::size_t post_header(EventType type, std::size_t otherwise) const noexcept {
        const auto i = static_cast<std::size_t>(type) - 1;
        return i < post_headers.size() ? post_headers[i] : otherwise;
    }
};

// `verify`: the checksum is computed and compared. Before the format is known (the artificial ROTATE that
// comes first) a checksum is recognised by its being right.
[[nodiscard]] Result<Event> read_event(Bytes event, const BinlogFormat& format, bool format_known = true,
                                       bool verify = true);
// An event inside of a transaction payload: it has no checksum.
[[nodiscard]] Result<Event> read_inner_event(Bytes event);

// Takes the whole event, because it says itself whether it has a checksum.
[[nodiscard]] Result<BinlogFormat> read_format_description(Bytes event);

struct Rotate {
    std::uint64_t position = 4;
    std::string_view file;
};
[[nodiscard]] Result<Rotate> read_rotate(Bytes body);

struct GtidEvent {
    GtidSource source;
    std::uint64_t number = 0;          // 0: anonymous
    std::uint64_t commit_time_us = 0;  // on this server; 0: not said
    bool may_have_statements = true;   // flag 1
    bool anonymous = false;
};
[[nodiscard]] Result<GtidEvent> read_gtid(const Event& event);  // gtid, anonymous_gtid, gtid_tagged

// An XA branch by its name; equal names are the same transaction.
struct XaId {
    std::uint32_t format = 1;
    std::string global, branch;
    friend auto operator<=>(const XaId&, const XaId&) = default;
};

struct MariadbGtidEvent {
    MariadbGtid gtid;
    bool standalone = false;  // no commit event follows
    bool ddl = false;
    bool prepared_xa = false;   // ends with XA PREPARE
    bool completed_xa = false;  // XA COMMIT or XA ROLLBACK of `xa`
    bool start_alter = false;   // the ALTER TABLE is not done yet
    bool rollback_alter = false;
    XaId xa;  // with prepared_xa and completed_xa
};
[[nodiscard]] Result<MariadbGtidEvent> read_mariadb_gtid(const Event& event);
[[nodiscard]] Result<MariadbGtidPosition> read_mariadb_gtid_list(Bytes body);

struct Query {
    std::uint32_t thread = 0;
    std::uint16_t error = 0;
    std::string_view database;
    std::string_view sql;
    std::optional<std::uint64_t> sql_mode;
    std::uint16_t client_collation = 0;  // its number; 0: not said
    std::string_view time_zone;
};
// The compressed form is unpacked into `scratch`.
[[nodiscard]] Result<Query> read_query(const Event& event, const BinlogFormat& format, ByteBuffer& scratch);
// LOAD DATA in statement format; ends like a query
[[nodiscard]] Result<Query> read_execute_load_query(const Event& event);

struct XaPrepare {
    bool one_phase = false;  // XA COMMIT ... ONE PHASE: it is a commit
    XaId xa;
};
[[nodiscard]] Result<XaPrepare> read_xa_prepare(Bytes body);

struct Heartbeat {
    std::string_view file;
    std::uint64_t position = 0;  // version 1: the low 32 bits
};
[[nodiscard]] Result<Heartbeat> read_heartbeat(const Event& event);
// Where the log is then, when it was at `offset`.
[[nodiscard]] constexpr std::uint64_t heartbeat_end(std::uint64_t offset, const Heartbeat& h,
                                                    EventType type) {
    if (type != EventType::heartbeat)
        return h.position > offset && h.position >> 40U == 0 ? h.position : offset;
    const std::uint32_t gap = static_cast<std::uint32_t>(h.position) - static_cast<std::uint32_t>(offset);
    return gap < 0x8000'0000U ? offset + gap : offset;
}

[[nodiscard]] Result<std::string_view> read_incident(Bytes body);

// Types as the log writes them.
enum class WireType : std::uint8_t {
    tiny = 1,
    small = 2,
    integer = 3,
    real4 = 4,
    real8 = 5,
    timestamp = 7,
    big = 8,
    medium = 9,
    date = 10,
    time = 11,
    datetime = 12,
    year = 13,
    varchar = 15,
    bit = 16,
    timestamp2 = 17,
    datetime2 = 18,
    time2 = 19,
    typed_array = 20,
    blob_compressed = 140,
    varchar_compressed = 141,
    vector = 242,
    json = 245,
    decimal = 246,
    enumeration = 247,
    set = 248,
    tiny_blob = 249,
    medium_blob = 250,
    long_blob = 251,
    blob = 252,
    var_string = 253,
    string = 254,
    geometry = 255,
};

struct WireColumn {
    WireType type{};             // of STRING the real one: enumeration, set or string
    std::uint16_t metadata = 0;  // varchar, string: bytes at most; enumeration, set: bytes; bit: bits;
                                 // decimal: precision; blobs, floats: bytes of length; times: fsp
    std::uint8_t scale = 0;      // decimal
    friend bool operator==(const WireColumn&, const WireColumn&) = default;
};

struct TableMap {
    std::uint64_t table_id = 0;
    std::uint16_t flags = 0;
    std::string_view database, table;
    std::vector<WireColumn> columns;
    // Optional metadata; empty when the server does not send it.
    std::vector<std::string_view> names;
    std::optional<std::vector<bool>> is_unsigned;                // a bit per numeric column, in order
    std::optional<std::vector<std::uint32_t>> collations;        // a number per character column, in order
    std::optional<std::vector<std::uint32_t>> label_collations;  // per ENUM and SET column
    std::vector<std::vector<std::string_view>> set_labels, enum_labels;  // per column of that type
    std::vector<std::uint32_t> primary_key;                              // column numbers
    std::vector<bool> visible;
};
// `to` is reused, its vectors keep their memory.
[[nodiscard]] Result<> read_table_map(const Event& event, const BinlogFormat& format, TableMap& to);
[[nodiscard]] Result<std::uint64_t> read_table_id(const Event& event, const BinlogFormat& format);

enum class RowsKind : std::uint8_t { write, update, remove };

struct RowsEvent {
    RowsKind kind{};
    std::uint64_t table_id = 0;
    bool ends_statement = false;
    bool keys_off = false;  // written with foreign_key_checks=0
    bool partial_json = false;
    std::uint32_t columns = 0;
    Bytes present;        // write: of the new row; else of the old one. A bit per column, lowest first.
    Bytes present_after;  // update
    Bytes rows;
};
// The compressed form is unpacked into `scratch`.
[[nodiscard]] Result<RowsEvent> read_rows(const Event& event, const BinlogFormat& format,
                                          ByteBuffer& scratch);

// The events inside of TRANSACTION_PAYLOAD, one after another; memory is that of the largest.
class PayloadReader {
public:
    [[nodiscard]] static Result<PayloadReader> open(Bytes body);
    // The next event, whole and without checksum; empty at the end. Valid until the next call.
    [[nodiscard]] Result<Bytes> next();
    PayloadReader(PayloadReader&&) noexcept;
    PayloadReader& operator=(PayloadReader&&) noexcept;
    ~PayloadReader();

private:
    struct Stream;
    PayloadReader();
    Result<bool> fill(std::size_t bytes);
    Bytes packed_;  // what is not read yet
    bool compressed_ = false;
    bool ended_ = true;  // the compressed frame is whole
    std::unique_ptr<Stream> stream_;
    ByteBuffer window_;
    std::size_t at_ = 0;
};

}  // namespace godwit::mysql
