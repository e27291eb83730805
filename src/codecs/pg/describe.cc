#include "codecs/pg/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace godwit::postgres {
namespace {

std::uint32_t oid_at(const pg::Rows& rows, int row, int column) {
    return static_cast<std::uint32_t>(rows.number(row, column));
}

std::vector<std::int32_t> numbers(const std::string& text) {  // "1 3 2"
    std::vector<std::int32_t> out;
    const char* at = text.c_str();
    for (char* end = nullptr;; at = end) {
        const long v = std::strtol(at, &end, 10);
        if (end == at) break;
        out.push_back(static_cast<std::int32_t>(v));
    }
    return out;
}

std::vector<std::string> names_of(const std::vector<std::int32_t>& attributes, std::size_t count,
                                  const TableSchema& table) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < std::min(count, attributes.size()); ++i)
        for (const auto& c : table.columns)
            if (c.number == attributes[i]) out.push_back(c.name);
    return out;
}

// A type of the closure, as pg_type has it.
struct TypeFacts {
    UserType type;
    char kind = 'b';  // typtype
    bool built_in = false;
    std::uint32_t element = 0;   // true arrays
    std::uint32_t relation = 0;  // composite
    std::uint32_t range = 0;     // multirange: its range
};

class TypeReader {
public:
    explicit TypeReader(pg::Connection& connection) : connection_(connection) {}

    Result<> read(const std::set<std::uint32_t>& wanted) {
        if (wanted.empty()) return {};
        const bool multiranges = connection_.server_version() >= 140000;
        const std::string sql =
            fmt::format(R"(
WITH RECURSIVE used(oid) AS (
    SELECT unnest($1::oid[])
  UNION
    SELECT d.oid
      FROM used u
      JOIN pg_catalog.pg_type t ON t.oid = u.oid AND t.typnamespace <> 11
       AND (t.typcategory = 'A' OR t.typtype = 'm' OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 1247 AND e.objid = t.oid
                          AND e.refclassid = 3079 AND e.deptype = 'e'))
     CROSS JOIN LATERAL (
           SELECT t.typelem WHERE t.typcategory = 'A'
        UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                   WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.typtype = 'r' AND r.rngtypid = t.oid
        {}) d(oid))
SELECT t.oid, n.nspname, t.typname, t.typtype, t.typnamespace = 11, t.typarray,
       CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typrelid, t.typbasetype,
       CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, t.typtypmod, t.typnotnull,
       pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typsend <> 0 AND t.typreceive <> 0,
       x.extname, x.extversion, xn.nspname, k.relkind = 'c',
       CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation
            THEN pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(co.collname) END,
       {}
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_depend e
         ON e.classid = 1247 AND e.objid = t.oid AND e.refclassid = 3079 AND e.deptype = 'e'
  LEFT JOIN pg_catalog.pg_extension x ON x.oid = e.refobjid
  LEFT JOIN pg_catalog.pg_namespace xn ON xn.oid = x.extnamespace
  LEFT JOIN pg_catalog.pg_class k ON k.oid = t.typrelid
  LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
  LEFT JOIN pg_catalog.pg_collation co ON co.oid = t.typcollation
  LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
 WHERE t.oid IN (SELECT oid FROM used))",
                        multiranges ? "UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r "
                                      "WHERE t.typtype = 'm' AND r.rngmultitypid = t.oid"
                                    : "",
                        multiranges ? "(SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE "
                                      "r.rngmultitypid = t.oid)"
                                    : "NULL");
        const auto rows =
            GW_TRY(connection_.query(sql, std::vector<pg::Param>{oid_array({wanted.begin(), wanted.end()})}));
        std::vector<std::uint32_t> enums, domains, ranges, composites;
        for (int i = 0; i < rows.size(); ++i) {
            TypeFacts f;
            UserType& t = f.type;
            t.type_id = oid_at(rows, i, 0);
            t.name = {rows.text(i, 1), rows.text(i, 2)};
            f.kind = rows.text(i, 3)[0];
            f.built_in = rows.flag(i, 4);
            t.array_type_id = oid_at(rows, i, 5);
            f.element = oid_at(rows, i, 6);
            f.relation = oid_at(rows, i, 7);
            t.binary = rows.flag(i, 13);
            f.range = oid_at(rows, i, 19);
            // an array of an extension's type may belong to the extension too
            if (!rows.null(i, 14) && f.element == 0 && f.range == 0) {
                t.kind = UserType::Kind::extension;
                t.extension = rows.text(i, 14);
                t.extension_version = rows.text(i, 15);
                t.extension_schema = rows.text(i, 16);
            } else if (f.built_in) {
                // stands for itself
            } else if (f.kind == 'e') {
                t.kind = UserType::Kind::enumeration;
                enums.push_back(t.type_id);
            } else if (f.kind == 'd') {
                t.kind = UserType::Kind::domain;
                t.base.type_id = oid_at(rows, i, 8);
                t.base.native_type = rows.text(i, 9);
                t.base.type_modifier = static_cast<std::int32_t>(rows.number(i, 10));
                t.base.not_null = rows.flag(i, 11);
                t.base.default_expression = rows.text(i, 12);
                t.base.collation = rows.text(i, 18);
                domains.push_back(t.type_id);
            } else if (f.kind == 'c') {
                t.kind = UserType::Kind::composite;
                t.row_type = !rows.flag(i, 17);
                composites.push_back(f.relation);
                by_relation_[f.relation] = t.type_id;
            } else if (f.kind == 'r') {
                t.kind = UserType::Kind::range;
                ranges.push_back(t.type_id);
            } else {
                t.kind = UserType::Kind::base;
                t.creatable = false;
            }
            facts_.emplace(t.type_id, std::move(f));
        }
        GW_CHECK(labels(enums));
        GW_CHECK(domain_checks(domains));
        GW_CHECK(attributes(composites));
        return range_options(ranges);
    }

    // the user types that `type` needs, each after its parts
    void collect(std::uint32_t type, std::unordered_set<std::uint32_t>& seen,
                 std::vector<UserType>& to) const {
        const auto it = facts_.find(type);
        if (it == facts_.end() || !seen.insert(type).second) return;
        const TypeFacts& f = it->second;
        if (f.built_in) return;
        if (f.element != 0) return collect(f.element, seen, to);
        if (f.range != 0) return collect(f.range, seen, to);
        if (f.type.base.type_id != 0) collect(f.type.base.type_id, seen, to);
        for (const auto& a : f.type.attributes) collect(a.type_id, seen, to);
        to.push_back(f.type);
    }

private:
    Result<> labels(const std::vector<std::uint32_t>& enums) {
        if (enums.empty()) return {};
        const auto rows = GW_TRY(connection_.query(
            "SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = ANY ($1::oid[]) "
            "ORDER BY enumtypid, enumsortorder",
            std::vector<pg::Param>{oid_array(enums)}));
        for (int i = 0; i < rows.size(); ++i)
            facts_[oid_at(rows, i, 0)].type.labels.push_back(rows.text(i, 1));
        return {};
    }

    Result<> domain_checks(const std::vector<std::uint32_t>& domains) {
        if (domains.empty()) return {};
        const auto rows = GW_TRY(connection_.query(
            "SELECT contypid, conname, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint "
            "WHERE contypid = ANY ($1::oid[]) AND contype = 'c' ORDER BY contypid, conname",
            std::vector<pg::Param>{oid_array(domains)}));
        for (int i = 0; i < rows.size(); ++i)
            facts_[oid_at(rows, i, 0)].type.checks.push_back({rows.text(i, 1), rows.text(i, 2)});
        return {};
    }

    Result<> attributes(const std::vector<std::uint32_t>& relations) {
        if (relations.empty()) return {};
        const auto rows = GW_TRY(connection_.query(
            "SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, "
            "a.atttypmod, "
            "a.attnum, CASE WHEN a.attcollation <> t.typcollation THEN "
            "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname) END "
            "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
            "LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation "
            "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace "
            "WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, "
            "a.attnum",
            std::vector<pg::Param>{oid_array(relations)}));
        for (int i = 0; i < rows.size(); ++i) {
            ColumnSchema c;
            c.name = rows.text(i, 1);
            c.native_type = rows.text(i, 2);
            c.type_id = oid_at(rows, i, 3);
            c.type_modifier = static_cast<std::int32_t>(rows.number(i, 4));
            c.number = static_cast<std::int32_t>(rows.number(i, 5));
            c.collation = rows.text(i, 6);
            facts_[by_relation_[oid_at(rows, i, 0)]].type.attributes.push_back(std::move(c));
        }
        return {};
    }

    Result<> range_options(const std::vector<std::uint32_t>& ranges) {
        if (ranges.empty()) return {};
        const bool multi = connection_.server_version() >= 140000;
        const auto rows = GW_TRY(connection_.query(
            fmt::format(
                "SELECT r.rngtypid, pg_catalog.format_type(r.rngsubtype, -1), r.rngsubtype, r.rngcanonical "
                "<> 0, "
                "CASE WHEN r.rngsubdiff <> 0 THEN ', subtype_diff = ' || (SELECT "
                "pg_catalog.quote_ident(pn.nspname) || "
                "'.' || pg_catalog.quote_ident(p.proname) FROM pg_catalog.pg_proc p JOIN "
                "pg_catalog.pg_namespace pn "
                "ON pn.oid = p.pronamespace WHERE p.oid = r.rngsubdiff) ELSE '' END || "
                "CASE WHEN NOT o.opcdefault THEN ', subtype_opclass = ' || pg_catalog.quote_ident(n.nspname) "
                "|| '.' || "
                "pg_catalog.quote_ident(o.opcname) ELSE '' END || "
                "CASE WHEN r.rngcollation <> 0 AND r.rngcollation <> t.typcollation THEN ', collation = ' || "
                "pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(c.collname) ELSE '' "
                "END, {} "
                "FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid = r.rngsubtype "
                "JOIN pg_catalog.pg_opclass o ON o.oid = r.rngsubopc "
                "JOIN pg_catalog.pg_namespace n ON n.oid = o.opcnamespace "
                "LEFT JOIN pg_catalog.pg_collation c ON c.oid = r.rngcollation "
                "LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = c.collnamespace {} "
                "WHERE r.rngtypid = ANY ($1::oid[])",
                multi ? "m.oid, pg_catalog.quote_ident(mn.nspname) || '.' || "
                        "pg_catalog.quote_ident(m.typname), m.typarray"
                      : "0, '', 0",
                multi ? "LEFT JOIN pg_catalog.pg_type m ON m.oid = r.rngmultitypid "
                        "LEFT JOIN pg_catalog.pg_namespace mn ON mn.oid = m.typnamespace"
                      : ""),
            std::vector<pg::Param>{oid_array(ranges)}));
        for (int i = 0; i < rows.size(); ++i) {
            UserType& t = facts_[oid_at(rows, i, 0)].type;
            t.base.native_type = rows.text(i, 1);
            t.base.type_id = oid_at(rows, i, 2);
            t.creatable = !rows.flag(i, 3);
            t.range_options = rows.text(i, 4);
            t.multirange_type_id = oid_at(rows, i, 5);
            t.multirange_name = rows.text(i, 6);
            t.multirange_array_type_id = oid_at(rows, i, 7);
        }
        return {};
    }

    pg::Connection& connection_;
    std::unordered_map<std::uint32_t, TypeFacts> facts_;
    std::unordered_map<std::uint32_t, std::uint32_t> by_relation_;
};

}  // namespace

std::string oid_array(const std::vector<std::uint32_t>& oids) {
    std::string out = "{";
    for (const auto oid : oids) {
        if (out.size() > 1) out += ',';
        out += std::to_string(oid);
    }
    return out + "}";
}

Result<std::map<std::uint32_t, DescribedRelation>> describe_relations(
    pg::Connection& connection, const std::vector<std::uint32_t>& oids) {
    std::map<std::uint32_t, DescribedRelation> out;
    if (oids.empty()) return out;
    const int version = connection.server_version();
    const std::vector<pg::Param> which{oid_array(oids)};
    {
        const auto rows = GW_TRY(connection.query(
            "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, "
            "c.relispartition, "
            "CASE WHEN c.relkind IN ('r', 'm') THEN c.relfilenode ELSE 0 END, "
            // a rename touches the row type, a change of a column that column's row
            "(SELECT t.xmin FROM pg_catalog.pg_type t WHERE t.oid = c.reltype), "
            "(SELECT pg_catalog.hashtextextended(pg_catalog.string_agg(a.attnum || ':' || a.xmin::text || "
            "',', '' "
            "ORDER BY a.attnum), 0) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > "
            "0) "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.oid = ANY ($1::oid[])",
            which));
        for (int i = 0; i < rows.size(); ++i) {
            DescribedRelation& r = out[oid_at(rows, i, 0)];
            r.schema.source_id = oid_at(rows, i, 0);
            r.schema.name = {rows.text(i, 1), rows.text(i, 2)};
            r.kind = rows.text(i, 3)[0];
            r.persistence = rows.text(i, 4)[0];
            r.replica_identity = rows.text(i, 5)[0];
            r.is_partition = rows.flag(i, 6);
            r.schema.storage_id = oid_at(rows, i, 7);
            r.schema.name_id = oid_at(rows, i, 8);
            r.schema.columns_id = static_cast<std::uint64_t>(rows.number(i, 9));
        }
    }
    std::set<std::uint32_t> types;
    {
        const auto rows = GW_TRY(connection.query(
            fmt::format(
                "SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, "
                "a.atttypmod, a.attnum, a.attnotnull, {0}, "
                // with a relation pg_get_expr() locks it; only a generated column's expression needs one
                "pg_catalog.pg_get_expr(d.adbin, CASE WHEN {0} = '' THEN 0 ELSE d.adrelid END), "
                "a.attidentity, "
                "CASE WHEN a.attcollation <> t.typcollation THEN "
                "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname) END, {1} "
                "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
                "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
                "LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation "
                "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace "
                "WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped "
                "ORDER BY a.attrelid, a.attnum",
                version >= 120000 ? "a.attgenerated" : "''",
                version >= 110000 ? "CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END"
                                  : "NULL"),
            which));
        for (int i = 0; i < rows.size(); ++i) {
            const auto it = out.find(oid_at(rows, i, 0));
            if (it == out.end()) continue;
            ColumnSchema c;
            c.name = rows.text(i, 1);
            c.native_type = rows.text(i, 2);
            c.type_id = oid_at(rows, i, 3);
            c.type_modifier = static_cast<std::int32_t>(rows.number(i, 4));
            c.number = static_cast<std::int32_t>(rows.number(i, 5));
            c.not_null = rows.flag(i, 6);
            const std::string generated = rows.text(i, 7);
            c.generated = !generated.empty();
            c.generated_virtual = generated == "v";
            (c.generated ? c.generation_expression : c.default_expression) = rows.text(i, 8);
            const std::string identity = rows.text(i, 9);
            if (!identity.empty()) c.identity = identity == "a" ? "always" : "by default";
            c.collation = rows.text(i, 10);
            if (!rows.null(i, 11)) c.missing_value = rows.text(i, 11);
            if (c.type_id >= 10000) types.insert(c.type_id);  // below are the fixed numbers of built-in types
            it->second.schema.columns.push_back(std::move(c));
        }
    }
    {
        const auto rows = GW_TRY(connection.query(
            fmt::format(
                "SELECT i.indrelid, i.indisprimary, i.indisreplident, "
                "i.indimmediate AND i.indisvalid AND i.indisunique AND i.indpred IS NULL, i.indkey, {}, "
                "con.conname, con.condeferrable "
                "FROM pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con "
                "ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype = 'p' "
                "WHERE i.indrelid = ANY ($1::oid[]) AND (i.indisprimary OR i.indisreplident)",
                version >= 110000 ? "i.indnkeyatts" : "i.indnatts"),
            which));
        for (int i = 0; i < rows.size(); ++i) {
            const auto it = out.find(oid_at(rows, i, 0));
            if (it == out.end()) continue;
            DescribedRelation& r = it->second;
            const auto columns =
                names_of(numbers(rows.text(i, 4)), static_cast<std::size_t>(rows.number(i, 5)), r.schema);
            const bool usable = rows.flag(i, 3);
            if (rows.flag(i, 1)) {
                r.schema.primary_key = columns;
                r.schema.primary_key_name = rows.text(i, 6);
                r.schema.primary_key_deferrable = rows.text(i, 7) == "t";
                r.key_immediate = usable;
            }
            if (rows.flag(i, 2) && usable) r.identity_index = columns;
        }
    }
    TypeReader reader(connection);
    GW_CHECK(reader.read(types));
    if (!types.empty())
        for (auto& [oid, r] : out) {
            std::unordered_set<std::uint32_t> seen;
            for (const auto& c : r.schema.columns) reader.collect(c.type_id, seen, r.schema.types);
        }
    return out;
}

Result<std::vector<DescribedRelation>> describe_relation(pg::Connection& connection, const TableName& name) {
    std::vector<DescribedRelation> out;
    std::vector<std::uint32_t> oids;
    {
        const auto rows =
            GW_TRY(connection.query("SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
                                    "ON n.oid = c.relnamespace "
                                    "WHERE n.nspname = $1 AND c.relname = $2",
                                    std::vector<pg::Param>{name.schema, name.table}));
        if (rows.size() == 0) return out;
        oids.push_back(oid_at(rows, 0, 0));
    }
    auto all = GW_TRY(describe_relations(connection, oids));
    for (auto& [oid, r] : all) out.push_back(std::move(r));
    return out;
}

Result<ServerTraits> read_server_traits(pg::Connection& connection) {
    ServerTraits t;
    t.family = "postgres";
    t.version = connection.server_version();
    const auto rows = GW_TRY(connection.query(
        "SELECT pg_catalog.pg_encoding_to_char(encoding), pg_catalog.current_setting('lc_monetary'), "
        "(SELECT system_identifier::text FROM pg_catalog.pg_control_system()), "
        "(SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), oid "
        "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"));
    if (rows.size() != 1) return fail(ErrorCode::internal, "the server does not know its own database");
    t.encoding = rows.text(0, 0);
    t.facts["lc_monetary"] = rows.text(0, 1);
    t.system_id = rows.text(0, 2);
    t.timeline = static_cast<std::uint32_t>(rows.number(0, 3));
    return t;
}

}  // namespace godwit::postgres
