// What a statement of the log is taken for.

#include "sources/mysql/statements.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

TEST(BinlogStatements, Kinds) {
    const auto kind = [](std::string_view sql) { return read_statement(sql).kind; };
    EXPECT_EQ(kind("BEGIN"), StatementKind::begin);
    EXPECT_EQ(kind("commit"), StatementKind::commit);
    EXPECT_EQ(kind("ROLLBACK"), StatementKind::rollback);
    EXPECT_EQ(read_statement("ROLLBACK TO `a b`").savepoint, "A B");
    EXPECT_EQ(read_statement("ROLLBACK WORK TO SAVEPOINT sp1").savepoint, "SP1");
    EXPECT_EQ(read_statement("SAVEPOINT `sp1`").savepoint, "SP1");
    EXPECT_EQ(kind(" /* why */ insert into t values (1)"), StatementKind::rows);
    EXPECT_EQ(kind("-- x\nDELETE FROM t"), StatementKind::rows);
    EXPECT_EQ(kind("WITH c AS (SELECT 1) UPDATE t SET a=1"), StatementKind::rows);
    EXPECT_EQ(kind("CALL p()"), StatementKind::routine);
    EXPECT_EQ(kind("SELECT `db`.`f`(1)"), StatementKind::routine);
    EXPECT_EQ(kind("FROBNICATE t"), StatementKind::routine);
    EXPECT_EQ(kind("create table t (a int)"), StatementKind::ddl);
    EXPECT_EQ(kind("/*!40000 ALTER TABLE t DISABLE KEYS */"), StatementKind::ddl);
    EXPECT_EQ(kind("CREATE OR REPLACE TABLE t (a int)"), StatementKind::ddl);
    EXPECT_EQ(kind("TRUNCATE TABLE t"), StatementKind::ddl);
    EXPECT_EQ(kind("CREATE TEMPORARY TABLE t (a int)"), StatementKind::harmless);
    EXPECT_EQ(kind("DROP /*!40005 TEMPORARY */ TABLE IF EXISTS t"), StatementKind::harmless);
    EXPECT_EQ(kind("GRANT ALL ON *.* TO x"), StatementKind::harmless);
    EXPECT_EQ(kind("FLUSH TABLES"), StatementKind::harmless);
    EXPECT_EQ(kind(""), StatementKind::harmless);
    EXPECT_EQ(kind("/* unclosed"), StatementKind::harmless);
}

TEST(BinlogStatements, Xa) {
    const auto s = read_statement("XA START X'6162',X'63',7");
    EXPECT_EQ(s.kind, StatementKind::xa_start);
    EXPECT_EQ(s.xa, (XaId{7, "ab", "c"}));
    EXPECT_EQ(read_statement("XA COMMIT X'6162',X'',1").xa, (XaId{1, "ab", ""}));
    EXPECT_EQ(read_statement("XA ROLLBACK 'ab'").xa, (XaId{1, "ab", ""}));
    EXPECT_FALSE(read_statement("XA COMMIT X'6'").xa);
    EXPECT_FALSE(read_statement("XA COMMIT").xa);
}

TEST(BinlogStatements, Mentions) {
    EXPECT_TRUE(mentions("UPDATE t SET a=1", "t"));
    EXPECT_TRUE(mentions("UPDATE `db`.`T` SET a=1", "t"));
    EXPECT_FALSE(mentions("UPDATE tt SET at=1", "t"));
    EXPECT_TRUE(mentions("UPDATE `o``dd` SET a=1", "o`dd"));
    EXPECT_TRUE(mentions("UPDATE \xC3\xA9 SET a=1", "\xE9"));  // another character set
    EXPECT_FALSE(mentions("UPDATE t SET a=1", ""));
}

}  // namespace
}  // namespace godwit::mysql
