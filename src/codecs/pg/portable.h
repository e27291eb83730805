#pragma once
// PostgreSQL's types and values in the words that other families understand (core/portable.h, spec/data-types
// section 2). Load and stream meet here: the SELECT list of a load and the converters of the stream give the
// same text for the same value.

#include <string>
#include <vector>

#include "base/bytes.h"
#include "core/change.h"
#include "core/endpoint.h"
#include "core/portable.h"
#include "core/table.h"

namespace godwit::postgres {

struct PortableOptions {
    bool boolean_as_boolean = false;  // MapBooleanAsBoolean; else STRING(5) false, true
    bool trim_char = true;            // TrimSpaceInChar
    [[nodiscard]] static PortableOptions of(const EndpointConfig& endpoint);
};

// Domains are resolved through `types`.
[[nodiscard]] PortableType portable_type(const ColumnSchema& column, const std::vector<UserType>& types,
                                         const PortableOptions& options);
// Fills ColumnSchema::portable of every column.
void add_portable_types(TableSchema& table, const PortableOptions& options);

// The column in a SELECT whose text output (UTC, IntervalStyle postgres, lc_monetary C, bytea hex) is
// portable.
[[nodiscard]] std::string portable_expression(const ColumnSchema& column, const std::vector<UserType>& types,
                                              const PortableOptions& options);

// The column for a comparison with another family: bytea, the same for equal values (codecs/mysql/digest.cc
// has the other half). `source`: the column is of the source's own type; else of the type that in_own_words()
// gave it.
[[nodiscard]] std::string portable_digest_value(const ColumnSchema& column,
                                                const std::vector<UserType>& types,
                                                const PortableOptions& options, bool source);

// Converts one cell of the stream from PostgreSQL's text. nullptr: it is portable as it stands. `scratch`
// holds the result where bytes change; the answer is valid until its next use.
struct PortableCell {
    CellState state;
    Bytes bytes;
};
using CellConverter = PortableCell (*)(Bytes text, ByteBuffer& scratch);
[[nodiscard]] CellConverter cell_converter(const ColumnSchema& column, const std::vector<UserType>& types,
                                           const PortableOptions& options);

}  // namespace godwit::postgres
