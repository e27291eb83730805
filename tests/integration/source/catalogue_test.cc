// What a PostgreSQL source tells by its catalogue, and what it keeps in its publications.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "fakes/recording_sink.h"
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

    // What the log says up to the row 4711 of any table.
    Texts stream(const Position& from) {
        RecordingSink sink;
        std::stop_source stop;
        sink.on_record = [&](std::uint32_t, const Record& r) {
            if (r.kind == RecordKind::insert && printed(r).find("4711") != std::string::npos)
                stop.request_stop();
        };
        const std::jthread ends([&](std::stop_token done) {
            for (int i = 0; i < 400 && !done.stop_requested(); ++i) std::this_thread::sleep_for(50ms);
            stop.request_stop();
        });
        EXPECT_OK(source_task_->stream(from, sink, stop.get_token()));
        return sink.lines;
    }
    static bool any(const Texts& lines, const std::string& begin, const std::string& part) {
        return std::ranges::any_of(
            lines, [&](const auto& l) { return l.starts_with(begin) && l.find(part) != std::string::npos; });
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
        // each process is told that the table publishes inserts alone
        EXPECT_EQ(poll(known),
                  i == 0 ? Texts{"identity_gained a"} : (Texts{"identity_gained a", "identity_lost a"}));
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

// Else an UPDATE is published that nobody can apply, or one that can be is not.
TEST_F(CatalogueTest, catalogue_and_publications_name_rows_alike) {
    std::string made;
    const auto make = [&](const std::string& name, const std::string& columns, bool index = false) {
        made += fmt::format("CREATE TABLE {0} ({1}) PARTITION BY RANGE (id);", name, columns);
        if (index) made += fmt::format("CREATE UNIQUE INDEX {0}_i ON {0} (id);", name);
        for (int i = 1; i < 3; ++i)
            made += fmt::format("CREATE TABLE {0}{1} PARTITION OF {0} FOR VALUES FROM ({1}) TO ({2});", name,
                                i, i + 1);
    };
    const auto full = [&](std::initializer_list<const char*> names) {
        for (const auto* n : names) made += fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL;", n);
    };
    make("bare", "id int, v int");
    full({"bare1", "bare2"});
    make("deferred", "id int PRIMARY KEY DEFERRABLE, v int");
    make("deferred_full", "id int PRIMARY KEY DEFERRABLE, v int");
    full({"deferred_full1", "deferred_full2"});
    make("fresh", "id int PRIMARY KEY, v int");  // a new leaf is DEFAULT
    full({"fresh", "fresh1"});
    make("half", "id int, v int");
    full({"half", "half1"});
    make("in_leaves", "id int, v int");
    made += "ALTER TABLE in_leaves1 ADD PRIMARY KEY (v); ALTER TABLE in_leaves2 ADD PRIMARY KEY (v);";
    make("keyed", "v int, id int PRIMARY KEY");
    make("nothing", "id int PRIMARY KEY, v int");
    made += "ALTER TABLE nothing2 REPLICA IDENTITY NOTHING;";
    make("other", "id int PRIMARY KEY, v int NOT NULL");
    made +=
        "CREATE UNIQUE INDEX other2_v ON other2 (v); ALTER TABLE other2 REPLICA IDENTITY USING INDEX "
        "other2_v;";
    make("whole", "id int PRIMARY KEY, v int");
    full({"whole1", "whole2"});
    for (const std::string n : {"root_index", "leaf_index"}) {
        make(n, "id int NOT NULL, v int", true);
        for (const auto* leaf : {"1", "2"})
            made += fmt::format("ALTER TABLE {0}{1} REPLICA IDENTITY USING INDEX {0}{1}_id_idx;", n, leaf);
    }
    made +=
        "ALTER TABLE root_index REPLICA IDENTITY USING INDEX root_index_i;"
        "CREATE TABLE empty (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE computed (id int, g int GENERATED ALWAYS AS (id) STORED PRIMARY KEY);"
        "CREATE TABLE plain_full (id int, v int); ALTER TABLE plain_full REPLICA IDENTITY FULL;"
        "CREATE TABLE unlogged (id int, v int) PARTITION BY RANGE (id);"
        "CREATE TABLE unlogged1 PARTITION OF unlogged FOR VALUES FROM (1) TO (2);"
        "CREATE UNLOGGED TABLE unlogged2 PARTITION OF unlogged FOR VALUES FROM (2) TO (3);";
    full({"unlogged1"});
    source_.run(made);
    process();
    const auto known = tables();
    std::vector<TableName> names;
    for (const auto& t : known) names.push_back(t.name);
    auto session = source_.connect();
    const auto judged = postgres::read_identities(session, names);
    ASSERT_OK(judged);
    std::string seen;
    for (std::size_t i = 0; i < known.size(); ++i) {
        const auto& t = known[i];
        const auto& j = (*judged)[i];
        EXPECT_EQ(j.identity, t.identity) << t.name.text() << ": " << j.why_none;
        EXPECT_EQ(j.identity == RowIdentity::none, !j.why_none.empty()) << t.name.text();
        if (j.identity == RowIdentity::key || !j.columns.empty()) {
            EXPECT_EQ(j.columns, t.identity_columns) << t.name.text();
        }
        seen += fmt::format("{} {}", t.name.table, static_cast<int>(t.identity));
        for (const auto& c : t.identity_columns) seen += " " + c;
        seen += "\n";
    }
    EXPECT_EQ(seen,
              "bare 2 id v\ncomputed 0\ndeferred 0\ndeferred_full 2 id v\nempty 1 id\nfresh 1 id\nhalf 0\n"
              "in_leaves 0\nkeyed 1 id\nleaf_index 0\nnothing 0\nother 0\nplain_full 2 id v\n"
              "root_index 1 id\nunlogged 2 id v\nwhole 2 id\n");
}

// The log still brings the UPDATEs that were published until then.
TEST_F(CatalogueTest, what_was_logged_with_an_identity_keeps_it) {
    source_.run(
        "CREATE TABLE p (id int, v int) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); ALTER TABLE p1 REPLICA IDENTITY FULL;"
        "CREATE TABLE k (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
        "CREATE TABLE k1 PARTITION OF k FOR VALUES FROM (0) TO (9); ALTER TABLE k1 REPLICA IDENTITY FULL;"
        "CREATE TABLE ends (id int PRIMARY KEY); INSERT INTO p VALUES (1, 1)");
    process();
    const auto known = tables();
    const auto from = source_task_->begin_capture({}, known, {});
    ASSERT_OK(from);
    source_.run("UPDATE p SET v = 2; CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (9) TO (19)");
    source_.run("ALTER TABLE p ADD COLUMN x int");
    // by the same key, with another old row: nothing is to be loaded for that
    source_.run(
        "CREATE TABLE k2 PARTITION OF k FOR VALUES FROM (9) TO (19); INSERT INTO k VALUES (10, 1);"
        "UPDATE k SET v = 2");
    EXPECT_EQ(poll(known), Texts{"identity_lost p"});
    source_.run("ALTER TABLE p RENAME TO q");
    EXPECT_EQ(poll(known), Texts{"renamed p"});
    source_.run("INSERT INTO ends VALUES (4711)");
    const auto lines = stream(*from);
    EXPECT_TRUE(any(lines, "relation", " full [id*:23 v*:23]")) << testing::PrintToString(lines);
    EXPECT_FALSE(any(lines, "relation", " none [")) << testing::PrintToString(lines);
    EXPECT_TRUE(any(lines, "update", "full (t:1, t:1) -> (t:1, t:2)")) << testing::PrintToString(lines);
    EXPECT_TRUE(any(lines, "relation", " key [id*:23 v:23]")) << testing::PrintToString(lines);
    EXPECT_TRUE(any(lines, "update", " (t:10, t:2)")) << testing::PrintToString(lines);
    ASSERT_OK(source_task_->drop_capture());
}

// The poll runs ahead of the log: of what it finds gone, or under another name, rows are still to come.
TEST_F(CatalogueTest, the_last_rows_of_a_table_that_is_gone_are_in_the_log) {
    source_.run(
        "CREATE TABLE a (id int) PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) "
        "TO (99); ALTER TABLE a1 REPLICA IDENTITY FULL; CREATE TABLE b (id int PRIMARY KEY);"
        "CREATE TABLE c (id int PRIMARY KEY);"
        "CREATE TABLE ends (id int PRIMARY KEY)");
    process();
    const auto known = tables();
    const auto from = source_task_->begin_capture({}, known, {});
    ASSERT_OK(from);
    source_.run("INSERT INTO a VALUES (11); INSERT INTO c VALUES (13)");
    source_.run("DROP TABLE a, c");
    EXPECT_EQ(poll(known), (Texts{"dropped a", "dropped c"}));
    source_.run("ALTER TABLE b RENAME TO a; INSERT INTO a VALUES (12)");
    for (int i = 0; i < 2; ++i) EXPECT_EQ(poll(known), (Texts{"dropped a", "dropped c", "renamed b"}));
    source_.run("INSERT INTO ends VALUES (4711)");
    auto lines = stream(*from);
    EXPECT_TRUE(any(lines, "relation", " full [id*:23]")) << testing::PrintToString(lines);
    for (const auto* row : {" (t:11)", " (t:12)", " (t:13)"})
        EXPECT_TRUE(any(lines, "insert", row)) << row << testing::PrintToString(lines);
    // the task is past it, and a table of that name has nothing to do with it
    auto later = known;
    std::erase_if(later, [](const auto& t) { return t.name.table == "a" || t.name.table == "c"; });
    EXPECT_EQ(poll(later), Texts{"renamed b"});
    lines = stream(*from);
    EXPECT_FALSE(any(lines, "relation", " full [")) << testing::PrintToString(lines);
    EXPECT_FALSE(any(lines, "insert", " (t:13)")) << testing::PrintToString(lines);
    EXPECT_TRUE(any(lines, "insert", " (t:12)")) << testing::PrintToString(lines);
    ASSERT_OK(source_task_->drop_capture());
}

// A row has told of a table's new name before the catalogue was looked at; then another table joins under the
// old one.
TEST_F(CatalogueTest, a_table_that_went_aside_stays_published) {
    source_.run("CREATE TABLE log (id int PRIMARY KEY); CREATE TABLE ends (id int PRIMARY KEY)");
    process();
    const auto from = source_task_->begin_capture({}, tables(), {});
    ASSERT_OK(from);
    source_.run("ALTER TABLE log RENAME TO log_1; CREATE TABLE log (id int PRIMARY KEY)");
    for (const auto& t : tables())
        if (t.name.table == "log") this->load(t);
    source_.run("INSERT INTO log_1 VALUES (21); INSERT INTO log VALUES (22); INSERT INTO ends VALUES (4711)");
    const auto lines = stream(*from);
    for (const auto* row : {" (t:21)", " (t:22)"})
        EXPECT_TRUE(any(lines, "insert", row)) << row << testing::PrintToString(lines);
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

// The slot that the task made before is not left to hold the log, and its publications not to hold tables.
TEST_F(CatalogueTest, a_slot_of_the_users_own_takes_over) {
    source_.run("CREATE TABLE a (id int PRIMARY KEY)");
    process();
    const auto known = tables();
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    const auto own = slot();
    ASSERT_FALSE(own.empty());
    const auto publications = [&] {
        return source_.ask("SELECT count(*) FROM pg_publication WHERE pubname LIKE '%" + own + "'");
    };
    EXPECT_EQ(publications(), "2");
    const std::string mine = "mine_" + source_.name;
    // what is refused leaves the task its own
    process({{"slotname", mine}});
    EXPECT_NE(error_text(source_task_->begin_capture({}, known, {})).find("does not exist"),
              std::string::npos);
    source_.run(fmt::format("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", mine));
    // the task's place in the log is in the other one
    process({{"slotname", mine}});
    const auto resumed = source_task_->resume_capture(known);
    ASSERT_FALSE(resumed);
    EXPECT_EQ(resumed.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(resumed.error().message.find(own), std::string::npos) << resumed.error().message;
    process();
    EXPECT_OK(source_task_->resume_capture(known));
    EXPECT_EQ(publications(), "2");
    process({{"slotname", mine}});
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    EXPECT_EQ(slot(), mine);
    EXPECT_EQ(publications(), "0");
    EXPECT_OK(source_task_->resume_capture(known));
    ASSERT_OK(source_task_->drop_capture());
    EXPECT_EQ(slot(), mine);
    // one that was made by the task, and is named by the user since
    process();
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    source_.run("SELECT pg_drop_replication_slot('" + mine + "')");
    const auto second = slot();
    process({{"slotname", second}});
    EXPECT_OK(source_task_->resume_capture(known));
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    EXPECT_EQ(slot(), second);
    ASSERT_OK(source_task_->drop_capture());
    EXPECT_EQ(slot(), "");
}

// What is left on a server that the endpoint names no more, nobody else tells.
TEST_F(CatalogueTest, a_slot_on_another_server_is_named) {
    source_.run("CREATE TABLE a (id int PRIMARY KEY)");
    process();
    const auto known = tables();
    ASSERT_OK(source_task_->begin_capture({}, known, {}));
    const auto own = slot();
    const auto file = folder_ / "slot";
    const auto moved = [&](const std::string& name, const std::string& database) {
        std::ofstream(file) << name << " pgoutput\nelsewhere\n5433\n" << database << "\n";
        std::filesystem::remove(folder_ / "told");
        Log log(folder_ / "told");
        auto endpoint = source_.endpoint();
        postgres::PostgresSource task(endpoint,
                                      TaskContext{"catalogue", folder_.string(), "", &clock_, &log});
        EXPECT_OK(task.open(true));
        EXPECT_OK(task.begin_capture({}, known, {}));
    };
    const auto told = [&] {
        std::ifstream in(folder_ / "told");
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    moved(own, source_.name);  // the same one by another name
    EXPECT_NE(slot(), own);
    EXPECT_EQ(told().find("elsewhere"), std::string::npos) << told();
    const auto second = slot();
    moved("gone_slot", "the shop");
    for (const auto* part : {"gone_slot", "elsewhere:5433", "the shop"})
        EXPECT_NE(told().find(part), std::string::npos) << told();
    source_.run("SELECT pg_drop_replication_slot('" + second + "')");
    process();
    ASSERT_OK(source_task_->resume_capture(known));
    ASSERT_OK(source_task_->drop_capture());
    EXPECT_EQ(slot(), "");
}

// A commit that does not wait for the disk is seen by all before the log that the server has written holds
// it.
TEST_F(CatalogueTest, the_end_is_behind_what_can_be_seen) {
    source_.run("CREATE TABLE a (id int PRIMARY KEY)");
    source_.run("ALTER SYSTEM SET wal_writer_delay = '10s'");
    source_.run("SELECT pg_reload_conf()");
    for (const std::string plugin : {"pgoutput", "test_decoding"}) {
        process({{"pluginname", plugin}});
        const auto from = source_task_->begin_capture({}, tables(), {});
        ASSERT_OK(from);
        auto session = source_.connect({}, true);
        std::this_thread::sleep_for(300ms);  // the WAL writer sleeps again
        ASSERT_OK(session.run("SET synchronous_commit = off; INSERT INTO a VALUES (1)"));
        const auto seen = session.query("SELECT pg_current_wal_insert_lsn()");
        ASSERT_OK(seen);
        const auto end = source_task_->committed_end();
        ASSERT_OK(end);
        EXPECT_GE(*source_task_->order(*end), postgres::parse_lsn(seen->text(0, 0))->value());
        const auto flushed = session.query("SELECT pg_current_wal_flush_lsn()");
        ASSERT_OK(flushed);
        EXPECT_GE(postgres::parse_lsn(flushed->text(0, 0))->value(), *source_task_->order(*end));
        source_.run("INSERT INTO a VALUES (4711)");  // what marks the end says nothing to the stream
        EXPECT_TRUE(any(stream(*from), "", "4711"));
        ASSERT_OK(source_task_->drop_capture());
        source_.run("TRUNCATE a");
    }
    source_.run("ALTER SYSTEM RESET wal_writer_delay");
    source_.run("SELECT pg_reload_conf()");
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
    source_.run("ALTER PUBLICATION mine SET (publish = 'insert, update, truncate')");
    EXPECT_EQ(poll(known), (Texts{"rows_changed a", "rows_changed b", "rows_changed p"}));
    source_.run("ALTER PUBLICATION mine SET (publish = 'insert, update, delete, truncate')");
    // what it left out until then is not in the log
    EXPECT_EQ(poll(known), (Texts{"rows_changed a", "rows_changed b", "rows_changed p"}));
    EXPECT_EQ(poll(known), Texts{});
    source_.run("ALTER PUBLICATION mine DROP TABLE b");
    EXPECT_EQ(poll(known), Texts{"rows_changed b"});
    EXPECT_FALSE(source_task_->resume_capture(known));
    load(known[0]);  // which is published
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
