// Rules of applying changes.

#include <chrono>
#include <thread>

#include "mytarget/bed.h"

namespace godwit::test {
namespace {

class MyApplyTest : public MyTest {
protected:
    std::string rows(const std::string& table = "t") {
        return host_.ask("SELECT * FROM gw_test." + table + " ORDER BY 1, 2");
    }
    const TableSchema table_ = schema_of("t", {column("id", kInt), column("s", kText)});
};

TEST_P(MyApplyTest, AKeyIsOnceInAStatement) {
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n", 2);
    auto a = applier(*target, table_);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("x")}));
    ASSERT_OK(update(*a, {text("1"), text("y")}));
    ASSERT_OK(remove(*a, {text("2"), null()}, OldRow::key));
    ASSERT_OK(insert(*a, {text("2"), text("again")}));
    ASSERT_OK(insert(*a, {text("3"), text("c")}));
    ASSERT_OK(update(*a, {text("3"), text("d")}));
    ASSERT_OK(update(*a, {text("3"), text("d")}));  // found, although nothing changes
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "1|y\n2|again\n3|d");
}

TEST_P(MyApplyTest, OnlyWhatWasSentIsWritten) {
    host_.run("CREATE TABLE gw_test.t (id int primary key, a int, b varchar(9), j " +
              std::string(mariadb_ ? "longtext" : "json") +
              ", ts timestamp(6) not null default current_timestamp(6) on update current_timestamp(6))");
    const auto table = schema_of("t", {column("id", kInt), column("a", kInt), column("b", kText),
                                       column("j", {.kind = PortableKind::nclob}),
                                       column("ts", {.kind = PortableKind::datetime, .scale = 6})});
    auto target = process();
    filled(*target, table,
           "1\t1\tx\t{\"d\": 1.5}\t2001-01-01 00:00:00.000001\n2\t2\ty\t\\N\t2002-01-01 00:00:00\n"
           "3\t3\tz\t[]\t2003-01-01 00:00:00\n",
           3, PrepMode::do_nothing);
    auto a = applier(*target, table);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), unsent(), text("new"), unsent(), unsent()}));
    ASSERT_OK(update(*a, {text("2"), text("20"), unsent(), unsent(), unsent()}));
    ASSERT_OK(update(*a, {text("3"), text("30"), null(), text("[1]"), text("2033-01-01 00:00:00.5")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(),
              "1|1|new|{\"d\": 1.5}|2001-01-01 00:00:00.000001\n2|20|y|NULL|2002-01-01 00:00:00.000000\n"
              "3|30|NULL|[1]|2033-01-01 00:00:00.500000");
    // singly, as in careful mode
    ASSERT_OK(a->begin(Applier::Mode::careful));
    ASSERT_OK(update(*a, {text("9"), unsent(), text("nobody"), unsent(), unsent()}));
    ASSERT_OK(update(*a, {text("1"), text("11"), unsent(), unsent(), unsent()}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask("SELECT a, b, ts FROM gw_test.t WHERE id = 1"), "11|new|2001-01-01 00:00:00.000001");
}

TEST_P(MyApplyTest, UniqueColumnsKeepTheSourcesOrder) {
    host_.run(
        "CREATE TABLE gw_test.t (id int primary key, s varchar(20) collate utf8mb4_bin, unique key (s))");
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n3\tc\n", 3, PrepMode::do_nothing);
    auto a = applier(*target, table_);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(insert(*a, {text("8"), text("h")}));
    ASSERT_OK(remove(*a, {text("1"), null()}, OldRow::key));
    ASSERT_OK(insert(*a, {text("9"), text("a")}));
    ASSERT_OK(update(*a, {text("2"), text("tmp")}));
    ASSERT_OK(update(*a, {text("3"), text("b")}));
    ASSERT_OK(update(*a, {text("2"), text("c")}));
    const auto done = commit(*a);
    ASSERT_OK(done);
    EXPECT_EQ(rows(), "2|c\n3|b\n8|h\n9|a");
}

TEST_P(MyApplyTest, NothingCommitsThatMetOtherRows) {
    auto target = process();
    const auto table = schema_of(
        "t", {column("id", kInt), column("m", {.kind = PortableKind::numeric, .precision = 5, .scale = 1})});
    filled(*target, table, "1\t1.0\n2\t2.0\n", 2);
    auto a = applier(*target, table);
    // a missing row among many
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("5")}));
    ASSERT_OK(update(*a, {text("7"), text("5")}));
    auto done = commit(*a);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::conflict);
    a->abort();
    EXPECT_EQ(rows(), "1|1.0\n2|2.0");
    // a value that is rounded is only a note to the server
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("1.25")}));
    ASSERT_OK(update(*a, {text("2"), text("3")}));
    done = commit(*a);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::conflict);
    a->abort();
    ASSERT_OK(a->begin(Applier::Mode::careful));
    ASSERT_OK(update(*a, {text("1"), text("1.25")}));
    ASSERT_OK(update(*a, {text("2"), text("3")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "1|1.0\n2|3.0");
    ASSERT_EQ(a->take_conflicts().size(), 1U);
    EXPECT_EQ(
        host_.ask("SELECT TASK_NAME, TABLE_NAME, STATEMENT FROM awsdms_control.awsdms_apply_exceptions"),
        "task|t|UPDATE `gw_test`.`t`");
    const auto counts = a->take_counts();
    ASSERT_EQ(counts.size(), 1U);
    EXPECT_EQ(counts[0].counts.updates, 1U);
    EXPECT_EQ(counts[0].counts.conflicts, 1U);
}

// To the server an UPDATE to what is there already changes no row.
TEST_P(MyApplyTest, ARowThatIsAsItShouldBeIsMet) {
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n", 2);
    auto a = applier(*target, table_);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("a")}));
    ASSERT_OK(update(*a, {text("2"), text("c")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "1|a\n2|c");
}

TEST_P(MyApplyTest, KeylessRowsAreFoundWhole) {
    host_.run(
        "CREATE TABLE gw_test.t (a int, s varchar(20) collate utf8mb4_general_ci, f float, b bit(4), j " +
        std::string(mariadb_ ? "longtext" : "json") +
        ", e enum('x','y'), v varbinary(5)) character set utf8mb4");
    auto target = process();
    auto table = schema_of(
        "t",
        {column("a", kInt), column("s", kText), column("f", {.kind = PortableKind::real4}),
         column("b", {.kind = PortableKind::bytes, .length = 1}), column("j", {.kind = PortableKind::nclob}),
         column("e", kText), column("v", {.kind = PortableKind::bytes, .length = 5})},
        0);
    enumeration(table, "e", {"x", "y"});
    const std::string twin = "1\ta\t1234567.8\t\x05\t{\"k\": 1}\tx\t\\0\xff\n";
    filled(*target, table,
           twin + twin + "1\tA\t1234567.8\t\x05\t{\"k\": 1}\tx\t\\0\xff\n\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n",
           4, PrepMode::do_nothing);
    auto a = applier(*target, table);
    const Cells row = {text("1"),
                       text("A"),
                       text("1234567.8"),
                       bytes("\x05"),
                       text("{\"k\": 1}"),
                       text("x"),
                       bytes(std::string("\0\xff", 2))};
    Cells twins = row, changed = row;
    twins[1] = text("a");
    changed[0] = text("2");
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, row, changed));
    ASSERT_OK(remove(*a, twins));
    ASSERT_OK(remove(*a, Cells(7)));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask("SELECT a, s FROM gw_test.t ORDER BY 1"), "1|a\n2|A");
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(remove(*a, row));  // is gone
    EXPECT_FALSE(commit(*a));
    a->abort();
}

TEST_P(MyApplyTest, LargeKeylessTablesGetAnIndex) {
    auto target = process();
    const auto table = schema_of("t", {column("a", kInt), column("s", kText)}, 0);
    std::string lines;
    for (int i = 0; i < 12000; ++i) lines += "1\tname " + std::to_string(i) + "\n";
    filled(*target, table, lines, 12000);
    EXPECT_EQ(
        host_.ask("SELECT index_name, column_name FROM information_schema.statistics WHERE table_schema = "
                  "'gw_test'"),
        "gw_row|s");
    auto a = applier(*target, table);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(remove(*a, {text("1"), text("name 7")}));
    ASSERT_OK(commit(*a));
}

TEST_P(MyApplyTest, AChangeBeyondThePacketIsItsOwnError) {
    const auto before = host_.ask("SELECT @@global.max_allowed_packet");
    host_.run("SET GLOBAL max_allowed_packet = 2097152");
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("b", {.kind = PortableKind::blob})});
    filled(*target, table, "1\tx\n", 1);
    auto a = applier(*target, table);
    host_.run("SET GLOBAL max_allowed_packet = " + before);
    ASSERT_OK(a->begin(Applier::Mode::careful));
    ASSERT_OK(update(*a, {text("1"), bytes(std::string(3U << 20, 'x'))}));
    ASSERT_OK(insert(*a, {text("2"), bytes("y")}));
    ASSERT_OK(commit(*a));
    const auto conflicts = a->take_conflicts();
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_THAT(conflicts[0].error, testing::HasSubstr("max_allowed_packet"));
    EXPECT_EQ(rows(), "1|x\n2|y");
}

// What fails before any of it was sent undoes nothing of the windows before it.
TEST_P(MyApplyTest, AWindowThatWasNotSentUndoesNoOther) {
    const auto before = host_.ask("SELECT @@global.max_allowed_packet");
    host_.run("SET GLOBAL max_allowed_packet = 2097152");
    auto target = process();
    host_.run("SET GLOBAL max_allowed_packet = " + before);
    const auto table = schema_of("t", {column("id", kInt), column("b", {.kind = PortableKind::blob})});
    for (const auto mode : {Applier::Mode::careful, Applier::Mode::converging}) {
        const bool careful = mode == Applier::Mode::careful;
        filled(*target, table, "0\tx\n", 1);
        host_.run("SET GLOBAL max_allowed_packet = 2097152");
        auto a = applier(*target, table);
        host_.run("SET GLOBAL max_allowed_packet = " + before);
        ASSERT_OK(a->begin(mode));
        for (int i = 1; i <= 300; ++i) ASSERT_OK(insert(*a, {text(std::to_string(i)), bytes("y")}));
        ASSERT_OK(insert(*a, {text("301"), bytes(std::string(3U << 20, 'x'))}));
        ASSERT_OK(insert(*a, {text("302"), bytes("z")}));
        ASSERT_OK(commit(*a));
        EXPECT_EQ(host_.ask("SELECT count(*), min(id), max(id), sum(id = 301) FROM gw_test.t"),
                  "302|0|302|0");
        const auto conflicts = a->take_conflicts();
        ASSERT_EQ(conflicts.size(), 1U);
        EXPECT_THAT(conflicts[0].error, testing::HasSubstr("max_allowed_packet"));
        EXPECT_EQ(host_.ask("SELECT count(*) FROM awsdms_control.awsdms_apply_exceptions"),
                  careful ? "1" : "2");
        const auto counts = a->take_counts();
        ASSERT_EQ(counts.size(), 1U);
        EXPECT_EQ(counts[0].counts.inserts, 301U);
        EXPECT_EQ(counts[0].counts.conflicts, careful ? 1U : 0U);
    }
}

TEST_P(MyApplyTest, AMissingTableUndoesNoOther) {
    auto target = process();
    const auto gone = schema_of("gone", {column("id", kInt), column("s", kText)});
    filled(*target, gone, "", 0);
    host_.run("DROP TABLE gw_test.gone");
    for (const auto mode : {Applier::Mode::careful, Applier::Mode::converging}) {
        filled(*target, table_, "0\tx\n", 1);
        auto a = applier(*target, table_);
        ASSERT_OK(a->begin(mode));
        for (int i = 1; i <= 300; ++i) ASSERT_OK(insert(*a, {text(std::to_string(i)), text("y")}));
        ASSERT_OK(a->define(relation_of(gone, 1), gone));
        ASSERT_OK(insert(*a, {text("1"), text("nowhere")}));
        ASSERT_OK(commit(*a));
        EXPECT_EQ(host_.ask("SELECT count(*), max(id) FROM gw_test.t"), "301|300");
        const auto conflicts = a->take_conflicts();
        ASSERT_EQ(conflicts.size(), 1U);
        EXPECT_EQ(conflicts[0].action, ConflictAction::suspend_table);
        const auto counts = a->take_counts();
        std::uint64_t inserts = 0;
        for (const auto& t : counts) inserts += t.counts.inserts;
        EXPECT_EQ(inserts, 300U);
        EXPECT_EQ(host_.ask("SELECT phase FROM godwit.gw_table WHERE source_table = 'gone'"), "suspended");
    }
}

// A deadlock ends the transaction with all its windows; a record that fails before its answer is read must
// not hide that.
TEST_P(MyApplyTest, ADeadlockIsNotHiddenByWhatCouldNotBeSent) {
    const auto before = host_.ask("SELECT @@global.max_allowed_packet");
    host_.run("SET GLOBAL max_allowed_packet = 2097152");
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("b", {.kind = PortableKind::blob})});
    filled(*target, table, "1000\tx\n", 1);
    auto a = applier(*target, table);
    host_.run("SET GLOBAL max_allowed_packet = " + before);
    // the other session has changed more, so it is this one that is undone
    std::string sql =
        "CREATE TABLE gw_test.heavy (id int auto_increment primary key, x int); "
        "INSERT INTO gw_test.heavy (x) VALUES (1)";
    for (int i = 0; i < 12; ++i) sql += "; INSERT INTO gw_test.heavy (x) SELECT x FROM gw_test.heavy";
    host_.run(sql);
    auto other = host_.connect();
    ASSERT_OK(
        other.run("BEGIN; UPDATE gw_test.t SET b = 'o' WHERE id = 1000; UPDATE gw_test.heavy SET x = 2"));
    ASSERT_OK(a->begin(Applier::Mode::careful));
    for (int i = 1; i <= 256; ++i) ASSERT_OK(insert(*a, {text(std::to_string(i)), bytes("y")}));
    Result<> waited;
    {
        const std::jthread waiting(
            [&] { waited = other.run("UPDATE gw_test.t SET b = 'o' WHERE id = 1; ROLLBACK"); });
        for (int i = 0; i < 1000; ++i) {
            if (host_.ask(
                    "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") !=
                "0")
                break;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        EXPECT_OK(update(*a, {text("1000"), bytes(std::string(400U << 10, 'n'))}));
        EXPECT_OK(insert(*a, {text("1001"), bytes(std::string(3U << 20, 'x'))}));
        const auto done = commit(*a);
        EXPECT_FALSE(done);
        if (!done) {
            EXPECT_EQ(done.error().retry, Retry::from_checkpoint) << done.error().text();
        }
        a->abort();
    }
    EXPECT_OK(waited);
    EXPECT_EQ(host_.ask("SELECT id, length(b) FROM gw_test.t"), "1000|1");
}

TEST_P(MyApplyTest, WeakKeysAreMatchedByTheirBytes) {
    host_.run(
        "CREATE TABLE gw_test.t (id varchar(20) character set latin1 collate latin1_swedish_ci primary key, "
        "s "
        "varchar(20)) character set utf8mb4");
    auto target = process();
    const auto table = schema_of("t", {column("id", kText), column("s", kText)});
    const auto prepared = prepare(*target, table, PrepMode::do_nothing);
    ASSERT_FALSE(prepared.notices.empty());
    ASSERT_OK(load(*target, table, prepared, "a\t1\n\xC3\xA9t\xC3\xA9\t2\n", 2));
    ASSERT_OK(target->finish_load(table, prepared, TablePhase::joined, 2));
    auto a = applier(*target, table);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("\xC3\xA9t\xC3\xA9"), text("found")}));
    ASSERT_OK(commit(*a));
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("A"), text("not this row")}));
    EXPECT_FALSE(commit(*a));
    a->abort();
    EXPECT_EQ(rows(), "a|1\n\xC3\xA9t\xC3\xA9|found");
    // an endpoint that wants it so is not loaded at all
    auto endpoint = host_.endpoint();
    endpoint.attributes["collationmismatch"] = "fail";
    auto strict = process("postgres", &endpoint);
    EXPECT_FALSE(strict->prepare(table, PrepMode::truncate, {std::string(kRowsLoad)}, {}));
}

// Goal: a value that the column cannot hold is no row's, also where '?' stands for it when it is converted.
TEST_P(MyApplyTest, WhatAColumnCannotHoldMeetsNoOtherRow) {
    const std::string snowman = "\xE2\x98\x83", dollars = "\xEF\xBC\x84", euro = "\xE2\x82\xAC";
    auto target = process();
    for (const std::string charset : {"latin1", "gbk", "utf8"}) {
        const std::string missing = charset == "utf8" ? "\xF0\x9F\x98\x80" : snowman,
                          held = charset == "gbk" ? dollars : euro;
        for (const std::size_t keys : {1, 2, 0}) {
            host_.run("DROP TABLE IF EXISTS gw_test.t");
            host_.run("CREATE TABLE gw_test.t (id varchar(20), n int, s varchar(20)" +
                      std::string(keys == 1   ? ", PRIMARY KEY (id)"
                                  : keys == 2 ? ", PRIMARY KEY (id, n)"
                                              : "") +
                      ") CHARACTER SET " + charset);
            const auto table =
                schema_of("t", {column("id", kText), column("n", kInt), column("s", kText)}, keys);
            filled(*target, table, "?\t1\told\n" + held + "\t1\told\n", 2, PrepMode::do_nothing);
            auto a = applier(*target, table);
            for (const auto mode : {Applier::Mode::fast, Applier::Mode::careful}) {
                ASSERT_OK(a->begin(mode));
                ASSERT_OK(update(*a, {text(missing), text("1"), text("old")},
                                 {text(missing), text("1"), text("wrong")}));
                ASSERT_OK(remove(*a, {text(missing), text("1"), text("old")}));
                if (mode == Applier::Mode::fast) {
                    EXPECT_FALSE(commit(*a)) << charset << keys;
                    a->abort();
                } else {
                    EXPECT_OK(commit(*a));
                    EXPECT_EQ(a->take_conflicts().size(), 2U) << charset << keys;
                }
            }
            EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t WHERE s = 'old'"), "2") << charset << keys;
            // MySQL 8 remarks on each use of that character set
            const auto mode = charset == "utf8" ? Applier::Mode::careful : Applier::Mode::fast;
            ASSERT_OK(a->begin(mode));
            ASSERT_OK(update(*a, {text(held), text("1"), text("old")}, {text(held), text("1"), text("new")}));
            ASSERT_OK(commit(*a));
            ASSERT_OK(a->begin(mode));
            ASSERT_OK(remove(*a, {text("?"), text("1"), text("old")}));
            ASSERT_OK(commit(*a));
            EXPECT_TRUE(a->take_conflicts().empty());
            EXPECT_EQ(host_.ask("SELECT id, s FROM gw_test.t"), held + "|new");
        }
    }
}

TEST_P(MyApplyTest, ZeroIsAValueOfAnAutoIncrement) {
    host_.run(
        "CREATE TABLE gw_test.t (id int auto_increment primary key, s varchar(20)) auto_increment = 50");
    auto target = process();
    filled(*target, table_, "0\tload\n", 1, PrepMode::do_nothing);
    auto a = applier(*target, table_);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("0"), null()}, {text("-1"), text("moved")}, OldRow::key));
    ASSERT_OK(insert(*a, {text("0"), text("zero")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "-1|moved\n0|zero");
    auto owner = table_;
    owner.extras.sequences.push_back({{"gw_test", "t"}, "id"});
    owner.extras.sequences.back().last_value = 700;
    owner.extras.sequences.back().is_called = true;
    ASSERT_OK(target->sync_sequences({owner}));
    host_.run("INSERT INTO gw_test.t (s) VALUES ('next')");
    EXPECT_EQ(host_.ask("SELECT id FROM gw_test.t WHERE s = 'next'"), "701");
}

TEST_P(MyApplyTest, CascadesOfTheOwnFamilyAct) {
    host_.run(
        "CREATE TABLE gw_test.p (id int primary key, s varchar(9)); CREATE TABLE gw_test.c (id int primary "
        "key, "
        "p int, foreign key (p) references gw_test.p (id) on delete cascade on update cascade)");
    const auto parent = schema_of("p", {native("id", "int(11)"), native("s", "varchar(9)")});
    const auto child = schema_of("c", {native("id", "int(11)"), native("p", "int(11)")});
    auto target = process("mysql");
    filled(*target, parent, "1\ta\n2\tb\n3\tc\n", 3, PrepMode::do_nothing);
    filled(*target, child, "10\t1\n20\t2\n", 2, PrepMode::do_nothing);
    auto a = applier(*target, parent);
    ASSERT_OK(a->define(relation_of(child, 2), child));
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(remove(*a, {text("1"), text("a")}));
    ASSERT_OK(update(*a, {text("2"), text("b")}, {text("5"), text("b")}));
    ASSERT_OK(update(*a, {text("3"), text("c")}, {text("3"), text("d")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows("p"), "3|d\n5|b");
    EXPECT_EQ(rows("c"), "20|5");
}

TEST_P(MyApplyTest, EveryValueComesThroughStatements) {
    auto target = process();
    const auto table = schema_of(
        "t",
        {column("id", {.kind = PortableKind::int8}), column("flag", {.kind = PortableKind::boolean}),
         column("u8", {.kind = PortableKind::uint8}),
         column("n", {.kind = PortableKind::numeric, .precision = 65, .scale = 30}),
         column("f", {.kind = PortableKind::real4}), column("d", {.kind = PortableKind::real8}),
         column("day", {.kind = PortableKind::date}), column("t", {.kind = PortableKind::time, .scale = 6}),
         column("dt", {.kind = PortableKind::datetime, .scale = 6}),
         column("b", {.kind = PortableKind::blob}), column("s", {.kind = PortableKind::nclob})});
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    const std::vector<Cells> values = {
        {text("-9223372036854775808"), text("1"), text("18446744073709551615"),
         text("12345678901234567890123456789012345.123456789012345678901234567890"), text("1234567.8"),
         text("1.7976931348623157e308"), text("0000-00-00"), text("-837:59:59.000001"),
         text("9999-12-31 23:59:59.999999"), bytes(all),
         text(std::string("q'uo\"te\\ \n\t\0 \xF0\x9F\x98\x80", 17))},
        {text("9223372036854775807"), text("0"), text("0"), text("-0.1"), text("1.1754944e-38"),
         text("4.9406564584124654e-324"), text("2024-02-29"), text("25:00:00"), text("1000-01-01 00:00:00"),
         bytes(""), text("")},
        {text("0"), null(), null(), null(), null(), null(), null(), null(), null(), null(), null()}};
    const std::string look =
        "SELECT id, flag, u8, n, f + 0e0, d, day, t, dt, hex(b), hex(s) FROM gw_test.t ORDER BY id";
    // by LOAD
    ByteBuffer lines;
    for (const auto& row : values)
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (row[i].state == CellState::null)
                rows::put_null(lines);
            else if (row[i].state == CellState::binary)
                rows::put_bytes_raw(lines, as_bytes(row[i].bytes));
            else
                rows::put_text(lines, as_bytes(row[i].bytes));
            lines.put_u8(i + 1 == row.size() ? '\n' : '\t');
        }
    filled(*target, table, std::string(as_text(lines.view())), 3);
    const auto loaded = host_.ask(look);
    EXPECT_NE(loaded.find("12345678901234567890123456789012345.123456789012345678901234567890|1234567.75|"),
              std::string::npos)
        << loaded;
    auto a = applier(*target, table);
    // by UPDATE of many, from other values
    ASSERT_OK(a->begin(Applier::Mode::fast));
    for (const auto& row : values) {
        Cells nothing(row.size());
        nothing[0] = row[0];
        ASSERT_OK(update(*a, nothing));
    }
    for (const auto& row : values) ASSERT_OK(update(*a, row));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask(look), loaded);
    // by DELETE and INSERT
    ASSERT_OK(a->begin(Applier::Mode::fast));
    for (const auto& row : values) ASSERT_OK(remove(*a, row, OldRow::key));
    for (const auto& row : values) ASSERT_OK(insert(*a, row));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask(look), loaded);
    // singly
    ASSERT_OK(a->begin(Applier::Mode::careful));
    for (const auto& row : values) {
        Cells moved = row;
        moved[0] = text("5");
        ASSERT_OK(update(*a, row, moved, OldRow::full));
        ASSERT_OK(update(*a, moved, row, OldRow::full));
    }
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask(look), loaded);
    EXPECT_TRUE(a->take_conflicts().empty());
    // what no column can hold is an error of its row
    Cells nan(values[2].size());
    nan[0] = text("77");
    nan[5] = text("NaN");
    ASSERT_OK(a->begin(Applier::Mode::careful));
    ASSERT_OK(insert(*a, nan));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(a->take_conflicts().size(), 1U);
    EXPECT_EQ(host_.ask(look), loaded);
}

TEST_P(MyApplyTest, CompositeKeysAndText) {
    auto target = process();
    const auto table = schema_of("t", {column("k", kText), column("n", kInt), column("s", kText)}, 2);
    filled(*target, table, "a\t1\tx\nA\t1\ty\na\t2\tz\n", 3);
    auto a = applier(*target, table);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("A"), text("1"), text("Y")}));
    ASSERT_OK(update(*a, {text("a"), text("2"), text("Z")}));
    ASSERT_OK(remove(*a, {text("a"), text("1"), null()}, OldRow::key));
    ASSERT_OK(insert(*a, {text("a "), text("1"), text("blank")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask("SELECT k, n, s FROM gw_test.t ORDER BY s"), "A|1|Y\na|2|Z\na |1|blank");
}

// Their text need not be spelled as the column prints it.
TEST_P(MyApplyTest, KeysOfTime) {
    const std::vector<std::pair<std::string, PortableType>> kinds{
        {"datetime(6)", {.kind = PortableKind::datetime, .scale = 6}},
        {"timestamp(3)", {.kind = PortableKind::datetime, .scale = 3}},
        {"time(6)", {.kind = PortableKind::time, .scale = 6}},
        {"date", {.kind = PortableKind::date}}};
    auto target = process();
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        const std::string name = "t" + std::to_string(i);
        host_.run("CREATE TABLE gw_test." + name + " (k " + kinds[i].first + " primary key, a int, b int)");
        const auto table =
            schema_of(name, {column("k", kinds[i].second), column("a", kInt), column("b", kInt)}, 1);
        std::vector<std::string> keys{"2024-02-29 12:34:56", "2024-02-29 12:34:56.5", "2024-03-01 00:00:00"};
        if (kinds[i].second.kind == PortableKind::time) keys = {"12:34:56", "12:34:56.5", "00:00:00"};
        if (kinds[i].second.kind == PortableKind::date) keys = {"2024-02-29", "2024-03-01", "1999-12-31"};
        filled(*target, table, keys[0] + "\t0\t0\n" + keys[1] + "\t0\t0\n" + keys[2] + "\t0\t0\n", 3,
               PrepMode::do_nothing);
        auto a = applier(*target, table);
        ASSERT_OK(a->begin(Applier::Mode::fast));
        ASSERT_OK(update(*a, {text(keys[0]), text("1"), text("1")}));
        ASSERT_OK(update(*a, {text(keys[1]), text("2"), unsent()}));
        ASSERT_OK(update(*a, {text(keys[2]), text("3"), unsent()}));
        ASSERT_OK(commit(*a));
        EXPECT_EQ(host_.ask("SELECT a, b FROM gw_test." + name + " ORDER BY a"), "1|1\n2|0\n3|0");
    }
}

TEST_P(MyApplyTest, PoliciesDecide) {
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n", 2);
    ConflictPolicy policy;
    policy.insert_exists = ConflictAction::suspend_table;
    auto a = applier(*target, table_, policy);
    ASSERT_OK(a->begin(Applier::Mode::careful));
    ASSERT_OK(update(*a, {text("1"), text("x")}));
    ASSERT_OK(insert(*a, {text("2"), text("twice")}));
    ASSERT_OK(update(*a, {text("1"), text("after")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "1|x\n2|b");
    process();
    ASSERT_EQ(ledger_.tables.size(), 1U);
    EXPECT_EQ(ledger_.tables[0].phase, TablePhase::suspended);
    EXPECT_EQ(ledger_.applied, Position{"p1"});
}

// A row that moves onto another one's key has left its own.
TEST_P(MyApplyTest, AnOverwritingRowLeavesItsOldKey) {
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n", 2);
    ConflictPolicy policy;
    policy.update_missing = ConflictAction::overwrite;
    auto a = applier(*target, table_, policy);
    ASSERT_OK(a->begin(Applier::Mode::careful));
    ASSERT_OK(update(*a, {text("1"), text("a")}, {text("2"), text("moved")}));
    ASSERT_OK(update(*a, {text("3"), text("c")}, {text("4"), text("made")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "2|moved\n4|made");
}

// Goal: an overwritten row keeps the columns that only the target has.
TEST_P(MyApplyTest, AnOverwrittenRowKeepsWhatTheSourceDoesNotHave) {
    auto target = process();
    ConflictPolicy policy;
    policy.insert_exists = policy.update_missing = ConflictAction::overwrite;
    for (const auto mode : {Applier::Mode::careful, Applier::Mode::converging}) {
        host_.run(
            "DROP TABLE IF EXISTS gw_test.t; CREATE TABLE gw_test.t (id int PRIMARY KEY, s varchar(100), "
            "note varchar(20) DEFAULT 'none', at timestamp(6) NOT NULL DEFAULT '2001-01-01' ON UPDATE "
            "current_timestamp(6))");
        filled(*target, table_, "1\ta\n2\tb\n5\te\n", 3, PrepMode::do_nothing);
        host_.run("UPDATE gw_test.t SET note = concat('mine ', id), at = '2002-02-02'");
        auto a = applier(*target, table_, policy);
        ASSERT_OK(a->begin(mode));
        ASSERT_OK(insert(*a, {text("1"), text("again")}));
        ASSERT_OK(update(*a, {text("5"), text("e")}, {text("2"), text("moved")}));  // 2 is there
        ASSERT_OK(update(*a, {text("3"), text("made")}));
        ASSERT_OK(commit(*a));
        EXPECT_EQ(host_.ask("SELECT id, s, note, date(at) FROM gw_test.t ORDER BY id"),
                  "1|again|mine 1|2002-02-02\n2|moved|mine 2|2002-02-02\n3|made|none|2001-01-01");
        host_.run("DROP TABLE gw_test.t");
    }
}

// Goal: a suspension is what its transaction makes of the table, whatever state the table reached otherwise,
// and goes with the transaction.
TEST_P(MyApplyTest, ASuspensionIsTheLastWord) {
    auto target = process();
    filled(*target, table_, "1\ta\n", 1);
    ConflictPolicy policy;
    policy.insert_exists = ConflictAction::suspend_table;
    auto a = applier(*target, table_, policy);
    const auto play = [&] {
        ASSERT_OK(a->begin(Applier::Mode::careful));
        ASSERT_OK(insert(*a, {text("1"), text("twice")}));
        for (int i = 2; i < 260; ++i)  // the window is full
            ASSERT_OK(insert(*a, {text(std::to_string(i)), text("behind")}));
        ASSERT_OK(a->define(relation_of(table_, 1), table_));
        ASSERT_OK(insert(*a, {text("999"), text("behind")}));
    };
    play();
    a->abort();
    play();
    TableState joined;
    joined.name = table_.name;
    joined.phase = TablePhase::joined;
    joined.generation = 1;
    ASSERT_OK(a->commit(Position{"p1"}, {joined}));
    EXPECT_EQ(rows(), "1|a");
    process();
    ASSERT_EQ(ledger_.tables.size(), 1U);
    EXPECT_EQ(ledger_.tables[0].phase, TablePhase::suspended);
}

TEST_P(MyApplyTest, TruncateIsPartOfItsTransaction) {
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n", 2);
    auto a = applier(*target, table_);
    const auto truncate = [&] {
        ByteBuffer buffer;
        RecordWriter writer(buffer);
        writer.truncate(0, 0, {1});
        RecordReader reader(buffer.view());
        Record r;
        EXPECT_TRUE(reader.next(r));
        return a->apply(r);
    };
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(insert(*a, {text("3"), text("c")}));
    ASSERT_OK(truncate());
    TableState stale;
    stale.name = table_.name;
    stale.phase = TablePhase::joined;
    stale.generation = 99;
    EXPECT_FALSE(a->commit({}, {stale}));  // all is sent, and nothing stays
    a->abort();
    EXPECT_EQ(rows(), "1|a\n2|b");
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(insert(*a, {text("3"), text("c")}));
    ASSERT_OK(truncate());
    ASSERT_OK(insert(*a, {text("4"), text("d")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "4|d");
}

// What is the table's own stays: MODIFY takes away all that it does not repeat.
TEST_P(MyApplyTest, AWiderTextComparesAsBefore) {
    auto target = process();
    host_.run(
        "CREATE TABLE gw_test.t (id int PRIMARY KEY, s varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin "
        "NOT NULL, b varbinary(80) NOT NULL, UNIQUE (b)) DEFAULT CHARACTER SET latin1");
    const auto t = schema_of("t", {column("id", kInt), column("s", kText, true), column("b", kText, true)});
    filled(*target, t, "1\ta\tx\n", 1, PrepMode::truncate);
    auto a = applier(*target, t);
    for (const auto* name : {"s", "b"}) {
        SchemaChange wider;
        wider.kind = SchemaChange::Kind::change_type;
        wider.table = t.name;
        wider.column = column(name, {.kind = PortableKind::wstring, .length = 50});
        ASSERT_OK(a->begin(Applier::Mode::fast));
        ASSERT_OK(a->change_schema(wider));
        ASSERT_OK(a->commit({}, {}));
    }
    EXPECT_EQ(host_.ask("SELECT lower(column_type), collation_name, is_nullable FROM "
                        "information_schema.columns WHERE table_schema = 'gw_test' AND table_name = 't' AND "
                        "column_name = 's'"),
              "varchar(50)|utf8mb4_bin|NO");
    EXPECT_EQ(host_.ask("SELECT lower(column_type) FROM information_schema.columns WHERE table_schema = "
                        "'gw_test' AND table_name = 't' AND column_name = 'b'"),
              "varbinary(200)");
}

// Goal: a column that gets another type keeps all else that it has, and gives up only what does not go with
// it.
TEST_P(MyApplyTest, AColumnOfAnotherTypeKeepsItsOwn) {
    for (const bool own : {false, true}) {
        auto target = process(own ? "mysql" : "postgres");
        host_.run(
            "DROP TABLE IF EXISTS gw_test.t; CREATE TABLE gw_test.t (id int AUTO_INCREMENT PRIMARY KEY "
            "COMMENT "
            "'it''s', s varchar(20) COLLATE utf8mb4_bin NOT NULL DEFAULT 'it''s \\\\', n smallint DEFAULT 5, "
            "at datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, e varchar(30) DEFAULT "
            "(concat('a', 'b')), l varchar(9) DEFAULT 'x', w varchar(9) DEFAULT 'word', b bit(4) DEFAULT "
            "b'101')");
        auto t =
            schema_of("t", {native("id", "int", "", true), native("s", "varchar(20)", "utf8mb4_bin", true),
                            native("n", "smallint"), native("at", "datetime"), native("e", "varchar(30)"),
                            native("l", "varchar(9)"), native("w", "varchar(9)"), native("b", "bit(4)")});
        const std::vector<PortableType> kinds{kInt,
                                              kText,
                                              {.kind = PortableKind::int2},
                                              {.kind = PortableKind::datetime},
                                              kText,
                                              kText,
                                              kText,
                                              {.kind = PortableKind::bytes, .length = 1}};
        for (std::size_t i = 0; i < kinds.size(); ++i) t.columns[i].portable = kinds[i];
        filled(*target, t, "", 0, PrepMode::truncate);
        auto a = applier(*target, t);
        const auto change = [&](const std::string& name, PortableType portable, const std::string& type) {
            SchemaChange c;
            c.kind = SchemaChange::Kind::change_type;
            c.table = t.name;
            c.column = native(name, type, type.find("char") != std::string::npos ? "utf8mb4_bin" : "");
            c.column.portable = portable;
            ASSERT_OK(a->begin(Applier::Mode::fast));
            EXPECT_OK(a->change_schema(c));
            ASSERT_OK(a->commit({}, {}));
        };
        const PortableType big{.kind = PortableKind::int8}, wide{.kind = PortableKind::wstring, .length = 50};
        change("id", big, "bigint");
        change("s", wide, "varchar(50)");
        change("n", big, "bigint");
        change("at", {.kind = PortableKind::datetime, .scale = 0}, "datetime");
        change("e", wide, "varchar(50)");
        change("l", {.kind = PortableKind::nclob}, "longtext");
        change("w", big, "bigint");
        if (own) change("b", {.kind = PortableKind::bytes, .length = 1}, "bit(7)");
        const auto look = [&](const std::string& name) {
            return host_.ask(
                "SELECT data_type, is_nullable, lower(extra), column_comment, collation_name FROM "
                "information_schema.columns WHERE table_schema = 'gw_test' AND column_name = '" +
                name + "'");
        };
        EXPECT_EQ(look("id"), "bigint|NO|auto_increment|it's|NULL");
        EXPECT_EQ(look("s"), "varchar|NO|||utf8mb4_bin");
        EXPECT_THAT(look("at"), testing::HasSubstr("on update current_timestamp"));
        EXPECT_EQ(look("w"), "bigint|YES|||NULL");
        host_.run("INSERT INTO gw_test.t () VALUES ()");
        EXPECT_EQ(host_.ask("SELECT id, s, n, at > now() - INTERVAL 1 HOUR, e, l, w, b + 0 FROM gw_test.t"),
                  "1|it's \\|5|1|ab|x|NULL|5");
    }
}

TEST_P(MyApplyTest, ChangesOfShapeMayComeTwice) {
    auto target = process();
    filled(*target, table_, "1\ta\n", 1);
    auto a = applier(*target, table_);
    std::vector<SchemaChange> changes(5);
    changes[0].kind = SchemaChange::Kind::add_column;
    changes[0].column = column("n", kInt);
    changes[0].column.missing_value = "7";
    changes[1].kind = SchemaChange::Kind::rename_column;
    changes[1].old_name = "s";
    changes[1].new_name = "text";
    changes[2].kind = SchemaChange::Kind::change_type;
    changes[2].column = column("n", {.kind = PortableKind::int8});
    changes[3].kind = SchemaChange::Kind::add_column;
    changes[3].column = column("gone", kInt);
    changes[4].kind = SchemaChange::Kind::drop_column;
    changes[4].old_name = "gone";
    for (auto& c : changes) {
        c.table = table_.name;
        for (int round = 0; round < 2; ++round) {
            ASSERT_OK(a->begin(round == 0 ? Applier::Mode::fast : Applier::Mode::careful));
            ASSERT_OK(a->change_schema(c));
            if (round == 0)
                a->abort();
            else
                ASSERT_OK(a->commit({}, {}));
        }
    }
    ASSERT_OK(a->begin(Applier::Mode::fast));
    auto now = schema_of("t", {column("id", kInt), column("text", kText), column("n", kInt)});
    ASSERT_OK(a->define(relation_of(now, 1), now));
    ASSERT_OK(insert(*a, {text("3"), text("c"), null()}));
    ASSERT_OK(commit(*a));
    EXPECT_TRUE(a->take_conflicts().empty());
    EXPECT_EQ(rows(), "1|a|7\n3|c|NULL");
    EXPECT_EQ(host_.ask("SELECT data_type FROM information_schema.columns WHERE table_schema = 'gw_test' AND "
                        "column_name = 'n'"),
              "bigint");
    SchemaChange rename;
    rename.kind = SchemaChange::Kind::rename_table;
    rename.table = table_.name;
    rename.new_name = "u";
    for (int round = 0; round < 2; ++round) {
        ASSERT_OK(a->begin(Applier::Mode::fast));
        ASSERT_OK(a->change_schema(rename));
        ASSERT_OK(commit(*a));
    }
    EXPECT_EQ(host_.ask("SELECT source_table, target_table, phase FROM godwit.gw_table"), "u|u|joined");
    SchemaChange drop;
    drop.kind = SchemaChange::Kind::drop_table;
    drop.table = {"gw_test", "u"};
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(a->change_schema(drop));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'gw_test'"),
              "0");
}

// Its DDL would commit them without their position.
TEST_P(MyApplyTest, NoChangeOfShapeComesBehindRows) {
    auto target = process();
    EXPECT_TRUE(target->ddl_commits());
    filled(*target, table_, "1\ta\n", 1);
    auto a = applier(*target, table_);
    SchemaChange c;
    c.kind = SchemaChange::Kind::add_column;
    c.table = table_.name;
    c.column = column("n", kInt);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(insert(*a, {text("2"), text("b")}));
    EXPECT_FALSE(a->change_schema(c));
    a->abort();
    EXPECT_EQ(rows(), "1|a");
}

TEST_P(MyApplyTest, ThePartOfATransactionCommitsWithItsRows) {
    auto target = process();
    filled(*target, table_, "1\ta\n", 1);
    target = process();
    auto a = applier(*target, table_);
    TableState state = ledger_.tables[0];
    EXPECT_EQ(state.part, TablePart{});
    state.part = {.order = ~0ULL, .records = 2, .plan = ~1ULL, .steps = 3};
    const auto kept = [&] { return host_.ask("SELECT part FROM godwit.gw_table"); };
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(insert(*a, {text("2"), text("b")}));
    ASSERT_OK(a->save_part(state));
    a->abort();
    EXPECT_EQ(kept(), "");
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(insert(*a, {text("3"), text("c")}));
    ASSERT_OK(a->save_part(state));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(rows(), "1|a\n3|c");
    // of a table that was prepared anew nothing is noted
    auto older = state;
    older.generation -= 1;
    older.part.steps = 9;
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(a->save_part(older));
    ASSERT_OK(a->commit({}, {}));
    a.reset();
    target = process();
    EXPECT_EQ(ledger_.tables[0].part, state.part);
}

TEST_P(MyApplyTest, ALostLockUndoesTheWholeGroup) {
    auto target = process();
    filled(*target, table_, "1\ta\n2\tb\n", 2);
    auto a = applier(*target, table_);
    auto other = host_.connect();
    ASSERT_OK(other.run("SET autocommit = 0; UPDATE gw_test.t SET s = 'theirs' WHERE id = 2"));
    const auto ids = host_.ask("SELECT max(connection) FROM godwit.gw_session");
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("x")}));
    ASSERT_OK(update(*a, {text("2"), text("y")}));
    host_.run("SET GLOBAL innodb_lock_wait_timeout = 50");
    // the session is ended while it waits: nothing of the group stays
    std::thread killer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        host_.run("KILL " + ids);
    });
    const auto done = commit(*a);
    killer.join();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().retry, Retry::from_checkpoint) << done.error().text();
    a->abort();
    ASSERT_OK(other.run("ROLLBACK"));
    EXPECT_EQ(rows(), "1|a\n2|b");
}

TEST_P(MyApplyTest, ManyUpdatesAreFast) {
    constexpr int n = 100000;
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("v", kInt), column("s", kText)});
    std::string lines;
    for (int i = 0; i < n; ++i) lines += std::to_string(i) + "\t0\tsome text that stays\n";
    filled(*target, table, lines, n);
    auto a = applier(*target, table);
    const auto start = std::chrono::steady_clock::now();
    ASSERT_OK(a->begin(Applier::Mode::fast));
    for (int i = 0; i < n; ++i)
        ASSERT_OK(update(*a, {text(std::to_string(i)), text(std::to_string(i + 1)), unsent()}));
    ASSERT_OK(commit(*a));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(host_.ask("SELECT count(*), sum(v = id + 1) FROM gw_test.t"), "100000|100000");
    RecordProperty("seconds", std::to_string(took.count()));
    std::printf("100,000 updates in %.2f s\n", took.count());
    EXPECT_LT(took.count(), 20);
}

INSTANTIATE_TEST_SUITE_P(Servers, MyApplyTest, testing::Values("GODWIT_TEST_MYSQL", "GODWIT_TEST_MARIADB"),
                         [](const auto& p) {
                             return std::string(p.param) == "GODWIT_TEST_MYSQL" ? "mysql" : "mariadb";
                         });

}  // namespace
}  // namespace godwit::test
