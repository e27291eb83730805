#pragma once
// One task on one server: what the tests of the rules have in common.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "codecs/rows/rows.h"
#include "core/target.h"
#include "fakes/memory_rows.h"
#include "mytarget/servers.h"
#include "targets/mysql/target.h"

namespace godwit::test {

inline ColumnSchema column(std::string name, PortableType type, bool not_null = false) {
    ColumnSchema c;
    c.name = std::move(name);
    c.portable = type;
    c.not_null = not_null;
    return c;
}
// Makes a column of the table one of an enum of PostgreSQL.
inline void enumeration(TableSchema& table, std::string_view name, std::vector<std::string> labels) {
    constexpr std::uint32_t kFirst = 90'001;  // a number that the server gives its users' types
    for (auto& c : table.columns)
        if (c.name == name) {
            c.portable = {.kind = PortableKind::string, .length = 64};
            c.type_id = kFirst + static_cast<std::uint32_t>(table.types.size());
            table.types.push_back(
                {.kind = UserType::Kind::enumeration, .type_id = c.type_id, .labels = std::move(labels)});
        }
}
inline ColumnSchema native(std::string name, std::string type, std::string collation = {},
                           bool not_null = false) {
    ColumnSchema c;
    c.name = std::move(name);
    c.native_type = std::move(type);
    c.collation = std::move(collation);
    c.not_null = not_null;
    return c;
}
// the first `keys` columns are its key, 0: none
inline TableSchema schema_of(const std::string& name, std::vector<ColumnSchema> columns,
                             std::size_t keys = 1) {
    TableSchema t;
    t.name = {"gw_test", name};
    t.source_id = 7;
    for (std::size_t i = 0; i < keys; ++i) {
        columns[i].not_null = true;
        t.primary_key.push_back(columns[i].name);
    }
    t.columns = std::move(columns);
    t.identity = keys > 0 ? RowIdentity::key : RowIdentity::full;
    if (keys > 0)
        t.identity_columns = t.primary_key;
    else
        for (const auto& c : t.columns) t.identity_columns.push_back(c.name);
    return t;
}

// A cell of a change.
struct V {
    CellState state = CellState::null;
    std::string bytes;
};
inline V text(std::string s) { return {CellState::text, std::move(s)}; }
inline V bytes(std::string s) { return {CellState::binary, std::move(s)}; }
inline V null() { return {}; }
inline V unsent() { return {CellState::unchanged, {}}; }

class MyTest : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        host_ = my_host(GetParam());
        if (!host_.given()) GTEST_SKIP() << "no server given";
        host_.clean({"gw_test"});
        host_.run("CREATE DATABASE gw_test CHARACTER SET utf8mb4");
        mariadb_ = std::string(GetParam()) == "GODWIT_TEST_MARIADB";
    }
    void TearDown() override {
        if (host_.given()) host_.clean({"gw_test"});
    }
    std::unique_ptr<Target> process(const std::string& family = "postgres",
                                    EndpointConfig* endpoint = nullptr) {
        auto made = mysql::make_target(endpoint != nullptr ? *endpoint : host_.endpoint(),
                                       TaskContext{"task", {}, {}, nullptr, &log_});
        EXPECT_TRUE(made->get()->open());
        ServerTraits source;
        source.family = family;
        source.system_id = "source";
        auto taken = made->get()->take_over({"task", "", ""}, source);
        EXPECT_TRUE(taken) << taken.error().text();
        if (taken) ledger_ = *taken;
        return std::move(*made);
    }
    static PreparedTable prepare(Target& target, const TableSchema& table,
                                 PrepMode mode = PrepMode::drop_and_create,
                                 std::string_view format = kRowsLoad) {
        auto prepared = target.prepare(table, mode, {std::string(format)}, SnapshotMark{"m"});
        EXPECT_TRUE(prepared) << prepared.error().text();
        return prepared.value_or(PreparedTable{});
    }
    // lines as they are
    static Result<> load(Target& target, const TableSchema& table, const PreparedTable& prepared,
                         const std::string& lines, std::uint64_t rows, std::uint32_t slice = 0) {
        auto writer = GW_TRY(target.open_writer());
        if (!GW_TRY(writer->begin(table, prepared, slice))) return fail(ErrorCode::already_exists, "in");
        GW_CHECK(writer->write(as_bytes(lines)));
        return writer->commit(rows);
    }
    // a joined table with these lines
    void filled(Target& target, const TableSchema& table, const std::string& lines, std::uint64_t rows,
                PrepMode mode = PrepMode::drop_and_create) {
        const auto prepared = prepare(target, table, mode);
        ASSERT_OK(load(target, table, prepared, lines, rows));
        ASSERT_OK(target.finish_load(table, prepared, TablePhase::joined, rows));
    }
    std::unique_ptr<Applier> applier(Target& target, const TableSchema& table,
                                     const ConflictPolicy& policy = {}) {
        auto a = target.open_applier(policy);
        EXPECT_TRUE(a) << a.error().text();
        const auto defined = (*a)->define(relation_of(table, 1), table);
        EXPECT_TRUE(defined) << defined.error().text();
        return std::move(*a);
    }
    using Cells = std::vector<V>;
    static void put(RecordWriter& writer, const Cells& cells) {
        writer.begin_row(static_cast<std::uint16_t>(cells.size()));
        for (const auto& v : cells) {
            if (v.state == CellState::null)
                writer.null();
            else if (v.state == CellState::unchanged)
                writer.unchanged();
            else
                writer.value(v.state, as_bytes(v.bytes));
        }
    }
    static Result<> change(Applier& a, RecordKind kind, OldRow old_kind, const Cells& old, const Cells& now) {
        ByteBuffer buffer;
        RecordWriter writer(buffer);
        writer.start(kind, 1, 0);
        if (kind != RecordKind::insert) writer.old_kind(old_kind);
        if (old_kind != OldRow::none) put(writer, old);
        if (kind != RecordKind::remove) put(writer, now);
        writer.finish();
        RecordReader reader(buffer.view());
        Record r;
        if (!reader.next(r)) return fail(ErrorCode::internal, "a bad record");
        return a.apply(r);
    }
    static Result<> insert(Applier& a, const Cells& now) {
        return change(a, RecordKind::insert, OldRow::none, {}, now);
    }
    static Result<> update(Applier& a, const Cells& now) {
        return change(a, RecordKind::update, OldRow::none, {}, now);
    }
    static Result<> update(Applier& a, const Cells& old, const Cells& now, OldRow kind = OldRow::full) {
        return change(a, RecordKind::update, kind, old, now);
    }
    static Result<> remove(Applier& a, const Cells& old, OldRow kind = OldRow::full) {
        return change(a, RecordKind::remove, kind, old, {});
    }
    Result<> commit(Applier& a) { return a.commit(Position{"p" + std::to_string(++position_)}, {}); }

    Log log_{"/dev/null"};
    MyHost host_;
    Ledger ledger_;
    bool mariadb_ = false;
    int position_ = 0;
};

constexpr PortableType kInt{.kind = PortableKind::int4};
constexpr PortableType kText{.kind = PortableKind::wstring, .length = 100};

}  // namespace godwit::test
