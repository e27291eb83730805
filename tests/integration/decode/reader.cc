#include "decode/reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::test {

using postgres::Lsn;

Result<> CollectingSink::recorded(std::uint32_t stream) {
    ByteBuffer& b = buffers_[stream];
    RecordReader reader(b.view());
    Record r;
    if (!reader.next(r) || reader.position() != b.size())
        return fail(ErrorCode::internal, "not one whole record");
    auto& to = stream == 0 ? pending_ : open_[stream];
    const auto read = [](const RowView& row) {
        std::vector<Value> out;
        if (!row.empty())
            row.each([&](std::uint16_t, const Cell& c) {
                out.push_back({c.state, std::string(as_text(c.bytes))});
            });
        return out;
    };
    switch (r.kind) {
        case RecordKind::relation:
            break;
        case RecordKind::begin:
            pending_.clear();
            begun(r.order);
            break;
        case RecordKind::insert:
        case RecordKind::update:
        case RecordKind::remove:
            if (!relations.contains(r.relation)) return fail(ErrorCode::internal, "undefined relation");
            to.push_back({r.kind,
                          relations[r.relation].name.text(),
                          r.xid,
                          r.old_kind,
                          read(r.old_row),
                          read(r.row),
                          {}});
            break;
        case RecordKind::truncate: {
            Change c{r.kind, "", r.xid, OldRow::none, {}, {}, {}};
            for (ByteReader list(r.list); !list.at_end();)
                c.tables.push_back(relations[list.le<std::uint32_t>()].name.text());
            to.push_back(std::move(c));
            break;
        }
        case RecordKind::commit:
            for (auto& c : pending_) changes.push_back(std::move(c));
            pending_.clear();
            ++transactions;
            reached(r.order, r.position);
            break;
        case RecordKind::keepalive:
            ++keepalives;
            reached(r.order, r.position);
            break;
    }
    b.clear();
    return {};
}

void CollectingSink::begun(std::uint64_t at) {
    order_grows = order_grows && at > order;
    order = at;
}

void CollectingSink::reached(std::uint64_t at, std::string_view token) {
    order_grows = order_grows && at >= end;
    end = at;
    position = token;
    if (on_transaction) on_transaction();
    if (until != 0 && end >= until) stop.request_stop();
}

Result<> CollectingSink::stream_commit(std::uint32_t stream, std::uint64_t at, std::uint64_t order_end,
                                       std::string_view token, std::int64_t) {
    begun(at);
    for (auto& c : open_[stream])
        if (!aborted_[stream].contains(c.subxid)) changes.push_back(std::move(c));
    open_.erase(stream);
    aborted_.erase(stream);
    ++streamed;
    ++transactions;
    reached(order_end, token);
    return {};
}

void CollectingSink::stream_abort(std::uint32_t stream, std::uint32_t subxid) {
    if (stream != subxid) {
        aborted_[stream].insert(subxid);
        return;
    }
    open_.erase(stream);
    aborted_.erase(stream);
}

SlotReader::SlotReader(const Database& database, Mode mode, std::string slot,
                       std::vector<std::string> publications)
    : database_(database) {
    log.set_level(Severity::error);
    const auto endpoint = database.endpoint();
    options.connect.host = endpoint.host;
    options.connect.port = endpoint.port;
    options.connect.database = endpoint.database;
    options.connect.user = endpoint.user;
    options.connect.password = endpoint.password;
    options.connect.application_name = "godwit/test";
    // test_decoding of 18 crashes the server when it spills a transaction that was rolled back
    if (mode.plugin == "pgoutput" || std::stoi(database.ask("SHOW server_version_num")) < 180000)
        options.connect.settings = {"logical_decoding_work_mem=64kB"};
    options.slot = std::move(slot);
    options.plugin = mode.plugin;
    options.publications = std::move(publications);
    options.binary = mode.binary;
    options.streaming = mode.streaming;
    postgres::DecoderHooks hooks;
    hooks.resolve = [this](const TableName& name, bool) {
        auto session = database_.connect();
        return read_schema(session, name);
    };
    hooks.left_out = [this](const TableName& name, std::string_view what) {
        left_out.push_back(name.text() + ": " + std::string(what));
    };
    if (mode.plugin == "test_decoding")
        decoder = std::make_unique<postgres::TestDecodingDecoder>(hooks, 64U << 10);
    else
        decoder = std::make_unique<postgres::PgoutputDecoder>(hooks);
    stream = std::make_unique<postgres::LogStream>(options, *decoder, clock, log);
}

Lsn SlotReader::log_end() const {
    return postgres::parse_lsn(std::string_view(database_.ask("SELECT pg_current_wal_lsn()")))
        .value_or(Lsn{});
}

Result<> SlotReader::read_all(Lsn from) {
    // something that commits behind it, so that there is a position to reach
    database_.run("SELECT pg_logical_emit_message(true, 'end', '')");
    sink.until = log_end().value();
    return read(from);
}

Result<> SlotReader::read(Lsn from) {
    sink.stop = std::stop_source();
    return stream->run(from, sink, sink.stop.get_token());
}

Result<std::shared_ptr<const TableSchema>> read_schema(pg::Connection& session, const TableName& name) {
    // the root of a partition
    const auto rows = GW_TRY(session.query(
        "WITH t AS (SELECT coalesce(pg_partition_root(c.oid), c.oid)::oid AS oid FROM pg_class c"
        "  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)"
        " SELECT n.nspname, c.relname, c.oid, c.relreplident, a.attname, a.atttypid, a.atttypmod,"
        "  coalesce(a.attnum = ANY(i.indkey::int2[]), false)"
        " FROM t JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " LEFT JOIN pg_index i ON i.indexrelid = pg_get_replica_identity_index(c.oid) ORDER BY a.attnum",
        {name.schema, name.table}));
    if (rows.size() == 0) return nullptr;
    auto schema = std::make_shared<TableSchema>();
    schema->name = {rows.text(0, 0), rows.text(0, 1)};
    schema->source_id = static_cast<std::uint64_t>(rows.number(0, 2));
    for (int i = 0; i < rows.size(); ++i) {
        ColumnSchema c;
        c.name = rows.text(i, 4);
        c.type_id = static_cast<std::uint32_t>(rows.number(i, 5));
        c.type_modifier = static_cast<std::int32_t>(rows.number(i, 6));
        if (rows.flag(i, 7)) schema->identity_columns.push_back(c.name);
        schema->columns.push_back(std::move(c));
    }
    schema->identity = rows.text(0, 3) == "f"             ? RowIdentity::full
                       : schema->identity_columns.empty() ? RowIdentity::none
                                                          : RowIdentity::key;
    return schema;
}

}  // namespace godwit::test
