#include "sources/mysql/followed_tables.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "sources/mysql/statements.h"

namespace godwit::mysql {
namespace {

using namespace std::chrono_literals;

TableSchema table_of(const std::vector<std::string>& columns) {
    TableSchema t;
    t.name = {"shop", "t"};
    for (const auto& n : columns) {
        ColumnSchema c = column_of(n, "int(11)", "", {});
        c.number = column_number(n, {});
        t.columns.push_back(c);
    }
    t.primary_key = {columns.front()};
    t.identity = RowIdentity::key;
    t.identity_columns = t.primary_key;
    return t;
}

class FollowedTest : public ::testing::Test {
protected:
    // The statement in the log, while the catalogue shows `now`; was a new load asked for?
    bool reloads(const std::string& sql, const TableSchema& now) {
        catalogue_ = now;
        DdlStatement s;
        s.database = "shop";
        s.sql = sql;
        s.order = ++order_;
        EXPECT_TRUE(tables_.ddl(s));
        const bool asked = !tables_.unsure().empty();
        if (asked) {
            // as the load does that heals it
            tables_.follow(now);
            tables_.loaded_from(now.name, ++order_);
            EXPECT_TRUE(tables_.healed(now.name));
            EXPECT_TRUE(tables_.unsure().empty());
        }
        return asked;
    }
    static std::string columns_of(FollowedTables& tables) {
        std::string out;
        for (const auto& c : tables.find("shop", "t")->columns) out += (out.empty() ? "" : " ") + c.name;
        return out;
    }
    std::string names() { return columns_of(tables_); }
    std::uint64_t order_ = 0;
    TableSchema catalogue_;
    FollowedTables tables_{[this](const TableName&) -> Result<TableSchema> { return catalogue_; }};
};

// Goal: where the words do not say it, what the catalogue shows is the statement's own doing, or the table is
// loaded anew.
TEST_F(FollowedTest, OnlyWhatIsExplainedIsFollowed) {
    tables_.follow(table_of({"id", "a"}));
    EXPECT_FALSE(reloads("ALTER TABLE t ADD COLUMN b point", table_of({"id", "a", "b"})));
    EXPECT_FALSE(reloads("ALTER TABLE t ADD z enum('x') FIRST", table_of({"z", "id", "a", "b"})));
    EXPECT_FALSE(reloads("ALTER TABLE t DROP COLUMN IF EXISTS a", table_of({"z", "id", "b"})));
    EXPECT_FALSE(reloads("CREATE INDEX IF NOT EXISTS i ON t (b)", table_of({"z", "id", "b"})));
    // there is one of that name again
    EXPECT_TRUE(reloads("ALTER TABLE t DROP COLUMN IF EXISTS b", table_of({"z", "id", "b"})));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD COLUMN b point", table_of({"z", "id", "b"})));
    EXPECT_TRUE(reloads("ALTER TABLE t DROP b, ADD c point", table_of({"z", "id", "c"})));
    // one statement, and the catalogue shows what it did before
    EXPECT_TRUE(reloads("ALTER TABLE t DROP c, ADD c int", table_of({"z", "id", "c"})));
    EXPECT_TRUE(reloads("ALTER TABLE t DROP z, ADD Z int", table_of({"id", "c", "Z"})));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD z int FIRST, DROP z", table_of({"z", "id", "c"})));
    // another statement has already dropped one more, or renamed what this one added
    EXPECT_TRUE(reloads("ALTER TABLE t ADD d point", table_of({"id", "c", "d"})));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD e point", table_of({"id", "c", "d", "f"})));
}

// Goal: a table that came again is loaded, also when the catalogue shows it later than the log does: the
// server writes a statement to its log before others see what it did.
TEST_F(FollowedTest, AnotherTableOfItsNameIsSeenBeforeTheCatalogueShowsIt) {
    FollowedTables tables(
        [](const TableName&) -> Result<TableSchema> { return fail(ErrorCode::not_found, ""); });
    tables.follow(table_of({"id", "a"}));
    ASSERT_TRUE(tables.ddl({.database = "shop", .sql = "DROP TABLE `t`", .order = 7}));
    ASSERT_TRUE(tables.ddl({.database = "shop", .sql = "CREATE TABLE t (id int)", .order = 9}));
    ASSERT_EQ(tables.unsure().size(), 1U);
    tables.follow(table_of({"id", "a"}));
    tables.loaded_from({"shop", "t"}, 8);  // of the table before
    EXPECT_EQ(tables.unsure().size(), 1U);
    EXPECT_FALSE(tables.loaded_behind({"shop", "t"}, 10));
    tables.loaded_from({"shop", "t"}, 10);
    EXPECT_TRUE(tables.unsure().empty());
    EXPECT_TRUE(tables.loaded_behind({"shop", "t"}, 10));
    tables.follow(table_of({"id", "a"}));  // another load, which has no mark yet
    EXPECT_FALSE(tables.loaded_behind({"shop", "t"}, 0));
}

// Goal: what no load heals is not loaded for ever.
TEST_F(FollowedTest, ALoadThatDidNotHelpIsNotRepeated) {
    const auto t = table_of({"id", "a"});
    tables_.follow(t);
    tables_.loaded_from(t.name, 5);
    const Error why{ErrorCode::failed_precondition, Retry::never, "does not fit", {}, {}};
    const auto misfit = [&](std::uint64_t order) {
        EXPECT_EQ(tables_.mismatch(t.name, order, why).value(), nullptr);
        return tables_.hopeless(t.name).value_or("");
    };
    const auto load = [&](std::uint64_t mark) {
        tables_.follow(t);
        tables_.loaded_from(t.name, mark);
        EXPECT_TRUE(tables_.healed(t.name));
    };
    EXPECT_EQ(misfit(4), "");  // in the load
    EXPECT_EQ(misfit(7), "");
    EXPECT_EQ(misfit(8), "");
    EXPECT_EQ(tables_.unsure().size(), 1U);
    load(10);
    // behind a statement another load may help
    order_ = 10;
    EXPECT_FALSE(reloads("ALTER TABLE t ADD COLUMN b int", t));
    EXPECT_EQ(misfit(12), "");
    load(13);
    EXPECT_EQ(misfit(14), "");
    load(15);
    EXPECT_EQ(misfit(16), "does not fit");
    // said: the next load is somebody's own wish
    load(17);
    EXPECT_EQ(misfit(18), "");
}

// Goal: text columns that name no character set have the one that the table had last.
TEST_F(FollowedTest, ADefaultCharacterSetIsFollowed) {
    auto now = table_of({"id"});
    now.default_collation = "utf8mb4_bin";
    tables_.follow(now);
    now.default_collation = "cp1251_general_ci";
    EXPECT_FALSE(reloads("ALTER TABLE t DEFAULT CHARSET = cp1251", now));
    EXPECT_FALSE(reloads("ALTER TABLE t ADD COLUMN n text", now));
    EXPECT_EQ(tables_.find("shop", "t")->column("n")->collation, "cp1251_general_ci");
}

// Goal: an ALTER of plain words is followed whatever the catalogue has become by now.
TEST_F(FollowedTest, WordsAreEnough) {
    const auto now = table_of({"id", "much", "later"});
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_FALSE(reloads("ALTER TABLE t ADD COLUMN c int AFTER id", now));
    EXPECT_FALSE(reloads("ALTER TABLE t DROP COLUMN b", now));
    EXPECT_FALSE(reloads("ALTER TABLE t CHANGE a aa int", now));
    EXPECT_FALSE(reloads("ALTER TABLE t DROP c, ADD d int", now));
    EXPECT_FALSE(reloads("ALTER TABLE t CHANGE aa a int", now));
    EXPECT_EQ(names(), "id a d");
    Relation before;
    before.name = {"shop", "t"};
    for (const auto& c : table_of({"id", "c", "a"}).columns)
        before.columns.push_back({c.name, c.type_id, -1, false});
    const auto then = tables_.described(before);
    ASSERT_TRUE(then);
    EXPECT_EQ(then->column("a")->number, tables_.find("shop", "t")->column("a")->number);
    before.columns.pop_back();
    EXPECT_FALSE(tables_.described(before));
}

// Goal: where no row shows what stood in between, a name that goes to another column does not pass for the
// one before. It is free once neither a kept definition nor the target has it.
TEST_F(FollowedTest, ANameBelongsToOneColumn) {
    const auto now = table_of({"id"});
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_FALSE(reloads("ALTER TABLE t DROP b", now));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD b int", now));
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_FALSE(reloads("ALTER TABLE t CHANGE a c int", now));
    EXPECT_TRUE(reloads("ALTER TABLE t CHANGE b a int", now));
    for (const bool applied : {false, true}) {
        tables_.follow(table_of({"id", "a", "b"}));
        EXPECT_FALSE(reloads("ALTER TABLE t DROP b", now));
        EXPECT_TRUE(tables_.acknowledged(order_ + 1));
        tables_.followed_by_target(applied ? table_of({"id", "a"}) : table_of({"id", "a", "b"}));
        EXPECT_EQ(reloads("ALTER TABLE t ADD b int", now), !applied);
    }
}

// Goal: a process that begins at a place knows the definition of that place, its doubts, and which names are
// not free; from a damaged file it takes nothing.
TEST_F(FollowedTest, TheFileBringsItBack) {
    std::string pattern = (std::filesystem::temp_directory_path() / "godwit-history-XXXXXX").string();
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    const auto file = folder / "tables";
    const TableName name{"shop", "t"};
    tables_.keep_in(file);
    tables_.follow(table_of({"id", "a"}));
    tables_.loaded_from(name, 100);
    order_ = 100;
    const auto now = table_of({"id", "a", "x"});
    EXPECT_FALSE(reloads("ALTER TABLE t ADD b int", now));  // 101
    EXPECT_FALSE(reloads("ALTER TABLE t DROP b", now));     // 102
    EXPECT_FALSE(reloads("ALTER TABLE t ADD c int", now));  // 103
    FollowedTables again(
        [](const TableName&) -> Result<TableSchema> { return fail(ErrorCode::not_found, ""); });
    const auto shows = [&](std::uint64_t from) {
        EXPECT_TRUE(again.restore(file, {name}));
        again.begin_stream(from);
        return columns_of(again);
    };
    EXPECT_EQ(shows(104), "id a c");
    EXPECT_EQ(shows(103), "id a");
    EXPECT_EQ(shows(102), "id a b");
    EXPECT_EQ(shows(50), "id a");
    ASSERT_TRUE(tables_.acknowledged(103));  // what came before 103 is forgotten
    EXPECT_EQ(shows(50), "id a");
    ASSERT_TRUE(tables_.table_unsure(name, 99, "before the load"));
    EXPECT_TRUE(tables_.unsure().empty());
    ASSERT_TRUE(tables_.table_unsure(name, 104, "why"));
    ASSERT_TRUE(again.restore(file, {name}));
    ASSERT_EQ(again.unsure().size(), 1U);
    EXPECT_EQ(again.unsure()[0].why, "why");
    ASSERT_TRUE(again.healed(name));  // by no load yet
    EXPECT_EQ(again.unsure().size(), 1U);
    again.follow(now);
    again.loaded_from(name, 105);
    EXPECT_TRUE(again.unsure().empty());
    ASSERT_TRUE(again.healed(name));
    ASSERT_TRUE(again.restore(file, {name}));
    EXPECT_TRUE(again.unsure().empty());
    EXPECT_TRUE(again.restore(file, {}));
    EXPECT_FALSE(again.follows(name));
    const auto size = std::filesystem::file_size(file);
    for (std::uintmax_t cut = 0; cut < size; ++cut) {
        std::filesystem::resize_file(file, size - 1 - cut);
        EXPECT_FALSE(again.restore(file, {name})) << cut;
        EXPECT_FALSE(again.follows(name));
    }
    std::filesystem::remove(file);
    EXPECT_FALSE(again.restore(file, {name}));
    std::filesystem::remove_all(folder);
}

TEST_F(FollowedTest, WhatChangesRowsLoadsTheTable) {
    const auto same = table_of({"id", "a"});
    tables_.follow(same);
    for (const char* sql :
         {"ALTER TABLE t MODIFY a varchar(9)", "ALTER TABLE t CHANGE a b bigint",
          "ALTER TABLE t RENAME COLUMN a TO id", "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
          "ALTER TABLE t TRUNCATE PARTITION p", "ALTER TABLE t DROP PARTITION p",
          "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", "RENAME TABLE x TO t, t TO y", "DROP TABLE t",
          "DROP DATABASE shop", "CREATE OR REPLACE TABLE t (id int)", "ALTER TABLE t DROP PRIMARY KEY",
          "CREATE OR REPLACE TABLE `T` AS SELECT * FROM x",
          "CREATE OR REPLACE TABLE x AS SELECT 'a\\' FROM t", "ALTER TABLE t ADD c int DEFAULT 5",
          "ALTER TABLE t ADD c int NOT NULL", "ALTER IGNORE TABLE t ADD UNIQUE INDEX (a)",
          "ALTER TABLE t CONVERT PARTITION p TO TABLE u", "ALTER TABLE t PARTITION BY SYSTEM_TIME LIMIT 10"})
        EXPECT_TRUE(reloads(sql, same)) << sql;
    for (const char* sql :
         {"CREATE VIEW v AS SELECT * FROM t", "DROP TRIGGER t", "ALTER TABLE t COMMENT 'add drop'",
          "CREATE OR REPLACE VIEW v AS SELECT * FROM t", "CREATE OR REPLACE TABLE x AS SELECT * FROM t",
          "CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER=`a`@`b` VIEW v AS SELECT * FROM t",
          "ALTER TABLE t RENAME INDEX a TO b", "ALTER TABLE other ADD c int DEFAULT 5",
          "DROP TEMPORARY TABLE t", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
          "ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (10))",
          "ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION q VALUES LESS THAN MAXVALUE)",
          "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 4", "ALTER TABLE t REMOVE PARTITIONING",
          "ALTER TABLE t COALESCE PARTITION 2"})
        EXPECT_FALSE(reloads(sql, same)) << sql;
}

// Goal: where the target's foreign keys act as the source's do, they do not part unseen.
TEST_F(FollowedTest, ForeignKeysThatActAreFollowed) {
    const auto same = table_of({"id", "a"});
    tables_.follow(same);
    const std::vector<std::string> all = {
        "ALTER TABLE t DROP FOREIGN KEY k", "ALTER TABLE t DROP CONSTRAINT IF EXISTS k",
        "ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE",
        "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p (id) ON UPDATE SET NULL"};
    for (const auto& sql : all) EXPECT_FALSE(reloads(sql, same)) << sql;
    tables_.follow_keys();
    for (const auto& sql : all) EXPECT_TRUE(reloads(sql, same)) << sql;
    EXPECT_FALSE(reloads("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p (id)", same));
    EXPECT_FALSE(reloads("ALTER TABLE t DROP INDEX a", same));
}

// Goal: what was altered before a load's mark is in the load, what was altered behind it is not, although the
// stream may have read of both before the mark is known.
TEST_F(FollowedTest, WhatIsReadBehindTheMarkStays) {
    const auto now = table_of({"id", "a"});
    tables_.follow(now);
    order_ = 4;
    EXPECT_FALSE(reloads("ALTER TABLE t ADD b int", now));  // 5
    order_ = 9;
    EXPECT_FALSE(reloads("ALTER TABLE t ADD c int", now));  // 10
    tables_.loaded_from(now.name, 7);
    EXPECT_EQ(names(), "id a b c");
    tables_.begin_stream(10);
    EXPECT_EQ(names(), "id a");
    tables_.follow(now);
    order_ = 11;
    EXPECT_FALSE(reloads("ALTER TABLE t ADD b int", now));  // 12
    EXPECT_TRUE(tables_.changed());
    tables_.loaded_from(now.name, 13);
    EXPECT_EQ(names(), "id a");
    EXPECT_TRUE(tables_.changed());
}

// Goal: who keeps on the target what partitions took away is not given a new load for it, but for all else.
TEST_F(FollowedTest, PartitionsMayBeKept) {
    const auto same = table_of({"id", "a"});
    tables_.set_rules({}, true);
    tables_.follow(same);
    for (const char* sql : {"ALTER TABLE t TRUNCATE PARTITION p", "ALTER TABLE t DROP PARTITION IF EXISTS p",
                            "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u"})
        EXPECT_FALSE(reloads(sql, same)) << sql;
    EXPECT_TRUE(reloads("ALTER TABLE u EXCHANGE PARTITION p WITH TABLE t", same));  // all its rows
    EXPECT_TRUE(reloads("ALTER TABLE t MODIFY a varchar(9)", same));
}

// Goal: remarks in front of a statement, or in the middle of it, do not hide what it does; words of a text do
// not pretend to.
TEST_F(FollowedTest, RemarksAndTextsAreNoWords) {
    const auto same = table_of({"id", "a"});
    tables_.follow(same);
    catalogue_ = same;
    for (const char* sql : {"TRUNCATE t", "/* shop */ TRUNCATE TABLE t", "-- shop\ntruncate table shop.t",
                            "/*!50000 TRUNCATE */ TABLE t", "# shop\nTRUNCATE t"}) {
        DdlStatement s;
        s.database = "shop";
        s.sql = sql;
        const auto answer = tables_.ddl(s);
        ASSERT_TRUE(answer) << sql;
        EXPECT_EQ(answer->truncated, std::vector<TableName>{same.name}) << sql;
    }
    EXPECT_TRUE(reloads("/* shop */ DROP TABLE t", same));
    EXPECT_TRUE(reloads("ALTER TABLE t /* add */ MODIFY a text", same));
    EXPECT_TRUE(reloads("ALTER TABLE t COMMENT 'it\\'s', MODIFY a text", same));
    EXPECT_FALSE(
        reloads("ALTER TABLE t /* modify */ COMMENT = 'change, \\' modify', STATS_PERSISTENT = 1", same));
    EXPECT_FALSE(reloads("DROP TRIGGER `drop`.`t`", same));
}

// Goal: TRUNCATE empties the table that it names and no other, whatever else its text speaks of; where that
// cannot be told the table is loaded anew.
TEST_F(FollowedTest, TruncateEmptiesOneTable) {
    auto follow = [&](const std::string& schema, const std::string& name) {
        auto t = table_of({"id"});
        t.name = {schema, name};
        tables_.follow(t);
    };
    for (const char* n : {"t", "orders", "order", "order items", "kunden_\xC3\xB6", "lager_\xC3\xA4"})
        follow("shop", n);
    follow("other", "t");
    follow("shop", "shop");
    const auto emptied = [&](const std::string& sql) {
        DdlStatement s;
        s.database = "shop";
        s.sql = sql;
        s.order = ++order_;
        const auto answer = tables_.ddl(s);
        EXPECT_TRUE(answer) << sql;
        std::string out;
        for (const auto& n : answer->truncated) out += n.text() + " ";
        return out;
    };
    EXPECT_EQ(emptied("TRUNCATE TABLE other.t"), "other.t ");
    EXPECT_EQ(emptied("TRUNCATE TABLE `t` /* after orders import */"), "shop.t ");
    EXPECT_EQ(emptied("truncate `order items`"), "shop.order items ");
    EXPECT_EQ(emptied("TRUNCATE TABLE shop.lager_\xC3\xA4"), "shop.lager_\xC3\xA4 ");
    EXPECT_EQ(emptied("TRUNCATE shop.t WAIT 5"), "shop.t ");
    EXPECT_EQ(emptied("TRUNCATE shop.t NOWAIT;"), "shop.t ");
    EXPECT_EQ(emptied("TRUNCATE shop.audit -- t"), "");
    EXPECT_TRUE(tables_.unsure().empty());
    // on some servers it is the same table, on others another one
    EXPECT_EQ(emptied("TRUNCATE T"), "");
    ASSERT_EQ(tables_.unsure().size(), 1U);
    EXPECT_EQ(tables_.unsure()[0].name.text(), "shop.t");
    // of a client with another character set
    EXPECT_EQ(emptied("TRUNCATE kunden_\xF6"), "");
    EXPECT_EQ(tables_.unsure().size(), 3U);
}

// Goal: what happens to a temporary table of its name does not happen to the table.
TEST_F(FollowedTest, ATemporaryTableIsAnotherOne) {
    const auto t = table_of({"id", "a"});
    tables_.follow(t);
    for (const char* sql : {"TRUNCATE TABLE t", "ALTER TABLE t ADD COLUMN b int", "DROP TABLE t"}) {
        ASSERT_TRUE(tables_.unsure().empty()) << sql;
        const auto answer =
            tables_.ddl({.database = "shop", .sql = sql, .order = ++order_, .temporary = true});
        ASSERT_TRUE(answer) << sql;
        EXPECT_TRUE(answer->truncated.empty()) << sql;
        EXPECT_EQ(names(), "id a") << sql;
        EXPECT_EQ(tables_.unsure().size(), 1U) << sql;
        tables_.loaded_from(t.name, ++order_);
        ASSERT_TRUE(tables_.healed(t.name));
    }
}

// Goal: columns of one type that have changed places behind unread rows would change their values.
TEST_F(FollowedTest, PlacesOfColumnsAreCompared) {
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD e enum('x')", table_of({"id", "b", "a", "e"})));
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD e enum('x')", table_of({"id", "a", "e", "b"})));
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_FALSE(reloads("ALTER TABLE t ADD e enum('x') AFTER a", table_of({"id", "a", "e", "b"})));
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_TRUE(reloads("ALTER TABLE t ADD e enum('x') AFTER id", table_of({"id", "a", "e", "b"})));
    tables_.follow(table_of({"id", "a", "b"}));
    EXPECT_TRUE(reloads("ALTER TABLE t COMMENT \"x\"", table_of({"id", "b", "a"})));
    // the definition shows the move already: rows before it were read by it
    tables_.follow(table_of({"id", "b", "a"}));
    EXPECT_TRUE(reloads("ALTER TABLE t MODIFY a int AFTER b", table_of({"id", "b", "a"})));
    EXPECT_FALSE(reloads("ALTER TABLE t ADD INDEX after_a (a)", table_of({"id", "b", "a"})));
}

// Goal: older rows have a value of a column that was added, though the statement does not say so.
TEST_F(FollowedTest, ValuesThatTheServerGivesAreSeen) {
    tables_.follow(table_of({"id"}));
    auto now = table_of({"id", "ts"});
    now.columns[1].native_type = "timestamp";
    EXPECT_FALSE(reloads("ALTER TABLE t ADD ts timestamp", now));
    tables_.follow(table_of({"id"}));
    now.columns[1].default_expression = "NULL";  // MariaDB says so
    EXPECT_FALSE(reloads("ALTER TABLE t ADD ts timestamp", now));
    tables_.follow(table_of({"id"}));
    now.columns[1].default_expression = "CURRENT_TIMESTAMP";
    EXPECT_TRUE(reloads("ALTER TABLE t ADD ts timestamp", now));
    tables_.follow(table_of({"id"}));
    now.columns[1].default_expression = "";
    now.columns[1].not_null = true;
    EXPECT_TRUE(reloads("ALTER TABLE t ADD ts timestamp", now));
}

TEST_F(FollowedTest, AnotherFileOfTheTableIsSeen) {
    const auto same = table_of({"id", "a"});
    tables_.follow(same);
    EXPECT_TRUE(reloads("ALTER TABLE t DISCARD TABLESPACE", same));
    EXPECT_TRUE(reloads("ALTER TABLE t IMPORT TABLESPACE", same));
}

// Goal: MariaDB writes settings in front of a statement into the log: the statement behind them is the one
// that counts.
TEST(SetStatement, TheStatementBehindTheSettingsCounts) {
    const auto behind = [](std::string_view sql) { return without_settings(sql).sql; };
    EXPECT_EQ(behind("SET STATEMENT lock_wait_timeout=5 FOR TRUNCATE TABLE t"), "TRUNCATE TABLE t");
    EXPECT_EQ(behind("set /* for */ statement a = 'x for y', b=(1) for\n ALTER TABLE t DROP a"),
              "ALTER TABLE t DROP a");
    EXPECT_EQ(behind("SET STATEMENT a=1 FOR SET STATEMENT b=2 FOR DROP TABLE t"), "DROP TABLE t");
    EXPECT_EQ(behind("SET @a = 1"), "SET @a = 1");
    EXPECT_EQ(behind("SET STATEMENT a=1"), "SET STATEMENT a=1");
    EXPECT_EQ(behind("UPDATE t SET statement = 1"), "UPDATE t SET statement = 1");
    EXPECT_TRUE(without_settings(
                    "SET STATEMENT lock_wait_timeout=5, MAX_STATEMENT_TIME=0 FOR ALTER TABLE t ADD a int")
                    .harmless);
    EXPECT_TRUE(without_settings("ALTER TABLE t ADD a int").harmless);
    EXPECT_FALSE(
        without_settings("SET STATEMENT sql_mode='ANSI_QUOTES' FOR ALTER TABLE t ADD a int").harmless);
    EXPECT_EQ(read_statement("ANALYZE UPDATE t SET a = 1").kind, StatementKind::rows);
    EXPECT_EQ(read_statement("ANALYZE FORMAT=JSON DELETE FROM t").kind, StatementKind::rows);
    EXPECT_EQ(read_statement("ANALYZE TABLE t").kind, StatementKind::harmless);
    EXPECT_EQ(read_statement("ANALYZE NO_WRITE_TO_BINLOG TABLE t").kind, StatementKind::harmless);
    EXPECT_EQ(read_statement("ANALYZE LOCAL TABLES t, u").kind, StatementKind::harmless);
}

// Goal: a load's mark is not taken before the stream knows the table.
TEST_F(FollowedTest, TheStreamKnowsBeforeTheMark) {
    tables_.begin_stream(0);
    tables_.follow(table_of({"id"}));
    auto waiting = std::async(std::launch::async, [&] { return tables_.wait_known(20s, {}); });
    EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
    EXPECT_TRUE(tables_.changed());
    EXPECT_TRUE(waiting.get());
    tables_.follow(table_of({"id"}));
    EXPECT_FALSE(tables_.wait_known(0s, {}));
    tables_.between();  // it asks for every table before it reads on
    EXPECT_TRUE(tables_.wait_known(0s, {}));
    EXPECT_TRUE(tables_.changed());
    tables_.follow(table_of({"id"}));
    EXPECT_FALSE(tables_.wait_known(0s, {}));
    tables_.end_stream();  // the next stream asks for every table
    EXPECT_TRUE(tables_.wait_known(0s, {}));
}

}  // namespace
}  // namespace godwit::mysql
