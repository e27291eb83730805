#include "core/table_bytes.h"

namespace godwit {
namespace {

void put_names(ByteBuffer& to, const std::vector<std::string>& names) {
    to.put_le(static_cast<std::uint32_t>(names.size()));
    for (const auto& n : names) put_string(to, n);
}

std::vector<std::string> get_names(ByteReader& in) {
    std::vector<std::string> out;
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) out.push_back(get_string(in));
    return out;
}

void put_column(ByteBuffer& to, const ColumnSchema& c) {
    put_string(to, c.name);
    put_string(to, c.native_type);
    to.put_le(c.type_id);
    to.put_le(static_cast<std::uint32_t>(c.type_modifier));
    to.put_le(static_cast<std::uint32_t>(c.number));
    to.put_u8(c.generated ? 1 : 0);
    to.put_u8(static_cast<std::uint8_t>(c.portable.kind));
    to.put_le(c.portable.length);
    to.put_le(c.portable.precision);
    to.put_le(static_cast<std::uint16_t>(c.portable.scale));
    to.put_u8(static_cast<std::uint8_t>((c.portable.zoned ? 1 : 0) | (c.portable.json ? 2 : 0)));
    to.put_u8(static_cast<std::uint8_t>((c.not_null ? 1 : 0) | (c.generated_virtual ? 2 : 0) |
                                        (c.invisible ? 4 : 0) | (c.missing_value ? 8 : 0)));
    put_string(to, c.collation);
    put_string(to, c.generation_expression);
    put_string(to, c.default_expression);
    put_string(to, c.identity);
    if (c.missing_value) put_string(to, *c.missing_value);
}

ColumnSchema get_column(ByteReader& in, std::uint32_t format) {
    ColumnSchema c;
    c.name = get_string(in);
    c.native_type = get_string(in);
    c.type_id = in.le<std::uint32_t>();
    c.type_modifier = static_cast<std::int32_t>(in.le<std::uint32_t>());
    c.number = static_cast<std::int32_t>(in.le<std::uint32_t>());
    c.generated = in.u8() != 0;
    if (format < 2) return c;
    c.portable.kind = static_cast<PortableKind>(in.u8());
    c.portable.length = in.le<std::uint32_t>();
    c.portable.precision = in.le<std::uint16_t>();
    c.portable.scale = static_cast<std::int16_t>(in.le<std::uint16_t>());
    const auto portable = in.u8();
    c.portable.zoned = (portable & 1U) != 0;
    c.portable.json = (portable & 2U) != 0;
    if (format < 3) return c;
    const auto flags = in.u8();
    c.not_null = (flags & 1U) != 0;
    c.generated_virtual = (flags & 2U) != 0;
    c.invisible = (flags & 4U) != 0;
    c.collation = get_string(in);
    c.generation_expression = get_string(in);
    c.default_expression = get_string(in);
    c.identity = get_string(in);
    if ((flags & 8U) != 0) c.missing_value = get_string(in);
    return c;
}

}  // namespace

void put_table(ByteBuffer& to, const TableSchema& t) {
    put_string(to, t.name.schema);
    put_string(to, t.name.table);
    for (const auto number : {t.source_id, t.storage_id, t.columns_id, t.name_id}) to.put_le(number);
    to.put_u8(static_cast<std::uint8_t>(t.identity));
    to.put_u8(t.partitioned ? 1 : 0);
    put_names(to, t.identity_columns);
    put_names(to, t.primary_key);
    to.put_le(static_cast<std::uint32_t>(t.columns.size()));
    for (const auto& c : t.columns) put_column(to, c);
    const std::size_t leaves = t.leaf_states.size() == t.leaves.size() ? t.leaves.size() : 0;
    to.put_le(static_cast<std::uint32_t>(leaves));
    for (std::size_t i = 0; i < leaves; ++i) {
        put_string(to, t.leaves[i].schema);
        put_string(to, t.leaves[i].table);
        to.put_le(t.leaf_states[i].source_id);
        to.put_le(t.leaf_states[i].storage_id);
        to.put_le(t.leaf_states[i].attached_id);
        to.put_u8(t.leaf_states[i].logged ? 1 : 0);
    }
    put_string(to, t.default_collation);
}

TableSchema get_table(ByteReader& in, std::uint32_t format) {
    TableSchema t;
    t.name.schema = get_string(in);
    t.name.table = get_string(in);
    for (auto* number : {&t.source_id, &t.storage_id, &t.columns_id, &t.name_id})
        *number = in.le<std::uint64_t>();
    t.identity = static_cast<RowIdentity>(in.u8());
    t.partitioned = in.u8() != 0;
    t.identity_columns = get_names(in);
    t.primary_key = get_names(in);
    for (auto k = in.le<std::uint32_t>(); k > 0 && !in.failed(); --k)
        t.columns.push_back(get_column(in, format));
    for (auto k = in.le<std::uint32_t>(); k > 0 && !in.failed(); --k) {
        TableName name;
        name.schema = get_string(in);
        name.table = get_string(in);
        LeafState state;
        state.source_id = in.le<std::uint64_t>();
        state.storage_id = in.le<std::uint64_t>();
        if (format >= 4) {
            state.attached_id = in.le<std::uint64_t>();
            state.logged = in.u8() != 0;
        }
        t.leaves.push_back(std::move(name));
        t.leaf_states.push_back(state);
    }
    if (format >= 3) t.default_collation = get_string(in);
    return t;
}

}  // namespace godwit
