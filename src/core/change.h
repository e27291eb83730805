#pragma once
// Changes as flat records: the form in memory, in the spool and at the target's door is one and the same, so
// a change is encoded once. A record is `u32 length` (of what follows) then `u8 kind` then the body; integers
// are little endian. Records never span chunks. Cells stay in the source's encoding.
//
//   relation   u32 id, u64 source_id, schema, table, u8 identity, u16 columns { name, u32 type_id,
//                                                  introduces a table version; `id` is unique within one log
//   begin      u32 xid, u64 order, i64 commit_time_us, u8 flags(1=streamed), u32 n { u32 aborted_subxid }
//   insert     u32 relation, u32 subxid, row
//   update     u32 relation, u32 subxid, u8 old(0 none, 1 key, 2 full; +128 keys off), [row], row
//   remove     u32 relation, u32 subxid, u8 old(1 key, 2 full; +128 keys off), row
//   truncate   u32 subxid, u8 flags(1=cascade, 2=restart identity), u16 n { u32 relation }
//   commit     u64 order_end, position text, i64 commit_time_us
//   keepalive  u64 order_end, position text        nothing was committed up to here
//
//   row        u16 cells { u8 state, [u32 length, bytes] }
//
// `order` numbers are the source's log order as one u64 (PostgreSQL: the LSN); they only ever grow within a
// log.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "core/position.h"
#include "core/table.h"

namespace godwit {

// NULL, "not sent" and a value are three different things, from decoder to target.
enum class CellState : std::uint8_t { null = 0, unchanged = 1, text = 2, binary = 3 };

enum class RecordKind : std::uint8_t {
    relation = 1,
    begin,
    insert,
    update,
    remove,
    truncate,
    commit,
    keepalive,
};

enum class OldRow : std::uint8_t { none = 0, key = 1, full = 2 };

struct RelationColumn {
    std::string name;
    std::uint32_t type_id = 0;
    std::int32_t type_modifier = -1;
    bool identity = false;
    friend bool operator==(const RelationColumn&, const RelationColumn&) = default;
};

// One version of a table as its log describes it.
struct Relation {
    std::uint32_t id = 0;         // within one log; a new version has a new id
    std::uint64_t source_id = 0;  // TableSchema::source_id
    TableName name;
    std::vector<RelationColumn> columns;
    RowIdentity identity = RowIdentity::none;
};

// Cells of one row inside a record; the bytes belong to the record.
struct Cell {
    CellState state = CellState::null;
    Bytes bytes;
};

// Forward iteration over a row's cells. The record was checked when it was written.
class RowView {
public:
    RowView() = default;
    explicit RowView(Bytes bytes) : bytes_(bytes) {}
    [[nodiscard]] std::uint16_t size() const noexcept {
        std::uint16_t n = 0;
        if (bytes_.size() >= 2) std::memcpy(&n, bytes_.data(), 2);
        return n;
    }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    // calls f(index, Cell) for each cell
    template <class F>
    void each(F&& f) const {
        const std::uint16_t n = size();
        const std::byte* at = bytes_.data() + 2;
        for (std::uint16_t i = 0; i < n; ++i) {
            Cell cell;
            cell.state = static_cast<CellState>(*at++);
            if (cell.state >= CellState::text) {
                std::uint32_t length = 0;
                std::memcpy(&length, at, 4);
                cell.bytes = {at + 4, length};
                at += 4 + length;
            }
            f(i, cell);
        }
    }
    // all cells, into a vector that the caller reuses
    void read(std::vector<Cell>& to) const {
        to.resize(size());
        each([&](std::uint16_t i, const Cell& cell) { to[i] = cell; });
    }
    [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }

private:
    Bytes bytes_;
};

// One record, decoded without copying. Which members are set depends on `kind`.
struct Record {
    RecordKind kind = RecordKind::keepalive;
    std::uint32_t relation = 0;
    std::uint32_t xid = 0;  // begin: the transaction; changes: the subtransaction, 0 when not streamed
    std::uint64_t order = 0;
    std::int64_t commit_time_us = 0;  // since 1970, UTC
    bool streamed = false;
    OldRow old_kind = OldRow::none;
    bool keys_off = false;  // update, remove: no foreign key acted at the source
    RowView old_row, row;
    std::uint8_t flags = 0;
    Bytes list;                 // begin: aborted subtransactions, truncate: relations; u32 each
    std::string_view position;  // commit, keepalive
    Bytes raw;                  // the whole record with its length
};

// Writes records. Not thread safe. A row is written cell by cell between begin_row() and end_row().
class RecordWriter {
public:
    explicit RecordWriter(ByteBuffer& to) : to_(to) {}

    void relation(const Relation& relation);
    void begin(std::uint32_t xid, std::uint64_t order, std::int64_t commit_time_us, bool streamed,
               const std::vector<std::uint32_t>& aborted);
    void commit(std::uint64_t order_end, std::string_view position, std::int64_t commit_time_us);
    void keepalive(std::uint64_t order_end, std::string_view position);
    void truncate(std::uint32_t subxid, std::uint8_t flags, const std::vector<std::uint32_t>& relations);

    // insert: start, row, finish.  update: start, [old row], row, finish.  remove: start, old row, finish.
    void start(RecordKind kind, std::uint32_t relation, std::uint32_t subxid);
    void old_kind(OldRow old, bool keys_off = false);  // update and remove, right after start()
    void begin_row(std::uint16_t cells) { to_.put_le(cells); }
    void null() { to_.put_u8(static_cast<std::uint8_t>(CellState::null)); }
    void unchanged() { to_.put_u8(static_cast<std::uint8_t>(CellState::unchanged)); }
    void value(CellState state, Bytes bytes) {
        std::byte* at = to_.extend(5 + bytes.size());
        at[0] = static_cast<std::byte>(state);
        const auto n = static_cast<std::uint32_t>(bytes.size());
        std::memcpy(at + 1, &n, 4);
        if (n != 0) std::memcpy(at + 5, bytes.data(), n);
    }
    void finish();
    // drops a record that was started and not finished
    void cancel() { to_.resize_down(start_); }

private:
    void open(RecordKind kind);
    ByteBuffer& to_;
    std::size_t start_ = 0;
};

// Reads records one after another. next() is false at the end or when the bytes are damaged (then failed()).
class RecordReader {
public:
    explicit RecordReader(Bytes bytes) : bytes_(bytes) {}
    bool next(Record& record);
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] std::size_t position() const noexcept { return at_; }
    void seek(std::size_t at) noexcept { at_ = at; }

private:
    Bytes bytes_;
    std::size_t at_ = 0;
    bool failed_ = false;
};

// The body of a relation record.
[[nodiscard]] bool read_relation(const Record& record, Relation& to);

}  // namespace godwit
