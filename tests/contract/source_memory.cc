// The contract of sources on the one that lives in memory.

#include "contract/source_contract.h"
#include "fakes/memory_source.h"

namespace godwit::test {
namespace {

class MemoryBed final : public SourceBed {
public:
    MemoryBed() {
        source_.create(table_of("one", {"id", "v"}));
        source_.create(table_of("two", {"id", "v"}, 0));
    }
    Source& process() override { return source_; }
    TableName table(const std::string& name) override { return {"public", name}; }
    void commit(const std::vector<Step>& steps) override {
        std::vector<MemoryChange> changes;
        for (const auto& s : steps) {
            MemoryChange c;
            c.kind = s.remove ? RecordKind::remove : RecordKind::insert;
            c.table = table(s.table);
            c.row = {std::to_string(s.id), s.text};
            if (s.remove)
                for (const auto& row : source_.rows(c.table))
                    if (row[0] == c.row[0]) c.row = row;
            changes.push_back(std::move(c));
        }
        source_.commit(std::move(changes));
    }
    void truncate(const std::string& name) override {
        source_.commit({{RecordKind::truncate, table(name), {}, {}}});
    }
    std::vector<std::string> rows(const std::vector<std::string>& blocks) override {
        std::vector<std::string> out;
        for (const auto& block : blocks) {
            RecordReader reader(as_bytes(block));
            Record r;
            while (reader.next(r)) {
                const auto row = get_cells(r.row);
                out.push_back(row[0].value_or("") + "|" + row[1].value_or(""));
            }
        }
        return out;
    }

private:
    MemorySource source_;
};

INSTANTIATE_TEST_SUITE_P(Sources, SourceContract,
                         testing::Values(SourceKind{
                             "memory",
                             []() -> std::unique_ptr<SourceBed> { return std::make_unique<MemoryBed>(); }}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace godwit::test
