#include "engine/shapes.h"

#include "base/bytes.h"
#include "base/files.h"
#include "core/table_bytes.h"

namespace godwit::engine {

Result<> save_shapes(const std::filesystem::path& file, const std::vector<TableSchema>& tables) {
    ByteBuffer body;
    body.put_le(kTableBytesFormat);
    body.put_le(static_cast<std::uint32_t>(tables.size()));
    for (const auto& t : tables) put_table(body, t);
    return write_summed_file(file, as_text(body.view()), true);
}

std::vector<TableSchema> load_shapes(const std::filesystem::path& file) {
    std::vector<TableSchema> out;
    const auto text = read_summed_file(file);
    if (!text) return out;
    ByteReader in(as_bytes(*text));
    const auto format = in.le<std::uint32_t>();
    if (format == 0 || format > kTableBytesFormat) return out;
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) out.push_back(get_table(in, format));
    if (in.failed()) out.clear();
    return out;
}

}  // namespace godwit::engine
