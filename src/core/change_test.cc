#include "core/change.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

// Every record kind comes back as it was written, and a cut anywhere is noticed.
TEST(Change, RecordsRoundTrip) {
    ByteBuffer buffer;
    RecordWriter writer(buffer);
    Relation relation{
        7, 16384, {"shop", "orders"}, {{"id", 20, -1, true}, {"note", 25, -1, false}}, RowIdentity::key};
    writer.relation(relation);
    writer.begin(99, 4096, 1234567, true, {5, 6});
    writer.start(RecordKind::insert, 7, 0);
    writer.begin_row(2);
    writer.value(CellState::text, as_bytes("1"));
    writer.null();
    writer.finish();
    writer.start(RecordKind::update, 7, 3);
    writer.old_kind(OldRow::key);
    writer.begin_row(2);
    writer.value(CellState::text, as_bytes("1"));
    writer.null();
    writer.begin_row(2);
    writer.value(CellState::binary, as_bytes(""));
    writer.unchanged();
    writer.finish();
    writer.start(RecordKind::remove, 7, 0);
    writer.old_kind(OldRow::full);
    writer.begin_row(1);
    writer.value(CellState::text, as_bytes("x"));
    writer.finish();
    writer.truncate(0, 1, {7});
    writer.commit(5000, "0/1388", 42);
    writer.keepalive(6000, "0/1770");

    RecordReader reader(buffer.view());
    Record r;
    ASSERT_TRUE(reader.next(r));
    Relation again;
    ASSERT_TRUE(read_relation(r, again));
    EXPECT_EQ(again.name, relation.name);
    EXPECT_EQ(again.columns, relation.columns);
    EXPECT_EQ(again.identity, RowIdentity::key);
    ASSERT_TRUE(reader.next(r));
    EXPECT_EQ(r.kind, RecordKind::begin);
    EXPECT_EQ(r.order, 4096U);
    EXPECT_TRUE(r.streamed);
    EXPECT_EQ(r.list.size(), 8U);
    ASSERT_TRUE(reader.next(r));
    std::vector<Cell> cells;
    r.row.read(cells);
    ASSERT_EQ(cells.size(), 2U);
    EXPECT_EQ(as_text(cells[0].bytes), "1");
    EXPECT_EQ(cells[1].state, CellState::null);
    ASSERT_TRUE(reader.next(r));
    EXPECT_EQ(r.old_kind, OldRow::key);
    r.row.read(cells);
    EXPECT_EQ(cells[0].state, CellState::binary);  // empty is not NULL
    EXPECT_EQ(cells[1].state, CellState::unchanged);
    ASSERT_TRUE(reader.next(r));
    EXPECT_EQ(r.old_kind, OldRow::full);
    ASSERT_TRUE(reader.next(r));
    EXPECT_EQ(r.kind, RecordKind::truncate);
    ASSERT_TRUE(reader.next(r));
    EXPECT_EQ(r.position, "0/1388");
    ASSERT_TRUE(reader.next(r));
    EXPECT_EQ(r.kind, RecordKind::keepalive);
    EXPECT_FALSE(reader.next(r));
    EXPECT_FALSE(reader.failed());

    for (std::size_t cut = 1; cut < buffer.size(); ++cut) {
        RecordReader damaged(buffer.view().subspan(0, cut));
        std::size_t whole = 0;
        while (damaged.next(r)) whole = damaged.position();
        EXPECT_TRUE(damaged.failed() || whole == cut) << cut;
    }
}

}  // namespace
}  // namespace godwit
