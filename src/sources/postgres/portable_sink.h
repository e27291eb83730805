#pragma once
// Stands between a decoder and the engine's log when the target is of another family: cells in PostgreSQL's
// text become portable ones (core/portable.h). Records without a cell to convert pass as they are.

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "codecs/pg/portable.h"
#include "core/forwarding_sink.h"

namespace godwit::postgres {

class PortableSink final : public ForwardingSink {
public:
    // The table that a relation describes, or nothing when it is not known.
    using Describe = std::function<std::shared_ptr<const TableSchema>(const Relation& relation)>;
    PortableSink(ChangeSink& next, PortableOptions options, Describe describe)
        : ForwardingSink(next), options_(options), describe_(std::move(describe)) {}

    ByteBuffer& buffer(std::uint32_t) override { return record_; }
    Result<> recorded(std::uint32_t stream) override;
    void define(const Relation& relation) override;

private:
    struct Converters {
        std::vector<CellConverter> columns;
        bool any = false;
    };
    void convert_row(const Converters& converters, RowView row, RecordWriter& to);

    const PortableOptions options_;
    const Describe describe_;
    ByteBuffer record_;                                         // what the decoder writes
    ByteBuffer scratch_;                                        // one cell
    std::unordered_map<std::uint32_t, Converters> converters_;  // by relation id
};

}  // namespace godwit::postgres
