// What a statement says of a table, or that it does not say enough.

#include "sources/mysql/alter_statement.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

const ColumnRules kOld{{false, true}, true};  // spells int(11)

TableSchema table() {
    TableSchema t;
    t.name = {"shop", "t"};
    t.default_collation = "utf8mb4_general_ci";
    for (const auto& [name, type, collation] : std::vector<std::array<std::string, 3>>{
             {"id", "int(11)", ""}, {"a", "varchar(20)", "utf8mb4_general_ci"}, {"b", "decimal(10,2)", ""}}) {
        auto c = column_of(name, type, collation, kOld.types);
        c.number = column_number(name, t.columns);
        t.columns.push_back(c);
    }
    t.columns[0].not_null = true;
    t.primary_key = t.identity_columns = {"id"};
    t.identity = RowIdentity::key;
    return t;
}

std::string after(const std::string& sql, const TableSchema& before = table(),
                  const ColumnRules& rules = kOld) {
    const auto now = after_statement(before, "shop", sql, rules);
    if (!now) return "?";
    std::string out;
    for (const auto& c : now->columns) out += (out.empty() ? "" : ", ") + c.name + " " + c.native_type;
    return out;
}

constexpr const char* kSame = "id int(11), a varchar(20), b decimal(10,2)";

TEST(AfterStatement, ColumnsComeAndGo) {
    EXPECT_EQ(after("ALTER TABLE t ADD COLUMN c int"), std::string(kSame) + ", c int(11)");
    EXPECT_EQ(after("alter table `shop`.`t` add c bigint unsigned null default null comment 'x, y' after id"),
              "id int(11), c bigint(20) unsigned, a varchar(20), b decimal(10,2)");
    EXPECT_EQ(after("ALTER TABLE t ADD z datetime(3) FIRST, ADD y text AFTER z, DROP COLUMN a"),
              "z datetime(3), y text, id int(11), b decimal(10,2)");
    EXPECT_EQ(after("ALTER TABLE t ADD (c decimal, d char(3))"),
              std::string(kSame) + ", c decimal(10,0), d char(3)");
    EXPECT_EQ(after("ALTER TABLE t ADD c int", table(), {{}, false}), std::string(kSame) + ", c int");
    EXPECT_EQ(after("ALTER TABLE t ADD c boolean", table(), {{}, false}),
              std::string(kSame) + ", c tinyint(1)");
    EXPECT_EQ(after("ALTER /* why */ TABLE t DROP a RESTRICT;"), "id int(11), b decimal(10,2)");
}

// Goal: a column that is renamed stays the same column; one that is added never takes another's number.
TEST(AfterStatement, NumbersStay) {
    const auto before = table();
    EXPECT_EQ(after("ALTER TABLE t RENAME COLUMN a TO aa"), "id int(11), aa varchar(20), b decimal(10,2)");
    EXPECT_EQ(after("ALTER TABLE t CHANGE b bb decimal(10,2) FIRST"),
              "bb decimal(10,2), id int(11), a varchar(20)");
    auto now = *after_statement(before, "shop", "ALTER TABLE t CHANGE a aa varchar(20)", kOld);
    EXPECT_EQ(now.columns[1].number, before.columns[1].number);
    now = *after_statement(now, "shop", "ALTER TABLE t ADD a int", kOld);
    EXPECT_NE(now.columns[3].number, before.columns[1].number);
    now = *after_statement(before, "shop", "ALTER TABLE t CHANGE id ident int NOT NULL", kOld);
    EXPECT_EQ(now.primary_key, std::vector<std::string>{"ident"});
    EXPECT_EQ(now.identity_columns, std::vector<std::string>{"ident"});
}

TEST(AfterStatement, WhatChangesNeitherRowsNorColumns) {
    for (const char* sql :
         {"ALTER TABLE t ADD INDEX (a), DROP KEY k, ALGORITHM=INPLACE, LOCK = NONE",
          "ALTER TABLE t COMMENT 'add drop', ENGINE=InnoDB", "ALTER TABLE t ADD UNIQUE KEY u (a)",
          "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (k) ON DELETE CASCADE",
          "ALTER TABLE t MODIFY a varchar(20) DEFAULT 'x'", "ALTER TABLE t ALTER COLUMN a SET DEFAULT 'y'",
          "CREATE INDEX i ON t (a, b)", "DROP INDEX i ON shop.t", "ALTER TABLE t AUTO_INCREMENT = 7"})
        EXPECT_EQ(after(sql), kSame) << sql;
}

// Goal: what an INSERT that does not name the column makes of it is known at each place of the log.
TEST(AfterStatement, Defaults) {
    const auto fallback = [](const TableSchema& from, const char* sql) {
        const auto now = after_statement(from, "shop", sql, kOld);
        return now ? now->columns[1].default_expression : "not followed";
    };
    auto before = table();
    EXPECT_EQ(fallback(before, "ALTER TABLE t ALTER COLUMN a SET DEFAULT 'y'"), "'y'");
    EXPECT_EQ(fallback(before, "ALTER TABLE t MODIFY a varchar(20) DEFAULT 'x'"), "'x'");
    EXPECT_EQ(fallback(before, "ALTER TABLE t ALTER a SET DEFAULT (uuid())"), "not followed");
    before.columns[1].default_expression = "'z'";
    EXPECT_EQ(fallback(before, "ALTER TABLE t COMMENT 'c'"), "'z'");
    EXPECT_EQ(fallback(before, "ALTER TABLE t ALTER a SET DEFAULT NULL"), "");
    EXPECT_EQ(fallback(before, "ALTER TABLE t ALTER a DROP DEFAULT"), "");
    EXPECT_EQ(fallback(before, "ALTER TABLE t MODIFY a varchar(20)"), "");
}

TEST(AfterStatement, WhatIsNotSaidForCertain) {
    for (const char* sql : {"ALTER TABLE t ADD c int DEFAULT 5",
                            "ALTER TABLE t ADD c int NOT NULL",
                            "ALTER TABLE t MODIFY a varchar(30)",
                            "ALTER TABLE t MODIFY a int",
                            "ALTER TABLE t MODIFY b decimal",
                            "ALTER TABLE t MODIFY a varchar(20) NOT NULL",
                            "ALTER TABLE t MODIFY a varchar(20) COLLATE utf8mb4_bin",
                            "ALTER TABLE t ADD c timestamp",
                            "ALTER TABLE t ADD c enum('x')",
                            "ALTER TABLE t ADD c int AS (id)",
                            "ALTER TABLE t ADD c json",
                            "ALTER TABLE t ADD c varchar(60000)",
                            "ALTER TABLE t ADD c int UNIQUE",
                            "ALTER TABLE t ADD c int AFTER nothing",
                            "ALTER TABLE t ADD A int",
                            "ALTER TABLE t DROP nothing",
                            "ALTER TABLE t DROP id",
                            "ALTER TABLE t DROP PRIMARY KEY",
                            "ALTER TABLE t ADD PRIMARY KEY (a)",
                            "ALTER TABLE t DROP PARTITION p",
                            "ALTER TABLE t TRUNCATE PARTITION p",
                            "ALTER TABLE t RENAME TO u",
                            "ALTER TABLE t RENAME COLUMN a TO b",
                            "ALTER TABLE t CHANGE a x varchar(20), ADD a int",
                            "ALTER TABLE t RENAME COLUMN a TO x, ADD COLUMN a varchar(20)",
                            "ALTER TABLE t DROP b, ADD b decimal(10,2)",
                            "ALTER TABLE t DROP COLUMN a, ADD COLUMN (A varchar(20))",
                            "ALTER TABLE t DROP a, DROP b, ADD c int, ADD a varchar(20) AFTER id",
                            "ALTER TABLE t ADD a varchar(20), DROP a",
                            "ALTER TABLE t CONVERT TO CHARACTER SET latin1",
                            "ALTER TABLE t DEFAULT CHARSET latin1",
                            "ALTER TABLE t ORDER BY a",
                            "ALTER TABLE t ENGINE = MyISAM",
                            "ALTER TABLE t ADD IF NOT EXISTS c int",
                            "ALTER TABLE u ADD c int",
                            "ALTER TABLE other.t ADD c int",
                            "ALTER TABLE IF EXISTS t ADD c int",
                            "ALTER TABLE t ADD \"c\" int",
                            "ALTER TABLE t /*!80000 ADD c int */",
                            "ALTER TABLE t ADD c\xC3\xA9 int",
                            "DROP TABLE t",
                            "CREATE TABLE t (id int)",
                            "CREATE UNIQUE INDEX i ON u (a)",
                            "",
                            "ALTER",
                            "ALTER TABLE t",
                            "ALTER TABLE t ADD",
                            "ALTER TABLE t ADD (",
                            "ALTER TABLE t ADD c",
                            "ALTER TABLE t ADD c decimal(",
                            "ALTER TABLE t ADD c int)",
                            "ALTER TABLE t CHANGE a",
                            "ALTER TABLE t MODIFY b decimal(10,2) DEFAULT"})
        EXPECT_EQ(after(sql), "?") << sql;
    auto keyless = table();
    keyless.primary_key.clear();
    keyless.identity = RowIdentity::full;
    keyless.identity_columns = {"id", "a", "b"};
    EXPECT_EQ(after("ALTER TABLE t ADD UNIQUE (a)", keyless), "?");
    EXPECT_EQ(after("DROP INDEX i ON t", keyless), "?");
    EXPECT_EQ(after_statement(keyless, "shop", "ALTER TABLE t DROP a", kOld)->identity_columns,
              (std::vector<std::string>{"id", "b"}));
    auto bare = table();
    bare.default_collation.clear();
    EXPECT_EQ(after("ALTER TABLE t ADD c text", bare), "?");
}

}  // namespace
}  // namespace godwit::mysql
