#include "targets/postgres/reshape_sql.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/pg/connection.h"

namespace godwit::postgres {

std::string columns_sql(const TableName& target) {
    return fmt::format(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass({}) AND attnum "
        "> 0 AND NOT "
        "attisdropped ORDER BY attnum",
        pg::quote_literal(pg::quote_name(target.schema, target.table)));
}

std::vector<std::string> reshape_sql(const SchemaChange& c, const TableName& target,
                                     const std::vector<std::string>& columns, bool moves) {
    const std::string table = pg::quote_name(target.schema, target.table);
    const auto has = [&](const std::string& name) {
        return std::ranges::find(columns, name) != columns.end();
    };
    switch (c.kind) {
        case SchemaChange::Kind::add_column: {
            if (has(c.column.name)) return {};
            const std::string name = pg::quote_name(c.column.name);
            std::string sql =
                fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table, name, c.column.native_type);
            if (!c.column.collation.empty()) sql += " COLLATE " + c.column.collation;
            if (c.column.generated) {
                if (c.column.generation_expression.empty()) return {};
                return {sql +
                        fmt::format(" GENERATED ALWAYS AS ({}) STORED", c.column.generation_expression)};
            }
            // rows that were there before read as the constant default, also on the target
            if (c.column.missing_value)
                return {sql + fmt::format(" DEFAULT {}::{}{}", pg::quote_literal(*c.column.missing_value),
                                          c.column.native_type, c.column.not_null ? " NOT NULL" : ""),
                        fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name)};
            return {sql};
        }
        case SchemaChange::Kind::drop_column:
            if (!has(c.old_name)) return {};
            return {fmt::format("ALTER TABLE {} DROP COLUMN {}", table, pg::quote_name(c.old_name))};
        case SchemaChange::Kind::rename_column:
            if (!has(c.old_name) && has(c.new_name)) return {};
            return {fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", table, pg::quote_name(c.old_name),
                                pg::quote_name(c.new_name))};
        case SchemaChange::Kind::change_type:
            return {fmt::format("ALTER TABLE {0} ALTER COLUMN {1} TYPE {2} USING {1}::{2}", table,
                                pg::quote_name(c.column.name), c.column.native_type)};
        case SchemaChange::Kind::rename_table: {
            if (columns.empty()) return {};  // it was done before, or there never was such a table
            std::vector<std::string> out;
            const std::string schema = c.new_schema.empty() || !moves ? target.schema : c.new_schema;
            if (schema != target.schema)
                out.push_back(fmt::format("ALTER TABLE {} SET SCHEMA {}", table, pg::quote_name(schema)));
            if (c.new_name != target.table)
                out.push_back(fmt::format("ALTER TABLE {} RENAME TO {}", pg::quote_name(schema, target.table),
                                          pg::quote_name(c.new_name)));
            return out;
        }
        case SchemaChange::Kind::drop_table:
            return {"DROP TABLE IF EXISTS " + table};
    }
    return {};
}

std::vector<std::string> ledger_change_sql(const std::string& task, const SchemaChange& c, bool moves) {
    const std::string where =
        fmt::format(" WHERE task = {} AND source_schema = {} AND source_table = {}", pg::quote_literal(task),
                    pg::quote_literal(c.table.schema), pg::quote_literal(c.table.table));
    if (c.kind == SchemaChange::Kind::rename_table) {
        const std::string to = pg::quote_literal(c.new_name);
        const std::string schema = pg::quote_literal(c.new_schema.empty() ? c.table.schema : c.new_schema);
        // A table that had this name before has left its rows. They are this one's where that was done
        // before.
        const std::string stale =
            fmt::format(
                " WHERE task = {} AND source_schema = {} AND source_table = {} AND EXISTS (SELECT 1 "
                "FROM godwit.gw_table",
                pg::quote_literal(task), schema, to) +
            where + ")";
        return {
            "DELETE FROM godwit.gw_slice" + stale, "DELETE FROM godwit.gw_table" + stale,
            fmt::format(
                "UPDATE godwit.gw_table SET source_schema = {0}, source_table = {1}, target_table = {1}{2}",
                schema, to, moves ? ", target_schema = " + schema : "") +
                where,
            fmt::format("UPDATE godwit.gw_slice SET source_schema = {}, source_table = {}", schema, to) +
                where};
    }
    // The row stays: a table of that name that comes later goes on with the next generation.
    if (c.kind == SchemaChange::Kind::drop_table)
        return {
            "DELETE FROM godwit.gw_slice" + where,
            "UPDATE godwit.gw_table SET phase = 'waiting', mark = '', applied = '', part = '', reason = '', "
            "rows = 0, created = false, filled = false" +
                where};
    return {};
}

}  // namespace godwit::postgres
