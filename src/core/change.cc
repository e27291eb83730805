#include "core/change.h"

namespace godwit {

void RecordWriter::open(RecordKind kind) {
    start_ = to_.size();
    to_.put_le(std::uint32_t{0});
    to_.put_u8(static_cast<std::uint8_t>(kind));
}

void RecordWriter::finish() {
    const auto length = static_cast<std::uint32_t>(to_.size() - start_ - 4);
    std::memcpy(to_.data() + start_, &length, 4);
}

void RecordWriter::relation(const Relation& relation) {
    open(RecordKind::relation);
    to_.put_le(relation.id);
    to_.put_le(relation.source_id);
    put_string(to_, relation.name.schema);
    put_string(to_, relation.name.table);
    to_.put_u8(static_cast<std::uint8_t>(relation.identity));
    to_.put_le(static_cast<std::uint16_t>(relation.columns.size()));
    for (const auto& c : relation.columns) {
        put_string(to_, c.name);
        to_.put_le(c.type_id);
        to_.put_le(c.type_modifier);
        to_.put_u8(c.identity ? 1 : 0);
    }
    finish();
}

bool read_relation(const Record& record, Relation& to) {
    if (record.kind != RecordKind::relation) return false;
    ByteReader in(record.raw.subspan(5));
    to.id = in.le<std::uint32_t>();
    to.source_id = in.le<std::uint64_t>();
    to.name.schema = get_string(in);
    to.name.table = get_string(in);
    to.identity = static_cast<RowIdentity>(in.u8());
    const auto n = in.le<std::uint16_t>();
    to.columns.clear();
    for (std::uint16_t i = 0; i < n && !in.failed(); ++i) {
        RelationColumn c;
        c.name = get_string(in);
        c.type_id = in.le<std::uint32_t>();
        c.type_modifier = in.le<std::int32_t>();
        c.identity = in.u8() != 0;
        to.columns.push_back(std::move(c));
    }
    return !in.failed();
}

void RecordWriter::begin(std::uint32_t xid, std::uint64_t order, std::int64_t commit_time_us, bool streamed,
                         const std::vector<std::uint32_t>& aborted) {
    open(RecordKind::begin);
    to_.put_le(xid);
    to_.put_le(order);
    to_.put_le(commit_time_us);
    to_.put_u8(streamed ? 1 : 0);
    to_.put_le(static_cast<std::uint32_t>(aborted.size()));
    for (const auto subxid : aborted) to_.put_le(subxid);
    finish();
}

void RecordWriter::commit(std::uint64_t order_end, std::string_view position, std::int64_t commit_time_us) {
    open(RecordKind::commit);
    to_.put_le(order_end);
    put_string(to_, position);
    to_.put_le(commit_time_us);
    finish();
}

void RecordWriter::keepalive(std::uint64_t order_end, std::string_view position) {
    open(RecordKind::keepalive);
    to_.put_le(order_end);
    put_string(to_, position);
    finish();
}

void RecordWriter::truncate(std::uint32_t subxid, std::uint8_t flags,
                            const std::vector<std::uint32_t>& relations) {
    open(RecordKind::truncate);
    to_.put_le(subxid);
    to_.put_u8(flags);
    to_.put_le(static_cast<std::uint16_t>(relations.size()));
    for (const auto r : relations) to_.put_le(r);
    finish();
}

void RecordWriter::start(RecordKind kind, std::uint32_t relation, std::uint32_t subxid) {
    open(kind);
    to_.put_le(relation);
    to_.put_le(subxid);
}

namespace {

constexpr std::uint8_t kKeysOff = 0x80;

void take_old_kind(ByteReader& in, Record& r) {
    const auto byte = in.u8();
    r.keys_off = (byte & kKeysOff) != 0;
    r.old_kind = static_cast<OldRow>(byte & ~kKeysOff);
}

// Steps over one row and checks it; an empty view when it is damaged.
RowView take_row(ByteReader& in, Bytes all) {
    const std::size_t from = in.position();
    const auto n = in.le<std::uint16_t>();
    for (std::uint16_t i = 0; i < n && !in.failed(); ++i)
        if (const auto state = in.u8(); state >= static_cast<std::uint8_t>(CellState::text))
            in.take(in.le<std::uint32_t>());
    if (in.failed()) return {};
    return RowView(all.subspan(from, in.position() - from));
}

}  // namespace

void RecordWriter::old_kind(OldRow old, bool keys_off) {
    to_.put_u8(static_cast<std::uint8_t>(static_cast<std::uint8_t>(old) | (keys_off ? kKeysOff : 0)));
}

bool RecordReader::next(Record& r) {
    if (failed_ || at_ == bytes_.size()) return false;
    ByteReader head(bytes_.subspan(at_));
    const auto length = head.le<std::uint32_t>();
    if (head.failed() || length == 0 || length > bytes_.size() - at_ - 4) {
        failed_ = true;
        return false;
    }
    r = Record{};
    r.raw = bytes_.subspan(at_, 4 + length);
    const Bytes body = r.raw.subspan(5);
    ByteReader in(body);
    r.kind = static_cast<RecordKind>(r.raw[4]);
    switch (r.kind) {
        case RecordKind::relation:
            r.relation = in.le<std::uint32_t>();
            break;
        case RecordKind::begin: {
            r.xid = in.le<std::uint32_t>();
            r.order = in.le<std::uint64_t>();
            r.commit_time_us = in.le<std::int64_t>();
            r.streamed = in.u8() != 0;
            r.list = in.take(std::size_t{4} * in.le<std::uint32_t>());
            break;
        }
        case RecordKind::insert:
            r.relation = in.le<std::uint32_t>();
            r.xid = in.le<std::uint32_t>();
            r.row = take_row(in, body);
            break;
        case RecordKind::update:
            r.relation = in.le<std::uint32_t>();
            r.xid = in.le<std::uint32_t>();
            take_old_kind(in, r);
            if (r.old_kind != OldRow::none) r.old_row = take_row(in, body);
            r.row = take_row(in, body);
            break;
        case RecordKind::remove:
            r.relation = in.le<std::uint32_t>();
            r.xid = in.le<std::uint32_t>();
            take_old_kind(in, r);
            r.old_row = take_row(in, body);
            break;
        case RecordKind::truncate:
            r.xid = in.le<std::uint32_t>();
            r.flags = in.u8();
            r.list = in.take(std::size_t{4} * in.le<std::uint16_t>());
            break;
        case RecordKind::commit:
        case RecordKind::keepalive:
            r.order = in.le<std::uint64_t>();
            r.position = as_text(in.take(in.le<std::uint32_t>()));
            if (r.kind == RecordKind::commit) r.commit_time_us = in.le<std::int64_t>();
            break;
        default:
            failed_ = true;
            return false;
    }
    if (in.failed()) {
        failed_ = true;
        return false;
    }
    at_ += 4 + length;
    return true;
}

}  // namespace godwit
