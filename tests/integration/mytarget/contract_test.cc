// The contract of targets on MySQL and on MariaDB.

#include "base/log.h"
#include "codecs/rows/rows.h"
#include "contract/target_contract.h"
#include "mytarget/servers.h"
#include "targets/mysql/target.h"

namespace godwit::test {
namespace {

class MyBed final : public TargetBed {
public:
    explicit MyBed(const char* variable) : host_(my_host(variable)) {
        if (host_.given()) host_.clean({"public"});
    }
    ~MyBed() override {
        if (host_.given()) host_.clean({"public"});
    }
    std::string missing() override { return host_.given() ? "" : "no server given"; }
    void describe(TableSchema& table) override {
        for (auto& c : table.columns) {
            c.native_type = "varchar(100)";
            c.collation = "utf8mb4_bin";
        }
        table.columns.front().not_null = true;
    }
    std::unique_ptr<Target> process() override {
        auto t = mysql::make_target(host_.endpoint(), TaskContext{"task", {}, {}, nullptr, &log_});
        if (!t) throw std::runtime_error(t.error().text());
        return std::move(*t);
    }
    ServerTraits source() override {
        ServerTraits t;
        t.family = "mysql";
        t.system_id = "source";
        return t;
    }
    std::vector<std::string> formats() override { return {std::string(kRowsLoad)}; }
    ByteBuffer block(const std::vector<Row>& rows) override {
        ByteBuffer out;
        for (const auto& row : rows)
            for (std::size_t i = 0; i < row.size(); ++i) {
                if (row[i])
                    rows::put_text(out, as_bytes(*row[i]));
                else
                    rows::put_null(out);
                out.put_u8(i + 1 == row.size() ? '\n' : '\t');
            }
        return out;
    }
    Rows rows(const TableName& name) override {
        auto c = host_.connect();
        const auto found = c.query("SELECT * FROM " + mysql::quote_name(name.schema, name.table));
        if (!found) throw std::runtime_error(found.error().text());
        Rows out;
        for (std::size_t i = 0; i < found->size(); ++i) {
            Row row;
            for (unsigned k = 0; k < found->columns(); ++k)
                row.push_back(found->null(i, k) ? Value{} : Value{found->text(i, k)});
            out.insert(std::move(row));
        }
        return out;
    }

private:
    Log log_{"/dev/null"};
    MyHost host_;
};

INSTANTIATE_TEST_SUITE_P(Targets, TargetContract,
                         testing::Values(Kind{"mysql",
                                              []() -> std::unique_ptr<TargetBed> {
                                                  return std::make_unique<MyBed>("GODWIT_TEST_MYSQL");
                                              }},
                                         Kind{"mariadb",
                                              []() -> std::unique_ptr<TargetBed> {
                                                  return std::make_unique<MyBed>("GODWIT_TEST_MARIADB");
                                              }}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace godwit::test
