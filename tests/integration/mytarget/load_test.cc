// Rules of loading: LOAD DATA bends what does not fit, so nothing that it remarked on may commit.

#include <fmt/format.h>

#include <chrono>
#include <tuple>

#include "mytarget/bed.h"
#include "targets/mysql/slice_writer.h"

namespace godwit::test {
namespace {

class MyLoadTest : public MyTest {};

TEST_P(MyLoadTest, WhatDoesNotFitIsRefused) {
    auto target = process();
    const auto table =
        schema_of("t", {column("id", kInt), column("n", {.kind = PortableKind::int1}),
                        column("d", {.kind = PortableKind::date}),
                        column("m", {.kind = PortableKind::numeric, .precision = 5, .scale = 1}),
                        column("s", {.kind = PortableKind::wstring, .length = 3}, true)});
    const auto prepared = prepare(*target, table);
    std::uint32_t slice = 0;
    for (const std::string bad :
         {"2\t300\t2020-01-01\t1.0\tx\n", "2\tsecret\t2020-01-01\t1.0\tx\n", "2\t3\t2020-02-31\t1.0\tx\n",
          "2\t3\t2020-01-01\t1.25\tx\n", "2\t3\t2020-01-01\t1.0\ttoolong\n", "2\t3\t2020-01-01\t1.0\t\\N\n",
          "2\t3\t2020-01-01\t1.0\t\xff\n", "1\t3\t2020-01-01\t1.0\tx\n"}) {
        const auto done = load(*target, table, prepared, "1\t1\t2020-01-01\t1.0\tx\n" + bad, 2, ++slice);
        ASSERT_FALSE(done) << bad;
        EXPECT_EQ(done.error().retry, Retry::never) << done.error().text();
        EXPECT_EQ(done.error().text().find("secret"), std::string::npos) << done.error().text();
        EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "0") << bad;
    }
    EXPECT_EQ(target->slices_done(table, prepared.generation)->size(), 0U);
    ASSERT_OK(load(*target, table, prepared, "1\t1\t2020-01-01\t1.0\tx\n", 1, ++slice));
}

// Goal: where the server would say nothing of a value that it changes, no row is written.
TEST_P(MyLoadTest, ColumnsThatRoundAreRefused) {
    auto target = process();
    const auto attempt = [&](const std::string& type, PortableType kind) {
        host_.run("DROP TABLE IF EXISTS gw_test.t");
        host_.run("CREATE TABLE gw_test.t (id int primary key, v " + type + ")");
        const auto done = target->prepare(schema_of("t", {column("id", kInt), column("v", kind)}),
                                          PrepMode::do_nothing, {"rows.load"}, {});
        if (done) return std::string();
        EXPECT_EQ(done.error().code, ErrorCode::failed_precondition);
        return done.error().text();
    };
    const PortableType moment{.kind = PortableKind::datetime, .scale = 6},
        time{.kind = PortableKind::time, .scale = 3}, any{.kind = PortableKind::numeric},
        cents{.kind = PortableKind::numeric, .precision = 9, .scale = 2},
        whole{.kind = PortableKind::numeric, .precision = 9}, real{.kind = PortableKind::real8};
    EXPECT_NE(attempt("datetime", moment).find("v (datetime)"), std::string::npos);
    EXPECT_NE(attempt("timestamp(5) null", moment), "");
    EXPECT_NE(attempt("time(2)", time), "");
    EXPECT_NE(attempt("float", real), "");
    for (const auto& kind : {any, cents, real}) EXPECT_NE(attempt("int", kind), "");
    EXPECT_NE(attempt("bit(8)", kInt).find("v (bit(8))"), std::string::npos);
    EXPECT_EQ(attempt("bit(1)", {.kind = PortableKind::boolean}), "");
    EXPECT_EQ(attempt("datetime(6)", moment), "");
    EXPECT_EQ(attempt("varchar(40)", moment), "");
    EXPECT_EQ(attempt("time(3)", time), "");
    EXPECT_EQ(attempt("decimal(9,1)", cents), "");  // row by row
    EXPECT_EQ(attempt("int", whole), "");
    EXPECT_EQ(attempt("double", real), "");
}

// Goal: the same for what is cut, padded or read as something else; and no pair that is exact is refused.
TEST_P(MyLoadTest, ColumnsThatChangeValuesAreRefused) {
    constexpr std::uint32_t kMood = 90'001;
    const auto attempt = [&](Target& target, const std::string& type, ColumnSchema from) {
        host_.run("DROP TABLE IF EXISTS gw_test.t");
        host_.run("CREATE TABLE gw_test.t (id int primary key, v " + type + ")");
        from.name = "v";
        auto id = native("id", "int");
        id.portable = kInt;
        auto table = schema_of("t", {id, from});
        UserType mood{.kind = UserType::Kind::enumeration, .type_id = kMood, .labels = {"sad", "2"}};
        UserType checked{.kind = UserType::Kind::domain, .type_id = kMood + 1};
        checked.base.type_id = kMood;
        table.types = {mood, checked};
        const auto done = target.prepare(table, PrepMode::do_nothing, {"rows.load"}, {});
        return done.has_value();
    };
    using K = PortableKind;
    const auto of_type = [](std::uint32_t type) {
        auto c = column("v", {.kind = PortableKind::string, .length = 64});
        c.type_id = type;
        return c;
    };
    const auto of = [](K kind, std::uint32_t length = 0, std::uint16_t precision = 0, std::int16_t scale = 0,
                       const std::string& type = {}) {
        auto c = column("v", {.kind = kind, .length = length, .precision = precision, .scale = scale});
        c.native_type = type;
        return c;
    };
    const std::vector<std::tuple<std::string, ColumnSchema, bool>> foreign{
        {"float", of(K::int4), false},
        {"float", of(K::int8), false},
        {"float", of(K::uint4), false},
        {"float", of(K::numeric), false},
        {"float", of(K::numeric, 0, 9, 2), false},
        {"float", of(K::int2), true},
        {"float", of(K::real4), true},
        {"float", of(K::numeric, 0, 6, 2), true},
        {"float(7,2)", of(K::real4), false},
        {"double", of(K::int8), false},
        {"double", of(K::uint8), false},
        {"double", of(K::numeric), false},
        {"double", of(K::numeric, 0, 18, 2), false},
        {"double", of(K::numeric, 0, 15, 2), true},
        {"double", of(K::int4), true},
        {"double", of(K::real4), true},
        {"double(10,2)", of(K::real8), false},
        {"double(10,2)", of(K::int4), true},
        {"bigint", of(K::nclob, 0, 0, 0, "text"), false},
        {"int", of(K::wstring, 20, 0, 0, "character varying(20)"), false},
        {"int", of(K::blob), false},
        {"decimal(9,2)", of(K::blob), false},
        {"decimal(9,2)", of(K::numeric), true},
        {"bigint", of(K::numeric, 0, 18, 0), true},
        {"char(9)", of(K::nclob, 0, 0, 0, "text"), true},
        {"char(9)", of(K::wstring, 9, 0, 0, "character varying(9)"), true},
        {"char(9)", of(K::wstring, 9, 0, 0, "character(9)"), true},
        {"char(36)", of(K::string, 36, 0, 0, "uuid"), true},
        {"char(20)", of(K::int8), true},
        {"varchar(9)", of(K::wstring, 9, 0, 0, "character varying(9)"), true},
        {"binary(8)", of(K::blob), false},
        {"binary(8)", of(K::bytes, 8), false},
        {"varbinary(8)", of(K::bytes, 8), true},
        {"year", of(K::int2), false},
        {"year", of(K::nclob, 0, 0, 0, "text"), false},
        {"bit(1)", of(K::numeric, 0, 3, 1), false},
        {"bit(1)", of(K::int2), true},
        {"bit(8)", of(K::string, 8, 0, 0, "bit(8)"), true},
        {"datetime(6)", of(K::time), false},
        {"datetime(6)", of(K::nclob, 0, 0, 0, "text"), false},
        {"time(6)", of(K::string, 128, 0, 0, "interval"), true},
        {"datetime", of(K::date), true},
        {"enum('a','b')", of(K::nclob, 0, 0, 0, "text"), false},
        {"enum('a','b')", of(K::int2), false},
        {"set('a','b')", of(K::wstring, 9, 0, 0, "character varying(9)"), false},
        {"enum('ok','sad','2')", of_type(kMood), true},
        {"enum('ok','sad','2')", of_type(kMood + 1), true},
        {"enum('ok','sad')", of_type(kMood), false},
        {"enum('ok','SAD','2')", of_type(kMood + 1), false},
    };
    {
        auto target = process();
        for (const auto& [type, from, fits] : foreign)
            EXPECT_EQ(attempt(*target, type, from), fits)
                << type << " of kind " << static_cast<int>(from.portable.kind) << " " << from.native_type;
    }
    const std::string text = "utf8mb4_bin";
    const std::vector<std::tuple<std::string, ColumnSchema, bool>> own{
        {"float", native("v", "float"), true},
        {"float", native("v", "double"), false},
        {"float", native("v", "mediumint(8) unsigned"), true},
        {"float", native("v", "int(11)"), false},
        {"float(7,2)", native("v", "float(7,2)"), true},
        {"float(7,2)", native("v", "float"), false},
        {"double", native("v", "float"), true},
        {"double", native("v", "double"), true},
        {"double", native("v", "bigint(20)"), false},
        {"int", native("v", "decimal(45,5)"), false},
        {"bigint", native("v", "decimal(45,5)"), false},
        {"bigint", native("v", "decimal(45,0)"), true},
        {"decimal(60,5)", native("v", "decimal(45,5)"), true},
        {"int", native("v", "varchar(9)", text), false},
        {"bigint", native("v", "longtext", text), false},
        {"int", native("v", "enum('1','2')", text), false},
        {"bigint", native("v", "int(11)"), true},
        {"int", native("v", "year(4)"), true},
        {"char(9)", native("v", "varchar(9)", text), true},
        {"char(9)", native("v", "tinytext", text), true},
        {"char(9)", native("v", "char(5)", text), true},
        {"char(9)", native("v", "enum('a','b')", text), true},
        {"varchar(9)", native("v", "char(9)", text), true},
        {"mediumtext", native("v", "text", text), true},
        {"binary(8)", native("v", "varbinary(8)"), false},
        {"binary(8)", native("v", "blob"), false},
        {"binary(8)", native("v", "binary(4)"), false},
        {"binary(8)", native("v", "binary(8)"), true},
        {"varbinary(8)", native("v", "binary(8)"), true},
        {"year", native("v", "smallint(6)"), false},
        {"year", native("v", "year(4)"), true},
        {"year", native("v", "year"), true},
        {"bit(8)", native("v", "bit(8)"), true},
        {"bit(1)", native("v", "bit(1)"), true},
        {"bit(1)", native("v", "tinyint(1)"), true},
        {"bit(8)", native("v", "tinyint(4)"), false},
        {"datetime(6)", native("v", "timestamp(6)"), true},
        {"datetime", native("v", "date"), true},
        {"time(3)", native("v", "time(3)"), true},
        {"time(3)", native("v", "time(6)"), false},
        {"enum('a','b')", native("v", "varchar(9)", text), false},
        {"enum('a','b')", native("v", "tinyint(4)"), false},
        {"enum('b','c','a')", native("v", "enum('a','b')", text), true},
        {"enum('b','2')", native("v", "enum('2')", text), true},
        {"enum('b','c')", native("v", "enum('2')", text), false},
        {"enum('a','b')", native("v", "set('a','b')", text), false},
        {"set('a','b','c')", native("v", "set('a','b')", text), true},
        {"set('a')", native("v", "set('a','b')", text), false},
        {"set('a','b')", native("v", "varchar(9)", text), false},
    };
    auto target = process("mysql");
    for (const auto& [type, from, fits] : own)
        EXPECT_EQ(attempt(*target, type, from), fits) << type << " of " << from.native_type;
}

// Goal: where the server would put a value of its own in place of NULL, no row is written.
TEST_P(MyLoadTest, ColumnsThatReplaceNullAreRefused) {
    const auto attempt = [&](Target& target, const std::string& columns, std::vector<ColumnSchema> from,
                             std::size_t keys = 1) {
        host_.run("DROP TABLE IF EXISTS gw_test.t");
        host_.run("CREATE TABLE gw_test.t (" + columns + ")");
        const auto table = schema_of("t", std::move(from), keys);
        const auto done = target.prepare(table, PrepMode::do_nothing, {"rows.load"}, {});
        return done ? std::string() : done.error().text();
    };
    const PortableType moment{.kind = PortableKind::datetime, .scale = 6};
    const auto maybe = column("at", moment), always = column("at", moment, true);
    const auto before = host_.ask("SELECT @@global.explicit_defaults_for_timestamp");
    host_.run("SET GLOBAL explicit_defaults_for_timestamp = 0");
    auto old = process();
    const std::string must = "id int primary key, at timestamp(6) not null default '2001-01-01'",
                      may = "id int primary key, at timestamp(6) null";
    EXPECT_THAT(attempt(*old, must, {column("id", kInt), maybe}),
                testing::AllOf(testing::HasSubstr("at (TIMESTAMP NOT NULL)"),
                               testing::HasSubstr("explicit_defaults_for_timestamp")));
    EXPECT_EQ(attempt(*old, must, {column("id", kInt), always}), "");
    EXPECT_EQ(attempt(*old, may, {column("id", kInt), maybe}), "");
    EXPECT_EQ(attempt(*old, "id int primary key, at datetime(6) not null", {column("id", kInt), maybe}), "");
    // a table of godwit's own stays one that it takes
    const auto table = schema_of("own", {column("id", kInt), maybe, column("at2", moment, true)});
    prepare(*old, table);
    prepare(*old, table, PrepMode::truncate);
    host_.run("SET GLOBAL explicit_defaults_for_timestamp = 1");
    auto target = process();
    EXPECT_EQ(attempt(*target, must, {column("id", kInt), maybe}), "");
    const std::string numbered = "id int auto_increment primary key, s varchar(100)";
    EXPECT_EQ(attempt(*target, numbered, {column("id", kInt), column("s", kText)}), "");
    EXPECT_THAT(attempt(*target, numbered, {column("id", kInt), column("s", kText)}, 0),
                testing::HasSubstr("id (AUTO_INCREMENT)"));
    host_.run("SET GLOBAL explicit_defaults_for_timestamp = " + before);
}

TEST_P(MyLoadTest, RowsAreCounted) {
    auto target = process();
    const auto prepared = prepare(*target, schema_of("t", {column("id", kInt)}));
    const auto done = load(*target, schema_of("t", {column("id", kInt)}), prepared, "1\n2\n", 3);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::data_loss);
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "0");
}

TEST_P(MyLoadTest, ALargeSliceIsReadAgainForInsert) {
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("s", {.kind = PortableKind::nclob})});
    const auto prepared = prepare(*target, table);
    auto writer = target->open_writer().value();
    ASSERT_TRUE(writer->begin(table, prepared, 1).value());
    const std::string wide(1U << 20, 'x');
    for (int i = 0; i < 36; ++i) ASSERT_OK(writer->write(as_bytes(std::to_string(i) + "\t" + wide + "\n")));
    ASSERT_OK(writer->write(as_bytes("7\ttwice\n")));
    auto done = writer->commit(37);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().retry, Retry::from_checkpoint) << done.error().text();
    // now by INSERT, which names the key
    done = load(*target, table, prepared, "1\ta\n1\tb\n", 2, 1);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().sqlstate, "23000");
    EXPECT_EQ(done.error().retry, Retry::never);
    ASSERT_OK(load(*target, table, prepared, "1\ta\n2\tb\n", 2, 1));
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "2");
}

// A source whose snapshot ends with the process has the table prepared anew, and must not be told to begin
// again a second time.
TEST_P(MyLoadTest, InsertOutlivesTheGenerationUntilTheLoadIsDone) {
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("s", {.kind = PortableKind::nclob})});
    const std::string wide(1U << 20, 'x');
    const auto large = [&](const PreparedTable& prepared) -> Result<> {
        auto writer = GW_TRY(target->open_writer());
        if (!GW_TRY(writer->begin(table, prepared, 1))) return fail(ErrorCode::already_exists, "in");
        for (int i = 0; i < 36; ++i)
            GW_CHECK(writer->write(as_bytes(std::to_string(i) + "\t" + wide + "\n")));
        GW_CHECK(writer->write(as_bytes("7\ttwice\n")));
        return writer->commit(37);
    };
    const auto by_insert = [&] { return host_.ask("SELECT by_insert FROM godwit.gw_table"); };
    auto done = large(prepare(*target, table));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().retry, Retry::from_checkpoint) << done.error().text();
    target = process();
    EXPECT_EQ(by_insert(), "1");
    const auto prepared = prepare(*target, table);
    EXPECT_EQ(by_insert(), "1");
    done = large(prepared);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().sqlstate, "23000") << done.error().text();
    EXPECT_EQ(done.error().retry, Retry::never);
    ASSERT_OK(load(*target, table, prepared, "1\ta\n2\tb\n", 2, 1));
    ASSERT_OK(target->finish_load(table, prepared, TablePhase::joined, 2));
    EXPECT_EQ(by_insert(), "0");
}

TEST_P(MyLoadTest, InsertsKeepToTheServersPacket) {
    const auto before = host_.ask("SELECT @@global.max_allowed_packet, @@global.local_infile");
    const auto bar = before.find('|');
    host_.run("SET GLOBAL max_allowed_packet = 1048576; SET GLOBAL local_infile = 0");
    const struct Restored {
        const MyHost& host;
        std::string sql;
        ~Restored() { host.run(sql); }
    } restored{host_, "SET GLOBAL max_allowed_packet = " + before.substr(0, bar) +
                          "; SET GLOBAL local_infile = " + before.substr(bar + 1)};
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("s", {.kind = PortableKind::nclob})});
    const auto prepared = prepare(*target, table);
    // more than a statement in rows of many sizes; some fill one alone
    std::string lines;
    std::uint64_t rows = 0, bytes = 0;
    for (const std::size_t size : {10'000U, 130'000U, 600'000U, 1'045'000U}) {
        for (int i = 0; i < 150 && i * size < (4U << 20); ++i) {
            lines += std::to_string(++rows) + "\t" + std::string(size, 'x') + "\n";
            bytes += size;
        }
    }
    ASSERT_OK(load(*target, table, prepared, lines, rows, 1));
    EXPECT_EQ(host_.ask("SELECT count(*), sum(length(s)) FROM gw_test.t"), fmt::format("{}|{}", rows, bytes));
    // one that cannot
    const auto done =
        load(*target, table, prepared,
             "1001\ta\n1002\t" + std::string(1'048'000, 's') + "\n1003\t" + std::string(3U << 20, 's') + "\n",
             3, 2);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().retry, Retry::never) << done.error().text().substr(0, 500);
    EXPECT_THAT(done.error().text(), testing::HasSubstr("max_allowed_packet"));
    EXPECT_THAT(done.error().text(), testing::HasSubstr("row 2 "));
    EXPECT_EQ(done.error().text().find("sss"), std::string::npos);
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), std::to_string(rows));
    ASSERT_OK(load(*target, table, prepared, "1001\ta\n", 1, 2));
}

TEST_P(MyLoadTest, ASliceGivenUpLeavesNothing) {
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("s", kText)});
    const auto prepared = prepare(*target, table);
    auto writer = target->open_writer().value();
    ASSERT_TRUE(writer->begin(table, prepared, 1).value());
    std::string lines;
    for (int i = 0; i < 50000; ++i) lines += std::to_string(i) + "\tsome text\n";
    ASSERT_OK(writer->write(as_bytes(lines)));
    writer->abort();
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "0");
    EXPECT_EQ(target->slices_done(table, prepared.generation)->size(), 0U);
    ASSERT_OK(load(*target, table, prepared, "1\ta\n", 1, 1));
}

// Every kind of column that a user may have made, in each way of loading.
TEST_P(MyLoadTest, ValuesArriveInTheColumnsOwnForm) {
    const std::string json = mariadb_ ? "longtext" : "json";
    const auto make = [&](const std::string& name) {
        host_.run("CREATE TABLE gw_test." + name +
                  " (id int primary key, l varchar(20) character set latin1, u varchar(40), w varchar(20) "
                  "character set utf16, b varbinary(600), flag bit(1), mask bit(12), j " +
                  json +
                  ", e enum('x','ä'), t time(3), f float, ts timestamp(6) null) character set utf8mb4");
    };
    const auto table_as = [](const std::string& name) {
        auto table = schema_of(
            name, {column("id", kInt), column("l", kText), column("u", kText), column("w", kText),
                   column("b", {.kind = PortableKind::blob}), column("flag", {.kind = PortableKind::boolean}),
                   column("mask", {.kind = PortableKind::bytes, .length = 2}),
                   column("j", {.kind = PortableKind::nclob, .json = true}), column("e", kText),
                   column("t", {.kind = PortableKind::time, .scale = 3}),
                   column("f", {.kind = PortableKind::real4}),
                   column("ts", {.kind = PortableKind::datetime, .scale = 6})});
        enumeration(table, "e", {"x", "ä"});
        return table;
    };
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    const std::string mask("\x0a\xbc", 2), emoji = "tab\t nl\n back\\ \xF0\x9F\x98\x80 '\"";
    const std::vector<std::string> cells = {"1",         "\xC3\xA4\xE2\x82\xAC",
                                            emoji,       "\xF0\x9F\x98\x80",
                                            all,         "1",
                                            mask,        R"({"a":[1,"\u00e4\n"]})",
                                            "\xC3\xA4",  "-838:59:59.000",
                                            "1234567.8", "2024-02-29 12:34:56.123456"};
    const auto line = [&](bool hex) {
        ByteBuffer out;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (i != 0) out.put_u8('\t');
            if ((i == 4 || i == 6) && hex)
                rows::put_bytes_hex(out, as_bytes(cells[i]));
            else if (i == 4 || i == 6)
                rows::put_bytes_raw(out, as_bytes(cells[i]));
            else
                rows::put_text(out, as_bytes(cells[i]));
        }
        out.append(std::string_view("\n2"));
        for (std::size_t i = 1; i < cells.size(); ++i) out.append(std::string_view("\t\\N"));
        out.put_u8('\n');
        return std::string(as_text(out.view()));
    };
    const std::string look =
        "SELECT id, hex(l), hex(u), hex(w), hex(b), flag + 0, mask + 0, j, hex(e), t, f + 0e0, ts FROM "
        "gw_test.";
    std::string seen;
    int n = 0;
    for (const std::string_view format : {kRowsLoad, kRowsCopy})
        for (const bool by_insert : {false, true}) {
            auto endpoint = host_.endpoint();
            if (by_insert) endpoint.attributes["loadusingcsv"] = "false";
            auto target = process("postgres", &endpoint);
            const std::string name = "v" + std::to_string(n++);
            make(name);
            const auto table = table_as(name);
            const auto prepared = prepare(*target, table, PrepMode::do_nothing, format);
            ASSERT_OK(load(*target, table, prepared, line(format == kRowsCopy), 2));
            const auto now = host_.ask(look + name);
            if (seen.empty()) seen = now;
            EXPECT_EQ(now, seen) << format << by_insert;
        }
    EXPECT_NE(seen.find("1|E480|"), std::string::npos) << seen;  // latin1
    EXPECT_NE(seen.find("|D83DDE00|0001020304"), std::string::npos) << seen;
    EXPECT_NE(seen.find("|1|2748|"), std::string::npos) << seen;
    EXPECT_NE(seen.find("|C3A4|-838:59:59.000|"), std::string::npos) << seen;
    EXPECT_NE(seen.find("2|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL"), std::string::npos)
        << seen;
}

TEST_P(MyLoadTest, CopyEscapesAreRead) {
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt), column("s", kText)});
    const auto prepared = prepare(*target, table, PrepMode::drop_and_create, kRowsCopy);
    ASSERT_OK(load(*target, table, prepared, "1\ta\\fb\\vc\\bd\\\\fe\\N\n2\t\\\\N\n3\t\\N\n", 3));
    EXPECT_EQ(host_.ask("SELECT hex(s) FROM gw_test.t ORDER BY id").substr(0, 20), "610C620B6308645C6665");
    EXPECT_EQ(host_.ask("SELECT s FROM gw_test.t WHERE id = 2"), "\\N");
    EXPECT_EQ(host_.ask("SELECT s IS NULL FROM gw_test.t WHERE id = 3"), "1");
}

TEST_P(MyLoadTest, BytesAreWhatTheSourceCallsBytes) {
    host_.run("CREATE TABLE gw_test.t (k varbinary(50) primary key, b varbinary(50))");
    auto target = process();
    const auto table = schema_of("t", {column("k", kText), column("b", {.kind = PortableKind::blob})});
    const auto prepared = prepare(*target, table, PrepMode::do_nothing, kRowsCopy);
    ASSERT_OK(load(*target, table, prepared, "\\\\x41\t\\\\x41\n", 1));
    EXPECT_EQ(host_.ask("SELECT hex(k), hex(b) FROM gw_test.t"), "5C783431|41");
}

TEST_P(MyLoadTest, TablesAreCreatedWithinTheLimits) {
    auto target = process();
    std::vector<ColumnSchema> columns = {column("k", kText)};
    columns[0].portable.length = 0;
    for (int i = 0; i < 10; ++i)
        columns.push_back(column("w" + std::to_string(i), {.kind = PortableKind::wstring, .length = 16383}));
    columns.push_back(column("big", {.kind = PortableKind::numeric, .precision = 100, .scale = 50}));
    columns.push_back(column("neg", {.kind = PortableKind::numeric, .precision = 3, .scale = -2}));
    columns.push_back(column("free", {.kind = PortableKind::numeric}));
    columns.push_back(column("u8", {.kind = PortableKind::uint8}));
    columns.push_back(column("raw", {.kind = PortableKind::bytes, .length = 16}));
    columns.push_back(column("ns", {.kind = PortableKind::datetime, .scale = 9}));
    const auto table = schema_of("t", columns);
    const auto prepared = prepare(*target, table);
    EXPECT_TRUE(prepared.created);
    const auto types = host_.ask(
        "SELECT group_concat(concat(column_name, ' ', column_type) ORDER BY ordinal_position SEPARATOR ', ') "
        "FROM "
        "information_schema.columns WHERE table_schema = 'gw_test'");
    EXPECT_NE(types.find("big longtext, neg decimal(5,0), free longtext, u8 bigint"), std::string::npos)
        << types;
    EXPECT_NE(types.find("raw varbinary(16), ns varchar(37)"), std::string::npos) << types;
    EXPECT_TRUE(types.starts_with(mariadb_ ? "k varchar(768)" : "k varbinary(3072)")) << types;
    // 'a', 'A' and 'a ' are three keys
    std::string lines;
    for (const std::string k : {"a", "A", "a ", "\xC3\xA1"}) {
        lines += k;
        for (std::size_t i = 1; i < columns.size(); ++i) lines += "\t\\N";
        lines += '\n';
    }
    ASSERT_OK(load(*target, table, prepared, lines, 4));
    std::string longer(4000, 'k');
    for (std::size_t i = 1; i < columns.size(); ++i) longer += "\t\\N";
    const auto refused = load(*target, table, prepared, longer + "\n", 1, 2);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << refused.error().text();

    const auto name = schema_of(std::string(65, 'n'), {column("id", kInt)});
    const auto too_long = target->prepare(name, PrepMode::drop_and_create, {std::string(kRowsLoad)}, {});
    ASSERT_FALSE(too_long);
    EXPECT_EQ(too_long.error().code, ErrorCode::unsupported);
}

// Where explicit_defaults_for_timestamp is off, a TIMESTAMP that is not said to be NULL is not, and moves.
TEST_P(MyLoadTest, ATimestampMayBeNull) {
    const auto before = host_.ask("SELECT @@global.explicit_defaults_for_timestamp");
    host_.run("SET GLOBAL explicit_defaults_for_timestamp = 0");
    auto target = process("mysql");
    auto must = native("must", "timestamp(3)");
    must.not_null = true;
    const auto table = schema_of("t", {column("id", kInt), native("ts", "timestamp(6)"), must}, 1);
    auto mine = table;
    mine.columns[0].native_type = "int";
    const auto prepared = prepare(*target, mine);
    host_.run("SET GLOBAL explicit_defaults_for_timestamp = " + before);
    ASSERT_OK(load(*target, mine, prepared, "1\t\\N\t2020-01-01 00:00:00.125\n", 1));
    EXPECT_EQ(host_.ask("SELECT * FROM gw_test.t"), "1|NULL|2020-01-01 00:00:00.125");
    EXPECT_EQ(host_.ask("SELECT group_concat(is_nullable ORDER BY ordinal_position), max(extra LIKE "
                        "'%on update%') FROM information_schema.columns WHERE table_schema = 'gw_test'"),
              "NO,YES,NO|0");
}

TEST_P(MyLoadTest, TheFamilysOwnTypesStay) {
    host_.run(
        "CREATE TABLE gw_test.o (id int unsigned zerofill not null, k varchar(30) character set latin1 "
        "collate "
        "latin1_general_cs not null, e enum('it''s','b') character set utf8mb4 collate utf8mb4_bin, g int "
        "generated always as (id + 1) stored, h varchar(40) generated always as (concat(k, 'x')) virtual, ts "
        "timestamp(3) null, y year, s set('a','b'), primary key (k, id))");
    auto target = process("mysql");
    auto g = native("g", "int(11)"), h = native("h", "varchar(40)", "utf8mb4_general_ci");
    g.generated = h.generated = h.generated_virtual = true;
    g.generation_expression = "(`id` + 1)";
    h.generation_expression = "concat(`k`,_utf8mb4\\'x\\')";
    auto table =
        schema_of("t",
                  {native("id", "int(10) unsigned zerofill"), native("k", "varchar(30)", "latin1_general_cs"),
                   native("e", "enum('it''s','b')", "utf8mb4_bin"), g, h, native("ts", "timestamp(3)"),
                   native("y", "year(4)"),
                   native("s", "set('a','b')", mariadb_ ? "utf8mb4_0900_ai_ci" : "utf8mb4_uca1400_ai_ci")},
                  2);
    table.primary_key = table.identity_columns = {"k", "id"};
    const auto prepared = prepare(*target, table);
    ASSERT_OK(load(*target, table, prepared, "7\t\xC3\xA4\tit's\t2020-01-01 00:00:00.125\t2155\ta,b\n", 1));
    EXPECT_EQ(host_.ask("SELECT id, hex(k), e, g, ts, y, s FROM gw_test.t"),
              "0000000007|E4|it's|8|2020-01-01 00:00:00.125|2155|a,b");
    EXPECT_EQ(
        host_.ask("SELECT collation_name FROM information_schema.columns WHERE table_schema = 'gw_test' AND "
                  "table_name = 't' AND column_name = 'k'"),
        "latin1_general_cs");
    ASSERT_FALSE(prepared.warnings.empty());
    EXPECT_THAT(prepared.warnings.front(), testing::HasSubstr("no collation"));
    // and 7 is found, changed, and not by its text
    ASSERT_OK(target->finish_load(table, prepared, TablePhase::joined, 1));
    auto a = applier(*target, table);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    const Cells old = {text("0000000007"), text("\xC3\xA4"), text("it's"),
                       unsent(),           unsent(),         text("2020-01-01 00:00:00.125"),
                       text("2155"),       text("a,b")};
    Cells now = old;
    now[2] = text("b");
    now[7] = text("b");
    ASSERT_OK(update(*a, old, now));
    ASSERT_OK(commit(*a));
    EXPECT_EQ(host_.ask("SELECT e, s FROM gw_test.t"), "b|b");
}

TEST_P(MyLoadTest, DoNothingNeverDeletesForeignRows) {
    host_.run("CREATE TABLE gw_test.t (id int primary key); INSERT INTO gw_test.t VALUES (100)");
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt)});
    auto prepared = prepare(*target, table, PrepMode::do_nothing);
    ASSERT_OK(load(*target, table, prepared, "1\n", 1));
    const auto again = target->prepare(table, PrepMode::do_nothing, {std::string(kRowsLoad)}, {});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "2");
    host_.run("DELETE FROM gw_test.t WHERE id = 100");
    prepared = prepare(*target, table, PrepMode::truncate);
    ASSERT_OK(load(*target, table, prepared, "1\n2\n", 2));
    prepared = prepare(*target, table, PrepMode::do_nothing);  // all of it is this task's own
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "0");
}

// The other half is PostgreSQL's own (codecs/pg/portable.cc): both must come to the hash of the text "1:31".
TEST_P(MyLoadTest, ContentsOfAnotherFamilyAreComparedInPortableForm) {
    auto target = process();
    const auto table = schema_of("t", {column("id", kInt)});
    filled(*target, table, "1\n", 1);
    const auto snapshot = target->open_snapshot().value();
    EXPECT_EQ(snapshot->form(), DigestForm::portable);
    const auto digest = snapshot->digest(table, {});
    ASSERT_TRUE(digest) << digest.error().text();
    EXPECT_EQ(digest->rows, 1U);
    EXPECT_EQ(digest->hash, "3019016778-2543442361-2054291957-1880640454");
}

TEST_P(MyLoadTest, ManyRowsAreFast) {
    constexpr int n = 200000;
    auto target = process();
    const auto table =
        schema_of("t", {column("id", kInt), column("k", kInt),
                        column("amount", {.kind = PortableKind::numeric, .precision = 10, .scale = 2}),
                        column("at", {.kind = PortableKind::datetime, .scale = 6}), column("name", kText),
                        column("note", {.kind = PortableKind::wstring, .length = 500}),
                        column("flag", {.kind = PortableKind::boolean})});
    std::string lines;
    for (int i = 0; i < n; ++i)
        lines += std::to_string(i) + "\t" + std::to_string(i % 997) + "\t" + std::to_string(i % 100000) +
                 ".25\t2024-01-11 12:34:56.123456\tcustomer name\tsome comment that is a bit longer, of many "
                 "rows\t1\n";
    const auto prepared = prepare(*target, table);
    auto writer = target->open_writer().value();
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(writer->begin(table, prepared, 1).value());
    for (std::size_t at = 0; at < lines.size();) {
        auto end = std::min(at + (64U << 10), lines.size());
        while (lines[end - 1] != '\n') --end;
        ASSERT_OK(writer->write(as_bytes(std::string_view(lines).substr(at, end - at))));
        at = end;
    }
    ASSERT_OK(writer->commit(n));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("200,000 rows in %.2f s\n", took.count());
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "200000");
}

TEST(CopyEscapes, OnlyWhatLoadDataDoesNotKnow) {
    ByteBuffer out;
    EXPECT_FALSE(mysql::without_copy_escapes(as_bytes("a\\n\\N\\\\f\t\\\\v\n"), out));
    EXPECT_TRUE(mysql::without_copy_escapes(as_bytes("\\\\\\fx\\v"), out));
    EXPECT_EQ(as_text(out.view()), "\\\\\fx\v");
}

INSTANTIATE_TEST_SUITE_P(Servers, MyLoadTest, testing::Values("GODWIT_TEST_MYSQL", "GODWIT_TEST_MARIADB"),
                         [](const auto& p) {
                             return std::string(p.param) == "GODWIT_TEST_MYSQL" ? "mysql" : "mariadb";
                         });

}  // namespace
}  // namespace godwit::test
