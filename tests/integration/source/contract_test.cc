// The contract of sources on a PostgreSQL server, once with each output plugin. The program is also the
// keeper that holds the snapshots of its loads.

#include <unistd.h>

#include <filesystem>

#include "base/clock.h"
#include "base/log.h"
#include "contract/source_contract.h"
#include "sources/postgres/keeper.h"
#include "sources/postgres/source.h"
#include "target/servers.h"

namespace godwit::test {
namespace {

std::string this_program() {
    char path[4096];
    const auto length = ::readlink("/proc/self/exe", path, sizeof path);
    return {path, length > 0 ? static_cast<std::size_t>(length) : 0};
}

class PostgresBed final : public SourceBed {
public:
    explicit PostgresBed(std::string plugin) : plugin_(std::move(plugin)) {
        auto database = fresh_database("GODWIT_TEST_PG_SOURCE", "gw_source_contract");
        if (!database) return;
        database_ = *database;
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-contract-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        database_.run("CREATE TABLE public.one (id int PRIMARY KEY, v text)");
        database_.run("CREATE TABLE public.two (id int, v text)");
        database_.run("ALTER TABLE public.two REPLICA IDENTITY FULL");
    }
    ~PostgresBed() override {
        source_.reset();
        if (database_.name.empty()) return;
        for (int i = 0; i < 100; ++i) {  // a session that ended a moment ago may still hold its slot
            try {
                database_.run(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = "
                    "current_database()");
                break;
            } catch (const std::exception&) {
                std::this_thread::sleep_for(50ms);
            }
        }
        drop_database(database_);
        std::filesystem::remove_all(folder_);
    }
    std::string missing() override { return database_.name.empty() ? "no PostgreSQL servers given" : ""; }
    Source& process() override {
        source_.reset();
        auto endpoint = database_.endpoint();
        endpoint.attributes["pluginname"] = plugin_;
        endpoint.attributes["sliceblocks"] = "1";
        source_ = std::make_unique<postgres::PostgresSource>(
            endpoint, TaskContext{"contract", folder_.string(), this_program(), &clock_, &log_});
        return *source_;
    }
    TableName table(const std::string& name) override { return {"public", name}; }
    void commit(const std::vector<Step>& steps) override {
        std::string sql = "BEGIN;";
        for (const auto& s : steps)
            sql += s.remove ? "DELETE FROM public." + s.table + " WHERE id = " + std::to_string(s.id) + ";"
                            : "INSERT INTO public." + s.table + " VALUES (" + std::to_string(s.id) + ", '" +
                                  s.text + "');";
        run(sql + "COMMIT");
    }
    void truncate(const std::string& name) override { run("TRUNCATE public." + name); }
    // COPY's binary form: a head of 19 bytes, then rows of counted cells, then -1
    std::vector<std::string> rows(const std::vector<std::string>& blocks) override {
        std::string all;
        for (const auto& b : blocks) all += b;
        ByteReader in(as_bytes(all));
        in.take(19);
        std::vector<std::string> out;
        while (in.left() >= 2 && in.be<std::uint16_t>() == 2) {
            in.be<std::uint32_t>();
            std::string row = std::to_string(in.be<std::uint32_t>()) + "|";
            row += as_text(in.take(in.be<std::uint32_t>()));
            out.push_back(std::move(row));
        }
        EXPECT_FALSE(in.failed());
        return out;
    }

private:
    void run(const std::string& sql) {
        if (!session_) session_ = database_.connect({}, true);
        const auto done = session_->run(sql);
        if (!done) throw std::runtime_error(done.error().text());
    }
    const std::string plugin_;
    SystemClock clock_;
    Log log_{"/dev/null"};
    Database database_;
    std::filesystem::path folder_;
    std::optional<pg::Connection> session_;
    std::unique_ptr<postgres::PostgresSource> source_;
};

INSTANTIATE_TEST_SUITE_P(Sources, SourceContract,
                         testing::Values(SourceKind{"pgoutput",
                                                    []() -> std::unique_ptr<SourceBed> {
                                                        return std::make_unique<PostgresBed>("pgoutput");
                                                    }},
                                         SourceKind{"test_decoding",
                                                    []() -> std::unique_ptr<SourceBed> {
                                                        return std::make_unique<PostgresBed>("test_decoding");
                                                    }}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace godwit::test

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "keeper") return godwit::postgres::keeper_main(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
