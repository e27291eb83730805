// Sessions: certificates, logins, and what a server without local_infile is given.

#include <fstream>
#include <sstream>
#include <thread>

#include "mytarget/bed.h"
#include "targets/mysql/session.h"

namespace godwit::test {
namespace {

class MySessionTest : public MyTest {
protected:
    Result<mysql::Connection> login(const std::string& mode, const std::string& pem = {},
                                    const std::string& password = {},
                                    const std::string& user = "root") const {
        mysql::ConnectOptions o;
        o.host = host_.host;
        o.port = host_.port;
        o.user = user;
        o.password = password;
        o.ssl_mode = mode;
        o.ca_certificate_pem = pem;
        return mysql::Connection::open(o);
    }
};

TEST_P(MySessionTest, CertificatesAreChecked) {
    const auto folder = host_.ask("SELECT @@datadir");
    std::ifstream file(folder + "ca.pem");
    if (!file) GTEST_SKIP() << "the server has no certificate of its own";
    std::stringstream pem;
    pem << file.rdbuf();
    auto c = login("require");
    ASSERT_OK(c);
    EXPECT_NE(c->query("SHOW STATUS LIKE 'Ssl_cipher'")->text(0, 1), "");
    EXPECT_EQ(login("none")->query("SHOW STATUS LIKE 'Ssl_cipher'")->text(0, 1), "");
    ASSERT_OK(login("verify-ca", pem.str()));
    // nobody on this machine has signed it
    EXPECT_FALSE(login("verify-ca"));
    // the name in it is not the host's
    const auto wrong = login("verify-full", pem.str());
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, ErrorCode::unavailable) << wrong.error().text();
    EXPECT_FALSE(login("prefer"));
}

// Goal: two tables that refer to each other may be altered at the same time. MySQL ends one of them, MariaDB
// none.
TEST_P(MySessionTest, TablesThatReferToEachOtherAreAlteredInTurn) {
    host_.run(
        "CREATE TABLE gw_test.a (id int PRIMARY KEY, o int, v int); CREATE TABLE gw_test.b (id int PRIMARY "
        "KEY, o int, v int, CONSTRAINT b_a FOREIGN KEY (o) REFERENCES gw_test.a (id)); ALTER TABLE gw_test.a "
        "ADD CONSTRAINT a_b FOREIGN KEY (o) REFERENCES gw_test.b (id)");
    mysql::TargetContext context;
    const auto work = [&](const TableName& table) {
        auto c = login("none");
        ASSERT_OK(c);
        ASSERT_OK(c->run(mariadb_ ? "SET SESSION max_statement_time = 10" : "DO 0"));
        const auto alter = "ALTER TABLE " + mysql::quote_name(table.schema, table.table);
        for (int i = 0; i < 60; ++i) {
            ASSERT_OK(mysql::run_ddl(*c, context, table, alter + " ADD INDEX more (v)"));
            ASSERT_OK(mysql::run_ddl(*c, context, table, alter + " DROP INDEX more"));
        }
    };
    std::jthread first([&] { work({"gw_test", "a"}); });
    work({"gw_test", "b"});
    first.join();
}

TEST_P(MySessionTest, PasswordsOfEachKind) {
    for (const std::string plugin : {"mysql_native_password", "caching_sha2_password", "sha256_password"}) {
        if (mariadb_ && plugin != "mysql_native_password") continue;
        host_.run("DROP USER IF EXISTS gw_login@'%'; CREATE USER gw_login@'%' IDENTIFIED " +
                  (mariadb_ ? "BY 'se cret'" : "WITH " + plugin + " BY 'se cret'"));
        EXPECT_OK(login("none", {}, "se cret", "gw_login"));
        const auto wrong = login("none", {}, "other", "gw_login");
        ASSERT_FALSE(wrong);
        EXPECT_EQ(wrong.error().code, ErrorCode::permission_denied) << wrong.error().text();
        EXPECT_EQ(wrong.error().retry, Retry::never);
    }
    host_.run("DROP USER gw_login@'%'");
    mysql::ConnectOptions nobody;
    nobody.host = "127.0.0.1";
    nobody.port = 1;
    nobody.user = "root";
    const auto refused = mysql::Connection::open(nobody);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
    EXPECT_EQ(refused.error().retry, Retry::from_checkpoint);
}

TEST_P(MySessionTest, WithoutLocalInfileRowsAreInserted) {
    host_.run("SET GLOBAL local_infile = 0");
    const auto table = schema_of("t", {column("id", kInt), column("s", kText)});
    auto target = process();
    const auto prepared = prepare(*target, table);
    const auto done = load(*target, table, prepared, "1\ta\\tb\n2\t\\N\n3\t\n", 3);
    host_.run("SET GLOBAL local_infile = 1");
    ASSERT_OK(done);
    EXPECT_EQ(host_.ask("SELECT * FROM gw_test.t"), "1|a\tb\n2|NULL\n3|");
}

// A task's session never writes by the settings of its user or of a script.
TEST_P(MySessionTest, SettingsAreOurs) {
    auto endpoint = host_.endpoint();
    endpoint.attributes["afterconnectscript"] =
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+05:00', autocommit = 1; NO SUCH "
        "STATEMENT";
    auto target = process("postgres", &endpoint);
    const auto table = schema_of("t", {column("id", kInt), column("s", kText)});
    filled(*target, table, "1\tx\n", 1);
    auto a = applier(*target, table);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("it's \\ \"")}));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask("SELECT s FROM gw_test.t"), "it's \\ \"");
}

TEST_P(MySessionTest, RowsAreStreamedAndStopped) {
    auto c = host_.connect();
    std::uint64_t seen = 0;
    const std::string many =
        "SELECT a.id FROM information_schema.collations a, information_schema.collations b, "
        "information_schema.collations c";
    const auto few = c.stream("SELECT 1, NULL UNION ALL SELECT 2, 'x'", {},
                              [&](const char* const* cells, const unsigned long* lengths) -> Result<> {
                                  seen += lengths[0] + (cells[1] == nullptr ? 10 : 0);
                                  return {};
                              });
    ASSERT_OK(few);
    EXPECT_EQ(*few, 2U);
    EXPECT_EQ(seen, 12U);
    std::stop_source stop;
    const auto stopped =
        c.stream(many, stop.get_token(), [&](const char* const*, const unsigned long*) -> Result<> {
            stop.request_stop();
            return {};
        });
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
    EXPECT_FALSE(c.healthy());
    auto d = host_.connect();
    const auto failed = d.stream(many, {}, [&](const char* const*, const unsigned long*) -> Result<> {
        return fail(ErrorCode::data_loss, "no more");
    });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "no more");
    EXPECT_FALSE(d.run("SELECT 1"));
}

INSTANTIATE_TEST_SUITE_P(Servers, MySessionTest, testing::Values("GODWIT_TEST_MYSQL", "GODWIT_TEST_MARIADB"),
                         [](const auto& p) {
                             return std::string(p.param) == "GODWIT_TEST_MYSQL" ? "mysql" : "mariadb";
                         });

}  // namespace
}  // namespace godwit::test
