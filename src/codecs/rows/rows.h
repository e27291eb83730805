#pragma once
// Lines of a portable load (core/portable.h): cells parted by tabs, ended by a line feed, NULL as \N. Written
// by sources, relayed by targets. No allocation beyond the buffer's growth; thread safe.

#include "base/bytes.h"

namespace godwit::rows {

inline void put_null(ByteBuffer& to) { to.append(std::string_view("\\N")); }
// Characters, for either dialect: backslash, tab, line feed and carriage return are escaped.
void put_text(ByteBuffer& to, Bytes text);
// The same for rows.copy, which cannot hold U+0000: a blank stands for it. Returns how many were replaced.
std::size_t put_text_without_nul(ByteBuffer& to, Bytes text);
// rows.load: bytes as they are, also escaping NUL
void put_bytes_raw(ByteBuffer& to, Bytes bytes);
// rows.copy: \\x and lower-case hex digits
void put_bytes_hex(ByteBuffer& to, Bytes bytes);

}  // namespace godwit::rows
