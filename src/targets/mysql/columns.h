#pragma once
// The target's tables as they stand, and how cells of the source become values of their columns: literals in
// statements, and the column list of LOAD DATA.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "core/change.h"
#include "core/table.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

enum class Writes : std::uint8_t {
    number,    // integers, DECIMAL, YEAR
    real4,     // FLOAT
    real8,     // DOUBLE
    temporal,  // and everything else that is written as quoted text without a character set
    text,
    json,  // MySQL's own type
    bytes,
    bit,
};

struct TargetColumn {
    std::string name;
    std::string quoted;
    std::string data_type;    // varchar
    std::string column_type;  // varchar(20)
    std::string charset;      // of text
    std::string collation;
    Writes writes = Writes::temporal;
    bool not_null = false;
    bool has_default = false;
    std::string default_expression;  // as a statement takes it; empty: none, or not to be read
    std::string on_update;           // ON UPDATE CURRENT_TIMESTAMP(6)
    std::string comment;
    bool generated = false;
    bool auto_increment = false;
    bool unique = false;  // part of a unique index that is not the primary key
    bool primary = false;
    bool invisible = false;  // left out of SELECT *
    // text that compares otherwise than by its bytes: by case or accent, or without trailing blanks
    [[nodiscard]] bool weak() const noexcept {
        return writes == Writes::text && !collation.ends_with("_0900_bin") &&
               !collation.ends_with("_nopad_bin");
    }
};

struct TargetIndex {
    std::string name;
    bool unique = false;
    std::vector<std::string> columns;  // empty name: an expression or a prefix
};

struct TargetTable {
    bool exists = false;
    bool base_table = false;
    std::string engine;
    std::vector<TargetColumn> columns;
    std::vector<TargetIndex> indexes;
    [[nodiscard]] const TargetColumn* column(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> primary_key() const;
};

[[nodiscard]] bool is_geometry(std::string_view data_type);
// Does the key column take different values of the source for one? `same_family`: the source's collations are
// names that this family knows.
[[nodiscard]] bool weaker_key(const TargetColumn& column, const TableSchema& source, bool same_family);

[[nodiscard]] Result<TargetTable> read_table(Connection& connection, const TableName& name);

// Appends the value as a literal that the column takes without loss, or that the server refuses in strict
// mode. `hex`: bytes may come as text, \x and hex digits (rows.copy, and text cells of a copy dialect).
void put_literal(ByteBuffer& to, const TargetColumn& column, const Cell& cell);
// The same for comparisons that an index serves: text in the column's own character set and collation. NULL
// for a value that the column cannot hold: no row has it.
void put_key_literal(ByteBuffer& to, const TargetColumn& column, const Cell& cell);
// A condition that holds for exactly this value, NULL included, byte by byte.
void put_same(ByteBuffer& to, const TargetColumn& column, const Cell& cell);

// 'text' with backslash escapes
void put_quoted(ByteBuffer& to, Bytes text);

// LOAD DATA LOCAL of rows.load or rows.copy into `target`. `source`: the columns of a line, in order.
// A cell of a line: `bytes` as the source says, whatever the target's column is.
struct LoadColumn {
    std::string name;
    bool bytes = false;
    friend bool operator==(const LoadColumn&, const LoadColumn&) = default;
};
[[nodiscard]] std::string load_sql(const TableName& target, const TargetTable& table,
                                   const std::vector<LoadColumn>& source_columns, bool hex);

}  // namespace godwit::mysql
