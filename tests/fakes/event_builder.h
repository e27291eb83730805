#pragma once
// Events of a binary log, built by hand.

#include <zlib.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "codecs/mysql/binlog_events.h"

namespace godwit::mysql {

class Body {
public:
    Body& u8(unsigned v) { return b_.put_u8(static_cast<std::uint8_t>(v)), *this; }
    Body& u16(unsigned v) { return b_.put_le(static_cast<std::uint16_t>(v)), *this; }
    Body& u32(std::uint32_t v) { return b_.put_le(v), *this; }
    Body& u48(std::uint64_t v) {
        return u32(static_cast<std::uint32_t>(v)).u16(static_cast<unsigned>(v >> 32U));
    }
    Body& u64(std::uint64_t v) { return b_.put_le(v), *this; }
    Body& text(std::string_view s) { return b_.append(s), *this; }
    Body& bytes(std::initializer_list<unsigned> list) {
        for (const unsigned v : list) u8(v);
        return *this;
    }
    Body& short_text(std::string_view s) { return u8(static_cast<unsigned>(s.size())).text(s); }
    // a TLV of TABLE_MAP
    Body& part(unsigned kind, const Body& value) {
        return u8(kind).u8(static_cast<unsigned>(value.view().size())).text(as_text(value.view()));
    }
    [[nodiscard]] Bytes view() const { return b_.view(); }
    [[nodiscard]] std::string str() const { return std::string(as_text(b_.view())); }

private:
    ByteBuffer b_;
};

struct EventOptions {
    std::uint32_t next = 0;
    std::uint16_t flags = 0;
    bool checksum = true;
    std::uint32_t timestamp = 1'700'000'000;
    std::uint32_t server_id = 7;
};

inline std::string event(EventType type, const Body& body, EventOptions o = {}) {
    ByteBuffer b;
    const std::size_t size = kEventHeaderBytes + body.view().size() + (o.checksum ? kChecksumBytes : 0);
    b.put_le(o.timestamp);
    b.put_u8(static_cast<std::uint8_t>(type));
    b.put_le(o.server_id);
    b.put_le(static_cast<std::uint32_t>(size));
    b.put_le(o.next);
    b.put_le(o.flags);
    b.append(body.view());
    if (o.checksum)
        b.put_le(
            static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(b.data()), b.size())));
    return std::string(as_text(b.view()));
}

inline std::string format_description(std::string_view version = "8.0.36", bool checksum = true,
                                      std::uint32_t next = 0) {
    Body b;
    b.u16(4).text(version);
    for (std::size_t i = version.size(); i < 50; ++i) b.u8(0);
    b.u32(0).u8(19);
    constexpr std::uint8_t kLengths[] = {0,  13, 0,  8,  0,  0,  0, 0,  4,  0, 4,  0,  0, 0,
                                         98, 0,  4,  26, 8,  0,  0, 0,  8,  8, 8,  2,  0, 0,
                                         0,  10, 10, 10, 42, 42, 0, 18, 52, 0, 10, 40, 0, 0};
    for (const auto n : kLengths) b.u8(n);
    b.u8(checksum ? 1 : 0);
    std::string e = event(EventType::format_description, b, {.next = next});
    return e;
}

// name, type byte, metadata bytes
struct BuiltColumn {
    unsigned type;
    std::vector<unsigned> metadata;
};

inline Body table_map(std::uint64_t id, std::string_view database, std::string_view table,
                      const std::vector<BuiltColumn>& columns, const Body& optional = {}) {
    Body b, metadata;
    b.u48(id).u16(1).short_text(database).u8(0).short_text(table).u8(0);
    b.u8(static_cast<unsigned>(columns.size()));
    for (const auto& c : columns) {
        b.u8(c.type);
        for (const unsigned m : c.metadata) metadata.u8(m);
    }
    b.short_text(metadata.str());
    for (std::size_t i = 0; i < (columns.size() + 7) / 8; ++i) b.u8(0xFF);
    b.text(optional.str());
    return b;
}

// Rows of version 2: all columns present, or as `present` says.
inline Body rows_head(std::uint64_t id, unsigned columns, bool update = false,
                      std::vector<unsigned> present = {}, std::vector<unsigned> after = {}) {
    Body b;
    b.u48(id).u16(1).u16(2).u8(columns);
    const auto bits = [&](const std::vector<unsigned>& list) {
        for (unsigned i = 0; i < (columns + 7) / 8; ++i) b.u8(i < list.size() ? list[i] : 0xFF);
    };
    bits(present);
    if (update) bits(after);
    return b;
}

inline Body query(std::string_view database, std::string_view sql, const Body& status = {}) {
    Body b;
    b.u32(1).u32(0).u8(static_cast<unsigned>(database.size())).u16(0);
    b.u16(static_cast<unsigned>(status.view().size())).text(status.str());
    b.text(database).u8(0).text(sql);
    return b;
}

}  // namespace godwit::mysql
