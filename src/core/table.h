#pragma once
// What a table is, in words that every engine shares. Native types travel as the source spells them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace godwit {

struct TableName {
    std::string schema;
    std::string table;
    friend auto operator<=>(const TableName&, const TableName&) = default;
    [[nodiscard]] std::string text() const { return schema + "." + table; }
};

struct ColumnSchema {
    std::string name;
    std::string native_type;       // as the source's DDL spells it: numeric(10,2), "shop"."mood"[]
    std::uint32_t type_id = 0;     // the source's own number (PostgreSQL: type oid)
    std::int32_t type_modifier = -1;
    std::int32_t number = 0;       // stable over renames (PostgreSQL: attnum)
    bool not_null = false;
    bool generated = false;        // computed by the database; never written
    std::string generation_expression;
    std::string default_expression;
    std::string identity;          // "", "always", "by default"
    std::string collation;         // empty: the type's default
    friend bool operator==(const ColumnSchema&, const ColumnSchema&) = default;
};

// How the source names a row in UPDATE and DELETE.
enum class RowIdentity : std::uint8_t {
    none,   // updates and deletes cannot be captured: insert-only
    key,    // `identity_columns`, sent when they change and with every delete
    full,   // the whole old row is sent
};

struct TableSchema {
    TableName name;
    std::uint64_t source_id = 0;  // the source's own number (PostgreSQL: relation oid of the root)
    std::vector<ColumnSchema> columns;
    std::vector<std::string> primary_key;       // in key order; empty: none
    std::string primary_key_name;
    bool primary_key_deferrable = false;
    RowIdentity identity = RowIdentity::none;
    std::vector<std::string> identity_columns;  // what rows are matched by; all columns with `full` and no usable key
    std::uint64_t bytes_estimate = 0;
    std::int64_t rows_estimate = 0;
    bool is_view = false;
    bool full_load_only = false;                // unlogged, foreign: no changes come
    std::vector<TableName> leaves;              // of a partitioned table

    [[nodiscard]] const ColumnSchema* column(const std::string& column_name) const {
        for (const auto& c : columns)
            if (c.name == column_name) return &c;
        return nullptr;
    }
};

}  // namespace godwit
