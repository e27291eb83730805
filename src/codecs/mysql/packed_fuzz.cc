// Any bytes in place of a row of the binary protocol: fields that are whole, or a damaged row, never a read
// beyond it. Input: u8 number of cells, for each u8 wire type and u8 kind (128: unsigned), then the cells.

#include <cstdlib>

#include "codecs/mysql/packed.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::mysql;
    ByteReader in({reinterpret_cast<const std::byte*>(data), size});
    const unsigned cells = in.u8() % 16U;
    struct Cell {
        PackedPrinter packed;
        rows::binary::Printer text;
    };
    std::vector<Cell> row;
    for (unsigned i = 0; i < cells; ++i) {
        const std::uint8_t wire = in.u8(), kind = in.u8();
        const PortableType type{
            .kind = static_cast<PortableKind>(kind % (static_cast<unsigned>(PortableKind::nclob) + 1)),
            .scale = 6};
        const auto packed = packed_printer_of(wire, (kind & 128U) != 0, type, (kind & 64U) != 0);
        if (packed != nullptr) row.push_back({packed, rows::binary::printer_of(type)});
    }
    // of its own size, so that a read beyond is seen
    const Bytes rest = in.take(in.left());
    const std::vector<std::byte> bytes(rest.begin(), rest.end());
    const std::byte* at = bytes.data();
    const std::byte* const end = at + bytes.size();
    ByteBuffer to;
    for (const Cell& cell : row) {
        to.clear();
        const std::byte* const next = cell.packed(to, at, end, cell.text);
        if (next == nullptr) return 0;
        if (next < at || next > end) std::abort();
        ByteReader field(to.view());
        const auto length = field.be<std::int32_t>();
        if (length < -2 || field.left() != (length < 0 ? 0U : static_cast<std::size_t>(length))) std::abort();
        at = next;
    }
    return 0;
}
