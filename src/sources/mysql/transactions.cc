#include "sources/mysql/transactions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/failpoint.h"
#include "sources/mysql/reached_tables.h"
#include "sources/mysql/statements.h"

namespace godwit::mysql {
namespace {

constexpr std::uint64_t kDumpOffsetMax = 0xFFFF'FFFFU;  // the dump command has 32 bits
constexpr std::uint64_t kFirstOffset = 4;
constexpr std::size_t kMappedMax = 4096;
constexpr std::uint64_t kNoTable = 0xFF'FFFFU;  // rows that only forget the maps

std::unexpected<Error> damaged(std::string_view what) {
    return fail(ErrorCode::data_loss, fmt::format("the binary log makes no sense: {}", what));
}

std::int64_t microseconds(std::uint32_t seconds) noexcept { return std::int64_t{seconds} * 1'000'000; }

void put_number(std::string& to, std::uint64_t v) {
    char text[20];
    to.append(text, std::to_chars(text, text + sizeof text, v).ptr);
}

}  // namespace

BinlogDecoder::BinlogDecoder(BinlogTables& tables, BinlogOptions options)
    : tables_(tables), options_(std::move(options)) {}

Result<> BinlogDecoder::restart(const LogPosition& from) {
    skip_to_ = from.file.empty() ? 0 : from.order();
    gtids_ = {};
    mariadb_gtids_ = {};
    if (options_.rows.mariadb) {
        mariadb_gtids_ = GW_TRY(MariadbGtidPosition::parse(from.gtids));
    } else {
        gtids_ = GW_TRY(GtidSet::parse(from.gtids));
    }
    gtids_known_ = !from.gtids.empty();
    gtids_from_log_ = false;
    start_ =
        from.open_file.empty() ? LogSpot{from.file, from.offset} : LogSpot{from.open_file, from.open_offset};
    const bool count = options_.count_gtids && !gtids_known_;
    if (!start_.file.empty() && (count || start_.offset > kDumpOffsetMax)) start_.offset = kFirstOffset;
    format_known_ = false;
    format_ = {};
    file_ = start_.file;
    base_ = from.base;
    number_ = ordered(file_);
    offset_ = start_.offset;
    done_ = {from.file, from.offset};
    quiet_to_ = recorded_to_ = skip_to_;
    transaction_ = {};
    prepared_.clear();
    forget_tables();
    const std::uint64_t first = log_order(number_, offset_);  // prepared ones are read from before skip_to_
    std::erase_if(taken_back_, [&](const auto& range) { return range.second.first < first; });
    undone_.erase(undone_.begin(), undone_.lower_bound(skip_to_));
    // Their records may lie in a torn transaction, which the sink drops: they are written again, under the
    // same id.
    for (auto& [name, version] : versions_) version->written = false;
    return {};
}

void BinlogDecoder::forget_tables() {
    mapped_.clear();
    last_ = nullptr;
}

void BinlogDecoder::reselect() { forget_tables(); }

void BinlogDecoder::set_dialect(Dialect dialect) {
    options_.rows.dialect = dialect;
    forget_tables();
}

LogPosition BinlogDecoder::position() const {
    LogPosition p;
    p.server = options_.server_uuid;
    p.file = done_.file;
    p.offset = done_.offset;
    p.base = base_;
    if (gtids_known_) p.gtids = options_.rows.mariadb ? mariadb_gtids_.text() : gtids_.text();
    std::uint64_t oldest = ~std::uint64_t{0};
    for (const auto& [xa, prepared] : prepared_)
        if ((prepared.wrote || options_.all_prepared_seen) && prepared.order < oldest &&
            GW_RULE("mysql.prepared_pins")) {
            oldest = prepared.order;
            p.open_file = prepared.from.file;
            p.open_offset = prepared.from.offset;
        }
    return p;
}

// As position().token(), without allocations in the long run.
const std::string& BinlogDecoder::token() {
    if (!prepared_.empty()) {
        token_ = position().token().token;
        return token_;
    }
    token_.assign(options_.server_uuid);
    token_ += ';';
    token_ += done_.file;
    token_ += ':';
    put_number(token_, done_.offset);
    if (base_ != 0) {
        token_ += ':';
        put_number(token_, base_);
    }
    token_ += ';';
    if (gtids_known_) {
        if (options_.rows.mariadb)
            mariadb_gtids_.print(token_);
        else
            gtids_.print(token_);
    }
    return token_;
}

Result<> BinlogDecoder::write_keepalive(ChangeSink& sink) {
    if (!keepalive_due()) return {};
    RecordWriter(sink.buffer(0)).keepalive(quiet_to_, token());
    recorded_to_ = quiet_to_;
    return sink.recorded(0);
}

// ------------------------------------------------------------------------------------------------- events

Result<> BinlogDecoder::decode(Bytes event, ChangeSink& sink) {
    GW_CHECK(decode_one(event, sink));
    if (!transaction_.open && !transaction_.headed) tables_.between();
    return {};
}

Result<> BinlogDecoder::decode_one(Bytes event, ChangeSink& sink) {
    if (event.size() < kEventHeaderBytes) return damaged("an event that is cut");
    if (!transaction_.open && !transaction_.headed && tables_.changed()) reselect();
    inside_payload_ = false;
    if (static_cast<EventType>(event[4]) == EventType::format_description) return format_description(event);
    const Event e = GW_TRY(read_event(event, format_, format_known_, options_.verify_checksums));
    const EventHeader& h = e.header;
    switch (h.type) {
        case EventType::rotate:
            return rotate(e);
        case EventType::heartbeat:
        case EventType::heartbeat_v2:
            return heartbeat(e);
        default:
            break;
    }
    if (is_placed(h)) {
        if (!format_known_) return damaged("an event before the format description");
        if (file_.empty()) return damaged("an event before the name of its file");
        const std::uint64_t end = event_end(offset_, h);
        event_from_ = end - h.size;
        offset_ = end;
        spot_ = {log_order(number_, event_from_), 0};
        newest_event_s_ = h.timestamp;
    }
    return dispatch(e, sink);
}

Result<> BinlogDecoder::dispatch(const Event& event, ChangeSink& sink) {
    switch (event.header.type) {
        case EventType::write_rows:
        case EventType::update_rows:
        case EventType::delete_rows:
        case EventType::write_rows_v1:
        case EventType::update_rows_v1:
        case EventType::delete_rows_v1:
        case EventType::partial_update_rows:
        case EventType::mariadb_write_rows_compressed_v1:
        case EventType::mariadb_update_rows_compressed_v1:
        case EventType::mariadb_delete_rows_compressed_v1:
        case EventType::mariadb_write_rows_compressed:
        case EventType::mariadb_update_rows_compressed:
        case EventType::mariadb_delete_rows_compressed:
            return rows(event, sink);
        case EventType::table_map:
            return table_map(event);
        case EventType::gtid:
        case EventType::anonymous_gtid:
        case EventType::gtid_tagged:
            return gtid(event);
        case EventType::mariadb_gtid:
            return mariadb_gtid(event);
        case EventType::query:
        case EventType::mariadb_query_compressed:
            return query(event, sink);
        case EventType::xid:
            return commit(event, sink);
        case EventType::xa_prepare: {
            const XaPrepare p = GW_TRY(read_xa_prepare(event.body));
            if (!transaction_.open) return damaged("XA PREPARE outside of a transaction");
            return p.one_phase ? commit(event, sink) : prepare_xa(p.xa);
        }
        case EventType::transaction_payload:
            return payload(event, sink);
        case EventType::execute_load_query: {
            const Query q = GW_TRY(read_execute_load_query(event));
            return statement(event, q, false);
        }
        case EventType::previous_gtids:
            if (!gtids_known_ && !options_.rows.mariadb) {
                gtids_ = GW_TRY(GtidSet::decode(event.body));
                gtids_known_ = gtids_from_log_ = true;
            }
            return {};
        case EventType::mariadb_gtid_list:
            if (!gtids_known_ && (event.header.flags & kEventArtificial) == 0) {
                mariadb_gtids_ = GW_TRY(read_mariadb_gtid_list(event.body));
                gtids_known_ = gtids_from_log_ = true;
            }
            return {};
        case EventType::incident: {
            const auto what = GW_TRY(read_incident(event.body));
            return fail(
                ErrorCode::data_loss,
                fmt::format("the source wrote an incident into its binary log at {}:{} ({}): changes may "
                            "be missing, the tables have to be loaded again",
                            file_, offset_, what));
        }
        case EventType::stop:
        case EventType::intvar:
        case EventType::rand:
        case EventType::user_var:
        case EventType::append_block:
        case EventType::delete_file:
        case EventType::begin_load_query:
        case EventType::ignorable:
        case EventType::rows_query:
        case EventType::transaction_context:
        case EventType::view_change:
        case EventType::mariadb_annotate_rows:
        case EventType::mariadb_binlog_checkpoint:
        case EventType::mariadb_start_encryption:
            return {};
        case EventType::rotate:
        case EventType::format_description:
        case EventType::heartbeat:
        case EventType::heartbeat_v2:
            return damaged("an event that does not belong into a transaction");
    }
    if ((event.header.flags & kEventIgnorable) != 0) return {};
    return fail(ErrorCode::unsupported, fmt::format("events of type {} of the binary log are not known",
                                                    static_cast<unsigned>(event.header.type)));
}

Result<> BinlogDecoder::rotate(const Event& event) {
    const Rotate r = GW_TRY(read_rotate(event.body));
    const std::uint64_t number = ordered(r.file);
    if (file_number(r.file) == 0 || number >> 24U != 0 || r.position < kFirstOffset || r.position >> 40U != 0)
        return damaged("ROTATE");
    if (r.file.find_first_of(";:") != std::string_view::npos)
        return fail(ErrorCode::unsupported,
                    fmt::format("binary log files whose name has ';' or ':' cannot be named in positions: {}",
                                r.file));
    if (transaction_.open && r.file != file_) GW_CHECK(interrupted("the file ends"));
    file_ = r.file;
    number_ = number;
    // The first one of a connection repeats what was asked for, with 32 bits.
    offset_ = r.position;
    if (!transaction_.open) settle();
    return {};
}

Result<> BinlogDecoder::format_description(Bytes event) {
    format_ = GW_TRY(read_format_description(event));
    format_known_ = true;
    std::uint32_t next = 0;
    std::memcpy(&next, event.data() + 13, sizeof next);
    if (next == 0) return {};  // sent again in the midst of a file
    offset_ = next;
    // numbers of tables begin anew when the server does
    if (format_.created != 0) forget_tables();
    if (transaction_.open) return interrupted("the server was restarted");
    settle();
    return {};
}

Result<> BinlogDecoder::heartbeat(const Event& event) {
    const Heartbeat h = GW_TRY(read_heartbeat(event));
    if (transaction_.open || transaction_.headed || h.file != file_) return {};
    offset_ = heartbeat_end(offset_, h, event.header.type);
    settle();
    return {};
}

Result<> BinlogDecoder::payload(const Event& event, ChangeSink& sink) {
    auto reader = GW_TRY(PayloadReader::open(event.body));
    inside_payload_ = true;
    for (;;) {
        const Bytes inner = GW_TRY(reader.next());
        if (inner.empty()) return {};
        ++spot_.second;
        const Event e = GW_TRY(read_inner_event(inner));
        if (e.header.type == EventType::transaction_payload || e.header.type == EventType::gtid)
            return damaged("a payload inside of a payload");
        GW_CHECK(dispatch(e, sink));
    }
}

// ------------------------------------------------------------------------------------------- transactions

void BinlogDecoder::head(const Event& event) {
    transaction_ = {};
    transaction_.order = log_order(number_, event_from_);
    transaction_.from = event_from_;
    transaction_.time_us = microseconds(event.header.timestamp);
    transaction_.passed = transaction_.order < skip_to_;
    transaction_.undone = !undone_.empty() && undone_.contains(transaction_.order);
}

Result<> BinlogDecoder::interrupted(std::string_view what) {
    // A server that crashed while it wrote: it rolled the transaction back when it recovered.
    const bool wrote = transaction_.begun;
    if (wrote) undone_.insert(transaction_.order);
    transaction_ = {};
    if (!wrote) return {};
    return fail(
        ErrorCode::aborted,
        fmt::format("a transaction of the binary log was not finished ({}): it is read again without it",
                    what),
        Retry::from_checkpoint);
}

Result<> BinlogDecoder::gtid(const Event& event) {
    if (transaction_.open) GW_CHECK(interrupted("another one begins"));
    GtidEvent g = GW_TRY(read_gtid(event));
    head(event);
    transaction_.headed = true;
    transaction_.has_gtid = !g.anonymous;
    // After a failover, transactions from before the position may stand behind it.
    if (!g.anonymous && gtids_known_ && gtids_.contains(g.source, g.number)) {
        if (base_ == 0 && transaction_.order >= skip_to_ && GW_RULE("mysql.same_log"))
            return fail(
                ErrorCode::data_loss,
                fmt::format("the source's binlog was reset: at {}:{} it has a transaction of a number "
                            "that came before; start the task with reload-target",
                            file_, event_from_));
        transaction_.passed = true;
    }
    if (g.commit_time_us != 0)
        transaction_.time_us = transaction_.commit_time_us = static_cast<std::int64_t>(g.commit_time_us);
    transaction_.gtid = std::move(g);
    return {};
}

Result<> BinlogDecoder::mariadb_gtid(const Event& event) {
    if (transaction_.open) GW_CHECK(interrupted("another one begins"));
    MariadbGtidEvent g = GW_TRY(read_mariadb_gtid(event));
    head(event);
    transaction_.headed = true;
    transaction_.has_gtid = true;
    transaction_.mariadb_gtid = g.gtid;
    // Where nobody was taken over, numbers need not grow.
    if (base_ != 0 && gtids_known_ && mariadb_gtids_.contains(g.gtid)) transaction_.passed = true;
    transaction_.skip_ddl = g.start_alter || g.rollback_alter;
    if (g.standalone) return {};
    transaction_.open = true;
    if (g.prepared_xa) open_xa(g.xa);
    return {};
}

Result<> BinlogDecoder::open(const Event& event) {
    if (transaction_.open) {
        if (format_.mariadb && !transaction_.begun) return {};  // its GTID was the begin
        GW_CHECK(interrupted("another one begins"));
    }
    if (!transaction_.headed) head(event);
    transaction_.open = true;
    return {};
}

void BinlogDecoder::open_xa(const XaId& xa) {
    if (transaction_.xa) return;
    transaction_.xa = true;
    transaction_.xa_id = xa;
    transaction_.stream = next_stream_++;
    if (next_stream_ == 0) next_stream_ = 1;
}

void BinlogDecoder::take_gtid() {
    if (!transaction_.has_gtid || !gtids_known_ || (transaction_.passed && !gtids_from_log_)) return;
    if (options_.rows.mariadb)
        mariadb_gtids_.set(transaction_.mariadb_gtid);
    else
        gtids_.add(transaction_.gtid.source, transaction_.gtid.number);
}

void BinlogDecoder::settle() {
    const std::uint64_t order = here();
    if (order < skip_to_ || file_.empty()) return;
    done_.file = file_;
    done_.offset = offset_;
    if (order > quiet_to_) quiet_to_ = order;
}

void BinlogDecoder::close() {
    take_gtid();
    settle();
    // Numbers of tables that were closed and opened again pile up.
    if (mapped_.size() > kMappedMax) forget_tables();
    transaction_.headed = transaction_.open = transaction_.begun = false;
}

std::int64_t BinlogDecoder::commit_time(const Event& event) const {
    return transaction_.commit_time_us != 0 ? transaction_.commit_time_us
                                            : microseconds(event.header.timestamp);
}

Result<> BinlogDecoder::commit(const Event& event, ChangeSink& sink) {
    if (!transaction_.open) {
        if (transaction_.headed) close();
        return {};
    }
    const Transaction& t = transaction_;
    const bool begun = t.begun, wrote = t.wrote, passed = t.passed;
    const std::uint32_t stream = t.stream;
    const std::uint64_t order = t.order;
    const std::int64_t time = commit_time(event);
    close();
    if (wrote) {
        if (passed) {
            sink.stream_abort(stream, stream);
            return {};
        }
        recorded_to_ = here();
        return sink.stream_commit(stream, order, here(), token(), time);
    }
    if (!begun) return {};
    RecordWriter(sink.buffer(0)).commit(here(), token(), time);
    recorded_to_ = here();
    return sink.recorded(0);
}

Result<> BinlogDecoder::rollback(const Event& event, ChangeSink& sink) {
    if (transaction_.wrote) {
        sink.stream_abort(transaction_.stream, transaction_.stream);
        transaction_.wrote = false;
    }
    if (transaction_.begun && transaction_.last_row != Spot{}) {
        undone_.insert(transaction_.order);
        return fail(ErrorCode::aborted,
                    "a transaction was rolled back in the binary log: it is read again without it",
                    Retry::from_checkpoint);
    }
    // What was written are rows of tables without transactions: they stay.
    return commit(event, sink);
}

Result<> BinlogDecoder::rollback_to(const std::string& savepoint) {
    Spot from{transaction_.order, 0};
    auto& list = transaction_.savepoints;
    while (!list.empty()) {
        from = list.back().spot;
        if (list.back().name == savepoint) break;
        list.pop_back();
    }
    if (transaction_.last_row <= from) return {};
    taken_back_.emplace_back(from, spot_);
    return fail(ErrorCode::aborted,
                "a part of a transaction was rolled back in the binary log: it is read again without it",
                Retry::from_checkpoint);
}

bool BinlogDecoder::taken_back() const {
    return std::ranges::any_of(
        taken_back_, [&](const auto& range) { return range.first < spot_ && spot_ < range.second; });
}

ByteBuffer BinlogDecoder::taken_back_parts() const {
    ByteBuffer out;
    out.put_le(static_cast<std::uint32_t>(undone_.size()));
    for (const auto order : undone_) out.put_le(order);
    out.put_le(static_cast<std::uint32_t>(taken_back_.size()));
    for (const auto& [first, last] : taken_back_)
        for (const Spot& spot : {first, last}) {
            out.put_le(spot.first);
            out.put_le(spot.second);
        }
    return out;
}

Result<> BinlogDecoder::take_back(std::string_view parts) {
    ByteReader in(as_bytes(parts));
    std::set<std::uint64_t> undone;
    std::vector<std::pair<Spot, Spot>> ranges;
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) undone.insert(in.le<std::uint64_t>());
    const auto spot = [&] {
        const auto order = in.le<std::uint64_t>();
        return Spot{order, in.le<std::uint32_t>()};
    };
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) {
        const Spot first = spot();
        ranges.emplace_back(first, spot());
    }
    if (in.failed() || !in.at_end()) return fail(ErrorCode::data_loss, "what the log took back is damaged");
    undone_ = std::move(undone);
    taken_back_ = std::move(ranges);
    return {};
}

Result<> BinlogDecoder::prepare_xa(const XaId& xa) {
    prepared_[xa] = {transaction_.stream,
                     transaction_.wrote,
                     transaction_.order,
                     {file_, transaction_.from},
                     std::exchange(transaction_.unfit, {})};
    close();
    return {};
}

Result<> BinlogDecoder::finish_xa(const Event& event, const XaId& xa, bool commits, ChangeSink& sink) {
    if (!transaction_.headed) head(event);
    const Transaction& t = transaction_;
    const auto it = prepared_.find(xa);
    Prepared prepared;
    if (it != prepared_.end()) {
        prepared = std::move(it->second);
        prepared_.erase(it);
    } else if (commits && !t.passed && options_.all_prepared_seen) {
        for (const auto& name : tables_.wanted())
            GW_CHECK(tables_.table_unsure(
                name, t.order,
                "a transaction was committed (XA) that was prepared before the log was read: it may have "
                "changed it"));
    }
    const std::uint64_t order = t.order;
    const std::int64_t time = commit_time(event);
    const bool passed = t.passed;
    if (commits && !passed)
        for (const auto& name : prepared.unfit)
            GW_CHECK(tables_.table_unsure(
                name, order,
                "a transaction was committed (XA) whose rows could not be read again in the table's shape"));
    close();
    if (!prepared.wrote) return {};
    if (passed || !commits) {
        sink.stream_abort(prepared.stream, prepared.stream);
        return {};
    }
    recorded_to_ = here();
    return sink.stream_commit(prepared.stream, order, here(), token(), time);
}

// --------------------------------------------------------------------------------------------- statements

Result<> BinlogDecoder::query(const Event& event, ChangeSink& sink) {
    Query q = GW_TRY(read_query(event, format_, scratch_));
    // the two that matter for speed
    if (q.sql == "BEGIN") return open(event);
    if (q.sql == "COMMIT") return commit(event, sink);
    const BareStatement bare = without_settings(q.sql);
    q.sql = bare.sql;
    const Statement s = read_statement(q.sql);
    switch (s.kind) {
        case StatementKind::begin:
            return open(event);
        case StatementKind::commit:
            return commit(event, sink);
        case StatementKind::rollback:
            if (!transaction_.open) break;
            return rollback(event, sink);
        case StatementKind::rollback_to:
            return rollback_to(s.savepoint);
        case StatementKind::savepoint:
            std::erase_if(transaction_.savepoints, [&](const Savepoint& p) { return p.name == s.savepoint; });
            transaction_.savepoints.push_back({s.savepoint, spot_});
            return {};
        case StatementKind::release:
        case StatementKind::xa_end:
        case StatementKind::xa_prepare:
            return {};
        case StatementKind::xa_start:
            GW_CHECK(open(event));
            open_xa(s.xa.value_or(XaId{}));
            return {};
        case StatementKind::xa_commit:
        case StatementKind::xa_rollback:
            if (!s.xa) return damaged("the name of an XA transaction");
            if (transaction_.open && transaction_.xa && transaction_.xa_id == *s.xa)
                return s.kind == StatementKind::xa_commit ? commit(event, sink) : rollback(event, sink);
            return finish_xa(event, *s.xa, s.kind == StatementKind::xa_commit, sink);
        case StatementKind::rows:
            return statement(event, q, false);
        case StatementKind::routine:
            return statement(event, q, true);
        case StatementKind::ddl:
            return ddl(event, q, bare.harmless, sink);
        case StatementKind::harmless:
            break;
    }
    if (!transaction_.open) {
        if (!transaction_.headed) head(event);
        close();
    }
    return {};
}

Result<> BinlogDecoder::statement(const Event& event, const Query& query, bool routine) {
    if (!transaction_.headed && !transaction_.open) head(event);
    if (!transaction_.passed && (routine || !of_the_server(query.database, query.sql))) {
        const auto wanted = tables_.wanted();
        std::vector<TableName> reached;
        if (!routine) reached = GW_TRY(tables_.reached(query.database, query.sql));
        for (const auto& name : wanted) {
            std::string_view why;
            if (routine)
                why = "the log has a routine call in statement format, which may have changed it";
            else if (mentions(query.sql, name.table))
                why =
                    "the log has a change of it in statement format (binlog_format of a session was not ROW)";
            else if (std::ranges::find(reached, name) != reached.end())
                why = "the log has a statement that reaches it through a view, trigger or function";
            if (!why.empty()) GW_CHECK(tables_.table_unsure(name, transaction_.order, why));
        }
    }
    if (!transaction_.open) close();
    return {};
}

Result<> BinlogDecoder::ddl(const Event& event, const Query& query, bool plain_settings, ChangeSink& sink) {
    const bool own = !transaction_.open;  // CREATE TABLE ... SELECT stands inside of one
    if (own && !transaction_.headed) head(event);
    if (transaction_.passed || transaction_.skip_ddl) {
        if (own) close();
        return {};
    }
    const std::uint64_t order = transaction_.order;
    const std::int64_t time = commit_time(event);
    if (own) close();
    const bool temporary = (event.header.flags & kEventThreadSpecific) != 0;
    const DdlAnswer answer =
        GW_TRY(tables_.ddl({query.database, query.sql, query.client_collation, query.sql_mode, token(), order,
                            time, plain_settings, temporary}));
    forget_tables();
    if (answer.truncated.empty()) return {};
    list_.clear();
    const bool begun = transaction_.begun;
    for (const auto& name : answer.truncated) {
        auto schema = tables_.find(name.schema, name.table);
        if (schema == nullptr) continue;
        const auto version = adopt(std::move(schema));
        GW_CHECK(prepare(*version, sink));
        list_.push_back(version->relation.id);
    }
    if (list_.empty()) return {};
    RecordWriter(sink.buffer(transaction_.stream)).truncate(transaction_.stream, 0, list_);
    GW_CHECK(sink.recorded(transaction_.stream));
    if (!own) return {};
    transaction_.begun = begun;
    RecordWriter(sink.buffer(0)).commit(here(), token(), time);
    recorded_to_ = here();
    return sink.recorded(0);
}

// --------------------------------------------------------------------------------------------------- rows

std::shared_ptr<BinlogDecoder::Version> BinlogDecoder::adopt(std::shared_ptr<const TableSchema> schema) {
    auto& known = versions_[schema->name];
    if (known != nullptr && known->schema->columns == schema->columns &&
        known->schema->identity == schema->identity &&
        known->schema->identity_columns == schema->identity_columns &&
        known->schema->source_id == schema->source_id) {
        known->schema = std::move(schema);
        return known;
    }
    auto fresh = std::make_shared<Version>();
    fresh->relation = relation_of(*schema, options_.rows);
    fresh->transactional = tables_.transactional(schema->name);
    fresh->schema = std::move(schema);
    known = fresh;
    return fresh;
}

Result<std::shared_ptr<BinlogDecoder::Version>> BinlogDecoder::version_of(const TableMap& map) {
    auto schema = tables_.find(map.database, map.table);
    if (schema == nullptr) return nullptr;
    auto plan = RowPlan::compile(map, *schema, options_.rows);
    if (!plan && (plan.error().code == ErrorCode::failed_precondition ||
                  plan.error().code == ErrorCode::unsupported)) {
        if (transaction_.passed) {
            transaction_.unfit.insert(schema->name);
            return nullptr;
        }
        schema = GW_TRY(tables_.mismatch(schema->name, transaction_.order, plan.error()));
        if (schema == nullptr) return nullptr;
        plan = RowPlan::compile(map, *schema, options_.rows);
    }
    if (!plan) return std::unexpected(std::move(plan).error());
    auto version = adopt(std::move(schema));
    version->plan = std::move(*plan);
    return version;
}

Result<> BinlogDecoder::table_map(const Event& event) {
    if (transaction_.passed && !transaction_.xa) return {};
    const std::uint64_t number = GW_TRY(read_table_id(event, format_));
    Mapped& mapped = mapped_[number];
    last_ = &mapped;
    last_number_ = number;
    if (std::ranges::equal(mapped.body, event.body)) return {};
    mapped.body.assign(event.body.begin(), event.body.end());
    mapped.version = nullptr;
    const auto done = read_table_map(event, format_, map_);
    if (!done) {
        // what is not wanted need not be understood
        const bool unwanted =
            done.error().code == ErrorCode::unsupported && tables_.find(map_.database, map_.table) == nullptr;
        if (unwanted) return {};
        mapped_.erase(number);
        last_ = nullptr;
        return done;
    }
    auto version = version_of(map_);
    if (!version) {
        mapped_.erase(number);
        last_ = nullptr;
        return std::unexpected(std::move(version).error());
    }
    mapped.version = std::move(*version);
    // A wanted table's map that does not fit speaks for its own transaction alone: the load that heals the
    // table may begin before the next one.
    if (mapped.version == nullptr && tables_.find(map_.database, map_.table) != nullptr) mapped.body.clear();
    return {};
}

Result<> BinlogDecoder::prepare(Version& version, ChangeSink& sink) {
    const std::uint32_t stream = transaction_.stream;
    if (stream == 0 && !transaction_.begun) {
        RecordWriter(sink.buffer(0)).begin(++serial_, transaction_.order, transaction_.time_us, false, {});
        transaction_.begun = true;
        GW_CHECK(sink.recorded(0));
    }
    if (version.written) return {};
    if (stream != 0) {
        auto& there = transaction_.relations;
        if (std::ranges::find(there, version.relation.id) != there.end()) return {};
    }
    if (version.relation.id == 0) version.relation.id = sink.new_relation_id();
    RecordWriter(sink.buffer(stream)).relation(version.relation);
    if (stream == 0)
        version.written = true;
    else
        transaction_.relations.push_back(version.relation.id);
    transaction_.wrote = stream != 0;
    sink.define(version.relation);
    return sink.recorded(stream);
}

Result<> BinlogDecoder::rows(const Event& event, ChangeSink& sink) {
    if (!transaction_.open) return damaged("rows outside of a transaction");
    if (transaction_.passed && !transaction_.xa) return {};
    const std::uint64_t number = GW_TRY(read_table_id(event, format_));
    if (number == kNoTable) return {};
    if (last_ == nullptr || last_number_ != number) {
        const auto it = mapped_.find(number);
        if (it == mapped_.end()) return damaged("rows of a table before its map");
        last_ = &it->second;
        last_number_ = number;
    }
    if (last_->version == nullptr) return {};
    Version& version = *last_->version;
    if (version.transactional) {
        if (transaction_.undone || (!taken_back_.empty() && taken_back())) return {};
        transaction_.last_row = spot_;
    }
    const RowsEvent r = GW_TRY(read_rows(event, format_, scratch_));
    if (const std::string* column = version.plan->untold(r)) {
        const std::string why = fmt::format(
            "the log has an INSERT without the value of column {} (binlog_row_image of its session was not "
            "FULL): SET GLOBAL binlog_row_image = 'FULL'",
            *column);
        if (transaction_.passed) {
            transaction_.unfit.insert(version.schema->name);
            return {};
        }
        // A load before XA COMMIT would not have the row and heal the table all the same.
        if (transaction_.stream != 0)
            return fail(ErrorCode::failed_precondition,
                        fmt::format("table {}, in an XA transaction: {}", version.schema->name.text(), why));
        return tables_.table_unsure(version.schema->name, transaction_.order, why);
    }
    if (r.rows.empty()) return {};
    GW_CHECK(prepare(version, sink));
    transaction_.wrote = transaction_.stream != 0;
    const auto done =
        version.plan->decode(r, version.relation.id, transaction_.stream, transaction_.stream, sink);
    if (done) return {};
    if (transaction_.passed && done.error().code == ErrorCode::failed_precondition) {
        transaction_.unfit.insert(version.schema->name);
        return {};
    }
    // What a load brings before XA COMMIT has not these rows either.
    if (done.error().code != ErrorCode::failed_precondition || transaction_.stream != 0)
        return std::unexpected(done.error());
    const auto other = GW_TRY(tables_.mismatch(version.schema->name, transaction_.order, done.error()));
    return other == nullptr ? Result<>{} : std::unexpected(done.error());
}

}  // namespace godwit::mysql
