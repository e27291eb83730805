// What a PostgreSQL source tells by its catalogue, and what it keeps in its publications.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "sources/postgres/publications.h"
#include "sources/postgres/source.h"
#include "target/servers.h"

namespace godwit::test {
namespace {

using namespace std::chrono_literals;
using Kind = CatalogueChange::Kind;
using Texts = std::vector<std::string>;

class WithoutX final : public Selection {
public:
    bool selects(const TableName& name, bool) const override { return !name.table.starts_with("x"); }
    std::int64_t load_order(const TableName&) const override { return 0; }
};

class CatalogueTest : public ServersTest {
protected:
    void SetUp() override {
        ServersTest::SetUp();
        if (IsSkipped()) return;
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-catalogue-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    void TearDown() override {
        source_task_.reset();
        if (!folder_.empty()) {
            for (int i = 0; i < 100; ++i) {  // a session that ended a moment ago may still hold its slot
                try {
                    source_.run(
                        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE "
                        "database = current_database()");
                    break;
                } catch (const std::exception&) {
                    std::this_thread::sleep_for(50ms);
                }
            }
            std::filesystem::remove_all(folder_);
        }
        ServersTest::TearDown();
    }
    // A new process of the task.
    postgres::PostgresSource& process(const std::map<std::string, std::string>& attributes = {}) {
        source_task_.reset();
        auto endpoint = source_.endpoint();
        endpoint.attributes = attributes;
        char program[4096] = {};
        if (::readlink("/proc/self/exe", program, sizeof program - 1) <= 0) program[0] = 0;
        source_task_ = std::make_unique<postgres::PostgresSource>(
            endpoint, TaskContext{"catalogue", folder_.string(), program, &clock_, &log_});
        const auto opened = source_task_->open(true);
        EXPECT_OK(opened);
        return *source_task_;
    }
    std::vector<TableSchema> tables() {
        auto found = source_task_->tables(selection_);
        EXPECT_OK(found);
        return std::move(*found);
    }
    // "identity_gained a", in order
    Texts poll(const std::vector<TableSchema>& known) {
        auto changes = source_task_->poll_catalogue(selection_, known);
        EXPECT_OK(changes);
        Texts out;
        if (!changes) return out;
        last_ = std::move(*changes);
        for (const auto& c : last_) {
            const std::string kind = c.kind == Kind::table_dropped     ? "dropped"
                                     : c.kind == Kind::table_renamed   ? "renamed"
                                     : c.kind == Kind::table_added     ? "added"
                                     : c.kind == Kind::table_altered   ? "altered"
                                     : c.kind == Kind::rows_changed    ? "rows_changed"
                                     : c.kind == Kind::identity_lost   ? "identity_lost"
                                     : c.kind == Kind::identity_gained ? "identity_gained"
                                                                       : "?";
            // that a key's columns are not null is of no interest here
            if (c.kind != Kind::table_altered) out.push_back(kind + " " + c.table.table);
        }
        std::ranges::sort(out);
        return out;
    }
    std::string slot() {
        return source_.ask(
            "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() AND NOT "
            "temporary");
    }
    std::string published(const std::string& publication) {
        return source_.ask(
            fmt::format("SELECT coalesce(string_agg(tablename::text, ',' ORDER BY tablename), '') FROM "
                        "pg_publication_tables WHERE pubname = '{}'",
                        publication));
    }
    void load(const TableSchema& table) {
        auto context = source_task_->begin_table_load({table}, true, 30, {});
        ASSERT_OK(context);
        source_task_->end_load(*context);
    }

    WithoutX selection_;
    SystemClock clock_;
    Log log_{"/dev/null"};
    std::filesystem::path folder_;
    std::unique_ptr<postgres::PostgresSource> source_task_;
    std::vector<CatalogueChange> last_;
};

TEST_F(CatalogueTest, a_table_rises_and_joins_with_a_load_only) {
    source_.run("CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY)");
    process();
    auto known = tables();
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    const auto name = slot();
    EXPECT_EQ(published(name), "a,b");
    EXPECT_EQ(poll(known), Texts{});

    // nobody looks while it goes
    source_task_.reset();
    source_.run("ALTER TABLE a DROP CONSTRAINT a_pkey");
    process();
    ASSERT_OK(source_task_->resume_capture(known));
    EXPECT_EQ(published("i" + name), "a");
    EXPECT_EQ(poll(known), Texts{"identity_lost a"});
    EXPECT_EQ(poll(known), Texts{});
    source_.run("ALTER TABLE a ADD PRIMARY KEY (id)");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(poll(known), Texts{"identity_gained a"});
        const auto c = std::ranges::find(last_, Kind::identity_gained, &CatalogueChange::kind);
        ASSERT_NE(c, last_.end());
        EXPECT_TRUE(c->schema != nullptr && c->schema->identity == RowIdentity::key);
        EXPECT_EQ(c->source_id, known[0].source_id);
        EXPECT_NE(c->reason.find("public.a"), std::string::npos) << c->reason;
        process();  // nor does another process take it for whole
        ASSERT_OK(source_task_->resume_capture(tables()));
        EXPECT_EQ(published(name), "b");
    }
    known = tables();
    load(known[0]);
    EXPECT_EQ(published(name), "a,b");
    EXPECT_EQ(poll(known), Texts{});

    // somebody takes one out: it has missed changes, and misses them until it is loaded
    source_.run(fmt::format("ALTER PUBLICATION \"{}\" DROP TABLE b", name));
    EXPECT_EQ(poll(known), Texts{"rows_changed b"});
    process();
    ASSERT_OK(source_task_->resume_capture(known));
    EXPECT_EQ(published(name), "a");
    EXPECT_EQ(poll(known), Texts{"rows_changed b"});
    load(known[1]);
    EXPECT_EQ(published(name), "a,b");
    EXPECT_EQ(poll(known), Texts{});

    // a table that leaves the selection is not one that is gone
    source_.run("ALTER TABLE b RENAME TO xb; DROP TABLE a");
    EXPECT_EQ(poll(known), (Texts{"dropped a", "rows_changed b"}));
    ASSERT_OK(source_task_->drop_capture());
}

// The relation of a root says nothing of the key of its leaves, so rows of both would come under one.
TEST_F(CatalogueTest, a_root_whose_leaves_get_another_key_is_loaded_anew) {
    source_.run(
        "CREATE TABLE p (id int PRIMARY KEY, k int NOT NULL) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)");
    process();
    ASSERT_OK(source_task_->begin_capture({}, tables(), {}));
    source_.run("ALTER TABLE p DROP CONSTRAINT p_pkey, ADD PRIMARY KEY (id, k)");
    const auto known = tables();
    EXPECT_EQ(poll(known), Texts{"rows_changed p"});
    load(known[0]);
    EXPECT_EQ(poll(known), Texts{});
    ASSERT_OK(source_task_->drop_capture());
}

TEST_F(CatalogueTest, what_others_hold_keeps_nobody_waiting) {
    source_.run(
        "CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE "
        "(id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)");
    process();
    const auto known = tables();
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    auto other = source_.connect();
    ASSERT_OK(other.run("BEGIN; LOCK TABLE public.a, public.p IN ACCESS EXCLUSIVE MODE"));
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(poll(known), Texts{});
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
    ASSERT_OK(other.run("ROLLBACK"));

    // a transaction that a slot waits for
    ASSERT_OK(other.run("BEGIN; INSERT INTO public.a VALUES (1)"));
    Result<LoadContext> load;
    std::jthread loads([&] { load = source_task_->begin_table_load({known[0]}, true, 30, {}); });
    while (source_.ask(
               "SELECT count(*) FROM pg_replication_slots WHERE temporary AND slot_name LIKE 'gwtmp%'") ==
           "0")
        std::this_thread::sleep_for(10ms);
    const auto asked = std::chrono::steady_clock::now();
    EXPECT_OK(source_task_->health());
    EXPECT_LT(std::chrono::steady_clock::now() - asked, 2s);
    ASSERT_OK(other.run("COMMIT"));
    loads.join();
    ASSERT_OK(load);
    source_task_->end_load(*load);

    // what a killed process of this task has left
    auto options = source_.connect();
    ASSERT_OK(
        options.run("SET application_name = 'godwit/catalogue/slot';"
                    "SELECT pg_create_logical_replication_slot('gwtmp_1_catalogue', 'pgoutput', true)"));
    process();
    ASSERT_OK(source_task_->resume_capture(known));
    this->load(known[0]);
    ASSERT_OK(source_task_->drop_capture());
}

TEST_F(CatalogueTest, a_load_goes_on_as_it_was_cut) {
    source_.run(
        "CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT g, repeat('x', 500) FROM "
        "generate_series(1, 500) g");
    // which would end the keeper's sessions and ours
    for (const std::string setting : {"idle_session_timeout", "transaction_timeout"})
        if (source_.ask("SELECT count(*) FROM pg_settings WHERE name = '" + setting + "'") == "1")
            source_.run(fmt::format("ALTER DATABASE \"{}\" SET {} = '250ms'", source_.name, setting));
    process({{"sliceblocks", "2"}});
    const auto known = tables();
    LoadRequest request;
    request.capture = true;
    auto context = source_task_->begin_load(request, known, {});
    ASSERT_OK(context);
    auto table = source_task_->open_table(*context, known[0].name);
    ASSERT_OK(table);
    const auto slices = table->slices.size();
    EXPECT_GT(slices, 2U);
    std::this_thread::sleep_for(400ms);
    ASSERT_OK(source_task_->close_table(*context, *table));
    process({{"sliceblocks", "1000"}});
    request.resume = true;
    context = source_task_->begin_load(request, known, {});
    ASSERT_OK(context);
    EXPECT_TRUE(context->resumed);
    table = source_task_->open_table(*context, known[0].name);
    ASSERT_OK(table);
    EXPECT_EQ(table->slices.size(), slices);
    ASSERT_OK(source_task_->close_table(*context, *table));
    // its keeper is gone, in the words of any server
    class Nothing final : public LoadSink {
        Result<> write(Bytes, std::uint64_t) override { return {}; }
    } nothing;
    LoadContext lost = *context;
    lost.snapshot = "00000009-00000FFF-1";
    const auto read = source_task_->read_slice(lost, *table, table->slices[0], "pg.csv", nothing, {});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().retry, Retry::from_checkpoint) << read.error().text();
    source_task_->end_load(*context);
    ASSERT_OK(source_task_->drop_capture());
}

// A value of 1 GB as text, or a damaged page: the others are loaded.
TEST_F(CatalogueTest, rows_that_the_server_cannot_print_are_their_tables_misfortune) {
    source_.run(
        "CREATE FUNCTION big() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'out of memory' USING ERRCODE "
        "= '54000'; END $$; CREATE VIEW v AS SELECT public.big() AS c");
    process();
    const auto known = tables();
    auto context = source_task_->begin_load({}, known, {});
    ASSERT_OK(context);
    const auto table = source_task_->open_table(*context, known[0].name);
    ASSERT_OK(table);
    class Nothing final : public LoadSink {
        Result<> write(Bytes, std::uint64_t) override { return {}; }
    } nothing;
    const auto read = source_task_->read_slice(*context, *table, table->slices[0], "pg.csv", nothing, {});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::unsupported);
    EXPECT_EQ(read.error().retry, Retry::never);
    source_task_->end_load(*context);
}

TEST_F(CatalogueTest, a_publication_of_the_users_own) {
    source_.run(
        "CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY);"
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);"
        "CREATE PUBLICATION mine FOR TABLE a, p WITH (publish = 'insert, update')");
    process({{"publicationname", "mine"}});
    const auto known = tables();
    const auto refused = source_task_->begin_capture({}, known, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    for (const auto* cure : {"publish = 'insert, update, delete, truncate'",
                             "publish_via_partition_root = true", "ADD TABLE public.b"})
        EXPECT_NE(refused.error().message.find(cure), std::string::npos) << refused.error().message;
    source_.run(
        "ALTER PUBLICATION mine SET (publish = 'insert, update, delete, truncate', "
        "publish_via_partition_root = true); ALTER PUBLICATION mine ADD TABLE b");
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    source_.run("CREATE TABLE later (id int PRIMARY KEY)");  // cannot be followed, and ends nothing
    EXPECT_EQ(poll(known), Texts{});
    source_.run("ALTER PUBLICATION mine DROP TABLE b");
    EXPECT_EQ(poll(known), Texts{"rows_changed b"});
    EXPECT_FALSE(source_task_->resume_capture(known));
    ASSERT_OK(source_task_->drop_capture());
    // nor is a slot taken that brings what is not understood
    if (source_.connect().server_version() < 140000) return;
    const std::string twice = "two_phase_" + source_.name;
    source_.run(
        fmt::format("SELECT pg_create_logical_replication_slot('{}', 'pgoutput', false, true)", twice));
    process({{"slotname", twice}});
    EXPECT_NE(error_text(source_task_->begin_capture({}, known, {})).find("two_phase"), std::string::npos);
}

}  // namespace
}  // namespace godwit::test
