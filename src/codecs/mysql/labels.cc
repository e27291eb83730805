#include "codecs/mysql/labels.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::mysql {

bool labels_unsaid(const Type& type) {
    constexpr std::string_view kWide[] = {"utf8mb4", "utf16", "utf16le", "utf32", "gb18030", "binary"};
    return std::ranges::find(kWide, type.charset) != std::end(kWide) &&
           std::ranges::any_of(type.labels, [](const std::string& label) { return label.contains('?'); });
}

bool same_label(std::string_view said, std::string_view known, const Type& type) {
    if (said == known || type.charset == "binary") return said == known || known.contains('?');
    std::string as_known;
    for (std::size_t i = 0; i < said.size(); ++i) {
        const bool beyond = static_cast<unsigned char>(said[i]) >= 0xF0;  // four bytes of UTF-8
        as_known += beyond ? '?' : said[i];
        if (beyond) i += 3;
    }
    return as_known == known;
}

std::vector<std::string> own_labels(const std::vector<std::string_view>& said, const Transcoder* transcoder) {
    std::vector<std::string> out;
    for (const auto label : said) {
        ByteBuffer text;
        if (transcoder == nullptr)
            text.append(as_bytes(label));
        else
            transcoder->append(as_bytes(label), text);
        out.emplace_back(as_text(text.view()));
    }
    return out;
}

std::string unsaid_labels(const TableName& table, const std::string& column) {
    return fmt::format(
        "a label of column {} of table {} has a '?', which in the catalogue stands for any character beyond "
        "U+FFFF too, and the log does not say which: SET GLOBAL binlog_row_metadata = 'FULL' on the source",
        column, table.text());
}

}  // namespace godwit::mysql
