#include "sources/postgres/test_decoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

namespace godwit::postgres {
namespace {

std::unexpected<Error> damaged(std::string_view what) {
    return fail(ErrorCode::data_loss, fmt::format("test_decoding sent a line that makes no sense: {}", what));
}

// format_type() of the built-in types, without their arrays' brackets, and their oids.
struct BuiltIn {
    std::string_view name;
    std::uint32_t oid, array_oid;
};
constexpr BuiltIn kBuiltIns[] = {
    {"boolean", 16, 1000},
    {"bytea", 17, 1001},
    {"\"char\"", 18, 1002},
    {"name", 19, 1003},
    {"bigint", 20, 1016},
    {"smallint", 21, 1005},
    {"integer", 23, 1007},
    {"regproc", 24, 1008},
    {"text", 25, 1009},
    {"oid", 26, 1028},
    {"tid", 27, 1010},
    {"xid", 28, 1011},
    {"cid", 29, 1012},
    {"json", 114, 199},
    {"xml", 142, 143},
    {"xid8", 5069, 271},
    {"point", 600, 1017},
    {"lseg", 601, 1018},
    {"path", 602, 1019},
    {"box", 603, 1020},
    {"polygon", 604, 1027},
    {"line", 628, 629},
    {"cidr", 650, 651},
    {"real", 700, 1021},
    {"double precision", 701, 1022},
    {"circle", 718, 719},
    {"macaddr8", 774, 775},
    {"money", 790, 791},
    {"macaddr", 829, 1040},
    {"inet", 869, 1041},
    {"aclitem", 1033, 1034},
    {"character", 1042, 1014},
    {"character varying", 1043, 1015},
    {"date", 1082, 1182},
    {"time without time zone", 1083, 1183},
    {"timestamp without time zone", 1114, 1115},
    {"timestamp with time zone", 1184, 1185},
    {"interval", 1186, 1187},
    {"time with time zone", 1266, 1270},
    {"bit", 1560, 1561},
    {"bit varying", 1562, 1563},
    {"numeric", 1700, 1231},
    {"refcursor", 1790, 2201},
    {"regprocedure", 2202, 2207},
    {"regoper", 2203, 2208},
    {"regoperator", 2204, 2209},
    {"regclass", 2205, 2210},
    {"regtype", 2206, 2211},
    {"uuid", 2950, 2951},
    {"txid_snapshot", 2970, 2949},
    {"pg_lsn", 3220, 3221},
    {"tsvector", 3614, 3643},
    {"tsquery", 3615, 3645},
    {"gtsvector", 3642, 3644},
    {"regconfig", 3734, 3735},
    {"regdictionary", 3769, 3770},
    {"jsonb", 3802, 3807},
    {"int4range", 3904, 3905},
    {"numrange", 3906, 3907},
    {"tsrange", 3908, 3909},
    {"tstzrange", 3910, 3911},
    {"daterange", 3912, 3913},
    {"int8range", 3926, 3927},
    {"jsonpath", 4072, 4073},
    {"regnamespace", 4089, 4090},
    {"regrole", 4096, 4097},
    {"regcollation", 4191, 4192},
    {"int4multirange", 4451, 6150},
    {"nummultirange", 4532, 6151},
    {"tsmultirange", 4533, 6152},
    {"tstzmultirange", 4534, 6153},
    {"datemultirange", 4535, 6155},
    {"int8multirange", 4536, 6157},
    {"pg_snapshot", 5038, 5039},
};

constexpr std::uint32_t kFirstUserOid = 16384;

// 0: a type of the user
std::uint32_t built_in_oid(std::string_view type) {
    const bool array = type.ends_with("[]");
    if (array) type.remove_suffix(2);
    for (const auto& t : kBuiltIns)
        if (t.name == type) return array ? t.array_oid : t.oid;
    return 0;
}

// The end of a name that may be quoted; npos when its quote is open.
std::size_t name_end(std::string_view s, std::size_t at, std::string_view stops) {
    if (at < s.size() && s[at] == '"') {
        for (++at; at < s.size(); ++at) {
            if (s[at] != '"') continue;
            if (at + 1 < s.size() && s[at + 1] == '"')
                ++at;
            else
                return at + 1;
        }
        return std::string_view::npos;
    }
    const auto end = s.find_first_of(stops, at);
    return end;
}

// a or "a""b" -> a"b
std::string unquote(std::string_view name) {
    if (name.size() < 2 || name.front() != '"') return std::string(name);
    std::string out;
    for (std::size_t i = 1; i + 1 < name.size(); ++i) {
        out += name[i];
        if (name[i] == '"') ++i;
    }
    return out;
}

bool same_name(std::string_view printed, const std::string& name) {
    return printed.starts_with('"') ? unquote(printed) == name : printed == name;
}

// schema.table, each maybe quoted; nothing when it is not that
std::optional<TableName> qualified_name(std::string_view printed) {
    const auto dot = name_end(printed, 0, ".");
    if (dot == std::string_view::npos || dot >= printed.size() || printed[dot] != '.') return {};
    const auto table = printed.substr(dot + 1);
    if (table.empty()) return {};
    if (table.front() == '"' && name_end(table, 0, "") != table.size()) return {};
    return TableName{unquote(printed.substr(0, dot)), unquote(table)};
}

bool digits(std::string_view s, std::size_t at, std::size_t n, int& to) {
    if (s.size() < at + n) return false;
    const auto [end, error] = std::from_chars(s.data() + at, s.data() + at + n, to);
    return error == std::errc{} && end == s.data() + at + n && s[at] != '-';
}

// "2026-11-21 04:30:12.311955+00" -> microseconds since 1970
std::optional<std::int64_t> parse_time(std::string_view s) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (s.size() < 19 || !digits(s, 0, 4, year) || s[4] != '-' || !digits(s, 5, 2, month) || s[7] != '-' ||
        !digits(s, 8, 2, day) || s[10] != ' ' || !digits(s, 11, 2, hour) || s[13] != ':' ||
        !digits(s, 14, 2, minute) || s[16] != ':' || !digits(s, 17, 2, second))
        return {};
    std::int64_t us = 0;
    std::size_t at = 19;
    if (at < s.size() && s[at] == '.') {
        std::int64_t unit = 100'000;
        for (++at; at < s.size() && s[at] >= '0' && s[at] <= '9' && unit > 0; ++at, unit /= 10)
            us += (s[at] - '0') * unit;
    }
    std::int64_t zone_s = 0;
    if (at < s.size() && (s[at] == '+' || s[at] == '-')) {
        const std::int64_t sign = s[at] == '-' ? -1 : 1;
        std::int64_t unit = 3600;
        for (++at; at < s.size() && unit > 0; at += 3, unit /= 60) {
            int part = 0;
            if (!digits(s, at, 2, part)) return {};
            zone_s += sign * part * unit;
            if (at + 2 < s.size() && s[at + 2] != ':') return {};
        }
    }
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return {};
    const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
    return ((days * 24 + hour) * 60 + minute) * 60'000'000 + (second - zone_s) * 1'000'000 + us;
}

bool take_xid(std::string_view& text, std::uint32_t& xid) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), xid);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

constexpr std::string_view kNewTuple = " new-tuple:";
constexpr std::string_view kOldKey = " old-key:";
constexpr std::string_view kNoTuple = " (no-tuple-data)";

// Cells up to the end, or up to " new-tuple:", which is left in `rest`.
template <class Cell>
bool take_cells(std::string_view& rest, std::vector<Cell>& cells) {
    cells.clear();
    while (!rest.empty() && !rest.starts_with(kNewTuple)) {
        if (rest.front() != ' ') return false;
        Cell cell;
        const auto bracket = name_end(rest, 1, "[");
        if (bracket == std::string_view::npos || bracket >= rest.size() || rest[bracket] != '[' ||
            bracket == 1)
            return false;
        cell.name = rest.substr(1, bracket - 1);
        // the type's closing bracket: not inside quotes, not that of []
        std::size_t at = bracket + 1;
        while (at < rest.size() && rest[at] != ']') {
            if (rest[at] == '"') {
                at = name_end(rest, at, "");
                if (at == std::string_view::npos) return false;
            } else {
                at += rest.substr(at, 2) == "[]" ? 2 : 1;
            }
        }
        if (at + 1 >= rest.size() || rest[at + 1] != ':') return false;
        cell.type = rest.substr(bracket + 1, at - bracket - 1);
        rest.remove_prefix(at + 2);

        cell.state = CellState::text;
        const bool bits = rest.starts_with("B'");
        if (bits || rest.starts_with('\'')) {
            const std::size_t from = bits ? 2 : 1;
            std::size_t end = from;
            for (;; ++end) {
                end = rest.find('\'', end);
                if (end == std::string_view::npos) return false;
                if (end + 1 >= rest.size() || rest[end + 1] != '\'') break;
                cell.doubled = true;
                ++end;
            }
            cell.value = rest.substr(from, end - from);
            rest.remove_prefix(end + 1);
        } else {
            const auto end = std::min(rest.find(' '), rest.size());
            cell.value = rest.substr(0, end);
            rest.remove_prefix(end);
            if (cell.value == "null")
                cell.state = CellState::null;
            else if (cell.value == "unchanged-toast-datum")
                cell.state = CellState::unchanged;
            else if (cell.value.empty())
                return false;
            // the only type that is not printed by its output function
            else if (cell.type == "boolean")
                cell.value = cell.value == "true" ? "t" : "f";
        }
        cells.push_back(cell);
    }
    return true;
}

}  // namespace

TestDecodingDecoder::TestDecodingDecoder(DecoderHooks hooks, std::size_t held_bytes_max)
    : Decoder(std::move(hooks)), held_bytes_max_(held_bytes_max) {}

void TestDecodingDecoder::restart(Lsn from) {
    Decoder::restart(from);
    held_.clear();
    overflowed_ = false;
    // Their records may have been in what was lost: they are written again, under the same id.
    for (auto& [printed, t] : tables_)
        if (t.version) t.version->written = false;
}

void TestDecodingDecoder::reselect() {
    for (auto& [printed, t] : tables_) t.resolved = false;
}

Result<> TestDecodingDecoder::decode(Bytes message, Lsn at, ChangeSink& sink) {
    const std::string_view text = as_text(message);
    if (text.starts_with("table ")) return change(text.substr(6), sink);
    if (text.starts_with("BEGIN ")) return begin(text.substr(6));
    if (text.starts_with("COMMIT ")) return commit(text.substr(7), at, sink);
    if (text.starts_with("message: ")) return logical_message(text.substr(9), at);
    return damaged("unknown kind");
}

Result<> TestDecodingDecoder::begin(std::string_view text) {
    std::uint32_t xid = 0;
    if (in_transaction_ || !take_xid(text, xid) || !text.empty() || xid == 0) return damaged("BEGIN");
    in_transaction_ = true;
    overflowed_ = false;
    held_.clear();
    xid_ = xid;
    return {};
}

Result<> TestDecodingDecoder::move_held(std::uint32_t stream, ChangeSink& sink) {
    RecordReader reader(held_.view());
    Record record;
    while (reader.next(record)) {
        sink.buffer(stream).append(record.raw);
        GW_CHECK(sink.recorded(stream));
    }
    if (reader.failed()) return fail(ErrorCode::internal, "a held transaction is damaged");
    held_.clear();
    return {};
}

Result<> TestDecodingDecoder::recorded(ChangeSink& sink) {
    if (overflowed_) return sink.recorded(xid_);
    if (held_.size() <= held_bytes_max_) return {};
    overflowed_ = true;
    GW_CHECK(move_held(xid_, sink));
    held_.release_memory();
    return {};
}

Result<> TestDecodingDecoder::commit(std::string_view text, Lsn end, ChangeSink& sink) {
    std::uint32_t xid = 0;
    constexpr std::string_view kAt = " (at ";
    if (!in_transaction_ || !take_xid(text, xid) || xid != xid_ || !text.starts_with(kAt) ||
        !text.ends_with(')'))
        return damaged("COMMIT");
    const auto time = parse_time(text.substr(kAt.size(), text.size() - kAt.size() - 1));
    if (!time || end == Lsn{}) return damaged("COMMIT");
    in_transaction_ = false;
    const std::uint64_t order = end.value() - 1;
    if (overflowed_) {
        overflowed_ = false;
        recorded_to(end);
        return sink.stream_commit(xid_, order, end.value(), to_token(end), *time);
    }
    if (held_.empty()) {
        keepalive(end);
        return {};
    }
    RecordWriter(sink.buffer(0)).begin(xid_, order, *time, false, {});
    GW_CHECK(sink.recorded(0));
    GW_CHECK(move_held(0, sink));
    RecordWriter(sink.buffer(0)).commit(end.value(), to_token(end), *time);
    recorded_to(end);
    return sink.recorded(0);
}

// "transactional: 1 prefix: P, sz: 3 content:abc"
Result<> TestDecodingDecoder::logical_message(std::string_view text, Lsn at) {
    constexpr std::string_view kTransactional = "transactional: ", kPrefix = " prefix: ", kSize = ", sz: ",
                               kContent = " content:";
    LogicalMessage m;
    if (!text.starts_with(kTransactional) || text.size() <= kTransactional.size()) return damaged("message");
    m.transactional = text[kTransactional.size()] == '1';
    text.remove_prefix(kTransactional.size() + 1);
    if (!text.starts_with(kPrefix)) return damaged("message");
    text.remove_prefix(kPrefix.size());
    // the prefix may hold anything, so the size has to fit what follows it
    for (auto comma = text.find(kSize); comma != std::string_view::npos;
         comma = text.find(kSize, comma + 1)) {
        auto rest = text.substr(comma + kSize.size());
        std::size_t size = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
        if (error != std::errc{}) continue;
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        if (!rest.starts_with(kContent) || rest.size() - kContent.size() != size) continue;
        m.prefix = text.substr(0, comma);
        m.content = as_bytes(rest.substr(kContent.size()));
        m.lsn = at;
        return hooks_.message ? hooks_.message(m) : Result<>{};
    }
    return damaged("message");
}

Result<> TestDecodingDecoder::change(std::string_view text, ChangeSink& sink) {
    if (!in_transaction_) return damaged("a change outside a transaction");
    // up to the ':' that is not inside a quoted name
    std::size_t colon = 0;
    bool quoted = false;
    for (; colon < text.size() && (quoted || text[colon] != ':'); ++colon)
        if (text[colon] == '"') quoted = !quoted;
    if (colon == text.size()) return damaged("a change without a table");
    const auto tables = text.substr(0, colon);
    auto rest = text.substr(colon + 1);
    const auto kind_end = rest.find(':');
    if (kind_end == std::string_view::npos) return damaged("a change without a kind");
    const auto kind = rest.substr(0, kind_end);
    rest.remove_prefix(kind_end + 1);
    if (kind == " TRUNCATE") return truncate(tables, rest, sink);
    const RecordKind what = kind == " INSERT"   ? RecordKind::insert
                            : kind == " UPDATE" ? RecordKind::update
                            : kind == " DELETE" ? RecordKind::remove
                                                : RecordKind::keepalive;
    if (what == RecordKind::keepalive) return damaged("a change of an unknown kind");
    Table* table = GW_TRY(find(tables));
    if (table == nullptr) return {};
    auto done = row(what, *table, rest, sink);
    if (!done) return std::unexpected(std::move(done).error().with("table " + table->name.text()));
    return {};
}

Result<TestDecodingDecoder::Table*> TestDecodingDecoder::find(std::string_view printed) {
    auto it = tables_.find(printed);
    if (it == tables_.end()) {
        const auto name = qualified_name(printed);
        if (!name) return damaged("a table's name");
        it = tables_.emplace(std::string(printed), Table{}).first;
        it->second.name = *name;
    }
    Table& t = it->second;
    // what was not found is looked for once per transaction
    if (!t.resolved || (t.schema == nullptr && t.resolved_in != xid_)) {
        const bool first = !t.resolved;
        t.schema = GW_TRY(hooks_.resolve(t.name, !first));
        t.resolved = t.refit = true;
        t.resolved_in = xid_;
        t.wanted = false;
        if (t.schema != nullptr) {
            t.is_leaf = t.schema->name != t.name;
            Relation probe;
            probe.source_id = t.schema->source_id;
            probe.name = t.schema->name;
            t.wanted = wants(probe);
        } else if (first) {
            leave_out(t.name, "changes of a table that the catalogue does not know any more");
        }
    }
    return t.wanted ? &t : nullptr;
}

Result<bool> TestDecodingDecoder::make_version(Table& table, const std::vector<Cell>& cells, bool whole,
                                               bool last_try) {
    const TableSchema& schema = *table.schema;
    auto fresh = std::make_shared<Version>();
    Relation& r = fresh->relation;
    r.source_id = schema.source_id;
    r.name = schema.name;
    r.identity = schema.identity;
    bool fits = true;
    const auto add = [&](const std::string& name, const ColumnSchema* known, std::string_view type) {
        RelationColumn c;
        c.name = name;
        c.type_id = built_in_oid(type);
        if (known != nullptr) {
            // the catalogue's type may be another by now: then it stays 0, which is text of an unknown type
            if (c.type_id == 0 && (type.empty() || known->type_id >= kFirstUserOid))
                c.type_id = known->type_id;
            if (c.type_id == known->type_id) c.type_modifier = known->type_modifier;
        }
        c.identity = r.identity == RowIdentity::full ||
                     (r.identity == RowIdentity::key &&
                      std::ranges::find(schema.identity_columns, name) != schema.identity_columns.end());
        r.columns.push_back(std::move(c));
        fresh->types.emplace_back(type);
    };
    if (whole) {
        for (const auto& cell : cells) {
            const std::string name = unquote(cell.name);
            const ColumnSchema* known = schema.column(name);
            fits = fits && known != nullptr;
            add(name, known, cell.type);
        }
    } else {
        // a key alone: the other columns are what the catalogue says
        std::size_t next = 0;
        for (const auto& c : schema.columns) {
            const bool here = next < cells.size() && same_name(cells[next].name, c.name);
            add(c.name, &c, here ? cells[next].type : std::string_view{});
            next += here ? 1 : 0;
        }
        if (next != cells.size()) {
            fits = false;
            r.columns.clear();
            fresh->types.clear();
            for (const auto& cell : cells) {
                const std::string name = unquote(cell.name);
                add(name, schema.column(name), cell.type);
                r.columns.back().identity = true;
            }
        }
    }
    if (r.identity == RowIdentity::key)
        for (const auto& name : schema.identity_columns)
            fits = fits && std::ranges::any_of(r.columns, [&](const auto& c) { return c.name == name; });
    if (!fits && !last_try) return false;
    if (hooks_.refine) hooks_.refine(r);

    const auto same = [&](const std::shared_ptr<Version>& v) {
        return v != nullptr && v->relation.source_id == r.source_id && v->relation.identity == r.identity &&
               v->relation.name == r.name && v->relation.columns == r.columns;
    };
    std::shared_ptr<Version> known = same(table.version) ? table.version : nullptr;
    for (auto it = tables_.begin(); known == nullptr && it != tables_.end(); ++it)
        if (same(it->second.version)) known = it->second.version;
    if (known == nullptr) {
        table.version = std::move(fresh);
        return true;
    }
    for (std::size_t i = 0; i < known->types.size(); ++i)
        if (!fresh->types[i].empty()) known->types[i] = std::move(fresh->types[i]);
    table.version = std::move(known);
    return true;
}

Result<> TestDecodingDecoder::fit(Table& table, const std::vector<Cell>& cells, bool whole) {
    const auto matches = [&]() -> bool {
        if (table.version == nullptr) return false;
        Version& v = *table.version;
        const auto& columns = v.relation.columns;
        if (whole && columns.size() != cells.size()) return false;
        std::size_t column = 0;
        for (const auto& cell : cells) {
            while (!whole && column < columns.size() && !same_name(cell.name, columns[column].name)) ++column;
            if (column == columns.size() || !same_name(cell.name, columns[column].name)) return false;
            auto& type = v.types[column++];
            if (type.empty()) {
                const auto oid = built_in_oid(cell.type);
                if (oid != 0 && oid != columns[column - 1].type_id) return false;
                type = cell.type;
            } else if (type != cell.type) {
                return false;
            }
        }
        return true;
    };
    if (!std::exchange(table.refit, false) && matches()) return {};
    if (GW_TRY(make_version(table, cells, whole, false)) && matches()) return {};
    // the catalogue has moved on since it was read, or since this line was written
    if (auto again = GW_TRY(hooks_.resolve(table.name, true)); again != nullptr)
        table.schema = std::move(again);
    (void)GW_TRY(make_version(table, cells, whole, true));
    if (!matches()) return damaged("a row that names a column twice or out of order");
    return {};
}

Result<> TestDecodingDecoder::define(Version& v, ChangeSink& sink) {
    if (v.written) return {};
    if (v.relation.id == 0) v.relation.id = sink.new_relation_id();
    RecordWriter(buffer(sink)).relation(v.relation);
    v.written = true;
    sink.define(v.relation);
    return recorded(sink);
}

void TestDecodingDecoder::put_row(RecordWriter& writer, const Version& version,
                                  const std::vector<Cell>& cells) {
    const auto& columns = version.relation.columns;
    writer.begin_row(static_cast<std::uint16_t>(columns.size()));
    std::size_t next = 0;
    for (const auto& column : columns) {
        // old rows leave out what is NULL or not part of the key
        if (next == cells.size() ||
            (cells.size() != columns.size() && !same_name(cells[next].name, column.name))) {
            writer.null();
            continue;
        }
        const Cell& cell = cells[next++];
        switch (cell.state) {
            case CellState::null:
                writer.null();
                break;
            case CellState::unchanged:
                writer.unchanged();
                break;
            default:
                if (!cell.doubled) {
                    writer.value(CellState::text, as_bytes(cell.value));
                    break;
                }
                unquoted_.clear();
                for (std::size_t i = 0; i < cell.value.size(); ++i) {
                    unquoted_ += cell.value[i];
                    if (cell.value[i] == '\'') ++i;
                }
                writer.value(CellState::text, as_bytes(unquoted_));
        }
    }
}

Result<> TestDecodingDecoder::row(RecordKind kind, Table& table, std::string_view rest, ChangeSink& sink) {
    if (rest == kNoTuple) {
        if (kind == RecordKind::insert) return damaged("an insert without its row");
        leave_out(table.name,
                  kind == RecordKind::update ? "update without its row" : "delete without identity");
        return {};
    }
    bool old = kind == RecordKind::remove;
    old_cells_.clear();
    cells_.clear();
    if (kind == RecordKind::update && rest.starts_with(kOldKey)) {
        old = true;
        rest.remove_prefix(kOldKey.size());
        if (!take_cells(rest, old_cells_) || !rest.starts_with(kNewTuple)) return damaged("an old row");
        rest.remove_prefix(kNewTuple.size());
    }
    auto& main = kind == RecordKind::remove ? old_cells_ : cells_;
    if (!take_cells(rest, main) || !rest.empty()) return damaged("a row");
    if (main.size() > 0xFFFFU) return damaged("a row with too many cells");

    GW_CHECK(fit(table, main, kind != RecordKind::remove));
    Version& v = *table.version;
    if (kind != RecordKind::insert && v.relation.identity == RowIdentity::none) {
        leave_out(table.name,
                  kind == RecordKind::update ? "update without identity" : "delete without identity");
        return {};
    }
    // a subset, in the version's order
    if (kind == RecordKind::update && old) {
        std::size_t next = 0;
        for (const auto& c : v.relation.columns)
            if (next < old_cells_.size() && same_name(old_cells_[next].name, c.name)) ++next;
        if (next != old_cells_.size()) return damaged("an old row that does not fit its new one");
    }
    GW_CHECK(define(v, sink));
    RecordWriter writer(buffer(sink));
    writer.start(kind, v.relation.id, 0);
    const OldRow label = v.relation.identity == RowIdentity::full ? OldRow::full : OldRow::key;
    if (kind != RecordKind::insert) writer.old_kind(old ? label : OldRow::none);
    if (old) put_row(writer, v, old_cells_);
    if (kind != RecordKind::remove) put_row(writer, v, cells_);
    writer.finish();
    return recorded(sink);
}

Result<> TestDecodingDecoder::truncate(std::string_view tables, std::string_view flags, ChangeSink& sink) {
    std::uint8_t bits = 0;
    if (flags == " cascade")
        bits = 1;
    else if (flags == " restart_seqs")
        bits = 2;
    else if (flags == " restart_seqs cascade")
        bits = 3;
    else if (flags != " (no-flags)")
        return damaged("the flags of a truncate");
    std::vector<Table*> leaves, whole;
    while (!tables.empty()) {
        std::size_t end = 0;
        bool quoted = false;
        for (; end < tables.size() && (quoted || tables[end] != ','); ++end)
            if (tables[end] == '"') quoted = !quoted;
        if (Table* t = GW_TRY(find(tables.substr(0, end))); t != nullptr)
            (t->is_leaf ? leaves : whole).push_back(t);
        tables.remove_prefix(end);
        if (tables.empty()) break;
        if (!tables.starts_with(", ") || tables.size() == 2) return damaged("the tables of a truncate");
        tables.remove_prefix(2);
    }
    // A root is listed beside its partitions. A partition alone must not empty the whole table.
    for (const Table* leaf : leaves)
        if (std::ranges::none_of(whole, [&](const Table* t) { return t->name == leaf->schema->name; }))
            leave_out(leaf->name, "truncate of a partition");
    list_.clear();
    for (Table* t : whole) {
        if (t->version == nullptr) GW_CHECK(fit(*t, {}, false));
        GW_CHECK(define(*t->version, sink));
        list_.push_back(t->version->relation.id);
    }
    if (list_.empty()) return {};
    if (list_.size() > 0xFFFFU) return damaged("a truncate of too many tables");
    RecordWriter(buffer(sink)).truncate(0, bits, list_);
    return recorded(sink);
}

}  // namespace godwit::postgres
