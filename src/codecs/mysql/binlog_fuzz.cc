// Any bytes in place of a server's events: errors, never a crash, never half a record.
// Input: events, each with a u16 length (little endian) in front. The tables are what their maps say they
// are.

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "codecs/mysql/binlog_events.h"
#include "codecs/mysql/json.h"
#include "codecs/mysql/row_decoder.h"
#include "fakes/recording_sink.h"

namespace {

using namespace godwit;
using namespace godwit::mysql;

std::string labels(std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += (i == 0 ? "'" : ",'") + std::to_string(i) + "'";
    return out;
}

// A definition that a column of this kind may have; `variant` chooses among several.
std::string type_of(const WireColumn& w, unsigned variant) {
    const std::string n = std::to_string(w.metadata);
    switch (w.type) {
        case WireType::tiny:
            return "tinyint";
        case WireType::small:
            return "smallint unsigned";
        case WireType::medium:
            return "mediumint";
        case WireType::integer:
            return "int";
        case WireType::big:
            return "bigint unsigned";
        case WireType::real4:
            return "float";
        case WireType::real8:
            return "double";
        case WireType::decimal:
            return "decimal(" + n + "," + std::to_string(w.scale) + ")";
        case WireType::year:
            return "year";
        case WireType::date:
            return "date";
        case WireType::time:
            return "time";
        case WireType::datetime:
            return "datetime";
        case WireType::timestamp:
            return "timestamp";
        case WireType::time2:
            return "time(" + n + ")";
        case WireType::datetime2:
            return "datetime(" + n + ")";
        case WireType::timestamp2:
            return "timestamp(" + n + ")";
        case WireType::bit:
            return "bit(" + n + ")";
        case WireType::varchar:
        case WireType::var_string:
            return variant % 2 == 0 ? "varbinary(" + n + ")" : "varchar(" + n + ")";
        case WireType::varchar_compressed:
            return variant % 2 == 0 ? "varbinary(9)" : "varchar(9)";
        case WireType::string:
            switch (variant % 5) {
                case 0:
                    return "binary(" + n + ")";
                case 1:
                    return "uuid";
                case 2:
                    return "inet6";
                case 3:
                    return "inet4";
                default:
                    return "char(" + n + ")";
            }
        case WireType::enumeration:
            return "enum(" + labels(w.metadata == 1 ? 3 : 300) + ")";
        case WireType::set:
            return "set(" + labels(w.metadata == 8 ? 64U : w.metadata * 8U) + ")";
        case WireType::blob_compressed:
            return "blob";
        case WireType::json:
            return "json";
        case WireType::geometry:
            return "geometry";
        case WireType::vector:
            return "vector(3)";
        default: {
            constexpr const char* kBlobs[] = {"tinyblob", "blob", "mediumblob", "longblob"};
            constexpr const char* kTexts[] = {"tinytext", "text", "mediumtext", "longtext"};
            return w.metadata >= 1 && w.metadata <= 4 ? (variant % 2 == 0 ? kBlobs : kTexts)[w.metadata - 1]
                                                      : "blob";
        }
    }
}

// of every set that is asked for
Result<std::shared_ptr<const CharacterMap>> characters(std::string_view charset) {
    static std::map<std::string, std::shared_ptr<const CharacterMap>, std::less<>> known;
    auto& map = known[std::string(charset)];
    if (map == nullptr)
        map = GW_TRY(CharacterMap::read(charset, [](std::string_view text) -> Result<std::string> {
            std::string out;
            for (const char c : text)
                if (c == '\n') out += "x\n";
            return out;
        }));
    return map;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    BinlogFormat format;
    bool known = false;
    test::RecordingSink sink;
    TableMap map;
    ByteBuffer scratch;
    std::unordered_map<std::uint64_t, std::unique_ptr<RowPlan>> plans;
    ByteReader in(Bytes(reinterpret_cast<const std::byte*>(data), size));
    const auto take = [&](const Event& e, unsigned variant) {
        switch (e.header.type) {
            case EventType::rotate:
                (void)read_rotate(e.body);
                return;
            case EventType::gtid:
            case EventType::anonymous_gtid:
            case EventType::gtid_tagged:
                (void)read_gtid(e);
                return;
            case EventType::mariadb_gtid:
                (void)read_mariadb_gtid(e);
                return;
            case EventType::mariadb_gtid_list:
                (void)read_mariadb_gtid_list(e.body);
                return;
            case EventType::previous_gtids:
                (void)GtidSet::decode(e.body);
                return;
            case EventType::query:
            case EventType::mariadb_query_compressed:
                (void)read_query(e, format, scratch);
                return;
            case EventType::execute_load_query:
                (void)read_execute_load_query(e);
                return;
            case EventType::xa_prepare:
                (void)read_xa_prepare(e.body);
                return;
            case EventType::heartbeat:
            case EventType::heartbeat_v2:
                (void)read_heartbeat(e);
                return;
            case EventType::incident:
                (void)read_incident(e.body);
                return;
            case EventType::table_map: {
                if (!read_table_map(e, format, map)) return;
                TableSchema schema;
                schema.name = {"a", "b"};
                constexpr const char* kCollations[] = {"utf8mb4_bin", "latin1_bin", "gbk_bin", "sjis_bin",
                                                       "ucs2_bin"};
                for (std::size_t i = 0; i < map.columns.size(); ++i) {
                    ColumnSchema c;
                    c.name = map.names.empty() ? std::to_string(i) : std::string(map.names[i]);
                    c.native_type = type_of(map.columns[i], variant + static_cast<unsigned>(i));
                    if (c.native_type.find("char") != std::string::npos ||
                        c.native_type.find("text") != std::string::npos)
                        c.collation = kCollations[(variant + i) % 5];
                    schema.columns.push_back(std::move(c));
                }
                schema.identity = variant % 3 == 0 ? RowIdentity::full : RowIdentity::key;
                if (!schema.columns.empty()) schema.identity_columns = {schema.columns[0].name};
                map.enum_labels.clear();
                map.set_labels.clear();
                map.is_unsigned.reset();
                auto plan = RowPlan::compile(
                    map, schema,
                    {variant % 2 == 0 ? Dialect::copy : Dialect::load, variant % 4 == 0, false, characters});
                if (plan) plans[map.table_id] = std::move(*plan);
                return;
            }
            default: {
                const auto r = read_rows(e, format, scratch);
                if (!r) return;
                const auto it = plans.find(r->table_id);
                if (it == plans.end()) return;
                Relation relation = it->second->relation();
                relation.id = 1;
                sink.define(relation);
                (void)it->second->decode(*r, 1, 0, 0, sink);
                if (sink.torn()) std::abort();
                sink.lines.clear();
            }
        }
    };
    while (!in.at_end()) {
        const auto length = in.le<std::uint16_t>();
        const Bytes taken = in.take(std::min<std::size_t>(length, in.left()));
        const std::vector<std::byte> exact(taken.begin(), taken.end());  // so that reading beyond it is seen
        if (exact.size() < kEventHeaderBytes) continue;
        if (static_cast<EventType>(exact[4]) == EventType::format_description) {
            if (auto f = read_format_description(exact)) {
                format = std::move(*f);
                known = true;
            }
            continue;
        }
        const auto e = read_event(exact, format, known, false);
        if (!e) continue;
        if (e->header.type == EventType::transaction_payload) {
            auto payload = PayloadReader::open(e->body);
            if (!payload) continue;
            for (int i = 0; i < 100; ++i) {
                const auto inner = payload->next();
                if (!inner || inner->empty()) break;
                if (const auto event = read_inner_event(*inner)) take(*event, e->header.server_id);
            }
            continue;
        }
        take(*e, e->header.server_id);
    }
    // documents by themselves
    const Bytes all(reinterpret_cast<const std::byte*>(data), size);
    ByteBuffer out;
    (void)print_json(all, out);
    if (size > 2) {
        const std::size_t cut = data[0] % size;
        out.clear();
        (void)print_json_changed(all.subspan(1, cut / 2), all.subspan(1 + cut / 2), out);
    }
    return 0;
}
