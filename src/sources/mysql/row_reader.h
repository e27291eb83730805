#pragma once
// How rows of one table are selected and printed for a load: a SELECT list by which the server gives each
// cell in a form that loses nothing, and one printer a column, chosen once. The row loop has no branch on
// type.

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "codecs/mysql/packed.h"
#include "codecs/rows/copy_binary.h"
#include "core/table.h"
#include "wire/mysql/prepared.h"

namespace godwit::mysql {

class RowReader {
public:
    // kRowsLoad, kRowsCopy or kRowsBinary; unsupported: a column has no such form
    [[nodiscard]] static Result<RowReader> make(const TableSchema& table, std::string_view format);
    // "`a`, `b` + 0e0, ..."
    [[nodiscard]] const std::string& select_list() const noexcept { return select_list_; }
    // Appends one row. A null pointer is NULL.
    void print(const char* const* cells, const unsigned long* lengths, ByteBuffer& to) const {
        binary_ ? print_binary(cells, lengths, to) : print_line(cells, lengths, to);
    }
    // May rows of these columns be printed as the binary protocol brings them? Then print_packed() does.
    [[nodiscard]] bool take_packed(const std::vector<ResultColumn>& columns);
    // Appends one row (wire/mysql/prepared.h); false: it is damaged.
    [[nodiscard]] bool print_packed(Bytes row, ByteBuffer& to) const;
    [[nodiscard]] bool binary() const noexcept { return binary_; }
    // Around all rows of a load, also when there are none.
    void begin(ByteBuffer& to) const {
        if (binary_) rows::binary::put_header(to);
    }
    void end(ByteBuffer& to) const {
        if (binary_) rows::binary::put_trailer(to);
    }

private:
    using Printer = void (*)(ByteBuffer&, Bytes);
    void print_binary(const char* const* cells, const unsigned long* lengths, ByteBuffer& to) const {
        const std::size_t n = printers_.size();
        rows::binary::put_row(to, n);
        for (std::size_t i = 0; i < n; ++i) {
            if (cells[i] == nullptr)
                rows::binary::put_null(to);
            else
                printers_[i](to, {reinterpret_cast<const std::byte*>(cells[i]), lengths[i]});
        }
    }
    void print_line(const char* const* cells, const unsigned long* lengths, ByteBuffer& to) const {
        const std::size_t n = printers_.size();
        for (std::size_t i = 0; i < n; ++i) {
            if (i != 0) to.put_u8('\t');
            if (cells[i] == nullptr)
                to.append(std::string_view("\\N"));
            else
                printers_[i](to, {reinterpret_cast<const std::byte*>(cells[i]), lengths[i]});
        }
        to.put_u8('\n');
    }

    bool binary_ = false;
    std::string select_list_;
    std::vector<Printer> printers_;
    struct Column {
        PortableType portable;
        bool single = false;  // FLOAT
    };
    std::vector<Column> columns_;
    std::vector<PackedPrinter> packed_;
};

}  // namespace godwit::mysql
