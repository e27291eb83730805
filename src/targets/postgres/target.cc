#include "targets/postgres/target.h"

#include <fmt/format.h>

#include <utility>

#include "base/failpoint.h"
#include "targets/postgres/applier.h"
#include "targets/postgres/foreign.h"
#include "targets/postgres/ledger.h"
#include "targets/postgres/preparation.h"
#include "targets/postgres/secondary.h"
#include "targets/postgres/session.h"
#include "targets/postgres/slice_writer.h"
#include "targets/postgres/snapshot.h"

namespace godwit::postgres {
namespace {

class PostgresTarget final : public Target {
public:
    PostgresTarget(const EndpointConfig& endpoint, const TaskContext& task)
        : sessions_(endpoint, task.task_id) {
        context_.endpoint = endpoint;
        context_.task = task.task_id;
        context_.log = task.log;
    }

    Result<ServerTraits> open() override {
        context_.target = GW_TRY(sessions_.probe());
        if (!sessions_.replica_role() && context_.log != nullptr)
            context_.log->warning(
                Component::target_load,
                "the target user may not set session_replication_role: triggers and foreign keys of "
                "target tables cannot be switched off");
        return context_.target;
    }

    Result<Ledger> take_over(const TaskIdentity& task, const ServerTraits& source) override {
        // once: other threads read it while a lost target is taken over again
        if (!std::exchange(known_, true)) {
            context_.task = task.id;
            context_.control_schema = task.control_schema.empty() ? "public" : task.control_schema;
            context_.target_schema = task.target_schema;
            context_.source = source;
        }
        auto c = GW_TRY(sessions_.open());
        auto ledger = postgres::take_over(c, task.id, source);
        if (!ledger) return std::unexpected(away(std::move(ledger).error()));
        sessions_.set_epoch(ledger->epoch);
        return ledger;
    }

    Result<> reset() override {
        auto c = GW_TRY(sessions_.hold());
        return reset_ledger(*c, context_.task, sessions_.epoch(), context_.source);
    }

    Result<PreparedTable> prepare(const TableSchema& table, PrepMode mode,
                                  const std::vector<std::string>& offered_formats,
                                  const SnapshotMark& mark) override {
        return prepare_table(sessions_, context_, GW_TRY(own(table)), mode, offered_formats, mark);
    }

    Result<PreparedTable> prepared(const TableSchema& table, const TableState& state,
                                   const std::vector<std::string>& offered_formats) override {
        return prepared_table(sessions_, context_, GW_TRY(own(table)), state, offered_formats);
    }

    Result<std::vector<SliceDone>> slices_done(const TableSchema& table, std::uint64_t generation) override {
        auto c = GW_TRY(sessions_.hold());
        const auto rows = GW_TRY(
            c->query("SELECT slice, rows FROM godwit.gw_slice WHERE task = $1 AND source_schema = $2 AND "
                     "source_table = $3 AND generation = $4::bigint ORDER BY slice",
                     std::vector<Param>{context_.task, table.name.schema, table.name.table,
                                        std::to_string(generation)}));
        std::vector<SliceDone> out;
        for (int i = 0; i < rows.size(); ++i)
            out.push_back({static_cast<std::uint32_t>(rows.number(i, 0)),
                           static_cast<std::uint64_t>(rows.number(i, 1))});
        return out;
    }

    Result<std::unique_ptr<SliceWriter>> open_writer() override {
        return make_slice_writer(sessions_, context_.task, context_.target_schema);
    }

    Result<> finish_load(const TableSchema& table, const PreparedTable& prepared, TablePhase phase,
                         std::uint64_t rows) override {
        return finish_table(sessions_, context_, GW_TRY(own(table)), prepared, phase, rows);
    }

    Result<> set_phase(const TableName& table, TablePhase phase, const std::string& reason) override {
        auto c = GW_TRY(sessions_.hold());
        auto done = c->query(
            "WITH t AS (SELECT 1 FROM godwit.gw_task WHERE task = $1 AND epoch = $4::bigint FOR SHARE), "
            "u AS (INSERT INTO godwit.gw_table AS g (task, source_schema, source_table, epoch, generation, "
            "phase, reason) "
            "SELECT $1, $2, $3, $4::bigint, 0, $5, $6 FROM t ON CONFLICT (task, source_schema, source_table) "
            "DO UPDATE SET phase = excluded.phase, reason = excluded.reason WHERE g.epoch = excluded.epoch "
            "RETURNING 1) "
            "SELECT 1/count(*) FROM u",
            std::vector<Param>{context_.task, table.schema, table.table, std::to_string(sessions_.epoch()),
                               std::string(phase_name(phase)), reason});
        if (!done)
            return std::unexpected(
                explain_refusal(std::move(done).error(), "phase of table " + table.text()));
        return {};
    }

    void asks(std::function<Result<TableSchema>(const TableName&)> describe) override {
        describe_ = std::move(describe);
    }

    Result<std::unique_ptr<Applier>> open_applier(const ConflictPolicy& policy) override {
        ApplierContext x;
        {
            auto c = GW_TRY(sessions_.hold());
            x.write_txn_state = context_.endpoint.flag("taskrecoverytableenabled", false);
            GW_CHECK(create_control_tables(*c, context_.control_schema, x.write_txn_state));
            // a session before this one may have committed without hearing of it
            const auto ledger = GW_TRY(read_ledger(*c, context_.task));
            if (ledger.epoch != sessions_.epoch())
                return fail(ErrorCode::failed_precondition, "another process has taken the task over");
            x.sequence = ledger.sequence;
        }
        x.task = context_.task;
        x.epoch = sessions_.epoch();
        x.control_schema = context_.control_schema;
        x.target_schema = context_.target_schema;
        x.replica_role = sessions_.replica_role();
        x.policy = policy;
        x.log = context_.log;
        x.ready = [this](SchemaChange c) -> Result<SchemaChange> {
            if (foreign() &&
                (c.kind == SchemaChange::Kind::add_column || c.kind == SchemaChange::Kind::change_type))
                c.column = GW_TRY(in_own_words(c.column));
            return ready_change(sessions_, context_, c);
        };
        if (describe_ && !foreign())
            x.bring_types = [this, describe = describe_](const TableName& name) -> Result<std::string> {
                const auto now = describe(name);
                if (!now && now.error().code == ErrorCode::not_found)
                    return "the source has no table of this name any more, so that its types are not known";
                if (!now) return std::unexpected(now.error());
                return bring_types(sessions_, context_, *now);
            };
        auto session = GW_TRY(sessions_.open());
        // A statement meets its rows by key, whatever the statistics of a table that just grew from nothing
        // say: one plan per statement, an index where there is one.
        GW_CHECK(
            session.run("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
                        "SET jit = off; SET max_parallel_workers_per_gather = 0"));
        if (session.server_version() >= 120000)
            GW_CHECK(session.run("SET plan_cache_mode = force_generic_plan"));
        // Only here: what slices and the ledger commit is believed at once, changes are asked for
        // (make_durable).
        if (commits_unflushed(context_.endpoint)) {
            x.commits_unflushed = true;
            GW_CHECK(session.run("SET synchronous_commit = off"));
        }
        return make_applier(std::move(session), std::move(x));
    }

    Result<std::vector<std::string>> create_secondary(const std::vector<TableSchema>& tables) override {
        if (!context_.endpoint.flag("createsecondaryindexes", false)) return std::vector<std::string>{};
        if (foreign())
            return std::vector<std::string>{
                "CreateSecondaryIndexes acts between databases of one family only: indexes, foreign keys, "
                "checks and "
                "defaults of the source are not translated"};
        return create_secondary_objects(sessions_, context_, tables);
    }

    Result<std::vector<std::string>> sync_sequences(const std::vector<TableSchema>& tables) override {
        if (foreign()) return std::vector<std::string>{};  // the tables made for it have no sequences
        return postgres::sync_sequences(sessions_, context_, tables);
    }

    Result<std::unique_ptr<Snapshot>> open_snapshot() override { return take_snapshot(sessions_, context_); }

    Result<> forget_task(const TaskIdentity& task) override {
        auto c = GW_TRY(sessions_.hold());
        return postgres::forget_task(*c, task.id);
    }

private:
    [[nodiscard]] bool foreign() const { return context_.source.family != context_.target.family; }
    [[nodiscard]] Result<TableSchema> own(const TableSchema& table) const {
        if (!foreign()) return table;
        return in_own_words(table);
    }

    Sessions sessions_;
    TargetContext context_;
    bool known_ = false;  // what take_over() tells of it
    std::function<Result<TableSchema>(const TableName&)> describe_;
};

}  // namespace

Result<std::unique_ptr<Target>> make_target(const EndpointConfig& endpoint, const TaskContext& task) {
    return std::make_unique<PostgresTarget>(endpoint, task);
}

}  // namespace godwit::postgres
