#include "engine/reload_list.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;

class Reloads : public testing::Test {
protected:
    static std::filesystem::path made() {
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-reloads-XXXXXX").string();
        return ::mkdtemp(pattern.data());
    }
    ~Reloads() override { std::filesystem::remove_all(folder_); }
    static TableName t(const std::string& name) { return {"s", name}; }

    const std::filesystem::path folder_ = made();
    const std::filesystem::path file_ = folder_ / "reloads";
};

TEST_F(Reloads, what_was_asked_for_outlives_the_process_until_it_has_begun) {
    {
        ReloadList list(file_);
        EXPECT_TRUE(list.restore().empty());
        ASSERT_TRUE(list.ask({t("b"), t("a")}));
        list.add(t("c"));  // the ledger knows of it
        EXPECT_EQ(list.take(0ms, {}), t("b"));
    }
    ReloadList list(file_);
    EXPECT_EQ(list.restore(), (std::vector{t("a"), t("b")}));
    EXPECT_EQ(list.take(0ms, {}), t("a"));
    list.taken({t("a"), t("b")});
    EXPECT_EQ(list.take(0ms, {}), std::nullopt);
    ASSERT_TRUE(list.begun({t("a")}));
    EXPECT_EQ(ReloadList(file_).restore(), (std::vector{t("b")}));
    ASSERT_TRUE(list.ask({t("b")}));  // once more, before the first has begun
    ASSERT_TRUE(list.begun({t("b")}));
    EXPECT_EQ(ReloadList(file_).restore(), (std::vector{t("b")}));
    EXPECT_EQ(list.take(0ms, {}), t("b"));
    list.taken({t("b")});
    ASSERT_TRUE(list.begun({t("b")}));
    EXPECT_TRUE(ReloadList(file_).restore().empty());
}

TEST_F(Reloads, nothing_is_queued_that_is_not_kept) {
    ReloadList list(folder_ / "not there" / "reloads");
    EXPECT_FALSE(list.ask({t("a")}));
    EXPECT_EQ(list.take(0ms, {}), std::nullopt);
}

TEST_F(Reloads, a_new_beginning_and_a_damaged_file_ask_for_nothing) {
    ASSERT_TRUE(ReloadList(file_).ask({t("a")}));
    {
        ReloadList list(file_);
        EXPECT_EQ(list.restore().size(), 1U);
        ASSERT_TRUE(list.forget());
        EXPECT_EQ(list.take(0ms, {}), std::nullopt);
    }
    EXPECT_TRUE(ReloadList(file_).restore().empty());
    ASSERT_TRUE(ReloadList(file_).ask({t("a")}));
    std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 1);
    EXPECT_TRUE(ReloadList(file_).restore().empty());
}

TEST_F(Reloads, a_stop_ends_the_wait) {
    ReloadList list(file_);
    std::stop_source stop;
    stop.request_stop();
    ASSERT_TRUE(list.ask({t("a")}));
    EXPECT_EQ(list.take(10s, stop.get_token()), std::nullopt);
}

}  // namespace
}  // namespace godwit::engine
