// What every StateStore must do. Run on the memory and the SQLite store.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <thread>

#include "state/stores.h"

namespace godwit::state {
namespace {

enum class StoreKind { memory, sqlite };

class StoreContract : public testing::TestWithParam<StoreKind> {
protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-store-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        open();
    }
    void TearDown() override {
        store_.reset();
        std::filesystem::remove_all(folder_);
    }
    void open() {
        if (GetParam() == StoreKind::memory) {
            if (!store_) store_ = make_memory_store();
            return;
        }
        store_.reset();
        auto opened = open_sqlite_store(folder_ / "state.db");
        ASSERT_TRUE(opened) << opened.error().text();
        store_ = std::move(*opened);
    }
    void put(const std::string& kind, const std::string& region, const std::string& key,
             const std::string& document) {
        ASSERT_TRUE(store_->put({kind, region, key, document}));
    }
    std::string document(const std::string& kind, const std::string& region, const std::string& key) {
        auto found = store_->get(kind, region, key);
        EXPECT_TRUE(found);
        return *found ? (*found)->document : "(none)";
    }
    std::vector<std::string> keys(const std::string& kind, const std::string& region) {
        std::vector<std::string> out;
        const auto listed = store_->list(kind, region).value();
        for (const auto& r : listed) out.push_back(r.key);
        return out;
    }

    std::filesystem::path folder_;
    std::unique_ptr<StateStore> store_;
};

TEST_P(StoreContract, what_was_put_is_there_after_reopening) {
    put("task", "r1", "a", R"({"x":"ä € 𝄞 ' \" \u0000"})");
    open();
    EXPECT_EQ(document("task", "r1", "a"), R"({"x":"ä € 𝄞 ' \" \u0000"})");
    EXPECT_EQ(document("task", "r1", "b"), "(none)");
    EXPECT_EQ(document("task", "r2", "a"), "(none)");
    EXPECT_EQ(document("endpoint", "r1", "a"), "(none)");
}

TEST_P(StoreContract, a_zero_byte_in_a_document_survives) {
    const std::string bytes("a\0b", 3);
    put("task", "r1", "a", bytes);
    EXPECT_EQ(document("task", "r1", "a"), bytes);
}

TEST_P(StoreContract, replacing_keeps_the_creation_order) {
    for (const char* key : {"c", "a", "b"}) put("task", "r1", key, "1");
    put("task", "r1", "c", "2");
    EXPECT_EQ(keys("task", "r1"), (std::vector<std::string>{"c", "a", "b"}));
    EXPECT_EQ(document("task", "r1", "c"), "2");
    const auto listed = store_->list("task", "r1").value();
    EXPECT_LT(listed[0].order, listed[1].order);
    EXPECT_EQ(store_->get("task", "r1", "b").value()->order, listed[2].order);
}

TEST_P(StoreContract, orders_are_never_used_again) {
    put("task", "r1", "a", "1");
    const auto before = store_->get("task", "r1", "a").value()->order;
    ASSERT_TRUE(store_->remove("task", "r1", "a"));
    open();
    put("task", "r1", "a", "1");
    EXPECT_GT(store_->get("task", "r1", "a").value()->order, before);
}

TEST_P(StoreContract, an_empty_region_lists_all) {
    put("task", "r1", "a", "1");
    put("task", "r2", "a", "1");
    put("endpoint", "r1", "e", "1");
    EXPECT_EQ(keys("task", ""), (std::vector<std::string>{"a", "a"}));
    EXPECT_EQ(keys("task", "r2"), (std::vector<std::string>{"a"}));
    EXPECT_TRUE(keys("task", "r3").empty());
}

TEST_P(StoreContract, removing_is_for_good_and_may_be_repeated) {
    put("task", "r1", "a", "1");
    EXPECT_TRUE(store_->remove("task", "r1", "a"));
    EXPECT_TRUE(store_->remove("task", "r1", "a"));
    open();
    EXPECT_EQ(document("task", "r1", "a"), "(none)");
}

TEST_P(StoreContract, events_come_by_time_within_their_region) {
    const auto add = [&](std::int64_t time, const std::string& region, const std::string& message) {
        StoredEvent event;
        event.time_us = time;
        event.region = region;
        event.source_type = "replication-task";
        event.source_id = "t";
        event.message = message;
        event.categories = {"state change", "failure"};
        ASSERT_TRUE(store_->add_event(event));
    };
    add(30, "r1", "third");
    add(10, "r1", "first");
    add(20, "r1", "second");
    add(20, "r1", "second again");
    add(20, "r2", "elsewhere");
    open();
    std::vector<std::string> messages;
    const auto events = store_->events("r1", 10, 30).value();
    for (const auto& e : events) {
        messages.push_back(e.message);
        EXPECT_EQ(e.categories, (std::vector<std::string>{"state change", "failure"}));
        EXPECT_EQ(e.source_id, "t");
    }
    EXPECT_EQ(messages, (std::vector<std::string>{"first", "second", "second again"}));
    ASSERT_TRUE(store_->forget_events_before(20));
    EXPECT_EQ(store_->events("r1", 0, 100).value().size(), 3U);
}

TEST_P(StoreContract, threads_do_not_lose_writes) {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([this, t] {
            for (int i = 0; i < 25; ++i)
                ASSERT_TRUE(store_->put({"task", "r1", std::to_string(t) + "/" + std::to_string(i), "1"}));
        });
    threads.clear();
    EXPECT_EQ(keys("task", "r1").size(), 100U);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::Values(StoreKind::memory, StoreKind::sqlite),
                         [](const auto& param) {
                             return param.param == StoreKind::memory ? "memory" : "sqlite";
                         });

TEST(SqliteStore, refuses_a_file_of_a_newer_program) {
    std::string pattern = (std::filesystem::temp_directory_path() / "godwit-store-XXXXXX").string();
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    {
        const auto store = open_sqlite_store(folder / "state.db");
        ASSERT_TRUE(store);
    }
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((folder / "state.db").c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version=999", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
    const auto again = open_sqlite_store(folder / "state.db");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::failed_precondition);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace godwit::state
