#include "engine/shapes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string>

#include "base/bytes.h"
#include "base/files.h"

namespace godwit::engine {
namespace {

constexpr std::uint32_t kFormat = 1;

void put_names(ByteBuffer& to, const std::vector<std::string>& names) {
    to.put_le(static_cast<std::uint32_t>(names.size()));
    for (const auto& n : names) put_string(to, n);
}

std::vector<std::string> get_names(ByteReader& in) {
    std::vector<std::string> out;
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) out.push_back(get_string(in));
    return out;
}

}  // namespace

Result<> save_shapes(const std::filesystem::path& file, const std::vector<TableSchema>& tables) {
    ByteBuffer body;
    body.put_le(kFormat);
    body.put_le(static_cast<std::uint32_t>(tables.size()));
    for (const auto& t : tables) {
        put_string(body, t.name.schema);
        put_string(body, t.name.table);
        for (const auto number : {t.source_id, t.storage_id, t.columns_id, t.name_id}) body.put_le(number);
        body.put_u8(static_cast<std::uint8_t>(t.identity));
        body.put_u8(t.partitioned ? 1 : 0);
        put_names(body, t.identity_columns);
        put_names(body, t.primary_key);
        body.put_le(static_cast<std::uint32_t>(t.columns.size()));
        for (const auto& c : t.columns) {
            put_string(body, c.name);
            put_string(body, c.native_type);
            body.put_le(c.type_id);
            body.put_le(static_cast<std::uint32_t>(c.type_modifier));
            body.put_le(static_cast<std::uint32_t>(c.number));
            body.put_u8(c.generated ? 1 : 0);
        }
        const std::size_t leaves = t.leaf_states.size() == t.leaves.size() ? t.leaves.size() : 0;
        body.put_le(static_cast<std::uint32_t>(leaves));
        for (std::size_t i = 0; i < leaves; ++i) {
            put_string(body, t.leaves[i].schema);
            put_string(body, t.leaves[i].table);
            body.put_le(t.leaf_states[i].source_id);
            body.put_le(t.leaf_states[i].storage_id);
        }
    }
    ByteBuffer whole;
    whole.put_le(static_cast<std::uint64_t>(XXH3_64bits(body.data(), body.size())));
    whole.append(body.view());
    return write_file(file, std::string(as_text(whole.view())), true);
}

std::vector<TableSchema> load_shapes(const std::filesystem::path& file) {
    std::vector<TableSchema> out;
    const auto text = read_file(file);
    if (!text) return out;
    ByteReader in(as_bytes(*text));
    const auto sum = in.le<std::uint64_t>();
    if (in.failed() || XXH3_64bits(text->data() + 8, text->size() - 8) != sum) return out;
    if (in.le<std::uint32_t>() != kFormat) return out;
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) {
        TableSchema t;
        t.name.schema = get_string(in);
        t.name.table = get_string(in);
        for (auto* number : {&t.source_id, &t.storage_id, &t.columns_id, &t.name_id})
            *number = in.le<std::uint64_t>();
        t.identity = static_cast<RowIdentity>(in.u8());
        t.partitioned = in.u8() != 0;
        t.identity_columns = get_names(in);
        t.primary_key = get_names(in);
        for (auto k = in.le<std::uint32_t>(); k > 0 && !in.failed(); --k) {
            ColumnSchema c;
            c.name = get_string(in);
            c.native_type = get_string(in);
            c.type_id = in.le<std::uint32_t>();
            c.type_modifier = static_cast<std::int32_t>(in.le<std::uint32_t>());
            c.number = static_cast<std::int32_t>(in.le<std::uint32_t>());
            c.generated = in.u8() != 0;
            t.columns.push_back(std::move(c));
        }
        for (auto k = in.le<std::uint32_t>(); k > 0 && !in.failed(); --k) {
            TableName name;
            name.schema = get_string(in);
            name.table = get_string(in);
            LeafState state;
            state.source_id = in.le<std::uint64_t>();
            state.storage_id = in.le<std::uint64_t>();
            t.leaves.push_back(std::move(name));
            t.leaf_states.push_back(state);
        }
        out.push_back(std::move(t));
    }
    if (in.failed()) out.clear();
    return out;
}

}  // namespace godwit::engine
