#include "sources/postgres/pgoutput.h"

#include <fmt/format.h>

namespace godwit::postgres {
namespace {

// microseconds between the epochs of PostgreSQL (2000) and Unix (1970)
constexpr std::int64_t kPostgresEpochUs = 946'684'800'000'000;

std::unexpected<Error> damaged(std::string_view what) {
    return fail(ErrorCode::data_loss, fmt::format("the log sent a message that makes no sense: {}", what));
}

std::int64_t unix_us(std::int64_t postgres_us) noexcept {
    // unsigned, because a damaged message may hold any value
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(postgres_us) +
                                     static_cast<std::uint64_t>(kPostgresEpochUs));
}

std::uint32_t load_be32(const std::byte* at) noexcept {
    std::uint32_t v = 0;
    std::memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

// Turns one TupleData at `from` into a record's row at `to`, which has room for `left` bytes, too: both have
// the same layout, so the bytes are copied at once and then the kinds and lengths are rewritten. Returns the
// row's size, 0 when it is damaged or has not `columns` cells.
std::size_t copy_row(const std::byte* from, std::size_t left, std::byte* to, std::size_t columns) noexcept {
    if (left < 2) return 0;
    const auto n =
        static_cast<std::uint16_t>(static_cast<unsigned>(from[0]) << 8U | static_cast<unsigned>(from[1]));
    if (n != columns) return 0;
    std::memcpy(to, from, left);
    std::memcpy(to, &n, sizeof n);
    std::size_t at = 2;
    for (std::uint16_t i = 0; i < n; ++i) {
        if (at == left) return 0;
        switch (static_cast<char>(from[at])) {
            case 'n':
                to[at++] = static_cast<std::byte>(CellState::null);
                break;
            case 'u':
                to[at++] = static_cast<std::byte>(CellState::unchanged);
                break;
            case 't':
            case 'b': {
                if (left - at < 5) return 0;
                const std::uint32_t length = load_be32(from + at + 1);
                if (length > left - at - 5) return 0;
                to[at] =
                    static_cast<std::byte>(from[at] == std::byte{'t'} ? CellState::text : CellState::binary);
                std::memcpy(to + at + 1, &length, sizeof length);
                at += 5 + std::size_t{length};
                break;
            }
            default:
                return 0;
        }
    }
    return at;
}

}  // namespace

PgoutputDecoder::PgoutputDecoder(DecoderHooks hooks) : Decoder(std::move(hooks)) {}

void PgoutputDecoder::restart(Lsn from) {
    Decoder::restart(from);
    streams_.clear();
    stream_ = nullptr;
    stream_xid_ = 0;
    last_ = nullptr;
    // Their records may lie in a torn transaction, which the sink drops: they are written again, under the
    // same id.
    for (auto& [oid, v] : common_) v->written = false;
}

void PgoutputDecoder::reselect() {
    const auto again = [this](Version& v) {
        v.wanted = wants(v.relation);
        if (!hooks_.refine) return;
        Relation r = v.relation;
        hooks_.refine(r);
        if (r.identity == v.relation.identity && r.columns == v.relation.columns) return;
        r.id = 0;  // rows from now on have another identity
        v.relation = std::move(r);
        v.written = false;
    };
    for (auto& [oid, v] : common_) again(*v);
    for (auto& [xid, stream] : streams_)
        for (auto& [oid, v] : stream.versions) again(*v);
}

Result<> PgoutputDecoder::decode(Bytes message, Lsn, ChangeSink& sink) {
    ByteReader in(message);
    const char kind = static_cast<char>(in.u8());
    switch (kind) {
        case 'I':
        case 'U':
        case 'D':
            return row(kind, in, message, sink);
        case 'B':
            return begin(in);
        case 'C':
            return commit(in, sink);
        case 'R':
            return relation(in);
        case 'T':
            return truncate(in, sink);
        case 'M':
            return logical_message(in);
        case 'S':
            return stream_start(in);
        case 'E':
            return stream_stop(in);
        case 'c':
            return stream_commit(in, sink);
        case 'A':
            return stream_abort(in, sink);
        case 'O':
            in.be<std::uint64_t>();
            in.cstring();
            if (in.failed() || !in.at_end()) return damaged("Origin");
            return {};
        case 'Y':  // names of user-defined types: the catalogue is asked instead
            subxid(in);
            in.be<std::uint32_t>();
            in.cstring();
            in.cstring();
            if (in.failed() || !in.at_end()) return damaged("Type");
            return {};
        default:
            return damaged(fmt::format("unknown kind 0x{:02X}", static_cast<unsigned char>(kind)));
    }
}

std::uint32_t PgoutputDecoder::subxid(ByteReader& in) const noexcept {
    return stream_ == nullptr ? 0 : in.be<std::uint32_t>();
}

PgoutputDecoder::Version* PgoutputDecoder::version(std::uint32_t oid) {
    if (last_ != nullptr && last_oid_ == oid) return last_;
    Version* found = nullptr;
    if (stream_ != nullptr)
        if (const auto it = stream_->versions.find(oid); it != stream_->versions.end())
            found = it->second.get();
    if (found == nullptr && stream_ == nullptr)
        if (const auto it = common_.find(oid); it != common_.end()) found = it->second.get();
    last_ = found;
    last_oid_ = oid;
    return found;
}

Result<> PgoutputDecoder::begin(ByteReader& in) {
    const auto order = in.be<std::uint64_t>();
    const auto time = in.be<std::int64_t>();
    const auto xid = in.be<std::uint32_t>();
    if (in.failed() || !in.at_end() || in_transaction_ || stream_ != nullptr) return damaged("Begin");
    in_transaction_ = true;
    begun_ = false;
    xid_ = xid;
    order_ = order;
    commit_time_us_ = unix_us(time);
    return {};
}

Result<> PgoutputDecoder::commit(ByteReader& in, ChangeSink& sink) {
    in.u8();                 // flags, none in use
    in.be<std::uint64_t>();  // the commit's own position: Begin said it
    const Lsn end(in.be<std::uint64_t>());
    const auto time = in.be<std::int64_t>();
    if (in.failed() || !in.at_end() || !in_transaction_) return damaged("Commit");
    in_transaction_ = false;
    if (!begun_) {
        keepalive(end);
        return {};
    }
    begun_ = false;
    RecordWriter(sink.buffer(0)).commit(end.value(), to_token(end), unix_us(time));
    recorded_to(end);
    return sink.recorded(0);
}

Result<> PgoutputDecoder::relation(ByteReader& in) {
    if (!in_transaction_ && stream_ == nullptr) return damaged("Relation outside a transaction");
    subxid(in);
    auto fresh = std::make_shared<Version>();
    fresh->number = ++relations_;
    Relation& r = fresh->relation;
    const auto oid = in.be<std::uint32_t>();
    r.source_id = oid;
    r.name.schema = in.cstring();
    if (r.name.schema.empty()) r.name.schema = "pg_catalog";
    r.name.table = in.cstring();
    const char identity = static_cast<char>(in.u8());
    const auto columns = in.be<std::uint16_t>();
    bool key = false;
    for (std::uint16_t i = 0; i < columns && !in.failed(); ++i) {
        RelationColumn c;
        c.identity = (in.u8() & 1U) != 0;
        c.name = in.cstring();
        c.type_id = in.be<std::uint32_t>();
        c.type_modifier = in.be<std::int32_t>();
        key = key || c.identity;
        r.columns.push_back(std::move(c));
    }
    if (in.failed() || !in.at_end()) return damaged("Relation");
    switch (identity) {
        case 'f':
            r.identity = RowIdentity::full;
            break;
        case 'd':
        case 'i':
            r.identity = key ? RowIdentity::key : RowIdentity::none;
            break;
        case 'n':
            r.identity = RowIdentity::none;
            break;
        default:
            return damaged("Relation with an unknown identity");
    }
    if (hooks_.refine) hooks_.refine(r);

    const auto known = [&r](const std::shared_ptr<Version>& v) {
        return v->relation.identity == r.identity && v->relation.name == r.name &&
               v->relation.columns == r.columns;
    };
    last_ = nullptr;
    if (stream_ != nullptr) {
        auto& own = stream_->versions[oid];
        if (own != nullptr && known(own)) return {};
        // A common version serves too, but only once its record precedes everything that commits from now on.
        if (const auto it = common_.find(oid); it != common_.end() && known(it->second)) {
            if (it->second->written) {
                own = it->second;
                return {};
            }
            r.id = it->second->relation.id;
        }
        fresh->wanted = wants(r);
        own = std::move(fresh);
        return {};
    }
    auto& common = common_[oid];
    if (common != nullptr && known(common)) return {};
    fresh->wanted = wants(r);
    common = std::move(fresh);
    return {};
}

Result<> PgoutputDecoder::prepare_transaction(ChangeSink& sink) {
    if (stream_ != nullptr) {
        stream_->wrote = true;
        return {};
    }
    if (begun_) return {};
    RecordWriter(sink.buffer(0)).begin(xid_, order_, commit_time_us_, false, {});
    begun_ = true;
    return sink.recorded(0);
}

Result<> PgoutputDecoder::prepare(Version& v, ChangeSink& sink) {
    GW_CHECK(prepare_transaction(sink));
    if (v.written) return {};
    if (v.relation.id == 0) v.relation.id = sink.new_relation_id();
    RecordWriter(sink.buffer(stream_xid_)).relation(v.relation);
    v.written = true;
    sink.define(v.relation);
    return sink.recorded(stream_xid_);
}

Result<> PgoutputDecoder::row(char kind, ByteReader& in, Bytes message, ChangeSink& sink) {
    if (!in_transaction_ && stream_ == nullptr) return damaged("a row outside a transaction");
    const std::uint32_t sub = subxid(in);
    const auto oid = in.be<std::uint32_t>();
    if (in.failed() || in.at_end()) return damaged("a row that is cut");
    Version* v = version(oid);
    if (v == nullptr) return damaged(fmt::format("a row of table {} before its Relation", oid));
    if (!v->wanted) return {};
    if (!v->written || !begun_) GW_CHECK(prepare(*v, sink));
    const std::size_t columns = v->relation.columns.size();
    const OldRow old_label = v->relation.identity == RowIdentity::full ? OldRow::full : OldRow::key;

    ByteBuffer& to = sink.buffer(stream_xid_);
    RecordWriter writer(to);
    writer.start(kind == 'I'   ? RecordKind::insert
                 : kind == 'U' ? RecordKind::update
                               : RecordKind::remove,
                 v->relation.id, sub);
    const std::byte* from = message.data() + in.position();
    std::size_t left = in.left();
    const auto take_row = [&]() -> bool {
        const std::size_t at = to.size();
        const std::size_t used = copy_row(from, left, to.extend(left), columns);
        to.resize_down(at + used);
        from += used;
        left -= used;
        return used != 0;
    };
    const auto bad = [&](std::string_view what) {
        writer.cancel();
        return std::unexpected(damaged(what).error().with("table " + v->relation.name.text()));
    };

    char part = static_cast<char>(*from++);
    --left;
    if (kind != 'I') {
        if (part == 'K' || part == 'O') {
            writer.old_kind(old_label);
            if (!take_row()) return bad("an old row");
            if (kind == 'U') {
                if (left == 0) return bad("an update without its new row");
                part = static_cast<char>(*from++);
                --left;
            }
        } else if (kind == 'D') {
            return bad("a delete without its old row");
        } else {
            writer.old_kind(OldRow::none);
        }
    }
    if (kind != 'D') {
        if (part != 'N') return bad("a new row");
        if (!take_row()) return bad("a new row");
    }
    if (left != 0) return bad("a row with something behind it");
    writer.finish();
    return sink.recorded(stream_xid_);
}

Result<> PgoutputDecoder::truncate(ByteReader& in, ChangeSink& sink) {
    if (!in_transaction_ && stream_ == nullptr) return damaged("Truncate outside a transaction");
    const std::uint32_t sub = subxid(in);
    const auto n = in.be<std::uint32_t>();
    const auto flags = static_cast<std::uint8_t>(in.u8() & 3U);
    if (in.failed() || in.left() != std::size_t{4} * n || n > 0xFFFFU) return damaged("Truncate");
    // all are known before anything is written
    ByteReader ahead = in;
    for (std::uint32_t i = 0; i < n; ++i)
        if (version(ahead.be<std::uint32_t>()) == nullptr)
            return damaged("Truncate of a table before its Relation");
    list_.clear();
    for (std::uint32_t i = 0; i < n; ++i) {
        Version* v = version(in.be<std::uint32_t>());
        if (!v->wanted) continue;
        GW_CHECK(prepare(*v, sink));
        list_.push_back(v->relation.id);
    }
    if (list_.empty()) return {};
    RecordWriter(sink.buffer(stream_xid_)).truncate(sub, flags, list_);
    return sink.recorded(stream_xid_);
}

Result<> PgoutputDecoder::logical_message(ByteReader& in) {
    LogicalMessage m;
    m.xid = subxid(in);
    m.transactional = (in.u8() & 1U) != 0;
    m.lsn = Lsn(in.be<std::uint64_t>());
    m.prefix = in.cstring();
    m.content = in.take(in.be<std::uint32_t>());
    if (in.failed() || !in.at_end()) return damaged("Message");
    return hooks_.message ? hooks_.message(m) : Result<>{};
}

Result<> PgoutputDecoder::stream_start(ByteReader& in) {
    const auto xid = in.be<std::uint32_t>();
    in.u8();  // first segment
    if (in.failed() || !in.at_end() || in_transaction_ || stream_ != nullptr || xid == 0)
        return damaged("Stream Start");
    stream_ = &streams_[xid];
    stream_xid_ = xid;
    last_ = nullptr;
    return {};
}

Result<> PgoutputDecoder::stream_stop(ByteReader& in) {
    if (!in.at_end() || stream_ == nullptr) return damaged("Stream Stop");
    stream_ = nullptr;
    stream_xid_ = 0;
    last_ = nullptr;
    return {};
}

Result<> PgoutputDecoder::stream_commit(ByteReader& in, ChangeSink& sink) {
    const auto xid = in.be<std::uint32_t>();
    in.u8();
    const auto order = in.be<std::uint64_t>();
    const Lsn end(in.be<std::uint64_t>());
    const auto time = in.be<std::int64_t>();
    const auto it = streams_.find(xid);
    if (in.failed() || !in.at_end() || in_transaction_ || stream_ != nullptr || it == streams_.end())
        return damaged("Stream Commit");
    const bool wrote = it->second.wrote;
    for (auto& [oid, v] : it->second.versions)
        if (auto& common = common_[oid]; common == nullptr || common->number <= v->number)
            common = std::move(v);
    streams_.erase(it);
    last_ = nullptr;
    if (!wrote) {
        keepalive(end);
        return {};
    }
    recorded_to(end);
    return sink.stream_commit(xid, order, end.value(), to_token(end), unix_us(time));
}

Result<> PgoutputDecoder::stream_abort(ByteReader& in, ChangeSink& sink) {
    const auto xid = in.be<std::uint32_t>();
    const auto sub = in.be<std::uint32_t>();
    if (in.failed() || !in.at_end() || in_transaction_ || stream_ != nullptr) return damaged("Stream Abort");
    const auto it = streams_.find(xid);
    // PostgreSQL 18 sends it, in protocol 1 too, for large rolled back transactions of which it has sent
    // nothing
    if (it == streams_.end()) return {};
    if (it->second.wrote) sink.stream_abort(xid, sub);
    if (sub == xid) streams_.erase(it);
    return {};
}

}  // namespace godwit::postgres
