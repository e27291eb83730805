#include "sources/postgres/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "codecs/pg/describe.h"
#include "sources/postgres/publications.h"

namespace godwit::postgres {
namespace {

std::uint32_t oid_at(const pg::Rows& rows, int row, int column) {
    return static_cast<std::uint32_t>(rows.number(row, column));
}

// The tables that DMS and godwit write for themselves.
constexpr const char* kOwnTables =
    "'awsdms_ddl_audit', 'awsdms_heartbeat', 'awsdms_apply_exceptions', 'awsdms_full_load_exceptions', "
    "'awsdms_txn_state', 'awsdms_status', 'awsdms_suspended_tables', 'awsdms_history', "
    "'awsdms_loopback_prevention', 'awsdms_validation_failures_v1', 'awsdms_validation_failures_v2'";

struct Found {
    TableName name;
    char kind = 'r';
    std::uint32_t parent = 0;    // partition: its direct parent
    std::uint64_t attached = 0;  // by which transaction
    double tuples = -1;
    std::int64_t pages = 0;
};
using Relations = std::map<std::uint32_t, Found>;

// `name`: only that one, with its partitions
Result<Relations> find_relations(pg::Connection& c, const TableName* name) {
    const std::string columns =
        "SELECT c.oid, n.nspname, c.relname, c.relkind, CASE WHEN c.relispartition THEN i.inhparent END, "
        "c.reltuples::float8, c.relpages, i.xmin "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition ";
    const std::string filter = fmt::format(
        "c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' "
        "AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' "
        "AND NOT (n.nspname = 'godwit' AND c.relname ~ '^gw_') AND c.relname NOT IN ({})",
        kOwnTables);
    const auto rows = GW_TRY(
        name == nullptr
            ? c.query(columns + "WHERE " + filter)
            : c.query("WITH RECURSIVE tree(oid) AS (SELECT c.oid FROM pg_catalog.pg_class c "
                      "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                      "WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
                      "UNION ALL SELECT i.inhrelid FROM tree t "
                      "JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid "
                      "JOIN pg_catalog.pg_class k ON k.oid = i.inhrelid AND k.relispartition) " +
                          columns + "WHERE c.oid IN (SELECT oid FROM tree)",
                      std::vector<pg::Param>{name->schema, name->table}));
    Relations out;
    for (int i = 0; i < rows.size(); ++i) {
        Found& f = out[oid_at(rows, i, 0)];
        f.name = {rows.text(i, 1), rows.text(i, 2)};
        f.kind = rows.text(i, 3)[0];
        f.parent = oid_at(rows, i, 4);
        f.tuples = std::strtod(rows.text(i, 5).c_str(), nullptr);
        f.pages = rows.number(i, 6);
        f.attached = oid_at(rows, i, 7);
    }
    return out;
}

struct Size {
    std::int64_t heap = 0, whole = 0, live = 0;
    bool known = false;
};

// pg_table_size() would wait behind an ALTER in flight; such tables fall back to what ANALYZE knew.
Result<std::map<std::uint32_t, Size>> read_sizes(pg::Connection& c, const std::vector<std::uint32_t>& oids) {
    const auto rows = GW_TRY(
        c.query("SELECT k.oid, CASE WHEN b.relation IS NULL THEN pg_catalog.pg_relation_size(k.oid) END, "
                "CASE WHEN b.relation IS NULL THEN pg_catalog.pg_table_size(k.oid) END, "
                "pg_catalog.pg_stat_get_live_tuples(k.oid) "
                "FROM unnest($1::oid[]) k(oid) LEFT JOIN (SELECT DISTINCT relation FROM pg_catalog.pg_locks "
                "WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL) b ON b.relation = k.oid",
                std::vector<pg::Param>{oid_array(oids)}));
    std::map<std::uint32_t, Size> out;
    for (int i = 0; i < rows.size(); ++i)
        out[oid_at(rows, i, 0)] = {rows.number(i, 1), rows.number(i, 2), rows.number(i, 3), !rows.null(i, 1)};
    return out;
}

// Partitions that were created as such. ATTACH and DETACH touch every column's row, and a column that is
// added to a partitioned table later gets a row of its own; so one that is as old as the table's system
// columns, to the command, proves it.
Result<std::set<std::uint32_t>> read_born(pg::Connection& c, const std::vector<std::uint32_t>& oids) {
    std::set<std::uint32_t> out;
    if (oids.empty()) return out;
    const auto rows = GW_TRY(
        c.query("SELECT DISTINCT u.attrelid FROM pg_catalog.pg_attribute u JOIN pg_catalog.pg_attribute s "
                "ON s.attrelid = u.attrelid AND s.attnum < 0 AND s.xmin = u.xmin AND s.cmin = u.cmin "
                "WHERE u.attnum > 0 AND u.attrelid = ANY ($1::oid[])",
                std::vector<pg::Param>{oid_array(oids)}));
    for (int i = 0; i < rows.size(); ++i) out.insert(oid_at(rows, i, 0));
    return out;
}

// A table starts in the file of its own number; TRUNCATE and everything that rewrites it choose another.
bool state_is_original(const DescribedRelation& r) { return r.schema.storage_id == r.schema.source_id; }

std::vector<std::string> stored_columns(const TableSchema& t) {
    std::vector<std::string> out;
    for (const auto& c : t.columns)
        if (!c.generated) out.push_back(c.name);
    return out;
}

// The log carries no generated column, so a key with one names no row.
bool carried(const TableSchema& t, const std::vector<std::string>& key) {
    return !key.empty() && std::ranges::all_of(key, [&](const std::string& name) {
        const ColumnSchema* c = t.column(name);
        return c != nullptr && !c->generated;
    });
}

IdentityFacts identity_facts(const DescribedRelation& r) {
    IdentityFacts out{r.schema.name.table, r.replica_identity, {}, {}, r.schema.primary_key_deferrable};
    if (r.key_immediate && carried(r.schema, r.schema.primary_key)) out.key = r.schema.primary_key;
    if (carried(r.schema, r.identity_index)) out.index = r.identity_index;
    return out;
}

void identify(const DescribedRelation& r, const std::vector<IdentityFacts>& leaves, TableSchema& t) {
    auto named = name_rows(identity_facts(r), leaves);
    t.identity = named.identity;
    t.identity_columns = named.identity == RowIdentity::full && named.columns.empty()
                             ? stored_columns(t)
                             : std::move(named.columns);
}

// A partitioned table has no rows, so the constant that a new column had is with its leaves. Those that lack
// it came later, or have it in their rows.
void take_missing_values(const TableSchema& leaf, TableSchema& root) {
    for (auto& c : root.columns) {
        const ColumnSchema* mine = leaf.column(c.name);
        if (mine == nullptr || !mine->missing_value) continue;
        if (c.missing_value && c.missing_value != mine->missing_value) c.missing_differs = true;
        c.missing_value = mine->missing_value;
    }
}

Result<std::vector<TableSchema>> build(pg::Connection& c, const Relations& all,
                                       const std::vector<std::uint32_t>& taken) {
    // leaves of every taken partitioned table
    std::multimap<std::uint32_t, std::uint32_t> children;
    for (const auto& [oid, f] : all)
        if (f.parent != 0) children.emplace(f.parent, oid);
    std::map<std::uint32_t, std::vector<std::uint32_t>> leaves;
    for (const auto root : taken) {
        if (all.at(root).kind != 'p') continue;
        std::vector<std::uint32_t> open{root};
        while (!open.empty()) {
            const auto at = open.back();
            open.pop_back();
            for (auto [it, end] = children.equal_range(at); it != end; ++it)
                (all.at(it->second).kind == 'p' ? open : leaves[root]).push_back(it->second);
        }
        std::ranges::sort(leaves[root],
                          [&](std::uint32_t a, std::uint32_t b) { return all.at(a).name < all.at(b).name; });
    }
    std::vector<std::uint32_t> wanted = taken, sized;
    for (const auto& [root, l] : leaves) wanted.insert(wanted.end(), l.begin(), l.end());
    for (const auto oid : wanted)
        if (all.at(oid).kind == 'r' || all.at(oid).kind == 'm') sized.push_back(oid);
    auto described = GW_TRY(describe_relations(c, wanted));
    std::vector<std::uint32_t> partitions;
    for (const auto& [root, l] : leaves)
        for (const auto leaf : l)
            for (auto at = leaf; at != root; at = all.at(at).parent) partitions.push_back(at);
    const auto born = GW_TRY(read_born(c, partitions));
    const auto sizes = GW_TRY(read_sizes(c, sized));
    const auto add_size = [&](std::uint32_t oid, TableSchema& t) {
        const Found& f = all.at(oid);
        const auto it = sizes.find(oid);
        if (it == sizes.end()) return;
        const std::int64_t pages = it->second.heap / 8192;
        double rows = f.tuples;
        if (rows >= 0 && f.pages > 0 && pages > 0)
            rows = rows * static_cast<double>(pages) / static_cast<double>(f.pages);
        else
            rows = std::max(rows, static_cast<double>(it->second.live));
        t.rows_estimate += static_cast<std::int64_t>(std::max(0.0, rows));
        t.bytes_estimate +=
            static_cast<std::uint64_t>(it->second.whole != 0 ? it->second.whole : f.pages * 8192);
    };
    std::vector<TableSchema> out;
    out.reserve(taken.size());
    for (const auto oid : taken) {
        const auto it = described.find(oid);
        if (it == described.end()) continue;  // dropped meanwhile
        const DescribedRelation& r = it->second;
        TableSchema t = r.schema;
        t.is_view = r.kind == 'v' || r.kind == 'm';
        t.partitioned = r.kind == 'p';
        t.full_load_only = t.is_view || r.kind == 'f' || r.persistence == 'u';
        add_size(oid, t);
        std::vector<IdentityFacts> logging;
        if (const auto l = leaves.find(oid); l != leaves.end())
            for (const auto leaf : l->second) {
                const auto d = described.find(leaf);
                if (d == described.end()) continue;
                t.leaves.push_back(d->second.schema.name);
                LeafState state{leaf, d->second.schema.storage_id, state_is_original(d->second)};
                state.logged = d->second.kind != 'f' && d->second.persistence != 'u';
                const auto size = sizes.find(leaf);
                bool as_partition = true;
                for (auto at = leaf; at != oid; at = all.at(at).parent) {
                    as_partition = as_partition && born.contains(at);
                    state.attached_id = state.attached_id * 31 + all.at(at).attached;
                }
                const bool empty = size != sizes.end() && size->second.known && size->second.heap == 0;
                state.in_log = state.in_log && state.logged && (as_partition || empty);
                take_missing_values(d->second.schema, t);
                t.leaf_states.push_back(state);
                t.storage_id += d->second.schema.storage_id;
                add_size(leaf, t);
                if (state.logged) logging.push_back(identity_facts(d->second));
            }
        if (!t.full_load_only) identify(r, logging, t);
        out.push_back(std::move(t));
    }
    return out;
}

}  // namespace

std::string rows_changed(const TableSchema& known, const TableSchema& now) {
    if (known.leaf_states.size() != known.leaves.size() || !known.partitioned) return {};
    std::map<std::uint64_t, const LeafState*> before;
    for (const auto& leaf : known.leaf_states) before[leaf.source_id] = &leaf;
    std::string why;
    for (std::size_t i = 0; i < now.leaf_states.size(); ++i) {
        const auto& leaf = now.leaf_states[i];
        const auto it = before.find(leaf.source_id);
        if (it == before.end()) {
            if (!leaf.in_log)
                why =
                    fmt::format("partition {} joined table {}, and {}", now.leaves[i].text(), now.name.text(),
                                leaf.logged ? "rows that it held then are not in the log"
                                            : "it is unlogged or foreign: its changes are not in the log");
            continue;
        }
        if (it->second->attached_id != 0 && it->second->attached_id != leaf.attached_id)
            why = fmt::format(
                "partition {} left table {} for a while, and what happened to its rows is not in the log",
                now.leaves[i].text(), now.name.text());
        if (it->second->storage_id != leaf.storage_id)
            why = fmt::format(
                "partition {} of table {} was truncated or rewritten, which the log does not tell",
                now.leaves[i].text(), now.name.text());
        before.erase(it);
    }
    for (std::size_t i = 0; i < known.leaf_states.size() && why.empty(); ++i)
        if (before.contains(known.leaf_states[i].source_id))
            why = fmt::format("partition {} has left table {} with its rows", known.leaves[i].text(),
                              now.name.text());
    return why;
}

Result<std::vector<TableSchema>> read_tables(pg::Connection& connection, const Selection* selection,
                                             bool partitions_as_root) {
    const auto all = GW_TRY(find_relations(connection, nullptr));
    std::map<std::uint32_t, bool> selected;
    for (const auto& [oid, f] : all)
        selected[oid] = selection == nullptr || selection->selects(f.name, f.kind == 'v' || f.kind == 'm');
    const auto ancestor_selected = [&](const Found& f) {
        for (auto p = f.parent; p != 0;) {
            const auto it = all.find(p);
            if (it == all.end()) return false;
            if (selected[p]) return true;
            p = it->second.parent;
        }
        return false;
    };
    std::vector<std::uint32_t> taken;
    for (const auto& [oid, f] : all) {
        const bool take = partitions_as_root ? selected[oid] && !ancestor_selected(f)
                                             : f.kind != 'p' && (selected[oid] || ancestor_selected(f));
        if (take) taken.push_back(oid);
    }
    const auto order = [&](std::uint32_t oid) {
        return selection == nullptr ? 0 : selection->load_order(all.at(oid).name);
    };
    std::ranges::sort(taken, [&](std::uint32_t a, std::uint32_t b) {
        const auto x = order(a), y = order(b);
        return x != y ? x > y : all.at(a).name < all.at(b).name;
    });
    return build(connection, all, taken);
}

Result<TableSchema> read_table(pg::Connection& connection, const TableName& name) {
    const auto all = GW_TRY(find_relations(connection, &name));
    for (const auto& [oid, f] : all)
        if (f.name == name) {
            auto tables = GW_TRY(build(connection, all, {oid}));
            if (!tables.empty()) return std::move(tables.front());
        }
    return fail(ErrorCode::not_found, "there is no table " + name.text());
}

Result<> read_extras(pg::Connection& connection, std::vector<TableSchema>& tables) {
    std::unordered_map<std::uint32_t, TableSchema*> by_oid;
    std::vector<std::uint32_t> oids;
    for (auto& t : tables) {
        t.extras = {};
        t.extras.read = true;
        by_oid[static_cast<std::uint32_t>(t.source_id)] = &t;
        oids.push_back(static_cast<std::uint32_t>(t.source_id));
    }
    if (oids.empty()) return {};
    const std::vector<pg::Param> which{oid_array(oids)};
    const auto table_at = [&](const pg::Rows& rows, int row) -> TableSchema* {
        const auto it = by_oid.find(oid_at(rows, row, 0));
        return it == by_oid.end() ? nullptr : it->second;
    };
    {
        const auto rows = GW_TRY(connection.query(
            "SELECT i.indrelid, k.relname, i.indisunique, substr(pg_catalog.pg_get_indexdef(i.indexrelid), "
            "length("
            "'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || "
            "pg_catalog.quote_ident(k.relname) || ' ON ' || CASE WHEN k.relkind = 'I' THEN 'ONLY ' ELSE '' "
            "END || "
            "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.relname) || ' ') + 1) "
            "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid "
            "JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = "
            "t.relnamespace "
            "WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid AND NOT i.indisprimary AND NOT EXISTS "
            "(SELECT 1 FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid AND c.conrelid = "
            "i.indrelid "
            "AND c.contype IN ('u', 'x')) ORDER BY i.indrelid, k.relname",
            which));
        for (int i = 0; i < rows.size(); ++i)
            if (auto* t = table_at(rows, i))
                t->extras.indexes.push_back({rows.text(i, 1), rows.flag(i, 2), rows.text(i, 3)});
    }
    {
        const auto rows = GW_TRY(connection.query(
            "SELECT c.conrelid, c.contype, c.conname, pg_catalog.pg_get_constraintdef(c.oid), fn.nspname, "
            "f.relname "
            "FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid "
            "LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace "
            "WHERE c.conrelid = ANY ($1::oid[]) AND c.contype IN ('u', 'x', 'c', 'f') AND c.conparentid = 0 "
            "ORDER BY c.conrelid, c.conname",
            which));
        for (int i = 0; i < rows.size(); ++i) {
            auto* t = table_at(rows, i);
            if (t == nullptr) continue;
            const char kind = rows.text(i, 1)[0];
            NamedDefinition d{rows.text(i, 2), rows.text(i, 3)};
            if (kind == 'f')
                t->extras.foreign_keys.push_back({d.name, {rows.text(i, 4), rows.text(i, 5)}, d.definition});
            else
                (kind == 'c' ? t->extras.checks : t->extras.constraints).push_back(std::move(d));
        }
    }
    {
        // owned by a column (serial, identity) or named by its default
        const auto rows = GW_TRY(connection.query(
            "SELECT u.relid, n.nspname, s.relname, a.attname, u.deptype IN ('a', 'i'), u.deptype = 'i', "
            "pg_catalog.format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, "
            "q.seqcache, "
            "q.seqcycle, s.oid, "
            "pg_catalog.has_sequence_privilege(s.oid, 'SELECT') FROM ("
            "SELECT DISTINCT ON (seq, relid, attnum) * FROM ("
            "SELECT d.objid AS seq, d.refobjid AS relid, d.refobjsubid AS attnum, d.deptype::text "
            "FROM pg_catalog.pg_depend d WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.refobjsubid > "
            "0 "
            "AND d.deptype IN ('a', 'i') AND d.refobjid = ANY ($1::oid[]) "
            "UNION ALL SELECT d.refobjid, x.adrelid, x.adnum, 'n' FROM pg_catalog.pg_attrdef x "
            "JOIN pg_catalog.pg_depend d ON d.classid = 2604 AND d.objid = x.oid AND d.refclassid = 1259 "
            "WHERE x.adrelid = ANY ($1::oid[])) w ORDER BY seq, relid, attnum, deptype) u "
            "JOIN pg_catalog.pg_class s ON s.oid = u.seq AND s.relkind = 'S' "
            "JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace "
            "JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = u.relid AND a.attnum = u.attnum "
            "ORDER BY u.relid, a.attnum, s.relname",
            which));
        std::string values;
        for (int i = 0; i < rows.size(); ++i) {
            auto* t = table_at(rows, i);
            if (t == nullptr) continue;
            SequenceState s;
            s.name = {rows.text(i, 1), rows.text(i, 2)};
            s.column = rows.text(i, 3);
            s.owned = rows.flag(i, 4);
            s.identity = rows.flag(i, 5);
            s.data_type = rows.text(i, 6);
            s.start = rows.text(i, 7);
            s.increment = rows.text(i, 8);
            s.minimum = rows.text(i, 9);
            s.maximum = rows.text(i, 10);
            s.cache = rows.text(i, 11);
            s.cycle = rows.flag(i, 12);
            s.readable = rows.flag(i, 14);
            if (s.readable) {
                if (!values.empty()) values += " UNION ALL ";
                values +=
                    fmt::format("SELECT {}::int8, {}, last_value, is_called FROM {}", rows.text(i, 0),
                                t->extras.sequences.size(), pg::quote_name(s.name.schema, s.name.table));
            }
            t->extras.sequences.push_back(std::move(s));
            // a bounded number of relations in one statement
            if (values.size() > 60000 || i + 1 == rows.size()) {
                if (values.empty()) continue;
                const auto now = GW_TRY(connection.query(values));
                values.clear();
                for (int k = 0; k < now.size(); ++k) {
                    auto& state = by_oid.at(oid_at(now, k, 0))
                                      ->extras.sequences.at(static_cast<std::size_t>(now.number(k, 1)));
                    state.last_value = now.number(k, 2);
                    state.is_called = now.flag(k, 3);
                }
            }
        }
    }
    return {};
}

}  // namespace godwit::postgres
