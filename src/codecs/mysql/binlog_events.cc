#include "codecs/mysql/binlog_events.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <charconv>

#include "codecs/mysql/varlen.h"

namespace godwit::mysql {
namespace {

std::unexpected<Error> damaged(std::string_view what) {
    return fail(ErrorCode::data_loss, fmt::format("the log sent an event that makes no sense: {}", what));
}

std::uint32_t crc_of(Bytes bytes) noexcept {
    return static_cast<std::uint32_t>(
        ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::uint64_t get_u48(ByteReader& in) noexcept {
    const std::uint64_t low = in.le<std::uint32_t>();
    return low | std::uint64_t{in.le<std::uint16_t>()} << 32U;
}
std::uint64_t get_u56(ByteReader& in) noexcept {
    const std::uint64_t low = get_u48(in);
    return low | std::uint64_t{in.u8()} << 48U;
}

EventHeader get_header(ByteReader& in) noexcept {
    EventHeader h;
    h.timestamp = in.le<std::uint32_t>();
    h.type = static_cast<EventType>(in.u8());
    h.server_id = in.le<std::uint32_t>();
    h.size = in.le<std::uint32_t>();
    h.next_position = in.le<std::uint32_t>();
    h.flags = in.le<std::uint16_t>();
    return h;
}

// "8.0.15-log" -> 8,0,15
std::array<unsigned, 3> version_numbers(std::string_view text) {
    std::array<unsigned, 3> v{};
    for (auto& part : v) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
        if (error != std::errc{}) break;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (text.empty() || text.front() != '.') break;
        text.remove_prefix(1);
    }
    return v;
}

// MariaDB's header of a compressed part: u8 (low three bits: n, then the algorithm, 0 = zlib), n bytes of the
// size, high byte first.
Result<Bytes> inflate(Bytes packed, ByteBuffer& scratch) {
    ByteReader in(packed);
    const std::uint8_t head = in.u8();
    const unsigned n = head & 7U;
    std::uint64_t size = 0;
    for (unsigned i = 0; i < n; ++i) size = size << 8U | in.u8();
    if (in.failed() || (head & 0x70U) != 0 || n == 0 || n > 4) return damaged("a compressed part");
    const Bytes data = in.take(in.left());
    // zlib never grows data by more than 1032
    if (size > kUncompressedBytesMax || size > (data.size() + 1) * 1040)
        return damaged("a compressed part that claims to be too large");
    scratch.clear();
    auto* to = reinterpret_cast<Bytef*>(scratch.extend(size + 1));
    uLongf written = size + 1;
    if (::uncompress(to, &written, reinterpret_cast<const Bytef*>(data.data()), data.size()) != Z_OK ||
        written != size)
        return damaged("a compressed part that cannot be unpacked");
    scratch.resize_down(size);
    return scratch.view();
}

void read_status(Bytes status, Query& to) {
    ByteReader in(status);
    while (!in.at_end()) {
        switch (in.u8()) {
            case 0:  // flags2
                in.take(4);
                break;
            case 1: {
                const auto mode = in.le<std::uint64_t>();
                if (!in.failed()) to.sql_mode = mode;
                break;
            }
            case 2:  // catalog with its NUL
                in.take(in.u8());
                in.take(1);
                break;
            case 3:  // auto_increment
                in.take(4);
                break;
            case 4: {
                const auto client = in.le<std::uint16_t>();
                in.take(4);
                if (!in.failed()) to.client_collation = client;
                break;
            }
            case 5:
                to.time_zone = as_text(in.take(in.u8()));
                break;
            case 6:  // catalog
                in.take(in.u8());
                break;
            case 7:   // lc_time_names
            case 8:   // collation_database
            case 18:  // default_collation_for_utf8mb4
                in.take(2);
                break;
            case 9:   // tables of a multi-table update
            case 17:  // xid of the DDL
                in.take(8);
                break;
            case 10:  // master_data_written
                in.take(4);
                break;
            case 11:  // invoker
                in.take(in.u8());
                in.take(in.u8());
                break;
            case 12: {  // updated databases; 254: too many to name
                const auto n = in.u8();
                if (n != 254)
                    for (unsigned i = 0; i < n && !in.failed(); ++i) in.cstring();
                break;
            }
            case 13:   // microseconds
            case 128:  // MariaDB: the same
                in.take(3);
                break;
            case 16:  // explicit_defaults_for_timestamp
            case 19:  // sql_require_primary_key
            case 20:  // default_table_encryption
                in.take(1);
                break;
            case 129:  // MariaDB: xid of the DDL
                in.take(8);
                break;
            default:  // newer servers append theirs at the end
                return;
        }
    }
}

XaId xa_id(std::uint32_t format, Bytes global, Bytes branch) {
    return {format, std::string(as_text(global)), std::string(as_text(branch))};
}

bool numeric(WireType t) {
    switch (t) {
        case WireType::tiny:
        case WireType::small:
        case WireType::integer:
        case WireType::big:
        case WireType::medium:
        case WireType::real4:
        case WireType::real8:
        case WireType::decimal:
        case WireType::year:
            return true;
        default:
            return false;
    }
}
bool of_characters(WireType t) {
    switch (t) {
        case WireType::varchar:
        case WireType::var_string:
        case WireType::string:
        case WireType::tiny_blob:
        case WireType::blob:
        case WireType::medium_blob:
        case WireType::long_blob:
        case WireType::blob_compressed:
        case WireType::varchar_compressed:
            return true;
        default:
            return false;
    }
}
bool of_labels(WireType t) { return t == WireType::enumeration || t == WireType::set; }

// Bits from the highest of each byte on.
std::vector<bool> bits_high_first(Bytes bytes, std::size_t n) {
    std::vector<bool> bits(n);
    for (std::size_t i = 0; i < n && i / 8 < bytes.size(); ++i)
        bits[i] = (std::to_integer<unsigned>(bytes[i / 8]) >> (7 - i % 8) & 1U) != 0;
    return bits;
}

// A default and pairs (number among those columns, collation).
std::vector<std::uint32_t> get_default_collations(ByteReader& in, std::size_t n) {
    std::vector<std::uint32_t> out(n, static_cast<std::uint32_t>(get_lenenc(in)));
    while (!in.at_end() && !in.failed()) {
        const auto i = get_lenenc(in);
        const auto collation = static_cast<std::uint32_t>(get_lenenc(in));
        if (i < n) out[i] = collation;
    }
    return out;
}
std::vector<std::uint32_t> get_collations(ByteReader& in) {
    std::vector<std::uint32_t> out;
    while (!in.at_end() && !in.failed()) out.push_back(static_cast<std::uint32_t>(get_lenenc(in)));
    return out;
}
std::vector<std::vector<std::string_view>> get_labels(ByteReader& in) {
    std::vector<std::vector<std::string_view>> out;
    while (!in.at_end() && !in.failed()) {
        auto& labels = out.emplace_back();
        const auto n = get_lenenc(in);
        for (std::uint64_t i = 0; i < n && !in.failed(); ++i)
            labels.push_back(as_text(in.take(get_lenenc(in))));
    }
    return out;
}

// `mariadb`: its YEAR is a number with a sign of its own, MySQL's is none.
Result<> read_optional(ByteReader& in, bool mariadb, TableMap& to) {
    std::size_t numbers = 0, texts = 0, labelled = 0;
    for (const auto& c : to.columns) {
        numbers += numeric(c.type) && (mariadb || c.type != WireType::year) ? 1 : 0;
        texts += of_characters(c.type) ? 1 : 0;
        labelled += of_labels(c.type) ? 1 : 0;
    }
    while (!in.at_end()) {
        const std::uint8_t kind = in.u8();
        const Bytes value = in.take(get_lenenc(in));
        if (in.failed()) return damaged("TABLE_MAP with cut metadata");
        ByteReader v(value);
        switch (kind) {
            case 1:
                if (value.size() != (numbers + 7) / 8) return damaged("TABLE_MAP signedness");
                to.is_unsigned = bits_high_first(value, numbers);
                break;
            case 2:
                to.collations = get_default_collations(v, texts);
                break;
            case 3:
                to.collations = get_collations(v);
                // MariaDB counts geometries and its own types among the texts: what cannot be told apart is
                // not used, the catalogue knows it as well
                if (to.collations->size() != texts) to.collations.reset();
                break;
            case 4:
                while (!v.at_end() && !v.failed()) to.names.push_back(as_text(v.take(v.u8())));
                if (to.names.size() != to.columns.size()) return damaged("TABLE_MAP names");
                break;
            case 5:
                to.set_labels = get_labels(v);
                break;
            case 6:
                to.enum_labels = get_labels(v);
                break;
            case 8:
                while (!v.at_end() && !v.failed())
                    to.primary_key.push_back(static_cast<std::uint32_t>(get_lenenc(v)));
                break;
            case 9:
                while (!v.at_end() && !v.failed()) {
                    to.primary_key.push_back(static_cast<std::uint32_t>(get_lenenc(v)));
                    get_lenenc(v);
                }
                break;
            case 10:
                to.label_collations = get_default_collations(v, labelled);
                break;
            case 11:
                to.label_collations = get_collations(v);
                break;
            case 12:
                to.visible = bits_high_first(value, to.columns.size());
                break;
            default:  // 7: kinds of geometry; 13: dimensions of vectors; newer ones
                break;
        }
        if (v.failed()) return damaged("TABLE_MAP metadata");
    }
    return {};
}

// Type and metadata of one column, as "TABLE_MAP_EVENT" describes them.
bool get_column(WireType type, ByteReader& meta, WireColumn& c) {
    c = {type, 0, 0};
    switch (type) {
        case WireType::tiny:
        case WireType::small:
        case WireType::integer:
        case WireType::big:
        case WireType::medium:
        case WireType::year:
        case WireType::date:
        case WireType::time:
        case WireType::datetime:
        case WireType::timestamp:
            return true;
        case WireType::real4:
        case WireType::real8:
            c.metadata = meta.u8();
            return c.metadata == (type == WireType::real4 ? 4 : 8);
        case WireType::timestamp2:
        case WireType::datetime2:
        case WireType::time2:
            c.metadata = meta.u8();
            return c.metadata <= 6;
        case WireType::tiny_blob:
        case WireType::blob:
        case WireType::medium_blob:
        case WireType::long_blob:
        case WireType::blob_compressed:
        case WireType::json:
        case WireType::geometry:
        case WireType::vector:
            c.metadata = meta.u8();
            return c.metadata >= 1 && c.metadata <= 4;
        case WireType::varchar:
        case WireType::varchar_compressed:
        case WireType::var_string:
            c.metadata = meta.le<std::uint16_t>();
            return true;
        case WireType::decimal:
            c.metadata = meta.u8();
            c.scale = meta.u8();
            return c.metadata >= 1 && c.metadata <= 65 && c.scale <= c.metadata && c.scale <= 38;
        case WireType::bit: {
            const unsigned rest = meta.u8();
            const unsigned whole = meta.u8();
            c.metadata = static_cast<std::uint16_t>(whole * 8 + rest);
            return rest < 8 && c.metadata >= 1 && c.metadata <= 64;
        }
        case WireType::enumeration:
        case WireType::set:
        case WireType::string: {
            const unsigned real = meta.u8();
            const unsigned length = meta.u8();
            if (real == static_cast<unsigned>(WireType::enumeration) ||
                real == static_cast<unsigned>(WireType::set)) {
                c.type = static_cast<WireType>(real);
                c.metadata = static_cast<std::uint16_t>(length);
                return c.type == WireType::set ? length >= 1 && length <= 8 : length == 1 || length == 2;
            }
            // two bits of the length hide, inverted, in the type
            if ((real | 0x30U) != static_cast<unsigned>(WireType::string)) return false;
            c.type = WireType::string;
            c.metadata = static_cast<std::uint16_t>(length | (((real & 0x30U) ^ 0x30U) << 4U));
            return true;
        }
        default:
            return false;
    }
}

}  // namespace

Result<Event> read_event(Bytes event, const BinlogFormat& format, bool format_known, bool verify) {
    ByteReader in(event);
    Event e;
    e.header = get_header(in);
    if (in.failed() || e.header.size != event.size()) return damaged("an event that is cut");
    std::size_t end = event.size();
    if (format_known) {
        if (format.checksum) {
            if (end < kEventHeaderBytes + kChecksumBytes) return damaged("an event without its checksum");
            end -= kChecksumBytes;
            if (verify) {
                std::uint32_t said = 0;
                std::memcpy(&said, event.data() + end, sizeof said);
                if (said != crc_of(event.first(end)))
                    return damaged(fmt::format("the checksum of an event of type {} is wrong",
                                               static_cast<unsigned>(e.header.type)));
            }
        }
    } else if (end >= kEventHeaderBytes + kChecksumBytes) {
        std::uint32_t said = 0;
        std::memcpy(&said, event.data() + end - kChecksumBytes, sizeof said);
        if (said == crc_of(event.first(end - kChecksumBytes))) end -= kChecksumBytes;
    }
    e.body = event.subspan(kEventHeaderBytes, end - kEventHeaderBytes);
    return e;
}

Result<Event> read_inner_event(Bytes event) {
    ByteReader in(event);
    Event e;
    e.header = get_header(in);
    if (in.failed() || e.header.size != event.size()) return damaged("an event of a payload");
    e.body = event.subspan(kEventHeaderBytes);
    return e;
}

Result<BinlogFormat> read_format_description(Bytes event) {
    ByteReader in(event);
    const EventHeader header = get_header(in);
    if (in.failed() || header.size != event.size()) return damaged("a format description that is cut");
    BinlogFormat f;
    const auto version = in.le<std::uint16_t>();
    std::string_view name = as_text(in.take(50));
    name = name.substr(0, name.find('\0'));
    f.server_version = name;
    f.created = in.le<std::uint32_t>();
    const auto header_bytes = in.u8();
    if (in.failed()) return damaged("a format description that is cut");
    if (version != 4 || header_bytes != kEventHeaderBytes)
        return fail(
            ErrorCode::unsupported,
            fmt::format("the binary log has version {}; only version 4 (MySQL 5.0 on) is read", version));
    f.mariadb = name.find("MariaDB") != std::string_view::npos;
    std::size_t lengths = in.left();
    // 5.6.1 and MariaDB 5.3 began to say how events are summed
    const auto numbers = version_numbers(name);
    const std::array<unsigned, 3> since =
        f.mariadb ? std::array<unsigned, 3>{5, 3, 0} : std::array<unsigned, 3>{5, 6, 1};
    if (numbers >= since) {
        if (lengths < 1 + kChecksumBytes) return damaged("a format description that is cut");
        lengths -= 1 + kChecksumBytes;
    }
    const Bytes table = in.take(lengths);
    f.post_headers.resize(table.size());
    if (!table.empty()) std::memcpy(f.post_headers.data(), table.data(), table.size());
    if (numbers >= since) {
        const auto algorithm = in.u8();
        const auto said = in.le<std::uint32_t>();
        if (algorithm > 1)
            return fail(ErrorCode::unsupported,
                        fmt::format("binlog checksum algorithm {} is not known", algorithm));
        f.checksum = algorithm == 1;
        if (f.checksum) {
            const std::uint32_t real = crc_of(event.first(event.size() - kChecksumBytes));
            if (said != real) {
                // While the file is written its format description is flagged as in use; the sum is that of
                // the flag cleared.
                std::vector<std::byte> copy(event.begin(), event.end() - kChecksumBytes);
                copy[17] &= std::byte{0xFE};
                if (said != crc_of(copy)) return damaged("the checksum of a format description is wrong");
            }
        }
    }
    return f;
}

Result<Rotate> read_rotate(Bytes body) {
    ByteReader in(body);
    Rotate r;
    r.position = in.le<std::uint64_t>();
    r.file = as_text(in.take(in.left()));
    if (in.failed() || r.file.empty() || r.file.find('\0') != std::string_view::npos)
        return damaged("ROTATE");
    return r;
}

Result<GtidEvent> read_gtid(const Event& event) {
    ByteReader in(event.body);
    GtidEvent g;
    if (event.header.type == EventType::gtid_tagged) {
        const auto version = get_varlen(in);
        get_varlen(in);                      // bytes of the whole
        const auto needed = get_varlen(in);  // the last field that must be understood
        constexpr std::uint64_t kLastKnown = 11;
        if (version > 1 || needed > kLastKnown + 1)
            return fail(ErrorCode::unsupported, "a GTID event is of a newer kind than this program knows");
        while (!in.at_end() && !in.failed()) {
            switch (get_varlen(in)) {
                case 0:
                    g.may_have_statements = (get_varlen(in) & 1U) != 0;
                    break;
                case 1:
                    for (auto& b : g.source.uuid) b = static_cast<std::uint8_t>(get_varlen(in));
                    break;
                case 2:
                    g.number = static_cast<std::uint64_t>(get_signed_varlen(in));
                    break;
                case 3:
                    g.source.tag = as_text(in.take(get_varlen(in)));
                    break;
                case 4:  // last_committed
                case 5:  // sequence_number
                    get_signed_varlen(in);
                    break;
                case 6:
                    g.commit_time_us = get_varlen(in);
                    break;
                case 7:   // original_commit_timestamp
                case 8:   // transaction_length
                case 9:   // immediate_server_version
                case 10:  // original_server_version
                case 11:  // commit_group_ticket
                    get_varlen(in);
                    break;
                default:
                    in.take(in.left());
            }
        }
        if (in.failed() || g.number == 0 || g.number >> 63U != 0) return damaged("GTID");
        return g;
    }
    g.anonymous = event.header.type == EventType::anonymous_gtid;
    g.may_have_statements = (in.u8() & 1U) != 0;
    const Bytes uuid = in.take(16);
    const auto number = in.le<std::uint64_t>();
    if (in.failed()) return damaged("GTID");
    if (!g.anonymous) {
        std::memcpy(g.source.uuid.data(), uuid.data(), 16);
        g.number = number;
        if (number == 0 || number >> 63U != 0) return damaged("GTID");
    }
    // 5.7: u8 2, two numbers; 8.0: then the times
    if (in.left() >= 17 && in.u8() == 2) {
        in.take(16);
        if (in.left() >= 7) g.commit_time_us = get_u56(in) & ((std::uint64_t{1} << 55U) - 1);
    }
    return g;
}

Result<MariadbGtidEvent> read_mariadb_gtid(const Event& event) {
    ByteReader in(event.body);
    MariadbGtidEvent g;
    g.gtid.sequence = in.le<std::uint64_t>();
    g.gtid.domain = in.le<std::uint32_t>();
    g.gtid.server = event.header.server_id;
    const unsigned flags = in.u8();
    g.standalone = (flags & 1U) != 0;
    g.ddl = (flags & 32U) != 0;
    g.prepared_xa = (flags & 64U) != 0;
    g.completed_xa = (flags & 128U) != 0;
    if (in.failed()) return damaged("GTID");
    if ((flags & 2U) != 0) {
        in.take(8);  // group commit
    }
    if (g.prepared_xa || g.completed_xa) {
        const auto format = in.le<std::uint32_t>();
        const std::size_t global = in.u8();
        const std::size_t branch = in.u8();
        const Bytes g_name = in.take(global);
        const Bytes b_name = in.take(branch);
        g.xa = xa_id(format, g_name, b_name);
    }
    if (in.failed()) return damaged("GTID");
    if (!in.at_end()) {  // or zeros that fill up to 19 bytes
        const unsigned extra = in.u8();
        g.start_alter = (extra & 2U) != 0;
        g.rollback_alter = (extra & 8U) != 0;
    }
    return g;
}

Result<MariadbGtidPosition> read_mariadb_gtid_list(Bytes body) {
    ByteReader in(body);
    const std::uint32_t n = in.le<std::uint32_t>() & 0x0FFF'FFFFU;
    if (in.failed() || in.left() < std::size_t{16} * n) return damaged("GTID_LIST");
    MariadbGtidPosition p;
    for (std::uint32_t i = 0; i < n; ++i) {
        MariadbGtid g;
        g.domain = in.le<std::uint32_t>();
        g.server = in.le<std::uint32_t>();
        g.sequence = in.le<std::uint64_t>();
        p.set(g);  // the last one of a domain is its newest
    }
    return p;
}

Result<Query> read_query(const Event& event, const BinlogFormat& format, ByteBuffer& scratch) {
    ByteReader in(event.body);
    Query q;
    const std::size_t head = format.post_header(event.header.type, 13);
    if (head < 13) return damaged("QUERY");
    q.thread = in.le<std::uint32_t>();
    in.le<std::uint32_t>();  // seconds it took
    const std::size_t database = in.u8();
    q.error = in.le<std::uint16_t>();
    const std::size_t status = in.le<std::uint16_t>();
    in.take(head - 13);
    read_status(in.take(status), q);
    q.database = as_text(in.take(database));
    if (in.u8() != 0) return damaged("QUERY");
    const Bytes sql = in.take(in.left());
    if (in.failed()) return damaged("QUERY");
    if (event.header.type == EventType::mariadb_query_compressed) {
        q.sql = as_text(GW_TRY(inflate(sql, scratch)));
    } else {
        q.sql = as_text(sql);
    }
    return q;
}

Result<Query> read_execute_load_query(const Event& event) {
    ByteReader in(event.body);
    Query q;
    q.thread = in.le<std::uint32_t>();
    in.le<std::uint32_t>();
    const std::size_t database = in.u8();
    q.error = in.le<std::uint16_t>();
    const std::size_t status = in.le<std::uint16_t>();
    in.take(13);  // file id, where its name stands in the text, what to do with duplicates
    read_status(in.take(status), q);
    q.database = as_text(in.take(database));
    in.u8();
    q.sql = as_text(in.take(in.left()));
    if (in.failed()) return damaged("EXECUTE_LOAD_QUERY");
    return q;
}

Result<XaPrepare> read_xa_prepare(Bytes body) {
    ByteReader in(body);
    XaPrepare p;
    p.one_phase = in.u8() != 0;
    const auto format = in.le<std::uint32_t>();
    const auto global = in.le<std::uint32_t>();
    const auto branch = in.le<std::uint32_t>();
    const Bytes g = in.take(global);
    const Bytes b = in.take(branch);
    if (in.failed() || global > 64 || branch > 64) return damaged("XA_PREPARE");
    p.xa = xa_id(format, g, b);
    return p;
}

Result<Heartbeat> read_heartbeat(const Event& event) {
    Heartbeat h;
    if (event.header.type == EventType::heartbeat) {
        h.file = as_text(event.body);
        h.position = event.header.next_position;
        return h;
    }
    ByteReader in(event.body);
    for (;;) {
        const auto kind = get_lenenc(in);
        if (in.failed()) return damaged("HEARTBEAT");
        if (kind == 0) return h;
        const Bytes value = in.take(get_lenenc(in));
        ByteReader v(value);
        if (kind == 1) h.file = as_text(value);
        if (kind == 2) h.position = get_lenenc(v);
        if (in.failed() || v.failed()) return damaged("HEARTBEAT");
        if (in.at_end()) return h;
    }
}

Result<std::string_view> read_incident(Bytes body) {
    ByteReader in(body);
    in.le<std::uint16_t>();
    const auto text = as_text(in.take(in.at_end() ? 0 : in.u8()));
    if (in.failed()) return damaged("INCIDENT");
    return text;
}

Result<std::uint64_t> read_table_id(const Event& event, const BinlogFormat& format) {
    ByteReader in(event.body);
    const auto id = format.post_header(event.header.type, 8) == 6 ? in.le<std::uint32_t>() : get_u48(in);
    if (in.failed()) return damaged("an event without its table id");
    return id;
}

Result<> read_table_map(const Event& event, const BinlogFormat& format, TableMap& to) {
    ByteReader in(event.body);
    to.table_id = format.post_header(event.header.type, 8) == 6 ? in.le<std::uint32_t>() : get_u48(in);
    to.flags = in.le<std::uint16_t>();
    to.database = as_text(in.take(in.u8()));
    in.u8();
    to.table = as_text(in.take(in.u8()));
    in.u8();
    const auto n = get_lenenc(in);
    const Bytes types = in.take(n);
    const Bytes metadata = in.take(get_lenenc(in));
    in.take((n + 7) / 8);  // which may be NULL
    if (in.failed() || n > 4096) return damaged("TABLE_MAP");
    ByteReader meta(metadata);
    to.columns.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        const auto type = static_cast<WireType>(types[i]);
        if (!get_column(type, meta, to.columns[i]) || meta.failed()) {
            if (meta.failed()) return damaged("TABLE_MAP metadata");
            return fail(ErrorCode::unsupported,
                        fmt::format("column {} of table {}.{} has a type that is not known ({})", i + 1,
                                    to.database, to.table, static_cast<unsigned>(types[i])));
        }
    }
    to.names.clear();
    to.is_unsigned.reset();
    to.collations.reset();
    to.label_collations.reset();
    to.set_labels.clear();
    to.enum_labels.clear();
    to.primary_key.clear();
    to.visible.clear();
    return read_optional(in, format.mariadb, to);
}

Result<RowsEvent> read_rows(const Event& event, const BinlogFormat& format, ByteBuffer& scratch) {
    RowsEvent r;
    bool extra = false, packed = false;
    switch (event.header.type) {
        case EventType::mariadb_write_rows_compressed_v1:
        case EventType::mariadb_write_rows_compressed:
            packed = true;
            [[fallthrough]];
        case EventType::write_rows_v1:
        case EventType::write_rows:
            r.kind = RowsKind::write;
            break;
        case EventType::mariadb_update_rows_compressed_v1:
        case EventType::mariadb_update_rows_compressed:
            packed = true;
            [[fallthrough]];
        case EventType::update_rows_v1:
        case EventType::update_rows:
        case EventType::partial_update_rows:
            r.kind = RowsKind::update;
            break;
        case EventType::mariadb_delete_rows_compressed_v1:
        case EventType::mariadb_delete_rows_compressed:
            packed = true;
            [[fallthrough]];
        case EventType::delete_rows_v1:
        case EventType::delete_rows:
            r.kind = RowsKind::remove;
            break;
        default:
            return damaged("not an event with rows");
    }
    switch (event.header.type) {
        case EventType::write_rows:
        case EventType::update_rows:
        case EventType::delete_rows:
        case EventType::partial_update_rows:
        case EventType::mariadb_write_rows_compressed:
        case EventType::mariadb_update_rows_compressed:
        case EventType::mariadb_delete_rows_compressed:
            extra = true;
            break;
        default:
            break;
    }
    r.partial_json = event.header.type == EventType::partial_update_rows;
    ByteReader in(event.body);
    const std::size_t head = format.post_header(event.header.type, extra ? 10 : 8);
    r.table_id = head == 6 ? in.le<std::uint32_t>() : get_u48(in);
    const auto flags = in.le<std::uint16_t>();
    r.ends_statement = (flags & 1U) != 0;
    r.keys_off = (flags & 2U) != 0;
    if (extra) {
        const auto length = in.le<std::uint16_t>();
        if (in.failed() || length < 2) return damaged("rows with a wrong extra part");
        in.take(length - 2U);
    }
    const auto n = get_lenenc(in);
    if (in.failed() || n > 4096) return damaged("rows with a wrong number of columns");
    r.columns = static_cast<std::uint32_t>(n);
    r.present = in.take((n + 7) / 8);
    if (r.kind == RowsKind::update) r.present_after = in.take((n + 7) / 8);
    r.rows = in.take(in.left());
    if (in.failed()) return damaged("rows that are cut");
    if (packed && !r.rows.empty()) r.rows = GW_TRY(inflate(r.rows, scratch));
    return r;
}

// ---------------------------------------------------------------------------------------------- payload

struct PayloadReader::Stream {
    ZSTD_DStream* z = ZSTD_createDStream();
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { ZSTD_freeDStream(z); }
};

PayloadReader::PayloadReader() = default;
PayloadReader::PayloadReader(PayloadReader&&) noexcept = default;
PayloadReader& PayloadReader::operator=(PayloadReader&&) noexcept = default;
PayloadReader::~PayloadReader() = default;

Result<PayloadReader> PayloadReader::open(Bytes body) {
    ByteReader in(body);
    std::uint64_t size = 0, algorithm = 255;
    for (;;) {
        const auto kind = get_lenenc(in);
        if (in.failed()) return damaged("TRANSACTION_PAYLOAD");
        if (kind == 0) break;
        const Bytes value = in.take(get_lenenc(in));
        ByteReader v(value);
        const auto number = get_lenenc(v);
        if (in.failed() || v.failed()) return damaged("TRANSACTION_PAYLOAD");
        if (kind == 1) size = number;
        if (kind == 2) algorithm = number;
    }
    PayloadReader r;
    r.packed_ = in.take(size);
    if (in.failed()) return damaged("TRANSACTION_PAYLOAD");
    if (algorithm == 0) {
        r.compressed_ = true;
        r.stream_ = std::make_unique<Stream>();
        if (r.stream_->z == nullptr || ZSTD_isError(ZSTD_initDStream(r.stream_->z)) != 0)
            return fail(ErrorCode::resource_exhausted, "no memory to unpack a transaction");
    } else if (algorithm != 255) {
        return fail(ErrorCode::unsupported,
                    fmt::format("compression {} of a transaction payload is not known", algorithm));
    }
    return r;
}

// Makes the window hold `bytes` from at_ on; false when the payload ends before.
Result<bool> PayloadReader::fill(std::size_t bytes) {
    while (window_.size() - at_ < bytes) {
        if (at_ != 0) {
            const std::size_t left = window_.size() - at_;
            if (left != 0) std::memmove(window_.data(), window_.data() + at_, left);
            window_.resize_down(left);
            at_ = 0;
        }
        if (!compressed_) return damaged("a payload that is cut");
        const std::size_t block = ZSTD_DStreamOutSize();
        const std::size_t had = window_.size();
        ZSTD_outBuffer out{window_.extend(block), block, 0};
        ZSTD_inBuffer in{packed_.data(), packed_.size(), 0};
        const std::size_t code = ZSTD_decompressStream(stream_->z, &out, &in);
        window_.resize_down(had + out.pos);
        packed_ = packed_.subspan(in.pos);
        if (ZSTD_isError(code) != 0) return damaged("a payload that cannot be unpacked");
        if (out.pos == 0 && in.pos == 0) return false;
        ended_ = code == 0;
    }
    return true;
}

Result<Bytes> PayloadReader::next() {
    if (!compressed_) {
        if (packed_.empty()) return Bytes{};
        ByteReader in(packed_);
        const EventHeader h = get_header(in);
        if (in.failed() || h.size < kEventHeaderBytes || h.size > packed_.size())
            return damaged("a payload that is cut");
        const Bytes event = packed_.first(h.size);
        packed_ = packed_.subspan(h.size);
        return event;
    }
    if (!GW_TRY(fill(kEventHeaderBytes))) {
        if (window_.size() != at_ || !packed_.empty() || !ended_) return damaged("a payload that is cut");
        return Bytes{};
    }
    ByteReader in(window_.view().subspan(at_));
    const EventHeader h = get_header(in);
    if (h.size < kEventHeaderBytes || h.size > kUncompressedBytesMax) return damaged("an event of a payload");
    if (!GW_TRY(fill(h.size))) return damaged("a payload that is cut");
    const Bytes event = window_.view().subspan(at_, h.size);
    at_ += h.size;
    return event;
}

}  // namespace godwit::mysql
