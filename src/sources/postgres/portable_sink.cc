#include "sources/postgres/portable_sink.h"

namespace godwit::postgres {

void PortableSink::define(const Relation& relation) {
    Converters made;
    const auto table = describe_(relation);
    static const std::vector<UserType> kNone;
    for (const auto& c : relation.columns) {
        ColumnSchema column;
        column.name = c.name;
        column.type_id = c.type_id;
        column.type_modifier = c.type_modifier;
        const auto converter = cell_converter(column, table ? table->types : kNone, options_);
        made.any = made.any || converter != nullptr;
        made.columns.push_back(converter);
    }
    converters_[relation.id] = std::move(made);
    next_.define(relation);
}

void PortableSink::convert_row(const Converters& converters, RowView row, RecordWriter& to) {
    to.begin_row(row.size());
    row.each([&](std::uint16_t i, const Cell& cell) {
        switch (cell.state) {
            case CellState::null:
                to.null();
                return;
            case CellState::unchanged:
                to.unchanged();
                return;
            case CellState::text:
            case CellState::binary:
                break;
        }
        const CellConverter convert = i < converters.columns.size() ? converters.columns[i] : nullptr;
        if (convert == nullptr) {
            to.value(cell.state, cell.bytes);
            return;
        }
        const PortableCell converted = convert(cell.bytes, scratch_);
        to.value(converted.state, converted.bytes);
    });
}

Result<> PortableSink::recorded(std::uint32_t stream) {
    RecordReader reader(record_.view());
    Record r;
    while (reader.next(r)) {
        const bool row =
            r.kind == RecordKind::insert || r.kind == RecordKind::update || r.kind == RecordKind::remove;
        const auto it = row ? converters_.find(r.relation) : converters_.end();
        ByteBuffer& to = next_.buffer(stream);
        if (it == converters_.end() || !it->second.any) {
            to.append(r.raw);
        } else {
            RecordWriter writer(to);
            writer.start(r.kind, r.relation, r.xid);
            if (r.kind != RecordKind::insert) writer.old_kind(r.old_kind);
            if (r.kind == RecordKind::update && r.old_kind != OldRow::none)
                convert_row(it->second, r.old_row, writer);
            convert_row(it->second, r.kind == RecordKind::remove ? r.old_row : r.row, writer);
            writer.finish();
        }
        GW_CHECK(next_.recorded(stream));
    }
    const bool damaged = reader.failed();
    record_.clear();
    if (damaged) return fail(ErrorCode::internal, "a record that the decoder wrote cannot be read");
    return {};
}

}  // namespace godwit::postgres
