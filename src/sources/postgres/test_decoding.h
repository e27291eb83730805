#pragma once
// The text of contrib/test_decoding, for sources on which no publication can be made. It carries no oids, no
// identity and no commit position in front of a transaction, so:
//   * table versions are made from the column names and types of each line plus hooks.resolve;
//   * a transaction is held until its COMMIT line; a large one goes through the sink as an open stream.
// A Begin's order is the last byte of its commit record (end - 1), which lies on the same side of every record
// boundary as the commit LSN that pgoutput names.
// The database must be encoded in UTF8: the walsender does not convert this plugin's text.

#include <map>
#include <string>
#include <vector>

#include "sources/postgres/decoder.h"

namespace godwit::postgres {

class TestDecodingDecoder final : public Decoder {
public:
    // Transactions up to `held_bytes_max` are kept here until they commit; hooks.resolve is required.
    explicit TestDecodingDecoder(DecoderHooks hooks, std::size_t held_bytes_max = 1U << 20);
    [[nodiscard]] Result<> decode(Bytes message, Lsn at, ChangeSink& sink) override;
    void restart(Lsn from) override;
    void reselect() override;

private:
    struct Cell {
        std::string_view name;  // as it stands in the line, maybe quoted
        std::string_view type;
        std::string_view value;  // between its quotes, which are still doubled when `doubled`
        CellState state = CellState::null;
        bool doubled = false;
    };
    struct Version {
        Relation relation;
        std::vector<std::string> names, types;  // as the lines spell them, to compare without unquoting
        bool defined = false;                   // its relation record was written
    };
    // What is known of one table name as the lines print it.
    struct Table {
        TableName name;  // the leaf's own
        std::shared_ptr<const TableSchema> schema;
        bool wanted = true;
        bool is_leaf = false;
        std::shared_ptr<Version> version;
    };

    Result<> begin(std::string_view text);
    Result<> commit(std::string_view text, Lsn at, ChangeSink& sink);
    Result<> change(std::string_view text, ChangeSink& sink);
    Result<> row(Table& table, std::string_view kind, std::string_view rest, ChangeSink& sink);
    Result<> truncate(const std::vector<std::string_view>& tables, std::string_view flags, ChangeSink& sink);
    Result<Table*> table(std::string_view printed);
    Result<> fit_version(Table& table, const std::vector<Cell>& cells, bool whole, ChangeSink& sink);
    ByteBuffer& buffer(ChangeSink& sink);
    Result<> recorded(ChangeSink& sink);
    void put_row(RecordWriter& writer, const Version& version, const std::vector<Cell>& cells);

    const std::size_t held_bytes_max_;
    std::map<std::string, Table, std::less<>> tables_;  // by printed name
    std::uint32_t xid_ = 0;
    bool overflowed_ = false;  // the transaction goes through the sink's stream
    ByteBuffer held_;
    std::vector<Cell> old_cells_, cells_;
    std::string scratch_;
};

}  // namespace godwit::postgres
