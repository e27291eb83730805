// The contract of targets on the one that lives in memory.

#include "contract/target_contract.h"
#include "fakes/memory_target.h"

namespace godwit::test {
namespace {

class MemoryBed final : public TargetBed {
public:
    std::unique_ptr<Target> process() override { return std::make_unique<MemoryTarget>(database_); }
    std::vector<std::string> formats() override { return {kRowsFormat}; }
    ByteBuffer block(const std::vector<Row>& rows) override {
        ByteBuffer out;
        RecordWriter writer(out);
        for (const auto& row : rows) {
            writer.start(RecordKind::insert, 0, 0);
            put_cells(writer, row);
            writer.finish();
        }
        return out;
    }
    Rows rows(const TableName& name) override { return database_->rows(name); }

private:
    std::shared_ptr<MemoryDatabase> database_ = std::make_shared<MemoryDatabase>();
};

INSTANTIATE_TEST_SUITE_P(Targets, TargetContract,
                         testing::Values(Kind{
                             "memory",
                             []() -> std::unique_ptr<TargetBed> { return std::make_unique<MemoryBed>(); }}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace godwit::test
