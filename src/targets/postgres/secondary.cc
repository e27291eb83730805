#include "targets/postgres/secondary.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "targets/postgres/ledger.h"

namespace godwit::postgres {
namespace {

// One statement and what it makes.
struct Job {
    std::string what;  // "index public.t_a of table public.t"
    std::string sql;
};

// Collects warnings of several sessions.
class Warnings {
public:
    void add(std::string text) {
        const std::lock_guard lock(mutex_);
        list_.push_back(std::move(text));
    }
    std::vector<std::string> take() {
        std::ranges::sort(list_);
        return std::move(list_);
    }

private:
    std::mutex mutex_;
    std::vector<std::string> list_;
};

// Each job in a transaction of its own; one that fails leaves the others alone.
void run_all(const Sessions& sessions, const std::string& settings, const std::vector<Job>& jobs,
             std::size_t parallel, Warnings& warnings) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        auto c = sessions.open();
        if (c && !settings.empty())
            if (auto set = c->run(settings); !set) c = std::unexpected(std::move(set).error());
        for (std::size_t i = next++; i < jobs.size(); i = next++) {
            if (!c || !c->healthy()) {
                warnings.add(fmt::format("{} was not made: {}", jobs[i].what,
                                         c ? "the session was lost" : c.error().text()));
                continue;
            }
            if (auto made = c->run(jobs[i].sql); !made && made.error().code != ErrorCode::already_exists)
                warnings.add(fmt::format("{} was not made: {}", jobs[i].what, made.error().text()));
        }
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(parallel, jobs.size()); ++i) threads.emplace_back(work);
    if (!jobs.empty()) work();
}

// What the target has already.
struct Present {
    std::set<std::string> relations, constraints;
};
Result<Present> present(pg::Connection& c, const TableName& target) {
    Present out;
    const auto rows = GW_TRY(c.query(
        "SELECT 'r', k.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid "
        "WHERE i.indrelid = pg_catalog.to_regclass($1) "
        "UNION ALL SELECT 'c', conname FROM pg_catalog.pg_constraint WHERE conrelid = "
        "pg_catalog.to_regclass($1)",
        std::vector<Param>{pg::quote_name(target.schema, target.table)}));
    for (int i = 0; i < rows.size(); ++i)
        (rows.text(i, 0) == "r" ? out.relations : out.constraints).insert(rows.text(i, 1));
    return out;
}

std::string replace_first(std::string text, const std::string& from, const std::string& to) {
    if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
    return text;
}

TableName sequence_on_target(const TargetContext& x, const SequenceState& s, const TableSchema& table) {
    // what belongs to a column moves with its table; a free sequence of the same schema does too
    if (s.owned || s.name.schema == table.name.schema) return x.name_of(s.name);
    return s.name;
}

std::string sequence_options(const SequenceState& s) {
    return fmt::format("START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {}CYCLE", s.start,
                       s.increment, s.minimum, s.maximum, s.cache, s.cycle ? "" : "NO ");
}

// quote_ident() form inside 'schema.name'::regclass
Result<std::string> literal_name(pg::Connection& c, const TableName& n) {
    const auto rows =
        GW_TRY(c.query("SELECT pg_catalog.quote_literal(pg_catalog.quote_ident($1) || '.' || "
                       "pg_catalog.quote_ident($2))",
                       std::vector<Param>{n.schema, n.table}));
    return rows.text(0, 0);
}

Result<> defaults_of(pg::Connection& c, const TargetContext& x, const TableSchema& table,
                     std::vector<Job>& sequences, std::vector<Job>& defaults) {
    const TableName target = x.name_of(table.name);
    const std::string quoted = pg::quote_name(target.schema, target.table);
    const auto found = GW_TRY(describe_relation(c, target));
    if (found.empty()) return {};
    for (const auto& s : table.extras.sequences) {
        if (s.identity) continue;
        const TableName name = sequence_on_target(x, s, table);
        const std::string q = pg::quote_name(name.schema, name.table);
        std::string sql =
            fmt::format("CREATE SEQUENCE IF NOT EXISTS {} AS {} {}", q, s.data_type, sequence_options(s));
        if (s.owned)
            sql += fmt::format("; ALTER SEQUENCE {} OWNED BY {}.{}", q, quoted, pg::quote_name(s.column));
        sequences.push_back({fmt::format("sequence {}", name.text()), sql});
    }
    for (const auto& column : table.columns) {
        const ColumnSchema* now = found.front().schema.column(column.name);
        if (now == nullptr || column.generated) continue;
        const std::string q = pg::quote_name(column.name);
        if (!column.identity.empty() && now->identity.empty()) {
            const auto s = std::ranges::find_if(table.extras.sequences, [&](const SequenceState& state) {
                return state.identity && state.column == column.name;
            });
            std::string sql = fmt::format("ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY",
                                          quoted, q, column.identity == "always" ? "ALWAYS" : "BY DEFAULT");
            if (s != table.extras.sequences.end()) {
                const TableName name = x.name_of(s->name);
                sql += fmt::format(" (SEQUENCE NAME {} {})", pg::quote_name(name.schema, name.table),
                                   sequence_options(*s));
            }
            defaults.push_back(
                {fmt::format("identity of column {} of table {}", column.name, target.text()), sql});
        } else if (!column.default_expression.empty() && now->default_expression.empty()) {
            std::string expression = column.default_expression;
            for (const auto& s : table.extras.sequences)
                if (s.column == column.name && !s.identity)
                    expression = replace_first(expression, GW_TRY(literal_name(c, s.name)),
                                               GW_TRY(literal_name(c, sequence_on_target(x, s, table))));
            defaults.push_back(
                {fmt::format("default of column {} of table {}", column.name, target.text()),
                 fmt::format("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", quoted, q, expression)});
        }
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> create_secondary_objects(Sessions& sessions, const TargetContext& x,
                                                          const std::vector<TableSchema>& tables) {
    std::vector<Job> sequences, indexes, constraints, checks, foreign_keys, analyze;
    Warnings warnings;
    {
        auto held = GW_TRY(sessions.hold());
        pg::Connection& c = *held;
        for (const auto& table : tables) {
            if (!table.extras.read) {
                warnings.add("table " + table.name.text() +
                             ": its secondary objects were not read from the source");
                continue;
            }
            const TableName target = x.name_of(table.name);
            const std::string quoted = pg::quote_name(target.schema, target.table);
            const auto has = GW_TRY(present(c, target));
            GW_CHECK(defaults_of(c, x, table, sequences, checks));
            for (const auto& i : table.extras.indexes)
                if (!has.relations.contains(i.name))
                    indexes.push_back({fmt::format("index {} of table {}", i.name, target.text()),
                                       fmt::format("CREATE {}INDEX {} ON {} {}", i.unique ? "UNIQUE " : "",
                                                   pg::quote_name(i.name), quoted, i.definition)});
            const auto add = [&](const std::string& name, const std::string& definition, const char* what,
                                 std::vector<Job>& to) {
                if (has.constraints.contains(name)) return;
                to.push_back({fmt::format("{} {} of table {}", what, name, target.text()),
                              fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}", quoted, pg::quote_name(name),
                                          definition)});
            };
            for (const auto& k : table.extras.constraints)
                add(k.name, k.definition, "constraint", constraints);
            for (const auto& k : table.extras.checks) add(k.name, k.definition, "check", checks);
            for (const auto& k : table.extras.foreign_keys) {
                const auto from =
                    GW_TRY(c.query("SELECT pg_catalog.quote_ident($1) || '.' || pg_catalog.quote_ident($2)",
                                   std::vector<Param>{k.references.schema, k.references.table}));
                const TableName to = x.name_of(k.references);
                add(k.name,
                    replace_first(k.definition, " REFERENCES " + from.text(0, 0) + "(",
                                  " REFERENCES " + pg::quote_name(to.schema, to.table) + "("),
                    "foreign key", foreign_keys);
            }
            analyze.push_back({"statistics of table " + target.text(), "ANALYZE " + quoted});
        }
    }
    const auto parallel =
        static_cast<std::size_t>(std::clamp<std::int64_t>(x.endpoint.number("indexsessions", 4), 1, 32));
    const std::string memory =
        fmt::format("SET maintenance_work_mem = '{}MB'",
                    std::clamp<std::int64_t>(x.endpoint.number("maintenanceworkmemmb", 512), 1, 65536));
    run_all(sessions, "", sequences, 1, warnings);
    run_all(sessions, memory, indexes, parallel, warnings);
    // these lock their table against writing, so one after another
    run_all(sessions, memory, constraints, 1, warnings);
    run_all(sessions, "", checks, 1, warnings);
    run_all(sessions, memory, foreign_keys, 1, warnings);
    run_all(sessions, "", analyze, parallel, warnings);
    return warnings.take();
}

Result<std::vector<std::string>> sync_sequences(Sessions& sessions, const TargetContext& x,
                                                const std::vector<TableSchema>& tables) {
    std::vector<std::string> warnings;
    auto held = GW_TRY(sessions.hold());
    pg::Connection& c = *held;
    for (const auto& table : tables) {
        if (!table.extras.read) {
            warnings.push_back("table " + table.name.text() +
                               ": its sequences were not read from the source");
            continue;
        }
        const TableName target = x.name_of(table.name);
        const std::string quoted = pg::quote_name(target.schema, target.table);
        for (const auto& s : table.extras.sequences) {
            TableName name = sequence_on_target(x, s, table);
            if (s.identity) {
                // the target's own sequence of that column, whatever its name
                const auto own = c.query(
                    "SELECT n.nspname, k.relname FROM pg_catalog.pg_class k JOIN "
                    "pg_catalog.pg_namespace n ON n.oid = k.relnamespace WHERE k.oid = "
                    "pg_catalog.pg_get_serial_sequence($1, $2)::regclass",
                    std::vector<Param>{quoted, s.column});
                if (!own || own->size() == 0) {
                    warnings.push_back(
                        fmt::format("column {} of table {} has no identity on the target: its sequence was "
                                    "not set",
                                    s.column, target.text()));
                    continue;
                }
                name = {own->text(0, 0), own->text(0, 1)};
            }
            const std::string literal = pg::quote_literal(pg::quote_name(name.schema, name.table));
            const bool up = s.increment.empty() || s.increment[0] != '-';
            const std::string wanted =
                s.readable ? fmt::format("SELECT {}::bigint AS v, {} AS called", s.last_value,
                                         s.is_called ? "true" : "false")
                           : fmt::format("SELECT {}({})::bigint AS v, true AS called FROM {}",
                                         up ? "max" : "min", pg::quote_name(s.column), quoted);
            // never backwards: the target may be in use by others already
            auto set =
                c.run(fmt::format("SELECT pg_catalog.setval({}, w.v, w.called) FROM {} s, ({}) w WHERE "
                                  "s.last_value {} w.v OR (s.last_value = w.v AND NOT s.is_called)",
                                  literal, pg::quote_name(name.schema, name.table), wanted, up ? "<" : ">"));
            if (!set)
                warnings.push_back(
                    fmt::format("sequence {} was not set: {}", name.text(), set.error().text()));
        }
    }
    return warnings;
}

}  // namespace godwit::postgres
