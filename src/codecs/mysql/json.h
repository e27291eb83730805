#pragma once
// MySQL's binary JSON ("JSON binary format" in its json_binary.h) as the text that the server prints of it.
// Outside bytes: nothing is read beyond the document, depth is bounded, and work stays linear in its size.

#include "base/bytes.h"

namespace godwit::mysql {

// Appends the text; false: damaged, and what was appended is to be dropped. An empty document is JSON null.
[[nodiscard]] bool print_json(Bytes document, ByteBuffer& to);

// The same of `document` after the changes of a partial update (JSON_SET, JSON_REPLACE, JSON_REMOVE).
[[nodiscard]] bool print_json_changed(Bytes document, Bytes changes, ByteBuffer& to);

}  // namespace godwit::mysql
