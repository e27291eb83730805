#pragma once
// Labels of ENUM and SET that the catalogue cannot say: its texts are utf8mb3, and a '?' stands in them for
// each character beyond U+FFFF. The log has them in the column's own character set where the server writes
// all it knows of a table. Pure functions.

#include <string>
#include <string_view>
#include <vector>

#include "codecs/mysql/characters.h"
#include "codecs/mysql/type.h"
#include "core/table.h"

namespace godwit::mysql {

// A '?' in a label may be one, or stand for another character.
[[nodiscard]] bool labels_unsaid(const Type& type);
// `said` is the label for which the catalogue has `known`.
[[nodiscard]] bool same_label(std::string_view said, std::string_view known, const Type& type);
// What the log says, in UTF-8. `transcoder`: of the column's character set; null: it is that.
[[nodiscard]] std::vector<std::string> own_labels(const std::vector<std::string_view>& said,
                                                  const Transcoder* transcoder);
// Why such a column cannot be read where the log does not say them.
[[nodiscard]] std::string unsaid_labels(const TableName& table, const std::string& column);

}  // namespace godwit::mysql
