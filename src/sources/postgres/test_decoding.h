#pragma once
// The text of contrib/test_decoding, for sources on which no publication can be made. It carries no oids, no
// identity and no commit position in front of a transaction, so:
//   * table versions are made from the column names and types of each line plus hooks.resolve;
//   * a transaction is held until its COMMIT line; a large one goes through the sink as an open stream.
// A Begin's order is the last byte of its commit record (end - 1), which lies on the same side of every
// record boundary as the commit LSN that pgoutput names. The database must be encoded in UTF8: the walsender
// does not convert this plugin's text.

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
    // One version of a table. Partition leaves of one shape share that of their root.
    struct Version {
        Relation relation;               // id 0: not used yet
        std::vector<std::string> types;  // as the lines print them; empty: not seen yet
        bool written = false;
    };
    // What is known of one table name as the lines print it.
    struct Table {
        TableName name;  // the leaf's own
        std::shared_ptr<const TableSchema> schema;
        bool resolved = false;
        std::uint32_t resolved_in = 0;  // the transaction, when nothing was found
        bool refit = false;             // the schema was read anew: the version may be another
        bool wanted = false;
        bool is_leaf = false;
        std::shared_ptr<Version> version;
    };

    Result<> begin(std::string_view text);
    Result<> commit(std::string_view text, Lsn at, ChangeSink& sink);
    Result<> logical_message(std::string_view text, Lsn at);
    Result<> change(std::string_view text, ChangeSink& sink);
    Result<> row(RecordKind kind, Table& table, std::string_view rest, ChangeSink& sink);
    Result<> truncate(std::string_view tables, std::string_view flags, ChangeSink& sink);
    // nullptr: not wanted, or gone
    Result<Table*> find(std::string_view printed);
    // The version that these cells belong to; `whole`: they are all the columns there are.
    Result<> fit(Table& table, const std::vector<Cell>& cells, bool whole);
    Result<bool> make_version(Table& table, const std::vector<Cell>& cells, bool whole, bool last_try);
    Result<> define(Version& version, ChangeSink& sink);
    void put_row(RecordWriter& writer, const Version& version, const std::vector<Cell>& cells);
    void leave_out(const TableName& name, std::string_view what) const {
        if (hooks_.left_out) hooks_.left_out(name, what);
    }

    ByteBuffer& buffer(ChangeSink& sink) { return overflowed_ ? sink.buffer(xid_) : held_; }
    Result<> recorded(ChangeSink& sink);
    // moves the held records to a stream of the sink
    Result<> move_held(std::uint32_t stream, ChangeSink& sink);

    const std::size_t held_bytes_max_;
    std::map<std::string, Table, std::less<>> tables_;  // by printed name
    std::uint32_t xid_ = 0;
    bool overflowed_ = false;  // the transaction goes through the sink's stream of its xid
    ByteBuffer held_;
    std::vector<Cell> old_cells_, cells_;
    std::vector<std::uint32_t> list_;
    std::string unquoted_;
};

}  // namespace godwit::postgres
