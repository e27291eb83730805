// Any bytes in place of a chunk of the change log, as a damaged spool may hold: refused, never read beyond
// the end.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/change.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    const std::vector<std::byte> exact(reinterpret_cast<const std::byte*>(data),
                                       reinterpret_cast<const std::byte*>(data) + size);
    RecordReader reader(exact);
    Record r;
    Relation relation;
    std::size_t seen = 0, bytes = 0;
    while (reader.next(r)) {
        seen += r.raw.size();
        if (r.kind == RecordKind::relation) bytes += read_relation(r, relation) ? relation.columns.size() : 0;
        for (const RowView& row : {r.old_row, r.row})
            if (!row.empty()) row.each([&](std::uint16_t, const Cell& cell) { bytes += cell.bytes.size(); });
        for (ByteReader in(r.list); !in.at_end();) bytes += in.le<std::uint32_t>() & 1U;
    }
    if (seen != reader.position() || bytes > 1024 * (size + 1)) std::abort();
    return 0;
}
