#pragma once
// Rows of the binary log to records (core/change.h). A plan is compiled once per version of a table: one
// printer per column; the row loop has no branch on type, no allocation and no virtual call per cell.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "codecs/mysql/binlog_events.h"
#include "codecs/mysql/characters.h"
#include "codecs/mysql/type.h"
#include "codecs/mysql/values.h"
#include "core/change.h"
#include "core/source.h"
#include "core/table.h"

namespace godwit::mysql {

struct RowOptions {
    Dialect dialect = Dialect::copy;
    bool mariadb = false;
    bool generated_columns = false;  // computed columns are part of the relation, too
    CharacterMaps characters = {};   // of the server that is read
};

// The relation of a table as its records carry it: the schema's columns in their order, without the generated
// ones (unless wanted). Id 0.
[[nodiscard]] Relation relation_of(const TableSchema& schema, const RowOptions& options);

// One version of a table. Not thread safe.
class RowPlan {
public:
    // `schema`: native_type and collation as information_schema spells them (COLUMN_TYPE, COLLATION_NAME).
    // failed_precondition when the map describes another table than the schema: never a guess.
    [[nodiscard]] static Result<std::unique_ptr<RowPlan>> compile(const TableMap& map,
                                                                  const TableSchema& schema,
                                                                  const RowOptions& options);

    [[nodiscard]] const Relation& relation() const noexcept { return relation_; }
    // Null, or a column that an INSERT's image leaves out and whose value the log does not tell. Servers that
    // write partial images leave out what the statement did not name and has a constant default: that is NULL
    // where the table says no other, and may be any value where it does.
    [[nodiscard]] const std::string* untold(const RowsEvent& event) const;
    // Writes one record a row into `stream` of the sink, whose relation record has been written under
    // `relation`. `subxid`: of the records. Returns their number. failed_precondition: the log leaves out
    // what the table's rows need, or describes another table; what was written of the event is right.
    [[nodiscard]] Result<std::uint64_t> decode(const RowsEvent& event, std::uint32_t relation,
                                               std::uint32_t subxid, std::uint32_t stream, ChangeSink& sink);

    // What a printer needs to know of its column.
    struct Column;
    // Appends state, length and value; false when the value does not fit the type.
    using Print = bool (*)(const Column& column, const std::byte* value, std::size_t n, ByteBuffer& to);
    struct Column {
        Print print = nullptr;
        // How its values are framed: `width` bytes, or a length of `prefix` bytes in front.
        std::uint32_t width = 0;
        std::uint8_t prefix = 0;
        bool wanted = true;         // it is part of the relation
        bool null_unnamed = false;  // an INSERT that does not name it makes it NULL
        bool identity = false;
        bool json = false;
        bool blanks = false;  // U+0000 becomes a blank
        bool null_partial_dates = false;
        std::uint8_t digits = 0;  // of a fraction
        std::uint8_t precision = 0, scale = 0;
        std::uint32_t padded = 0;  // binary(n): its length
        const Transcoder* transcoder = nullptr;
        const std::vector<std::string>* labels = nullptr;
        std::string name;
    };

private:
    enum class Held : std::uint8_t { absent, null, value, changes };
    struct Place {
        const std::byte* at = nullptr;
        std::uint32_t n = 0;
        Held held = Held::absent;
    };
    RowPlan() = default;
    // Which columns an event's rows have.
    struct Image {
        std::byte bits[512]{};
        std::size_t null_bytes = 0;
        bool whole = false;
        [[nodiscard]] bool has(std::size_t i) const noexcept {
            return whole || (std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1U) != 0;
        }
    };
    Image image(Bytes present) const;
    const std::byte* locate(const Image& image, const std::byte* at, const std::byte* end, bool changes,
                            std::vector<Place>& to) const;
    enum class Cells : std::uint8_t { born, fresh, key, full };
    bool put_row(const std::vector<Place>& places, Cells cells, ByteBuffer& to);
    bool put_changes(const Column& column, const Place& before, const Place& changes, ByteBuffer& to) const;
    [[nodiscard]] bool same_key() const;
    [[nodiscard]] bool current(const Place& row_end) const;
    [[nodiscard]] Error unfit(std::string_view what) const;

    Relation relation_;
    std::vector<Column> columns_;  // of the table map
    std::size_t json_columns_ = 0;
    bool old_rows_ = false;  // keyed updates carry the old row too: servers of this family write what is new
    std::size_t row_end_ = 0;  // of a system-versioned table: which column; columns_.size(): none
    std::vector<std::unique_ptr<Transcoder>> transcoders_;
    std::vector<std::unique_ptr<std::vector<std::string>>> labels_;
    std::vector<Place> old_, new_;  // of the row at hand
    const Column* failed_ = nullptr;
};

}  // namespace godwit::mysql
