#pragma once
// Cells of the binary protocol, printed as fields of COPY BINARY: numbers and times are put in the other
// order of bytes and never become text. Source: MySQL Internals, "Binary Protocol Value". Thread safe.

#include <cstddef>
#include <cstdint>

#include "codecs/rows/copy_binary.h"
#include "core/portable.h"

namespace godwit::mysql {

// Appends the cell that begins at `at` and returns where it ends; nullptr: it does not end before `end`.
// `text` prints what the server sends as text.
using PackedPrinter = const std::byte* (*)(ByteBuffer& to, const std::byte* at, const std::byte* end,
                                           rows::binary::Printer text);

// Of the type that the server says (MYSQL_TYPE_*) in a column of `type`; nullptr: take the text protocol.
// `single`: the column is a FLOAT, and what comes is its value as a double.
[[nodiscard]] PackedPrinter packed_printer_of(std::uint8_t wire_type, bool is_unsigned,
                                              const PortableType& type, bool single) noexcept;

}  // namespace godwit::mysql
