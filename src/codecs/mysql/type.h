#pragma once
// A column's type as MySQL and MariaDB spell it in COLUMN_TYPE ("int(10) unsigned", "enum('a','b')"), read
// into its parts. Shared by the source's catalogue, the decoder of the binlog and the target. Pure functions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/portable.h"
#include "core/table.h"

namespace godwit::mysql {

enum class TypeKind : std::uint8_t {
    tinyint,
    smallint,
    mediumint,
    integer,
    bigint,
    decimal,
    real4,  // FLOAT
    real8,  // DOUBLE
    bit,
    date,
    datetime,
    timestamp,
    time,
    year,
    character,  // CHAR, NCHAR
    varchar,    // VARCHAR
    binary,     // BINARY(n)
    varbinary,  // VARBINARY(n)
    text,       // TINYTEXT .. LONGTEXT; `length` is the limit in bytes
    blob,       // TINYBLOB .. LONGBLOB; `length` is the limit in bytes
    enumeration,
    set,
    json,      // MySQL's own; MariaDB's JSON is a text
    geometry,  // and its subtypes
    vector,
    uuid,   // MariaDB
    inet4,  // MariaDB
    inet6,  // MariaDB
};

struct Type {
    TypeKind kind = TypeKind::text;
    bool is_unsigned = false;  // ZEROFILL implies it
    bool zerofill = false;
    std::uint32_t length = 0;         // characters, bytes or bits; display width of tinyint
    std::uint16_t precision = 0;      // decimal
    std::uint16_t scale = 0;          // decimal; fsp of the temporal types
    std::vector<std::string> labels;  // enumeration, set; UTF-8
    std::string charset;              // of characters: "utf8mb4", "latin1"; empty: none (binary)
    [[nodiscard]] bool characters() const noexcept { return !charset.empty(); }
};

// DATA_TYPE of information_schema.COLUMNS, without what stands in parentheses; nothing when it is not known
[[nodiscard]] std::optional<TypeKind> kind_of(std::string_view data_type);
// Values are bytes, not characters, numbers or times.
[[nodiscard]] bool holds_bytes(TypeKind kind) noexcept;
// `collation` of information_schema.COLUMNS, empty for types without one. unsupported names the type.
[[nodiscard]] Result<Type> parse_type(std::string_view column_type, std::string_view collation);
// "latin1" of "latin1_swedish_ci"; "utf8" is called "utf8mb3"; "binary" gives "binary"
[[nodiscard]] std::string charset_of(std::string_view collation);

struct TypeOptions {
    bool tinyint1_as_boolean = false;  // endpoint attribute tinyint1AsBoolean
    bool mariadb = false;
};
[[nodiscard]] PortableType portable_type(const Type& type, const TypeOptions& options);

}  // namespace godwit::mysql
