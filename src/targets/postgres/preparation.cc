#include "targets/postgres/preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/failpoint.h"
#include "codecs/pg/relay.h"
#include "targets/postgres/ledger.h"
#include "targets/postgres/narrowing.h"

namespace godwit::postgres {
namespace {

constexpr std::int64_t kKeylessIndexRows = 10000;  // below, scanning is fast enough

std::string join(const std::vector<std::string>& parts, std::string_view by) {
    std::string out;
    for (const auto& p : parts) {
        if (!out.empty()) out += by;
        out += p;
    }
    return out;
}

std::string quoted_list(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& n : names) out += (out.empty() ? "" : ", ") + pg::quote_name(n);
    return out;
}

void roll_back(pg::Connection& c) {
    if (c.healthy() && PQtransactionStatus(c.raw()) != PQTRANS_IDLE) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
}

// Runs `sql` so that its failure leaves the transaction usable.
Result<> try_run(pg::Connection& c, const std::string& sql) {
    GW_CHECK(c.run("SAVEPOINT gw_try"));
    auto ran = c.run(sql);
    if (ran) return c.run("RELEASE SAVEPOINT gw_try");
    if (c.healthy()) GW_CHECK(c.run("ROLLBACK TO SAVEPOINT gw_try; RELEASE SAVEPOINT gw_try"));
    return ran;
}

Result<> create_schema(pg::Connection& c, const std::string& schema) {
    const auto there = GW_TRY(
        c.query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", std::vector<Param>{schema}));
    if (there.size() == 1) return {};
    auto made = c.run(
        "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('godwit schemas')); "
        "CREATE SCHEMA IF NOT EXISTS " +
        pg::quote_name(schema));
    if (!made) return std::unexpected(std::move(made).error().with("creating schema " + schema));
    return {};
}

// Asked after a refused DROP, outside the failed transaction.
std::string dependants_of(pg::Connection& c, const TableName& name) {
    const auto rows = c.query(
        "SELECT DISTINCT coalesce((SELECT pg_catalog.pg_describe_object(1259, r.ev_class, 0) FROM "
        "pg_catalog.pg_rewrite r WHERE d.classid = 2618 AND r.oid = d.objid), "
        "pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)) "
        "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace "
        "JOIN pg_catalog.pg_depend d ON d.deptype = 'n' AND ((d.refclassid = 1259 AND (d.refobjid = t.oid OR "
        "d.refobjid IN (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = t.oid))) OR "
        "(d.refclassid = 1247 AND d.refobjid = t.reltype)) "
        "WHERE n.nspname = $1 AND t.relname = $2 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k "
        "WHERE d.classid = 2606 AND k.oid = d.objid AND k.conrelid = t.oid) ORDER BY 1 LIMIT 20",
        std::vector<Param>{name.schema, name.table});
    if (!rows) return "";
    std::vector<std::string> names;
    for (int i = 0; i < rows->size(); ++i) names.push_back(rows->text(i, 0));
    return join(names, ", ");
}

// Triggers that would act on the rows that we write.
Result<> check_triggers(pg::Connection& c, const Sessions& sessions, const DescribedRelation& target,
                        std::vector<std::string>& warnings) {
    const auto rows = GW_TRY(c.query(
        "SELECT CASE WHEN k.contype = 'f' THEN 'foreign key ' || k.conname ELSE 'trigger ' || t.tgname END, "
        "t.tgenabled FROM pg_catalog.pg_trigger t LEFT JOIN pg_catalog.pg_constraint k ON k.oid = "
        "t.tgconstraint "
        "WHERE t.tgrelid = $1::oid AND t.tgenabled <> 'D' AND (NOT t.tgisinternal OR k.contype = 'f') "
        "GROUP BY 1, 2 ORDER BY 1",
        std::vector<Param>{std::to_string(target.schema.source_id)}));
    std::vector<std::string> acting;
    for (int i = 0; i < rows.size(); ++i) {
        const char enabled = rows.text(i, 1)[0];
        if (!sessions.replica_role() ? enabled != 'R' : enabled != 'O') acting.push_back(rows.text(i, 0));
    }
    if (acting.empty()) return {};
    if (sessions.replica_role()) {
        warnings.push_back(
            fmt::format("table {}: {} acts on every row although replication is under way (ENABLE ALWAYS "
                        "or REPLICA)",
                        target.schema.name.text(), join(acting, ", ")));
        return {};
    }
    return fail(
        ErrorCode::permission_denied,
        fmt::format(
            "table {} has {}, which must not act on replicated rows, and the target user may not switch "
            "it off: grant it SET ON PARAMETER session_replication_role (PostgreSQL 15 and later) or "
            "superuser, or drop or disable it",
            target.schema.name.text(), join(acting, ", ")));
}

// The columns that are there must take what the load writes.
Result<> check_columns(const TableSchema& source, const DescribedRelation& target,
                       std::vector<std::string>& warnings) {
    std::vector<std::string> missing, generated, unfilled, narrower, blanks;
    for (const auto& c : source.columns) {
        const ColumnSchema* t = target.schema.column(c.name);
        if (c.generated) {
            if (t != nullptr && !t->generated)
                warnings.push_back(
                    fmt::format("table {}: column {} is generated at the source and plain on the target: "
                                "it stays empty",
                                source.name.text(), c.name));
            continue;
        }
        if (t == nullptr) {
            missing.push_back(c.name);
        } else if (t->generated) {
            generated.push_back(c.name);
        } else if (const auto n = narrowing(c, source.types, *t, target.schema.types); n != Narrowing::none) {
            (n == Narrowing::value ? narrower : blanks)
                .push_back(fmt::format("{} ({} into {})", c.name, c.native_type, t->native_type));
        }
    }
    for (const auto& t : target.schema.columns) {
        const ColumnSchema* c = source.column(t.name);
        if ((c == nullptr || c->generated) && t.not_null && !t.generated && t.default_expression.empty() &&
            t.identity.empty())
            unfilled.push_back(t.name);
    }
    if (!missing.empty())
        return fail(ErrorCode::failed_precondition,
                    fmt::format("table {} on the target lacks column {}", target.schema.name.text(),
                                join(missing, ", ")));
    if (!generated.empty())
        return fail(
            ErrorCode::failed_precondition,
            fmt::format(
                "column {} of table {} is generated on the target and cannot take the source's values",
                join(generated, ", "), target.schema.name.text()));
    if (!narrower.empty())
        return fail(ErrorCode::failed_precondition,
                    fmt::format("table {} on the target would round or cut the source's values in column {}: "
                                "the column needs a type of the same kind with as many digits",
                                target.schema.name.text(), join(narrower, ", ")));
    if (!blanks.empty())
        warnings.push_back(
            fmt::format("table {}: the target drops blanks at the end of long values in column {}",
                        source.name.text(), join(blanks, ", ")));
    if (!unfilled.empty())
        return fail(
            ErrorCode::failed_precondition,
            fmt::format(
                "column {} of table {} is NOT NULL on the target, has no default and does not exist at "
                "the source",
                join(unfilled, ", "), target.schema.name.text()));
    return {};
}

// Cells of another family are text that the column's type reads, except bytes, which no other type takes. In
// binary they are of the types that a table of our own making has, so those must be the target's, with their
// lengths: a value is not cast, it is silently another one. `source` in our own words.
Result<std::string> choose_portable_format(const TargetContext& x, const TableSchema& source,
                                           const DescribedRelation& target,
                                           const std::vector<std::string>& offered) {
    constexpr int kIntegerTimes = 100000;  // servers before may keep times as floating point
    constexpr std::uint32_t kBytea = 17;
    for (const auto& c : source.columns)
        if (const ColumnSchema* t = target.schema.column(c.name);
            t != nullptr && c.portable.binary() && t->type_id != kBytea)
            return fail(
                ErrorCode::failed_precondition,
                fmt::format("column {} of table {} holds bytes and is {} on the target: it must be bytea",
                            c.name, source.name.text(), t->native_type));
    const auto offers = [&](std::string_view f) { return std::ranges::find(offered, f) != offered.end(); };
    const bool own_types = std::ranges::all_of(source.columns, [&](const ColumnSchema& c) {
        const ColumnSchema* t = target.schema.column(c.name);
        return c.generated ||
               (t != nullptr && t->type_id == c.type_id && t->type_modifier == c.type_modifier);
    });
    if (own_types && offers(kRowsBinary) && x.target.encoding == "UTF8" && x.target.version >= kIntegerTimes)
        return std::string(kRowsBinary);
    if (!offers(kRowsCopy))
        return fail(
            ErrorCode::unsupported,
            fmt::format("table {} cannot be loaded in any form that the source offers", source.name.text()));
    return std::string(kRowsCopy);
}

// Binary when every column may pass so; else CSV for the table.
Result<std::string> choose_format(const TargetContext& x, const TableSchema& source,
                                  const DescribedRelation& target, const std::vector<std::string>& offered,
                                  std::vector<std::string>& warnings) {
    const auto offers = [&](std::string_view f) { return std::ranges::find(offered, f) != offered.end(); };
    if (x.source.family != x.target.family) return choose_portable_format(x, source, target, offered);
    std::vector<std::string> why;
    for (const auto& c : source.columns) {
        if (c.generated) continue;
        const ColumnSchema* t = target.schema.column(c.name);
        if (t == nullptr) continue;
        auto refusal = binary_refusal({x.source, c, source.types}, {x.target, *t, target.schema.types});
        if (!refusal.empty()) why.push_back(std::move(refusal));
    }
    if (why.empty() && offers(kFormatBinary)) return std::string(kFormatBinary);
    if (!offers(kFormatCsv))
        return fail(ErrorCode::unsupported,
                    fmt::format("table {} cannot be loaded in any form that the source offers{}{}",
                                source.name.text(), why.empty() ? "" : ": ", join(why, "; ")));
    if (!why.empty()) {
        if (why.size() > 3) why.resize(3), why.emplace_back("...");
        warnings.push_back(fmt::format("table {} loads as text: {}", source.name.text(), join(why, "; ")));
    }
    // from 15 on "char" prints a byte above 127 as \ooo, which older servers read as a backslash
    if (x.source.version >= 150000 && x.target.version < 150000)
        for (const auto& c : source.columns)
            if (c.type_id == 18 || c.type_id == 1002)
                warnings.push_back(
                    fmt::format("table {}: bytes above 127 in column {} of type \"char\" do not survive "
                                "as text on a server before 15",
                                source.name.text(), c.name));
    return std::string(kFormatCsv);
}

// What is loaded in binary may also be changed in binary.
std::string stream_format_of(std::string_view load_format) {
    if (load_format == kRowsCopy || load_format == kRowsBinary) return std::string(kCellsCopy);
    return load_format == kFormatBinary ? "pg.binary" : "pg.text";
}

// Is there an index that starts with these columns, in any order? unique: with exactly these.
Result<bool> has_index(pg::Connection& c, std::uint64_t table, const std::vector<std::string>& columns,
                       bool unique) {
    if (columns.empty()) return true;
    const auto rows = GW_TRY(
        c.query("SELECT pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM "
                "pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(n, o) JOIN "
                "pg_catalog.pg_attribute a "
                "ON a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY k.o), E'\\x01'), i.indisunique AND "
                "i.indimmediate, "
                "i.indnkeyatts FROM pg_catalog.pg_index i "
                "WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL",
                std::vector<Param>{std::to_string(table)}));
    std::set<std::string> wanted;
    for (const auto& n : columns) {
        const auto q = GW_TRY(c.query("SELECT pg_catalog.quote_ident($1)", std::vector<Param>{n}));
        wanted.insert(q.text(0, 0));
    }
    for (int i = 0; i < rows.size(); ++i) {
        const std::string all = rows.text(i, 0);
        std::vector<std::string> keys;
        for (std::size_t from = 0; from <= all.size();) {
            auto to = all.find('\x01', from);
            if (to == std::string::npos) to = all.size();
            keys.push_back(all.substr(from, to - from));
            from = to + 1;
        }
        if (unique && (!rows.flag(i, 1) || keys.size() != wanted.size())) continue;
        const std::size_t leading = std::min(keys.size(), wanted.size());
        if (std::all_of(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(leading),
                        [&](const std::string& k) { return wanted.contains(k); }))
            return true;
    }
    return false;
}

Result<> warn_of_missing_index(pg::Connection& c, const TableSchema& source, const DescribedRelation& target,
                               std::vector<std::string>& warnings) {
    if (source.identity == RowIdentity::none || source.full_load_only) return {};
    const bool whole_row =
        source.identity == RowIdentity::full && source.identity_columns != source.primary_key;
    if (whole_row) {
        for (const auto& column : source.identity_columns)
            if (GW_TRY(has_index(c, target.schema.source_id, {column}, false))) return {};
        warnings.push_back(
            fmt::format("table {} has no key and no index on the target: every update and delete will "
                        "read the whole table",
                        source.name.text()));
        return {};
    }
    if (GW_TRY(has_index(c, target.schema.source_id, source.identity_columns, true))) return {};
    if (GW_TRY(has_index(c, target.schema.source_id, source.identity_columns, false)))
        warnings.push_back(
            fmt::format("table {} has no unique index on {} on the target: a repeated row would not be "
                        "refused",
                        source.name.text(), join(source.identity_columns, ", ")));
    else
        warnings.push_back(
            fmt::format("table {} has no index on {} on the target: every update and delete will read "
                        "the whole table",
                        source.name.text(), join(source.identity_columns, ", ")));
    return {};
}

Result<> create_table(pg::Connection& c, const TargetContext& x, const TableSchema& source,
                      const TableName& target, std::vector<std::string>& warnings) {
    GW_CHECK(create_schema(c, target.schema));
    const TypeMap map = GW_TRY(create_types(c, x, source.types, warnings));
    std::string columns;
    for (const auto& column : source.columns) {
        if (!columns.empty()) columns += ",\n    ";
        columns += pg::quote_name(column.name) + " " + target_type(column, source.types, map);
        if (!column.collation.empty()) {
            if (GW_TRY(has_collation(c, column.collation)))
                columns += " COLLATE " + column.collation;
            else
                warnings.push_back(
                    fmt::format("table {}: collation {} of column {} does not exist on the target; its "
                                "default is used",
                                source.name.text(), column.collation, column.name));
        }
        if (column.generated)
            columns +=
                fmt::format(" GENERATED ALWAYS AS ({}) {}", column.generation_expression,
                            column.generated_virtual && x.target.version >= 180000 ? "VIRTUAL" : "STORED");
        if (column.not_null) columns += " NOT NULL";
    }
    auto made = c.run("CREATE TABLE " + pg::quote_name(target.schema, target.table) + " (" + columns + ")");
    if (!made) return std::unexpected(std::move(made).error().with("creating table " + target.text()));
    return {};
}

// `rows`: the table without those that inherit from it
Result<> empty_table(pg::Connection& c, const TableName& target, const std::string& rows, bool truncate) {
    if (truncate) {
        auto emptied = try_run(c, "TRUNCATE " + rows);
        if (emptied) return {};
        // referenced by a foreign key, or no right to truncate
        if (emptied.error().sqlstate != "0A000" && emptied.error().sqlstate != "42501") return emptied;
    }
    auto deleted = c.run("DELETE FROM " + rows);
    if (!deleted)
        return std::unexpected(
            std::move(deleted).error().with("emptying table " + target.text() + " before its load"));
    return {};
}

// Under DO_NOTHING a second load may only remove rows that the first one wrote.
Result<> empty_own_rows(pg::Connection& c, const TargetContext& x, const BeganGeneration& began,
                        const TableName& target, const std::string& rows) {
    if (!began.filled_before) return {};
    bool shared = began.shared_before;
    if (!GW_RULE("prepare.foreign_rows")) return empty_table(c, target, rows, false);
    if (!shared) {
        const auto others =
            GW_TRY(c.query("SELECT task FROM godwit.gw_table WHERE task <> $1 AND target_schema = $2 AND "
                           "target_table = $3 LIMIT 1",
                           std::vector<Param>{x.task, target.schema, target.table}));
        shared = others.size() != 0;
    }
    if (shared)
        return fail(
            ErrorCode::failed_precondition,
            fmt::format(
                "table {} must be loaded again, and under DO_NOTHING it also holds rows that are not this "
                "task's: remove this task's rows, or choose another TargetTablePrepMode",
                target.text()));
    return empty_table(c, target, rows, false);
}

Result<DescribedRelation> describe_one(pg::Connection& c, const TableName& name) {
    auto found = GW_TRY(describe_relation(c, name));
    if (found.empty())
        return fail(ErrorCode::not_found, "table " + name.text() + " does not exist on the target");
    return std::move(found.front());
}

// Is the target's table another source table's?
Result<> check_single_source(pg::Connection& c, const TargetContext& x, const TableName& source,
                             const TableName& target) {
    if (!GW_RULE("prepare.single_source")) return {};
    const auto rows = GW_TRY(
        c.query("SELECT source_schema, source_table FROM godwit.gw_table WHERE task = $1 AND target_schema = "
                "$2 AND target_table = $3 AND phase IN ('loading', 'loaded', 'joined')",
                std::vector<Param>{x.task, target.schema, target.table}));
    for (int i = 0; i < rows.size(); ++i)
        if (const TableName other{rows.text(i, 0), rows.text(i, 1)};
            other != source && x.name_of(other) == target)
            return two_sources(target, other);
    return {};
}

Result<PreparedTable> prepare_in_transaction(pg::Connection& c, const Sessions& sessions,
                                             const TargetContext& x, const TableSchema& source, PrepMode mode,
                                             const std::vector<std::string>& offered,
                                             const SnapshotMark& mark, const TableName& target) {
    PreparedTable out;
    // The generation first: it waits for slices under way, and those that come later are refused. Emptying
    // first would wait for a slice that waits for us.
    if (!GW_RULE("prepare.generation_first"))
        GW_CHECK(try_run(
            c, "LOCK TABLE " + pg::quote_name(target.schema, target.table) + " IN ACCESS EXCLUSIVE MODE"));
    const auto began = GW_TRY(begin_generation(c, x.task, sessions.epoch(), source.name, mark));
    out.generation = began.generation;
    GW_CHECK(check_single_source(c, x, source.name, target));
    GW_FAILPOINT("prepare.generation_raised");
    auto found = GW_TRY(describe_relation(c, target));
    bool shared = false;
    if (!found.empty()) {
        const char kind = found.front().kind;
        if (kind != 'r' && kind != 'p')
            return fail(ErrorCode::failed_precondition,
                        fmt::format("{} on the target is not a table but a {}", target.text(),
                                    kind == 'v'   ? "view"
                                    : kind == 'm' ? "materialized view"
                                    : kind == 'f' ? "foreign table"
                                                  : "relation of another kind"));
        if (mode == PrepMode::drop_and_create) {
            GW_CHECK(c.run("DROP TABLE " + pg::quote_name(target.schema, target.table)));
            found.clear();
        }
    }
    if (found.empty()) {
        GW_CHECK(create_table(c, x, source, target, out.warnings));
        out.created = true;
    } else {
        // created by an earlier load of ours whose end never came: keys are still to be built
        out.created = began.created_before;
        GW_CHECK(check_columns(source, found.front(), out.warnings));
        GW_CHECK(check_triggers(c, sessions, found.front(), out.warnings));
        const std::string rows =
            (found.front().kind == 'r' ? "ONLY " : "") + pg::quote_name(target.schema, target.table);
        if (mode == PrepMode::truncate) {
            GW_CHECK(empty_table(c, target, rows, true));
        } else {
            GW_CHECK(empty_own_rows(c, x, began, target, rows));
            const auto any = GW_TRY(c.query("SELECT EXISTS (SELECT 1 FROM " + rows + ")"));
            shared = any.flag(0, 0);
        }
    }
    const auto now = GW_TRY(describe_one(c, target));
    if (!out.created) GW_CHECK(warn_of_missing_index(c, source, now, out.warnings));
    out.format = GW_TRY(choose_format(x, source, now, offered, out.warnings));
    out.stream_format = stream_format_of(out.format);
    GW_CHECK(
        c.query("UPDATE godwit.gw_table SET format = $4, created = $5::boolean, filled = false, "
                "shared = $6::boolean, target_schema = $7, target_table = $8, "
                "source_id = $9::bigint WHERE task = $1 AND source_schema = $2 AND source_table = $3",
                std::vector<Param>{x.task, source.name.schema, source.name.table, out.format,
                                   out.created ? "true" : "false", shared ? "true" : "false", target.schema,
                                   target.table, std::to_string(source.source_id)}));
    return out;
}

Result<> check_generation(pg::Connection& c, const Sessions& sessions, const TargetContext& x,
                          const TableSchema& table, std::uint64_t generation) {
    auto fresh = c.query(
        "WITH s AS (SELECT 1 FROM godwit.gw_table WHERE task = $1 AND source_schema = $2 AND "
        "source_table = $3 AND generation = $4::bigint AND epoch = $5::bigint FOR SHARE) "
        "SELECT 1/count(*) FROM s",
        std::vector<Param>{x.task, table.name.schema, table.name.table, std::to_string(generation),
                           std::to_string(sessions.epoch())});
    if (!fresh) return std::unexpected(explain_refusal(std::move(fresh).error(), "finishing the load"));
    return {};
}

std::string build_settings(const TargetContext& x) {
    const auto memory = std::clamp<std::int64_t>(x.endpoint.number("maintenanceworkmemmb", 512), 1, 65536);
    std::string sql = fmt::format("SET LOCAL maintenance_work_mem = '{}MB'; ", memory);
    if (const auto workers = x.endpoint.number("maxparallelmaintenanceworkers", -1);
        workers >= 0 && x.target.version >= 110000)
        sql += fmt::format("SET LOCAL max_parallel_maintenance_workers = {}; ",
                           std::min<std::int64_t>(workers, 64));
    return sql;
}

Result<> build_keys(pg::Connection& c, const TableSchema& source, const DescribedRelation& target,
                    const TableName& name) {
    const std::string quoted = pg::quote_name(name.schema, name.table);
    if (!source.primary_key.empty() && target.schema.primary_key.empty()) {
        const std::string key =
            fmt::format(" PRIMARY KEY ({}){}", quoted_list(source.primary_key),
                        source.primary_key_deferrable ? " DEFERRABLE INITIALLY DEFERRED" : "");
        // not every source names its keys
        const std::string named =
            source.primary_key_name.empty() ? "" : " CONSTRAINT " + pg::quote_name(source.primary_key_name);
        auto built = try_run(c, "ALTER TABLE " + quoted + " ADD" + named + key);
        // another relation of the target schema may have the name
        if (!built && (built.error().sqlstate == "42P07" || built.error().sqlstate == "42710"))
            built = c.run("ALTER TABLE " + quoted + " ADD" + key);
        if (!built)
            return std::unexpected(std::move(built).error().with("primary key of table " + name.text()));
    }
    // The source names its rows by another index: the target needs it too.
    if (source.identity == RowIdentity::key && !source.identity_columns.empty() &&
        GW_RULE("finish.identity_index") &&
        !GW_TRY(has_index(c, target.schema.source_id, source.identity_columns, true))) {
        auto built =
            c.run("CREATE UNIQUE INDEX ON " + quoted + " (" + quoted_list(source.identity_columns) + ")");
        if (!built)
            return std::unexpected(std::move(built).error().with("identity index of table " + name.text()));
    }
    return {};
}

// Rows of a keyless table are matched on all columns; one index keeps that from reading the whole table.
Result<> build_keyless_index(pg::Connection& c, const TableSchema& source, const DescribedRelation& target,
                             const TableName& name) {
    if (source.identity != RowIdentity::full || source.identity_columns == source.primary_key) return {};
    const auto rows = GW_TRY(c.query("SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = $1::oid",
                                     std::vector<Param>{std::to_string(target.schema.source_id)}));
    if (rows.number(0, 0) <= kKeylessIndexRows) return {};
    for (const auto& column : source.identity_columns)
        if (GW_TRY(has_index(c, target.schema.source_id, {column}, false))) return {};
    // btree refuses values above 2,700 bytes, so what may be long gets a hash index
    const auto best = GW_TRY(c.query(
        "SELECT a.attname, b.typlen > 0 OR (b.typname IN ('numeric', 'bpchar', 'varchar', 'bit', 'varbit') "
        "AND "
        "a.atttypmod BETWEEN 0 AND 600) "
        "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_stats s ON s.schemaname = $2 AND s.tablename = $3 "
        "AND s.attname = a.attname AND NOT s.inherited JOIN pg_catalog.pg_type b ON b.oid = a.atttypid "
        "WHERE a.attrelid = $1::oid" +
            std::string(c.server_version() >= 120000 ? " AND a.attgenerated = '' " : " ") +
            // plain types with btree and hash equality
            "AND EXISTS (SELECT 1 FROM pg_catalog.pg_opclass o WHERE o.opcmethod = 403 AND o.opcdefault AND "
            "(o.opcintype = b.oid OR (b.typtype = 'e' AND o.opcintype = 3500) OR (b.oid = 1043 AND "
            "o.opcintype = "
            "25))) "
            "AND EXISTS (SELECT 1 FROM pg_catalog.pg_opclass o WHERE o.opcmethod = 405 AND o.opcdefault AND "
            "(o.opcintype = b.oid OR (b.typtype = 'e' AND o.opcintype = 3500) OR (b.oid = 1043 AND "
            "o.opcintype = "
            "25))) "
            "ORDER BY (1 - s.null_frac) * CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * $4::float8 ELSE "
            "s.n_distinct END "
            "DESC, 2 DESC, a.attnum LIMIT 1",
        std::vector<Param>{std::to_string(target.schema.source_id), name.schema, name.table,
                           rows.text(0, 0)}));
    if (best.size() == 0) return {};
    auto built =
        c.run(fmt::format("CREATE INDEX ON {} USING {} ({})", pg::quote_name(name.schema, name.table),
                          best.flag(0, 1) ? "btree" : "hash", pg::quote_name(best.text(0, 0))));
    if (!built)
        return std::unexpected(std::move(built).error().with("index of keyless table " + name.text()));
    return {};
}

}  // namespace

std::string quote_if_needed_prefix(const std::string& schema) {
    const bool plain = !schema.empty() && (schema[0] == '_' || (schema[0] >= 'a' && schema[0] <= 'z')) &&
                       std::ranges::all_of(schema, [](char ch) {
                           return ch == '_' || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
                       });
    return (plain ? schema : pg::quote_name(schema)) + ".";
}

Result<bool> has_collation(pg::Connection& c, const std::string& collation) {
    if (c.server_version() >= 130000) {
        const auto rows = GW_TRY(
            c.query("SELECT pg_catalog.to_regcollation($1) IS NOT NULL", std::vector<Param>{collation}));
        return rows.flag(0, 0);
    }
    auto rows = c.query(
        "SELECT 1 FROM pg_catalog.pg_collation k JOIN pg_catalog.pg_namespace n ON n.oid = k.collnamespace "
        "WHERE pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(k.collname) = $1 "
        "AND k.collencoding IN (-1, (SELECT encoding FROM pg_catalog.pg_database WHERE datname = "
        "pg_catalog.current_database()))",
        std::vector<Param>{collation});
    if (!rows) return std::unexpected(std::move(rows).error());
    return rows->size() > 0;
}

std::string target_type(const ColumnSchema& column, const std::vector<UserType>& types, const TypeMap& map) {
    for (const auto& t : types) {
        if (t.type_id != column.type_id && t.array_type_id != column.type_id &&
            t.multirange_type_id != column.type_id && t.multirange_array_type_id != column.type_id)
            continue;
        if (std::ranges::find(map.unusable, t.name.text()) != map.unusable.end()) return "character varying";
        if (t.kind != UserType::Kind::extension) continue;
        for (const auto& [from, to] : map.moved)
            if (column.native_type.starts_with(from)) return to + column.native_type.substr(from.size());
    }
    return column.native_type;
}

Result<TypeMap> create_types(pg::Connection& c, const TargetContext& x, const std::vector<UserType>& types,
                             std::vector<std::string>& warnings) {
    TypeMap map;
    bool locked = false;
    const auto exists = [&](const UserType& t) -> Result<bool> {
        const auto rows = GW_TRY(c.query(
            "SELECT 1 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
            "WHERE n.nspname = $1 AND t.typname = $2",
            std::vector<Param>{t.name.schema, t.name.table}));
        return rows.size() > 0;
    };
    const auto lock = [&]() -> Result<> {
        if (locked) return {};
        locked = true;
        return c.run("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('godwit types'))");
    };
    const auto uses_unusable = [&](const UserType& t) {
        const auto is = [&](const ColumnSchema& part) {
            return target_type(part, types, map) == "character varying" &&
                   part.native_type != "character varying";
        };
        return is(t.base) || std::ranges::any_of(t.attributes, is);
    };
    const auto attribute_list = [&](const UserType& t) -> Result<std::string> {
        std::string out;
        for (const auto& a : t.attributes) {
            out += (out.empty() ? "" : ", ") + pg::quote_name(a.name) + " " + target_type(a, types, map);
            if (!a.collation.empty() && GW_TRY(has_collation(c, a.collation)))
                out += " COLLATE " + a.collation;
        }
        return out;
    };
    for (const auto& t : types) {
        if (t.name.schema == "information_schema" || t.name.schema == "pg_catalog") continue;
        const std::string name = pg::quote_name(t.name.schema, t.name.table);
        if (t.kind == UserType::Kind::extension) {
            const auto find = [&]() -> Result<std::string> {
                const auto rows =
                    GW_TRY(c.query("SELECT n.nspname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace "
                                   "n ON n.oid = t.typnamespace "
                                   "JOIN pg_catalog.pg_depend d ON d.classid = 1247 AND d.objid = t.oid AND "
                                   "d.refclassid = 3079 AND "
                                   "d.deptype = 'e' JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid "
                                   "WHERE e.extname = $1 AND t.typname = $2",
                                   std::vector<Param>{t.extension, t.name.table}));
                return rows.size() == 0 ? std::string() : rows.text(0, 0);
            };
            std::string schema = GW_TRY(find());
            if (schema.empty()) {
                GW_CHECK(lock());
                GW_CHECK(create_schema(c, t.extension_schema));
                const std::string create = "CREATE EXTENSION IF NOT EXISTS " + pg::quote_name(t.extension) +
                                           " SCHEMA " + pg::quote_name(t.extension_schema);
                auto made = try_run(c, create + " VERSION " + pg::quote_literal(t.extension_version));
                if (!made && c.healthy() && made.error().sqlstate != "42501") {
                    made = try_run(c, create);
                    if (made)
                        warnings.push_back(
                            fmt::format("extension {} has another version on the target than {}", t.extension,
                                        t.extension_version));
                }
                if (!made) {
                    if (made.error().sqlstate != "42501")
                        return std::unexpected(std::move(made).error().with("extension " + t.extension));
                    warnings.push_back(
                        fmt::format("the target user may not create extension {}; columns of type {} become "
                                    "character varying",
                                    t.extension, t.name.text()));
                    map.unusable.push_back(t.name.text());
                    continue;
                }
                schema = GW_TRY(find());
            }
            if (!schema.empty() && schema != t.name.schema)
                map.moved.emplace_back(quote_if_needed_prefix(t.name.schema), quote_if_needed_prefix(schema));
            continue;
        }
        if (GW_TRY(exists(t))) {
            if (t.kind != UserType::Kind::enumeration || x.target.version < 120000) continue;
            // labels that the source has gained since
            const auto rows =
                GW_TRY(c.query("SELECT e.enumlabel FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON "
                               "t.oid = e.enumtypid "
                               "JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = "
                               "$1 AND t.typname = $2",
                               std::vector<Param>{t.name.schema, t.name.table}));
            std::set<std::string> have;
            for (int i = 0; i < rows.size(); ++i) have.insert(rows.text(i, 0));
            if (have.empty()) continue;
            for (std::size_t i = 0; i < t.labels.size(); ++i) {
                if (have.contains(t.labels[i])) continue;
                GW_CHECK(lock());
                std::string where;
                if (i > 0)
                    where = " AFTER " + pg::quote_literal(t.labels[i - 1]);
                else if (t.labels.size() > 1)
                    where = " BEFORE " + pg::quote_literal(t.labels[1]);
                if (i == 0 && t.labels.size() > 1 && !have.contains(t.labels[1])) where.clear();
                auto added = try_run(c, "ALTER TYPE " + name + " ADD VALUE IF NOT EXISTS " +
                                            pg::quote_literal(t.labels[i]) + where);
                warnings.push_back(added
                                       ? fmt::format("enum {} on the target was given label {} of the source",
                                                     t.name.text(), i + 1)
                                       : fmt::format("enum {} on the target lacks label {} of the source",
                                                     t.name.text(), i + 1));
                have.insert(t.labels[i]);
            }
            continue;
        }
        GW_CHECK(lock());
        if (GW_TRY(exists(t))) continue;  // made while we waited
        if (uses_unusable(t)) {
            map.unusable.push_back(t.name.text());
            continue;
        }
        std::string sql;
        switch (t.kind) {
            case UserType::Kind::enumeration: {
                std::string labels;
                for (const auto& l : t.labels) labels += (labels.empty() ? "" : ", ") + pg::quote_literal(l);
                sql = "CREATE TYPE " + name + " AS ENUM (" + labels + ")";
                break;
            }
            case UserType::Kind::domain:
                sql = "CREATE DOMAIN " + name + " AS " + target_type(t.base, types, map);
                if (!t.base.collation.empty() && GW_TRY(has_collation(c, t.base.collation)))
                    sql += " COLLATE " + t.base.collation;
                if (t.base.not_null) sql += " NOT NULL";
                for (const auto& check : t.checks)
                    sql += " CONSTRAINT " + pg::quote_name(check.name) + " " + check.definition;
                break;
            case UserType::Kind::composite:
                if (!t.row_type) sql = "CREATE TYPE " + name + " AS (" + GW_TRY(attribute_list(t)) + ")";
                break;
            case UserType::Kind::range:
                if (t.creatable) {
                    sql = "CREATE TYPE " + name + " AS RANGE (subtype = " + target_type(t.base, types, map) +
                          t.range_options;
                    if (!t.multirange_name.empty() && x.target.version >= 140000)
                        sql += ", multirange_type_name = " + t.multirange_name;
                    sql += ")";
                }
                break;
            case UserType::Kind::base:
            case UserType::Kind::extension:
                break;
        }
        if (sql.empty())
            return fail(
                ErrorCode::unsupported,
                fmt::format(
                    "type {} cannot be created on the target by its definition alone; create it there first",
                    t.name.text()));
        Result<> made = try_run(c, "SELECT 1");
        if (auto schema = create_schema(c, t.name.schema); !schema)
            made = std::move(schema);
        else
            made = try_run(c, sql);
        if (made) continue;
        if (made.error().sqlstate != "42501" || !c.healthy() ||
            PQtransactionStatus(c.raw()) != PQTRANS_INTRANS)
            return std::unexpected(std::move(made).error().with("creating type " + t.name.text()));
        warnings.push_back(fmt::format(
            "the target user may not create type {}; its columns become character varying", t.name.text()));
        map.unusable.push_back(t.name.text());
    }
    return map;
}

Result<PreparedTable> prepare_table(Sessions& sessions, const TargetContext& x, const TableSchema& source,
                                    PrepMode mode, const std::vector<std::string>& offered,
                                    const SnapshotMark& mark) {
    const TableName target = x.name_of(source.name);
    auto held = GW_TRY(sessions.hold());
    pg::Connection& c = *held;
    const auto wait_s = std::max<std::int64_t>(1, x.endpoint.number("executetimeout", 60));
    GW_CHECK(c.run(fmt::format("BEGIN; SET LOCAL lock_timeout = '{}s'", wait_s)));
    auto prepared = prepare_in_transaction(c, sessions, x, source, mode, offered, mark, target);
    if (prepared) {
        auto done = [&]() -> Result<> {
            GW_FAILPOINT("prepare.before_commit");
            return c.run("COMMIT");
        }();
        if (!done) {
            roll_back(c);
            return std::unexpected(std::move(done).error().with("preparing table " + target.text()));
        }
        return prepared;
    }
    Error error = std::move(prepared).error();
    roll_back(c);
    if (error.sqlstate == "2BP01")
        error.message = fmt::format(
            "table {} cannot be dropped because others depend on it: {}; drop them, or choose "
            "another TargetTablePrepMode",
            target.text(), dependants_of(c, target));
    if (error.sqlstate == "55P03")
        error.message =
            fmt::format("table {} on the target stayed locked by others for {} s", target.text(), wait_s);
    return std::unexpected(std::move(error).with("preparing table " + target.text()));
}

Result<PreparedTable> prepared_table(Sessions& sessions, const TargetContext& x, const TableSchema& source,
                                     const TableState& state, const std::vector<std::string>& offered) {
    auto held = GW_TRY(sessions.hold());
    pg::Connection& c = *held;
    PreparedTable out;
    out.generation = state.generation;
    const auto rows = GW_TRY(c.query(
        "SELECT created FROM godwit.gw_table WHERE task = $1 AND source_schema = $2 AND "
        "source_table = $3 AND generation = $4::bigint",
        std::vector<Param>{x.task, source.name.schema, source.name.table, std::to_string(state.generation)}));
    if (rows.size() != 1)
        return fail(ErrorCode::failed_precondition,
                    "table " + source.name.text() + " was prepared anew by another process");
    out.created = rows.flag(0, 0);
    const auto target = GW_TRY(describe_one(c, x.name_of(source.name)));
    GW_CHECK(check_columns(source, target, out.warnings));
    out.format = GW_TRY(choose_format(x, source, target, offered, out.warnings));
    out.stream_format = stream_format_of(out.format);
    return out;
}

Result<> finish_table(Sessions& sessions, const TargetContext& x, const TableSchema& source,
                      const PreparedTable& prepared, TablePhase phase, std::uint64_t rows) {
    const TableName target = x.name_of(source.name);
    const std::string quoted = pg::quote_name(target.schema, target.table);
    auto held = GW_TRY(sessions.hold());
    pg::Connection& c = *held;
    const auto in_transaction = [&](auto&& work) -> Result<> {
        GW_CHECK(c.run("BEGIN; " + build_settings(x)));
        auto done = [&]() -> Result<> {
            GW_CHECK(check_generation(c, sessions, x, source, prepared.generation));
            GW_CHECK(work());
            return c.run("COMMIT");
        }();
        if (!done) roll_back(c);
        return done;
    };
    if (prepared.created) {
        auto built = in_transaction([&]() -> Result<> {
            const auto now = GW_TRY(describe_one(c, target));
            GW_CHECK(build_keys(c, source, now, target));
            GW_FAILPOINT("finish.keys_open");
            return {};
        });
        if (!built) return built;
        GW_FAILPOINT("finish.keys_built");
    }
    // statistics on a table of the user's may be his own business: a refusal is a notice, not an error
    GW_CHECK(c.run("ANALYZE " + quoted));
    if (prepared.created) {
        auto built = in_transaction([&]() -> Result<> {
            const auto now = GW_TRY(describe_one(c, target));
            return build_keyless_index(c, source, now, target);
        });
        if (!built) return built;
    }
    GW_FAILPOINT("finish.before_phase");
    // a process that took over does not know the rows of slices that it did not load
    auto saved = c.query(
        "WITH u AS (UPDATE godwit.gw_table g SET phase = $6, reason = '', rows = greatest($7::bigint, "
        "(SELECT "
        "coalesce(sum(s.rows), 0) FROM godwit.gw_slice s WHERE s.task = $1 AND s.source_schema = $2 AND "
        "s.source_table = $3 AND s.generation = $4::bigint)) WHERE task = $1 AND source_schema = $2 AND "
        "source_table = $3 AND generation = $4::bigint AND epoch = $5::bigint RETURNING 1) SELECT 1/count(*) "
        "FROM u",
        std::vector<Param>{x.task, source.name.schema, source.name.table, std::to_string(prepared.generation),
                           std::to_string(sessions.epoch()), std::string(phase_name(phase)),
                           std::to_string(rows)});
    if (!saved) return std::unexpected(explain_refusal(std::move(saved).error(), "finishing the load"));
    return {};
}

Result<std::string> bring_types(Sessions& sessions, const TargetContext& x, const TableSchema& source) {
    constexpr std::uint32_t kFirstUserType = 16384;
    auto c = GW_TRY(sessions.hold());
    std::vector<std::string> warnings;
    GW_CHECK(c->run("BEGIN"));
    auto made = create_types(*c, x, source.types, warnings);
    auto done = made ? c->run("COMMIT") : std::unexpected(std::move(made).error());
    if (!done) {
        roll_back(*c);
        return std::unexpected(std::move(done).error().with("types of table " + source.name.text()));
    }
    if (x.log != nullptr)
        for (const auto& w : warnings)
            x.log->warning(Component::target_apply, fmt::format("table {}: {}", source.name.text(), w));
    const auto target = GW_TRY(describe_one(*c, x.name_of(source.name)));
    for (const auto& column : source.columns) {
        const ColumnSchema* mine = target.schema.column(column.name);
        if (mine == nullptr || column.type_id < kFirstUserType || mine->type_id < kFirstUserType) continue;
        auto why = type_difference({x.source, column, source.types}, {x.target, *mine, target.schema.types});
        if (!why.empty()) return why;
    }
    return std::string();
}

Result<SchemaChange> ready_change(Sessions& sessions, const TargetContext& x, const SchemaChange& asked) {
    if (asked.kind == SchemaChange::Kind::rename_table && !asked.new_schema.empty() &&
        x.target_schema.empty()) {
        auto c = GW_TRY(sessions.hold());
        GW_CHECK(create_schema(*c, asked.new_schema));
        return asked;
    }
    if (asked.kind != SchemaChange::Kind::add_column && asked.kind != SchemaChange::Kind::change_type)
        return asked;
    const bool plain = asked.types.empty() && asked.column.collation.empty();
    if (plain && !asked.binary) return asked;
    SchemaChange change = asked;
    std::vector<std::string> warnings;
    std::string refusal;
    auto c = GW_TRY(sessions.hold());
    GW_CHECK(c->run("BEGIN"));
    auto done = [&]() -> Result<> {
        const TypeMap map = GW_TRY(create_types(*c, x, change.types, warnings));
        change.column.native_type = target_type(asked.column, change.types, map);
        if (!change.column.collation.empty() && !GW_TRY(has_collation(*c, change.column.collation))) {
            warnings.push_back(
                fmt::format("collation {} of column {} does not exist on the target; its default is used",
                            change.column.collation, change.column.name));
            change.column.collation.clear();
        }
        if (asked.binary) {
            // what this server makes of the type, by a table that lives for a moment
            GW_CHECK(c->run(fmt::format("SAVEPOINT probe; CREATE TEMPORARY TABLE gw_probe ({} {})",
                                        pg::quote_name(change.column.name), change.column.native_type)));
            const auto schema = GW_TRY(c->query(
                "SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = pg_catalog.pg_my_temp_schema()"));
            const auto probe = GW_TRY(describe_one(*c, {schema.text(0, 0), "gw_probe"}));
            refusal = binary_refusal({x.source, asked.column, asked.types},
                                     {x.target, probe.schema.columns.front(), probe.schema.types});
            GW_CHECK(c->run("ROLLBACK TO SAVEPOINT probe"));
        }
        return c->run("COMMIT");
    }();
    if (!done) {
        if (c->healthy()) [[maybe_unused]]
            auto ignored = c->run("ROLLBACK");
        return std::unexpected(std::move(done).error().with("column " + asked.column.name));
    }
    if (x.log != nullptr)
        for (const auto& w : warnings)
            x.log->warning(Component::target_apply, fmt::format("table {}: {}", asked.table.text(), w));
    if (!refusal.empty())
        return fail(ErrorCode::unsupported,
                    fmt::format("column {} of table {} does not pass in binary ({})", asked.column.name,
                                asked.table.text(), refusal),
                    Retry::from_checkpoint);
    return change;
}

}  // namespace godwit::postgres
