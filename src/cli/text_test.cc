#include "cli/text.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

TEST(Text, Numbers) {
    EXPECT_EQ(with_commas(0), "0");
    EXPECT_EQ(with_commas(999), "999");
    EXPECT_EQ(with_commas(1000), "1,000");
    EXPECT_EQ(with_commas(1234567), "1,234,567");
    EXPECT_EQ(duration(-1), "-");
    EXPECT_EQ(duration(999), "999 ms");
    EXPECT_EQ(duration(1400), "1.4 s");
    EXPECT_EQ(duration(119000), "119 s");
    EXPECT_EQ(duration(180000), "3 min");
    EXPECT_EQ(bytes(1023), "1023 B");
    EXPECT_EQ(bytes(1536), "1.5 KB");
    EXPECT_EQ(bar(0.5, 4), "██░░  50 %");
    EXPECT_EQ(bar(2, 2), "██ 100 %");
    EXPECT_EQ(bar(0.999, 2), "█░  99 %");  // full only when done
}

TEST(Text, ColumnsLineUpByCodePoint) {
    Columns columns({"NAME", "N"}, {1});
    columns.row({"größe", "5"});
    columns.row({"b", "1,000"});
    EXPECT_EQ(columns.text(Screen{}), "NAME       N\ngröße      5\nb      1,000\n");
}

TEST(Text, ColourOnlyWhereAsked) {
    EXPECT_EQ(painted(Screen{}, Colour::bad, "x"), "x");
    EXPECT_EQ(painted(Screen{true, true, 80, 24}, Colour::bad, "x"), "\033[31mx\033[0m");
}

constexpr const char* kReport = R"({"identifier":"shop","status":"running","phase":"full load","lag_ms":12,
 "rows_per_second":5000,"changes_per_second":40,"transactions_applied":7,"restarts":1,
 "tables":[{"name":{"schema":"s","table":"b"},"state":"Table completed","full_load_rows":10,"rows_estimate":90,"slices":2,"slices_done":2},
           {"name":{"schema":"s","table":"c"},"state":"Table error","detail":"no privilege"},
           {"name":{"schema":"s","table":"a"},"state":"Full load","full_load_rows":5,"rows_estimate":10,"slices":4,"slices_done":1}]})";

TEST(Text, PictureOfATask) {
    EXPECT_EQ(
        task_picture(kReport, Screen{}, 2),
        "shop  running  full load\n"
        "load     ██████████████████████░░░░░░░░  75 %  15 rows, 1 of 3 tables, 1 in error, 5,000 rows/s\n"
        "changes  lag 12 ms, 40 changes/s, 7 transactions applied, 1 restart\n"
        "\n"
        "TABLE  STATE        LOADED  SLICES  INSERTS  UPDATES  DELETES  NOTE\n"
        "s.c    Table error       0       -        0        0        0  no privilege\n"
        "s.a    Full load         5     1/4        0        0        0  \n"
        "… and 1 more\n");
    EXPECT_EQ(
        task_line(kReport),
        "shop running (full load): 1 of 3 tables loaded, 15 rows, 5,000 rows/s; lag 12 ms, 40 changes/s");
}

// A report of another version or a broken one is shown as far as it goes.
TEST(Text, PictureOfAnOddReport) {
    EXPECT_EQ(task_picture("no json", Screen{}, 0), "");
    EXPECT_NE(task_picture("{}", Screen{}, 0).find("lag -"), std::string::npos);
    EXPECT_NE(
        task_picture(R"({"identifier":7,"lag_ms":"x","tables":[{"name":1}]})", Screen{}, 0).find("TABLE"),
        std::string::npos);
}

}  // namespace
}  // namespace godwit::cli
