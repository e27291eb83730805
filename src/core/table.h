#pragma once
// What a table is, in words that every engine shares. Native types travel as the source spells them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/portable.h"

namespace godwit {

struct TableName {
    std::string schema;
    std::string table;
    friend auto operator<=>(const TableName&, const TableName&) = default;
    [[nodiscard]] std::string text() const { return schema + "." + table; }
};

struct ColumnSchema {
    std::string name;
    std::string native_type;    // as the source's DDL spells it: numeric(10,2), "shop"."mood"[]
    std::uint32_t type_id = 0;  // the source's own number (PostgreSQL: type oid)
    std::int32_t type_modifier = -1;
    std::int32_t number = 0;  // stable over renames (PostgreSQL: attnum)
    bool not_null = false;
    bool generated = false;  // computed by the database; never written
    std::string generation_expression;
    std::string default_expression;
    std::string identity;            // "", "always", "by default"
    std::string collation;           // quoted and qualified; empty: the type's default
    bool generated_virtual = false;  // computed when read, not stored
    // Rows older than the column hold this value without having been rewritten (a constant default at its
    // creation).
    std::optional<std::string> missing_value;
    bool missing_differs = false;  // partitions hold different ones, or the target cannot be given it
    PortableType portable;         // what it is to engines of other families
    bool invisible = false;        // left out of SELECT *
    friend bool operator==(const ColumnSchema&, const ColumnSchema&) = default;
};

// A piece of DDL that the source spelled itself.
struct NamedDefinition {
    std::string name;
    std::string definition;
    friend bool operator==(const NamedDefinition&, const NamedDefinition&) = default;
};

// A type that is not built in. Its own definition; the types that it is made of are UserTypes beside it.
struct UserType {
    enum class Kind : std::uint8_t {
        enumeration,
        domain,
        composite,
        range,
        extension,
        base
    } kind = Kind::base;
    TableName name;             // schema and type
    std::uint32_t type_id = 0;  // the source's numbers
    std::uint32_t array_type_id = 0;
    std::uint32_t multirange_type_id = 0;  // range
    std::uint32_t multirange_array_type_id = 0;
    std::string multirange_name;           // quoted and qualified
    bool binary = true;                    // has send and receive functions
    std::vector<std::string> labels;       // enumeration, in order
    ColumnSchema base;                     // domain: base type, not null, default, collation; range: subtype
    std::vector<NamedDefinition> checks;   // domain
    std::vector<ColumnSchema> attributes;  // composite
    bool row_type = false;                 // composite: belongs to a table
    std::string range_options;  // range: ", subtype_diff = ..." without subtype and multirange name
    bool creatable = true;      // false: needs functions that only its owner can give
    std::string extension;      // extension
    std::string extension_version;
    std::string extension_schema;
};

// What a table needs to be whole and is not needed to carry its rows.
struct IndexDefinition {
    std::string name;
    bool unique = false;
    std::string definition;  // from USING on
};
struct ForeignKey {
    std::string name;
    TableName references;
    std::string definition;
};
struct SequenceState {
    TableName name;
    std::string column;  // whose default or identity uses it
    bool owned = false;  // dies with the column
    bool identity = false;
    std::string data_type;
    std::string start, increment, minimum, maximum, cache;
    bool cycle = false;
    std::int64_t last_value = 0;
    bool is_called = false;
    bool readable = true;  // false: no right to read last_value
};
struct TableExtras {
    bool read = false;
    std::vector<IndexDefinition> indexes;      // neither the primary key's nor a constraint's
    std::vector<NamedDefinition> constraints;  // unique and exclusion
    std::vector<NamedDefinition> checks;
    std::vector<ForeignKey> foreign_keys;
    std::vector<SequenceState> sequences;
};

// How the source names a row in UPDATE and DELETE.
enum class RowIdentity : std::uint8_t {
    none,  // updates and deletes cannot be captured: insert-only
    key,   // `identity_columns`, sent when they change and with every delete
    full,  // the whole old row is sent
};

// A partition as the catalogue has it.
struct LeafState {
    std::uint64_t source_id = 0;
    std::uint64_t storage_id = 0;
    // Every row that it holds came through the table's log: it was born as a partition and never rewritten,
    // or is empty.
    bool in_log = false;
    std::uint64_t attached_id = 0;  // changes when it leaves the table and joins it again; 0: not known
    bool logged = true;             // false: unlogged or foreign, its changes are in no log
    friend bool operator==(const LeafState&, const LeafState&) = default;
};

struct TableSchema {
    TableName name;
    std::uint64_t source_id = 0;  // the source's own number (PostgreSQL: relation oid of the root)
    std::uint64_t storage_id =
        0;  // changes when the rows are rewritten (PostgreSQL: relfilenode); 0: not known
    std::uint64_t columns_id =
        0;  // changes when the definition of any column is touched, even if back and forth
    std::uint64_t name_id = 0;  // changes when the table is renamed, even if back and forth; 0: not known
    std::vector<ColumnSchema> columns;
    std::string default_collation;         // of text columns that are added and name none; empty: not known
    std::vector<std::string> primary_key;  // in key order; empty: none
    std::string primary_key_name;
    bool primary_key_deferrable = false;
    RowIdentity identity = RowIdentity::none;
    std::vector<std::string>
        identity_columns;  // what rows are matched by; all columns with `full` and no usable key
    std::uint64_t bytes_estimate = 0;
    std::int64_t rows_estimate = 0;
    bool is_view = false;
    bool full_load_only = false;  // unlogged, foreign: no changes come
    bool partitioned = false;
    std::vector<TableName> leaves;       // of a partitioned table
    std::vector<LeafState> leaf_states;  // in the same order; what a poll compares
    std::vector<UserType> types;         // that the columns need, each after those it is made of
    // Foreign keys by which the source changes rows of this table where no log shows it. A target that is to
    // do likewise has those to tables of `bound_to` from the first row on.
    std::vector<ForeignKey> acting_keys;
    // Tables whose rows change with this one's in that way, in either direction: loaded and followed as one.
    std::vector<TableName> bound_to;
    TableExtras extras;  // filled when asked for

    [[nodiscard]] const ColumnSchema* column(const std::string& column_name) const {
        for (const auto& c : columns)
            if (c.name == column_name) return &c;
        return nullptr;
    }
};

// How values are spelled where two sides are compared.
enum class DigestForm : std::uint8_t {
    own,       // as the servers of one family print them
    portable,  // as core/portable.h says; of approximate numbers only whether they are NULL
};

// What a table holds, independent of the order of its rows. Both sides compute it alike in one form.
struct TableDigest {
    std::uint64_t rows = 0;
    std::string hash;
};

// Digests of parts of a table, cut by a hash of the key, to find rows that differ.
struct KeyDigest {
    std::string key;   // as text
    std::string hash;  // of the row
};

}  // namespace godwit
