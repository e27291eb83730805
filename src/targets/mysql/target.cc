#include "targets/mysql/target.h"

#include <fmt/format.h>

#include "base/failpoint.h"
#include "targets/mysql/applier.h"
#include "targets/mysql/ledger.h"
#include "targets/mysql/preparation.h"
#include "targets/mysql/secondary.h"
#include "targets/mysql/session.h"
#include "targets/mysql/slice_writer.h"
#include "targets/mysql/snapshot.h"

namespace godwit::mysql {
namespace {

class MysqlTarget final : public Target {
public:
    MysqlTarget(const EndpointConfig& endpoint, const TaskContext& task)
        : sessions_(endpoint, task.task_id, task.log) {
        context_.endpoint = endpoint;
        context_.task = task.task_id;
        context_.log = task.log;
    }

    Result<ServerTraits> open() override {
        for (const char* name : {"targetTriggers", "collationMismatch", "cascade"})
            GW_TRY(context_.endpoint.refuses(name));
        context_.target = GW_TRY(sessions_.probe());
        return context_.target;
    }

    Result<Ledger> take_over(const TaskIdentity& task, const ServerTraits& source) override {
        context_.task = task.id;
        if (!task.control_schema.empty()) context_.control_schema = task.control_schema;
        context_.target_schema = task.target_schema;
        context_.source = source;
        auto c = GW_TRY(sessions_.open());
        auto ledger = GW_TRY(mysql::take_over(c, task.id, source));
        sessions_.set_epoch(ledger.epoch);
        return ledger;
    }

    Result<> reset() override {
        auto c = GW_TRY(sessions_.hold());
        return reset_ledger(*c, context_.task, sessions_.epoch(), context_.source);
    }

    Result<PreparedTable> prepare(const TableSchema& table, PrepMode mode,
                                  const std::vector<std::string>& offered_formats,
                                  const SnapshotMark& mark) override {
        return prepare_table(sessions_, context_, table, mode, offered_formats, mark);
    }

    Result<PreparedTable> prepared(const TableSchema& table, const TableState& state,
                                   const std::vector<std::string>& offered_formats) override {
        return prepared_table(sessions_, context_, table, state, offered_formats);
    }

    Result<std::vector<std::string>> look_over(const std::vector<TableSchema>& tables) override {
        auto c = GW_TRY(sessions_.hold());
        std::vector<std::string> out;
        for (const auto& table : tables)
            for (auto& notice : GW_TRY(notices_of(*c, context_, table))) out.push_back(std::move(notice));
        return out;
    }

    Result<std::vector<SliceDone>> slices_done(const TableSchema& table, std::uint64_t generation) override {
        auto c = GW_TRY(sessions_.hold());
        const auto rows = GW_TRY(
            c->query("SELECT slice, n_rows FROM godwit.gw_slice" + where_table(context_.task, table.name) +
                     fmt::format(" AND generation = {} ORDER BY slice; COMMIT", generation)));
        std::vector<SliceDone> out;
        for (std::size_t i = 0; i < rows.size(); ++i)
            out.push_back(
                {static_cast<std::uint32_t>(rows.unsigned_number(i, 0)), rows.unsigned_number(i, 1)});
        return out;
    }

    Result<std::unique_ptr<SliceWriter>> open_writer() override {
        return make_slice_writer(sessions_, context_);
    }

    Result<> finish_load(const TableSchema& table, const PreparedTable& prepared, TablePhase phase,
                         std::uint64_t rows) override {
        return finish_table(sessions_, context_, table, prepared, phase, rows);
    }

    Result<> set_phase(const TableName& table, TablePhase phase, const std::string& reason) override {
        auto c = GW_TRY(sessions_.hold());
        // `shared` is NOT NULL: without the task's epoch the sub-select gives nothing
        auto done = c->run(fmt::format(
            "INSERT INTO godwit.gw_table (task, source_schema, source_table, epoch, generation, phase, mark, "
            "applied, reason, n_rows, source_id, format, created, filled, shared, by_insert, target_schema, "
            "target_table) VALUES ({0}, {1}, {2}, {3}, 0, {4}, '', '', {5}, 0, 0, '', 0, 0, (SELECT 0 FROM "
            "godwit.gw_task WHERE task = {0} AND epoch = {3} LOCK IN SHARE MODE), 0, '', '') ON DUPLICATE "
            "KEY "
            "UPDATE phase = VALUES(phase), reason = VALUES(reason); COMMIT",
            quote_literal(context_.task), quote_literal(table.schema), quote_literal(table.table),
            sessions_.epoch(), quote_literal(phase_name(phase)), quote_literal(reason)));
        if (done) return {};
        const unsigned number = c->error_number();
        if (c->healthy()) [[maybe_unused]]
            auto ignored = c->run("ROLLBACK");
        return std::unexpected(
            explain_refusal(std::move(done).error(), number, "phase of table " + table.text()));
    }

    bool ddl_commits() const override { return true; }

    Result<std::unique_ptr<Applier>> open_applier(const ConflictPolicy& policy) override {
        ApplierContext x;
        auto session = GW_TRY(sessions_.open());
        x.write_txn_state = context_.endpoint.flag("taskrecoverytableenabled", false);
        GW_CHECK(create_control_tables(session, context_.control_schema, x.write_txn_state));
        // a session before this one may have committed without hearing of it
        const auto ledger = GW_TRY(read_ledger(session, context_.task));
        if (ledger.epoch != sessions_.epoch())
            return fail(ErrorCode::failed_precondition, "another process has taken the task over");
        x.sequence = ledger.sequence;
        x.task = context_.task;
        x.epoch = sessions_.epoch();
        x.policy = policy;
        x.target = &context_;
        x.facts = sessions_.facts();
        return make_applier(std::move(session), std::move(x));
    }

    Result<std::vector<std::string>> create_secondary(const std::vector<TableSchema>& tables) override {
        if (!context_.endpoint.flag("createsecondaryindexes", false)) return std::vector<std::string>{};
        return create_secondary_objects(sessions_, context_, tables);
    }

    Result<std::vector<std::string>> sync_sequences(const std::vector<TableSchema>& tables) override {
        return mysql::sync_sequences(sessions_, context_, tables);
    }

    Result<std::unique_ptr<Snapshot>> open_snapshot() override { return take_snapshot(sessions_, context_); }

    Result<> forget_task(const TaskIdentity& task) override {
        auto c = GW_TRY(sessions_.hold());
        return mysql::forget_task(*c, task.id);
    }

private:
    TargetContext context_;
    Sessions sessions_;
};

}  // namespace

Result<std::unique_ptr<Target>> make_target(const EndpointConfig& endpoint, const TaskContext& task) {
    return std::make_unique<MysqlTarget>(endpoint, task);
}

}  // namespace godwit::mysql
