// The contract of targets on a PostgreSQL server.

#include <cstdlib>

#include "base/log.h"
#include "codecs/pg/describe.h"
#include "codecs/pg/relay.h"
#include "contract/target_contract.h"
#include "target/servers.h"
#include "targets/postgres/target.h"

namespace godwit::test {
namespace {

class PostgresBed final : public TargetBed {
public:
    PostgresBed() {
        if (auto database = fresh_database("GODWIT_TEST_PG_TARGET", "gw_contract")) database_ = *database;
    }
    ~PostgresBed() override {
        if (!database_.name.empty()) drop_database(database_);
    }
    std::string missing() override { return database_.name.empty() ? "no PostgreSQL servers given" : ""; }

    std::unique_ptr<Target> process() override {
        auto t = postgres::make_target(database_.endpoint(), TaskContext{"task", {}, {}, nullptr, &log_});
        if (!t) throw std::runtime_error(t.error().text());
        return std::move(*t);
    }
    ServerTraits source() override {
        auto c = database_.connect({}, true);
        auto traits = postgres::read_server_traits(c);
        if (!traits) throw std::runtime_error(traits.error().text());
        traits->system_id = "source";
        return *traits;
    }
    std::vector<std::string> formats() override { return {std::string(postgres::kFormatCsv)}; }
    // as COPY ... FORCE_QUOTE * writes it: NULL is nothing, the empty text is quoted
    ByteBuffer block(const std::vector<Row>& rows) override {
        std::string text;
        for (const auto& row : rows) {
            for (std::size_t i = 0; i < row.size(); ++i) {
                if (i != 0) text += ',';
                if (row[i]) text += '"' + *row[i] + '"';
            }
            text += '\n';
        }
        ByteBuffer out;
        out.append(as_bytes(text));
        return out;
    }
    Rows rows(const TableName& name) override {
        auto c = database_.connect({}, true);
        const auto found = c.query("SELECT * FROM " + pg::quote_name(name.schema, name.table));
        if (!found) throw std::runtime_error(found.error().text());
        Rows out;
        for (int i = 0; i < found->size(); ++i) {
            Row row;
            for (int k = 0; k < found->columns(); ++k)
                row.push_back(found->null(i, k) ? Value{} : Value{std::string(found->text(i, k))});
            out.insert(std::move(row));
        }
        return out;
    }

private:
    Log log_{"/dev/null"};
    Database database_;
};

INSTANTIATE_TEST_SUITE_P(Targets, TargetContract,
                         testing::Values(Kind{
                             "postgres",
                             []() -> std::unique_ptr<TargetBed> { return std::make_unique<PostgresBed>(); }}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace godwit::test
