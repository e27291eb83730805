#include "engine/apply_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/failpoint.h"
#include "engine/schema_changes.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t kGroupChanges = 50'000;  // transactions join up to here while there is a backlog
constexpr std::size_t kGroupBufferedBytes = 16U << 20;
constexpr auto kSaveIdleEvery = 1s;
constexpr auto kAskSourceEvery = 1s;
constexpr auto kAskToStopEvery = 1s;
constexpr int kAbortedTries = 10;
constexpr auto kAbortedWait = 20ms, kAbortedWaitMax = 1000ms;
constexpr auto kDurableEvery = 500ms;  // where commits do not wait for the target's disk

// A table in a shape that the log has told. Which files and partitions hold its rows only polls and loads
// say: of a later look at the catalogue, what became of them in between would not be seen.
TableSchema shaped(const TableSchema& known, TableSchema now) {
    now.storage_id = known.storage_id;
    now.leaves = known.leaves;
    now.leaf_states = known.leaf_states;
    return now;
}

std::unexpected<Error> truncation(const TableName& name) {
    return fail(ErrorCode::failed_precondition,
                fmt::format("table {} was truncated at the source and ApplyErrorFailOnTruncationDdl is set",
                            name.text()));
}

}  // namespace

// ---------------------------------------------------------------------------------------------- groups

Result<> ApplyLoop::open_group() {
    if (group_open_) return {};
    careful_ = transaction_.order < careful_until_;
    GW_CHECK(applier_->begin(careful_ ? Applier::Mode::careful : Applier::Mode::fast));
    group_open_ = true;
    return {};
}

Result<> ApplyLoop::commit_group() {
    if (!group_open_) return {};
    if (group_transactions_ > 1) GW_FAILPOINT("apply.group");
    GW_CHECK(save_parts());
    GW_CHECK(applier_->commit(pending_, {}));
    group_open_ = false;
    // what a blocked statement leaves behind it each time anew is no progress
    if (group_changes_ != 0 || pending_order_ > applied_order_) aborted_ = 0;
    keep_parts();
    set_applied(pending_, pending_order_);
    take_results();
    const auto now_us = p_.progress.now_us();
    p_.progress.update([&](TaskReport& r) {
        r.transactions_applied += group_transactions_;
        if (pending_time_us_ != 0) r.lag_ms = std::max<std::int64_t>(0, (now_us - pending_time_us_) / 1000);
    });
    group_changes_ = group_transactions_ = 0;
    if (!transaction_.open) start_group_here();
    saved_at_ = p_.clock.steady();
    GW_CHECK(keep_shapes());
    return settle(kDurableEvery);
}

// What the target has committed, and so what the report says.
void ApplyLoop::set_applied(std::optional<Position> position, std::uint64_t order) {
    applied_ = std::move(position);
    applied_order_ = order;
    p_.progress.update([&](TaskReport& r) { r.applied_position = applied_ ? applied_->token : ""; });
}

// The group ends inside a transaction: how far its tables have come goes with their rows.
Result<> ApplyLoop::save_parts() {
    if (!transaction_.open || !GW_RULE("apply.save_parts")) return {};
    for (const auto& [name, way] : ways_) {
        if (way.serial != transaction_.serial || way.records == 0) continue;
        auto entry = p_.book.find(name);
        if (!entry) continue;
        entry->state.part.order = transaction_.order;
        entry->state.part.records = way.records;
        GW_CHECK(applier_->save_part(entry->state));
    }
    return {};
}

// They are durable.
void ApplyLoop::keep_parts() {
    if (!transaction_.open) return;
    for (auto& [name, way] : ways_) {
        if (way.serial != transaction_.serial || way.records == 0) continue;
        way.part.order = transaction_.order;
        way.part.records = way.records;
        p_.book.change(name, [&](TableEntry& e) { e.state.part = way.part; });
    }
}

// Is the next record of this table in the open transaction in already?
bool ApplyLoop::met_before(View& v) const {
    Way& way = *v.way;
    if (way.serial != transaction_.serial) {
        way.serial = transaction_.serial;
        way.records = 0;
    }
    if (way.part.order != transaction_.order || way.records >= way.part.records) return false;
    ++way.records;
    return true;
}

// Only a transaction whose end is in the log may be cut: others may still be taken back, and come again.
Result<> ApplyLoop::wait_whole() {
    for (Place at = place_; !transaction_.whole;) {
        p_.log.passed(at.chunk);  // it may go to disk, or a full log would never come to the end
        const ChunkRef chunk = GW_TRY(p_.log.read(at.chunk, 50ms, stop_));
        if (!chunk && !p_.log.closed() && !stop_.stop_requested()) continue;
        if (!chunk) {
            unfinished_ = true;
            return fail(ErrorCode::cancelled, "the log ends inside a transaction", Retry::from_checkpoint);
        }
        RecordReader reader(chunk->data.view());
        reader.seek(at.offset);
        for (Record r; !transaction_.whole && reader.next(r);)
            transaction_.whole = r.kind == RecordKind::commit;
        if (reader.failed()) return fail(ErrorCode::data_loss, "a chunk of the change log is damaged");
        at = {at.chunk + 1, 0};
    }
    return {};
}

void ApplyLoop::take_results() {
    for (const auto& c : applier_->take_counts())
        p_.progress.table(c.table, [&](TableReport& t) {
            t.applied_inserts += c.counts.inserts;
            t.applied_updates += c.counts.updates;
            t.applied_deletes += c.counts.deletes;
            t.applied_ddls += c.counts.ddls;
        });
    for (auto& [name, k] : seen_)
        p_.progress.table(name, [&](TableReport& t) {
            t.inserts += k.inserts;
            t.updates += k.updates;
            t.deletes += k.deletes;
            t.ddls += k.ddls;
        });
    seen_.clear();
    for (const auto& c : applier_->take_conflicts()) {
        if (c.action == ConflictAction::suspend_table) {
            p_.book.change(c.table, [&](TableEntry& e) {
                e.state.phase = TablePhase::suspended;
                e.state.reason = c.error;
            });
            p_.progress.table(c.table, [&](TableReport& t) {
                t.state = "Table error";
                t.detail = c.error;
            });
        }
        if (c.action != ConflictAction::ignore)
            p_.task_log.warning(
                Component::target_apply,
                fmt::format("table {}: {}; see awsdms_apply_exceptions", c.table.text(), c.error));
    }
}

// The group is committed: its shapes are the target's. Never before the target cannot lose them any more: a
// shape that is kept and not there would hide the ALTER for ever.
Result<> ApplyLoop::keep_shapes() {
    if (std::exchange(reshaped_, {}).empty()) return {};
    if (!applier_->durable())
        if (auto durable = applier_->make_durable(); !durable) {
            durable.error().retry = Retry::from_checkpoint;  // it is committed: not to be tried again
            return durable;
        }
    if (p_.shapes_changed) p_.shapes_changed();
    return {};
}

// The target has rolled the open group back, with the shapes and names that it gave to tables.
void ApplyLoop::undo_shapes() {
    if (reshaped_.empty()) return;
    for (; !reshaped_.empty(); reshaped_.pop_back()) {
        auto& [now, before] = reshaped_.back();
        auto entry = p_.book.find(now);
        if (!entry) continue;
        if (now != before.schema.name) {
            p_.book.remove(now);
            p_.progress.rename_table(now, before.schema.name);
            entry->state.name = before.schema.name;
        }
        entry->schema = std::move(before.schema);
        entry->state.part = before.state.part;
        p_.book.put(std::move(*entry));
    }
    views_.clear();
}

void ApplyLoop::give_up_group() {
    applier_->abort();
    group_open_ = false;
    undo_shapes();
}

// Did the target void the transaction for another session's sake? Then it comes again, a little later each
// time: whoever reads or locks the target's tables is not to stop the task.
bool ApplyLoop::comes_again(const Error& why) {
    if (why.code != ErrorCode::aborted || why.retry != Retry::from_checkpoint || why.sqlstate.empty() ||
        aborted_ >= kAbortedTries || !GW_RULE("apply.aborted_again"))
        return false;
    p_.task_log.info(Component::target_apply, "a group of changes is applied again: " + why.text());
    p_.clock.sleep(std::min(kAbortedWait * (1 << aborted_++), kAbortedWaitMax), stop_);
    return true;
}

// The group is void on the target. Again from its first record, row by row where needed.
Result<> ApplyLoop::recover_group(const Error& why) {
    give_up_group();
    if (comes_again(why)) {
        rewind();
        return {};
    }
    // lost sessions and full disks are not the rows' fault
    if (why.retry != Retry::never || why.code == ErrorCode::cancelled || why.code == ErrorCode::internal)
        return std::unexpected(why);
    if (std::exchange(again_without_table_, false)) {
        rewind();
        return {};
    }
    const std::uint64_t until = std::max(transaction_.open ? transaction_.order + 1 : 0, pending_order_);
    if (careful_until_ >= until) return std::unexpected(why);  // it failed in careful mode as well
    p_.task_log.info(Component::target_apply,
                     fmt::format("a group of changes is applied again row by row: {}", why.text()));
    careful_until_ = until;
    rewind();
    return {};
}

// At a boundary: what comes before is in, and the log may forget it.
void ApplyLoop::start_group_here() {
    group_start_ = place_;
    group_start_position_ = pending_;
    group_start_order_ = pending_order_;
    group_start_seen_ = seen_order_;
}

// Everything since the last commit will be read again. What comes before the common position on the way is
// skipped, so no table joins there (may_join).
void ApplyLoop::rewind() {
    place_ = group_start_;
    seen_order_ = group_start_seen_;
    book_version_ = 0;
    transaction_ = {};
    const bool quiet = group_start_order_ > applied_order_;  // nothing to apply from there to here
    pending_ = quiet ? group_start_position_ : applied_;
    pending_order_ = quiet ? group_start_order_ : applied_order_;
    group_changes_ = group_transactions_ = 0;
    seen_.clear();
}

// Lets the source and the spool forget what the target cannot lose any more. Where commits do not wait for
// its disk, only every `after`.
Result<> ApplyLoop::settle(std::chrono::milliseconds after) {
    if (!applier_->durable() && GW_RULE("settle.durable")) {
        if (p_.clock.steady() - settled_at_ < after) {
            p_.log.passed(place_.chunk);
            return {};
        }
        GW_CHECK(applier_->make_durable());
        settled_at_ = p_.clock.steady();
    }
    set_acknowledged();
    return {};
}

void ApplyLoop::set_acknowledged() {
    // Changes of tables that still load exist nowhere else: the source keeps them.
    const auto held = p_.book.held_from();
    if (!held && applied_) p_.log.set_acknowledged(*applied_);
    p_.log.passed(place_.chunk);
    p_.log.release_before(std::min(held.value_or(group_start_.chunk), group_start_.chunk));
}

// ---------------------------------------------------------------------------------------------- records

// The table that a relation of the log means. Its number says it: names may have been given to other tables
// meanwhile.
std::optional<TableEntry> ApplyLoop::entry_of(const Relation& relation) const {
    if (relation.source_id != 0)
        if (auto entry = p_.book.find_id(relation.source_id)) return entry;
    auto entry = p_.book.find(relation.name);
    if (entry && relation.source_id != 0 && entry->schema.source_id != 0) return {};  // another table
    return entry;
}

ApplyLoop::View& ApplyLoop::view(std::uint32_t id) {
    auto it = views_.find(id);
    if (it == views_.end()) {
        View v;
        v.relation = p_.log.relation(id);
        it = views_.emplace(id, std::move(v)).first;
        if (it->second.relation) {
            const auto entry = entry_of(*it->second.relation);
            it->second.tracked = entry.has_value();
            if (entry) {
                it->second.name = entry->schema.name;
                it->second.way = &ways_[entry->schema.name];
                it->second.way->part = entry->state.part;
                it->second.apply = entry->state.phase == TablePhase::joined;
                it->second.mark = entry->state.mark;
                it->second.mark_open = !entry->state.mark.empty();
            }
        }
    }
    return it->second;
}

Result<> ApplyLoop::define(View& v) {
    if (v.defined) return {};
    auto entry = entry_of(*v.relation);
    if (!entry) return fail(ErrorCode::internal, "change of a table that is not in the book");
    // The log knows the table under another name: the target follows in this very transaction. Not while
    // another table has that name here: rows go to their table, and the names follow when the catalogue shows
    // them all.
    if (entry->schema.name != v.relation->name && !p_.book.find(v.relation->name)) {
        GW_CHECK(rename(entry->schema.name, v.relation->name));
        entry = p_.book.find(v.relation->name);
        if (!entry) return fail(ErrorCode::internal, "a renamed table is not in the book");
    }
    v.name = entry->schema.name;
    GW_CHECK(reshape(*entry, *v.relation));
    Relation known = *v.relation;
    known.name = v.name;
    GW_CHECK(applier_->define(known, entry->schema));
    v.defined = true;
    return {};
}

// The log describes the table otherwise than we know it: the target follows, in this very transaction.
Result<> ApplyLoop::reshape(TableEntry& entry, const Relation& relation) {
    if (fits(entry.schema, relation)) return {};
    Result<TableSchema> now = p_.source.described(relation);
    for (const auto& name : {entry.schema.name, relation.name}) {
        if (now || now.error().code != ErrorCode::not_found) break;
        now = p_.source.describe(name);
        if (!now && now.error().code != ErrorCode::not_found) return std::unexpected(now.error());
        if (now && now->source_id == entry.schema.source_id) break;
        now = fail(ErrorCode::not_found, "");  // the name has gone to another table
    }
    if (now) now->name = entry.schema.name;
    const TableSchema* catalogue = now ? &*now : nullptr;
    return follow(entry, plan_changes(entry.schema, relation, catalogue), catalogue);
}

Result<> ApplyLoop::follow(TableEntry& entry, const ReshapePlan& plan, const TableSchema* now) {
    const TableName name = entry.schema.name;
    if (plan.kind == ReshapePlan::Kind::none || !p_.settings.handle_altered) {
        if (now != nullptr) entry.schema = shaped(entry.schema, *now);
    } else if (plan.kind == ReshapePlan::Kind::changes) {
        GW_CHECK(follow_changes(entry, plan));
    } else if (renamed_here(name)) {
        return suspend_for_shape(
            name, fail(ErrorCode::unsupported,
                       fmt::format("{}, and it was renamed in the same transaction", plan.reason))
                      .error());
    } else if (group_open_ && careful_) {
        // a row before it may have suspended it in the open group
        return suspend_for_shape(name, fail(ErrorCode::unsupported, plan.reason).error(),
                                 plan.kind == ReshapePlan::Kind::reload);
    } else {
        // what cannot be replayed from the log is loaded anew, or waits for a person
        GW_CHECK(p_.target.set_phase(name, TablePhase::suspended, plan.reason));
        p_.progress.table(name, [&](TableReport& t) {
            t.state = "Table error";
            t.detail = plan.reason;
        });
        p_.task_log.error(Component::tables_manager,
                          fmt::format("table {} is suspended: {}", name.text(), plan.reason));
        p_.book.change(name, [&](TableEntry& e) {
            e.state.phase = TablePhase::suspended;
            e.state.reason = plan.reason;
            e.reload = plan.kind == ReshapePlan::Kind::reload;
        });
        for (auto& [id, v] : views_)
            if (v.name == name) v.apply = false;
        return {};
    }
    const bool changed = plan.kind == ReshapePlan::Kind::changes, kept = p_.target.ddl_commits();
    p_.book.change(name, [&](TableEntry& e) {
        if (changed && !kept) {
            reshaped_.emplace_back(name, e);
            e.state.part = entry.state.part;
        }
        e.schema = entry.schema;
    });
    if (changed && kept && p_.shapes_changed) p_.shapes_changed();
    return {};
}

Result<> ApplyLoop::follow_changes(TableEntry& entry, const ReshapePlan& plan) {
    const TableName name = entry.schema.name;
    const std::uint64_t digest = digest_of(plan.changes);
    const auto known = p_.book.find(name);
    // Each step says for itself whether it was done; in a row of them a later one may hide it (a dropped name
    // that another column has got). So the target keeps what was done: the shapes on disk are written behind
    // its commit.
    std::uint32_t steps = 0;
    if (known && known->state.part.plan == digest && GW_RULE("shape.once")) steps = known->state.part.steps;
    const bool noted = steps == plan.changes.size();
    for (; steps < plan.changes.size(); ++steps) {
        SchemaChange c = plan.changes[steps];
        p_.task_log.info(Component::target_apply, fmt::format("table {}: {}", name.text(), describe(c)));
        c.binary = p_.binary;
        auto done = change_shape(c, name, digest, steps + 1);
        // the stream starts again in text; what came in binary cannot be trusted
        if (!done && done.error().code == ErrorCode::unsupported &&
            done.error().retry == Retry::from_checkpoint) {
            const TableName before = renamed_here(name).value_or(name);
            give_up_group();
            GW_CHECK(p_.target.set_phase(before, TablePhase::suspended,
                                         fmt::format("{}: {}", done.error().message, kLoadedAnew)));
        }
        if (!done) return suspend_for_shape(name, done.error());
    }
    if (!noted && !p_.target.ddl_commits()) {
        entry.state.part.plan = digest;
        entry.state.part.steps = steps;
        GW_CHECK(applier_->save_part(entry.state));
    }
    seen_[name].ddls += plan.changes.size();
    entry.schema = shaped(entry.schema, plan.after);
    return {};
}

// Where DDL is no part of a transaction, the group ends before it and it stands alone. `name`: the table's
// when it is changed; steps 0: they are not counted.
Result<> ApplyLoop::change_shape(const SchemaChange& c, const TableName& name, std::uint64_t plan,
                                 std::uint32_t steps) {
    if (!p_.target.ddl_commits()) {
        GW_CHECK(open_group());
        return applier_->change_schema(c);
    }
    if (transaction_.open) GW_CHECK(wait_whole());
    if (auto before = commit_group(); !before) {
        // an earlier row's, not this statement's
        if (before.error().retry == Retry::never) before.error().code = ErrorCode::conflict;
        return before;
    }
    GW_FAILPOINT("shape.cut");
    GW_CHECK(open_group());
    GW_CHECK(applier_->change_schema(c));
    GW_FAILPOINT("shape.changed");
    auto entry = steps != 0 ? p_.book.find(name) : std::nullopt;
    if (entry) {
        entry->state.part.plan = plan;
        entry->state.part.steps = steps;
        GW_CHECK(applier_->save_part(entry->state));
    }
    GW_CHECK(applier_->commit({}, {}));
    group_open_ = false;
    if (entry) {
        p_.book.change(name, [&](TableEntry& e) { e.state.part = entry->state.part; });
        ways_[name].part = entry->state.part;
    }
    GW_FAILPOINT("shape.kept");
    return {};
}

// A statement that the target refuses costs the table, not the task: it is suspended and the group comes
// again without it. Always an error, which leads to recover_group().
Result<> ApplyLoop::suspend_for_shape(const TableName& shaped, const Error& why, bool reload) {
    // rows before it in the group failed, not the statement
    if (why.retry != Retry::never || why.code == ErrorCode::conflict) return std::unexpected(why);
    const TableName name = renamed_here(shaped).value_or(shaped);
    // the open group may hold the table's row of the ledger: to suspend it from another session would be to
    // wait for ourselves
    give_up_group();
    const std::string reason =
        reload ? why.message : "a change of its shape cannot be replayed: " + why.text();
    p_.task_log.error(Component::tables_manager,
                      fmt::format("table {} is suspended: {}", name.text(), reason));
    GW_CHECK(p_.target.set_phase(name, TablePhase::suspended, reason));
    p_.book.change(name, [&](TableEntry& e) {
        e.state.phase = TablePhase::suspended;
        e.state.reason = reason;
        e.reload = reload;
    });
    p_.progress.table(name, [&](TableReport& t) {
        t.state = "Table error";
        t.detail = reason;
    });
    views_.clear();
    again_without_table_ = true;
    return fail(ErrorCode::aborted, reason);
}

// The name that the table had before the open group, when that has given it this one.
std::optional<TableName> ApplyLoop::renamed_here(const TableName& name) const {
    TableName before = name;
    bool renamed = false;
    for (const auto& [now, entry] : reshaped_ | std::views::reverse) {
        if (now != before || entry.schema.name == now) continue;
        before = entry.schema.name;
        renamed = true;
    }
    return renamed ? std::optional(before) : std::nullopt;
}

Result<> ApplyLoop::rename(const TableName& from, const TableName& to) {
    auto entry = p_.book.find(from);
    if (!entry) return {};
    SchemaChange c;
    c.kind = SchemaChange::Kind::rename_table;
    c.table = from;
    c.new_name = to.table;
    if (to.schema != from.schema) c.new_schema = to.schema;
    p_.task_log.info(Component::target_apply, fmt::format("table {}: {}", from.text(), describe(c)));
    const bool own_group = !group_open_;
    if (auto done = change_shape(c, from, 0, 0); !done) {
        auto suspended = suspend_for_shape(from, done.error());
        return own_group && !transaction_.open ? recover_group(suspended.error()) : suspended;
    }
    if (const auto now = p_.book.find(from)) entry = now;
    const bool kept = p_.target.ddl_commits();
    if (!kept) reshaped_.emplace_back(to, *entry);
    p_.book.remove(from);
    entry->schema.name = entry->state.name = to;
    p_.book.put(*entry);
    p_.progress.rename_table(from, to);
    if (auto way = ways_.extract(from)) {
        way.key() = to;
        ways_.erase(to);
        ways_.insert(std::move(way));
    }
    for (auto& [id, v] : views_)
        if (v.name == from) {
            v.name = to;
            v.defined = false;
        }
    if (kept && p_.shapes_changed) p_.shapes_changed();
    return own_group && !transaction_.open ? commit_group() : Result<>{};
}

// Its load knows it by its name. What the catalogue shows of it the next poll says again.
bool ApplyLoop::loads(const TableEntry& entry) {
    return (entry.state.phase == TablePhase::waiting || entry.state.phase == TablePhase::loading) &&
           !entry.nameless;
}

// Names that stand in each other's way pass through a third; all in one transaction.
Result<> ApplyLoop::rename_all(std::vector<std::pair<TableName, TableName>> names) {
    std::erase_if(names, [&](const auto& n) {
        const auto entry = p_.book.find(n.first);
        return n.first == n.second || !entry || loads(*entry);
    });
    if (names.empty()) return {};
    if (names.size() == 1)
        return p_.book.find(names[0].second) ? Result<>{} : rename(names[0].first, names[0].second);
    GW_CHECK(open_group());
    const auto all = [&]() -> Result<> {
        for (auto& [from, to] : names) {
            const bool wanted =
                std::ranges::any_of(names, [&](const auto& other) { return other.second == from; });
            if (!wanted) continue;
            const TableName aside{from.schema,
                                  fmt::format("gw_rename_{}", p_.book.find(from)->schema.source_id)};
            GW_CHECK(rename(from, aside));
            from = aside;
        }
        for (const auto& [from, to] : names)
            if (!p_.book.find(to)) GW_CHECK(rename(from, to));
        return commit_group();
    }();
    return all ? all : recover_group(all.error());
}

// The catalogue shows a shape that no row has shown yet.
Result<> ApplyLoop::alter(const CatalogueChange& c) {
    auto entry = p_.book.find(c.table);
    if (!entry || !c.schema || entry->state.phase != TablePhase::joined ||
        entry->schema.source_id != c.source_id)
        return {};
    auto now = p_.source.describe(c.table);
    if (!now && now.error().code == ErrorCode::not_found) return {};
    if (!now) return std::unexpected(now.error());
    // Only what the poll saw is known to lie before this place of the log. The next poll sees the rest.
    if (now->source_id != c.source_id || now->columns != c.schema->columns) return {};
    const ReshapePlan plan = plan_from_catalogue(entry->schema, *now);
    entry->schema.storage_id = c.schema->storage_id;
    auto done = follow(*entry, plan, &*now);
    if (done && group_open_) done = commit_group();
    if (!done) return recover_group(done.error());
    if (p_.shapes_changed) p_.shapes_changed();
    return {};
}

Result<> ApplyLoop::drop(const CatalogueChange& change) {
    const TableName& name = change.table;
    const auto entry = p_.book.find(name);
    if (!entry || loads(*entry) || (change.source_id != 0 && entry->schema.source_id != change.source_id))
        return {};
    // loaded behind that: it was made again
    if (!entry->state.mark.empty() && !p_.source.passed(entry->state.mark, change.seen_at)) return {};
    p_.progress.table(name, [](TableReport& t) { t.state = "Table does not exist"; });
    if (p_.settings.handle_dropped && entry->state.phase == TablePhase::joined) {
        SchemaChange c;
        c.kind = SchemaChange::Kind::drop_table;
        c.table = name;
        p_.task_log.info(Component::target_apply, fmt::format("table {}: DROP TABLE", name.text()));
        if (auto done = change_shape(c, name, 0, 0); !done)
            return recover_group(suspend_for_shape(name, done.error()).error());
        p_.progress.table(name, [](TableReport& t) { ++t.ddls, ++t.applied_ddls; });
        GW_CHECK(commit_group());
    }
    p_.book.remove(name);
    std::erase_if(views_, [&](const auto& v) { return v.second.name == name; });
    return {};
}

void ApplyLoop::at_boundary(std::function<void()> work) {
    const std::lock_guard lock(later_mutex_);
    boundary_work_.push_back(std::move(work));
    boundary_work_waits_ = true;
}

void ApplyLoop::do_boundary_work() {
    std::vector<std::function<void()>> works;
    {
        const std::lock_guard lock(later_mutex_);
        boundary_work_waits_ = false;
        works = std::exchange(boundary_work_, {});
    }
    for (const auto& work : works) work();
}

void ApplyLoop::later(CatalogueChange change) {
    const std::lock_guard lock(later_mutex_);
    for (const auto& known : later_)
        if (known.kind == change.kind && known.table == change.table) return;
    later_.push_back(std::move(change));
    later_waits_ = true;
}

Result<> ApplyLoop::act_on_catalogue() {
    std::vector<CatalogueChange> due;
    {
        const std::lock_guard lock(later_mutex_);
        for (auto it = later_.begin(); it != later_.end();) {
            if (GW_TRY(p_.source.order(it->seen_at)) > std::max(applied_order_, pending_order_)) {
                ++it;
                continue;
            }
            due.push_back(std::move(*it));
            it = later_.erase(it);
        }
        later_waits_ = !later_.empty();
    }
    std::vector<std::pair<TableName, TableName>> names;
    for (const auto& c : due) {
        if (c.kind == CatalogueChange::Kind::table_dropped) GW_CHECK(drop(c));
        if (c.kind == CatalogueChange::Kind::table_renamed) names.emplace_back(c.table, c.new_name);
    }
    GW_CHECK(rename_all(std::move(names)));
    for (const auto& c : due)
        if (c.kind == CatalogueChange::Kind::table_altered) GW_CHECK(alter(c));
    return {};
}

Result<> ApplyLoop::record(const Record& r) {
    switch (r.kind) {
        case RecordKind::relation:
            return {};  // looked up when its first change comes
        case RecordKind::begin:
            transaction_ = {};
            transaction_.open = true;
            transaction_.serial = ++serial_;
            transaction_.order = r.order;
            transaction_.commit_time_us = r.commit_time_us;
            transaction_.done_before = r.order < applied_order_;
            transaction_.begin = r;
            transaction_.begin.list = {};
            transaction_.begin.raw = {};
            if (GW_RULE("apply.aborted_parts"))
                for (ByteReader in(r.list); !in.at_end();)
                    transaction_.aborted.insert(in.le<std::uint32_t>());
            return {};
        case RecordKind::insert:
        case RecordKind::update:
        case RecordKind::remove:
            return change(r);
        case RecordKind::truncate:
            return truncate(r);
        case RecordKind::commit:
            transaction_.open = false;
            seen_order_ = std::max(seen_order_, r.order);
            if (r.order > applied_order_) {
                pending_ = Position{std::string(r.position)};
                pending_order_ = r.order;
                pending_time_us_ = r.commit_time_us;
                ++group_transactions_;
            }
            return {};
        case RecordKind::keepalive:
            seen_order_ = std::max(seen_order_, r.order);
            if (r.order > std::max(pending_order_, applied_order_)) {
                pending_ = Position{std::string(r.position)};
                pending_order_ = r.order;
            }
            return {};
    }
    return {};
}

// Of a table that has joined: then no transaction is in doubt any more.
Result<bool> ApplyLoop::in_snapshot(const View& v) const {
    const Contained c = p_.source.contains(v.mark, transaction_.begin);
    if (c == Contained::by_image)
        return fail(ErrorCode::internal, "table " + v.name.text() + " joined inside the range of its mark");
    return c == Contained::yes;
}

Result<> ApplyLoop::change(const Record& r) {
    if (transaction_.done_before) return {};
    View& v = view(r.relation);
    if (!v.apply) return {};
    if (r.xid != 0 && transaction_.aborted.contains(r.xid)) return {};
    if (v.mark_open) {
        if (GW_TRY(in_snapshot(v))) return {};
        // the mark only matters for transactions that committed around it
        v.mark_open = !p_.source.passed(v.mark, applied_.value_or(Position{}));
    }
    if (met_before(v)) return {};
    GW_CHECK(open_group());
    GW_CHECK(define(v));
    if (!v.apply) return {};  // its new shape suspended it
    GW_CHECK(open_group());   // which may have ended it
    auto& k = seen_[v.name];
    if (r.kind == RecordKind::insert) ++k.inserts;
    if (r.kind == RecordKind::update) ++k.updates;
    if (r.kind == RecordKind::remove) ++k.deletes;
    ++group_changes_;
    GW_CHECK(applier_->apply(r));
    ++v.way->records;
    return {};
}

Result<> ApplyLoop::truncate(const Record& r) {
    if (transaction_.done_before) return {};
    if (r.xid != 0 && transaction_.aborted.contains(r.xid)) return {};
    std::vector<std::uint32_t> relations;
    for (ByteReader in(r.list); !in.at_end();) {
        const auto id = in.le<std::uint32_t>();
        View& v = view(id);
        if (!v.apply || (v.mark_open && GW_TRY(in_snapshot(v)))) continue;
        if (met_before(v)) continue;
        ++seen_[v.name].ddls;
        if (p_.settings.fail_on_truncation_ddl) return truncation(v.relation->name);
        if (!p_.settings.handle_truncated) continue;
        GW_CHECK(open_group());
        GW_CHECK(define(v));
        if (v.apply) relations.push_back(id);
    }
    if (relations.empty()) return {};
    ByteBuffer buffer;
    RecordWriter(buffer).truncate(r.xid, r.flags, relations);
    RecordReader reader(buffer.view());
    Record mine;
    if (!reader.next(mine)) return fail(ErrorCode::internal, "a truncate record cannot be read back");
    ++group_changes_;
    GW_CHECK(open_group());  // a change of shape may have ended it
    GW_CHECK(applier_->apply(mine));
    for (const auto id : relations) ++view(id).way->records;
    return {};
}

// ---------------------------------------------------------------------------------------------- catching up

Result<> ApplyLoop::join_loaded() {
    bool waits = false;
    for (const auto& name : p_.book.in_phase(TablePhase::loaded)) {
        // of a mark that is a range, all must lie before the main cursor
        const auto entry = p_.book.find(name);
        if (entry && !may_catch_up(*entry)) {
            waits = true;
            continue;
        }
        GW_CHECK(catch_up(name));
    }
    if (waits) book_version_ = 0;  // asked for again as the cursor moves
    judge_views();
    return {};
}

void ApplyLoop::forget_shapes() { views_.clear(); }

// Phases have changed: of a table that has left no row is applied from here on.
void ApplyLoop::judge_views() {
    const std::uint64_t version = p_.book.version();
    for (auto it = views_.begin(); it != views_.end();) {
        View& v = it->second;
        const auto entry = v.relation ? entry_of(*v.relation) : std::nullopt;
        const bool apply = entry && entry->state.phase == TablePhase::joined;
        if (v.tracked != entry.has_value() || v.apply != apply) {
            it = views_.erase(it);
        } else {
            ++it;
        }
    }
    obeyed_ = version;
}

// Catching up alone lets images decide, so the whole range of a mark has to lie before the main cursor.
bool ApplyLoop::may_catch_up(const TableEntry& entry) const {
    const Position reached = pending_ ? *pending_ : applied_.value_or(Position{});
    return p_.source.exact(entry.state.mark) || p_.source.passed(entry.state.mark, reached);
}

// A row whose key changes goes under its old key and is put in place under its new one: the snapshot's
// readers may have met both, or neither.
Result<> ApplyLoop::apply_by_image(const Relation& relation, const Record& r) {
    bool moves = false;
    if (r.kind == RecordKind::update && r.old_kind != OldRow::none) {
        std::vector<Cell> before, after;
        r.old_row.read(before);
        r.row.read(after);
        for (std::size_t i = 0; i < relation.columns.size() && i < before.size() && i < after.size(); ++i)
            moves = moves || (relation.columns[i].identity && after[i].state != CellState::unchanged &&
                              !std::ranges::equal(before[i].bytes, after[i].bytes));
    }
    if (!moves) return applier_->apply(r);
    ByteBuffer buffer;
    RecordWriter writer(buffer);
    writer.start(RecordKind::remove, r.relation, r.xid);
    writer.old_kind(r.old_kind);
    buffer.append(r.old_row.bytes());
    writer.finish();
    writer.start(RecordKind::insert, r.relation, r.xid);
    buffer.append(r.row.bytes());
    writer.finish();
    RecordReader reader(buffer.view());
    for (Record half; reader.next(half);) GW_CHECK(applier_->apply(half));
    return {};
}

// Applies the changes of one loaded table that wait in the log before the main cursor's place.
Result<> ApplyLoop::catch_up(const TableName& name) {
    auto entry = p_.book.find(name);
    if (!entry) return {};
    std::uint64_t done = 0;
    if (!entry->state.applied.empty() && GW_RULE("catchup.own_position"))
        done = GW_TRY(p_.source.order(entry->state.applied));
    // What comes before the first begin belongs to a transaction that had committed when the hold began: the
    // snapshot, taken later, contains it.
    Transaction t;
    t.done_before = true;
    bool open = false, left = false;  // left: a row has suspended it
    std::uint64_t changes = 0, careful_until = 0;
    std::uint64_t records = 0;  // of the table in the transaction that are in
    struct Reached {
        Place at;
        std::uint64_t order_end = 0;
        Position position;
    };
    Reached now{{entry->hold_from, 0}, 0, entry->state.applied}, start = now;
    Place& at = now.at;
    std::map<std::uint32_t, bool> mine, defined;
    const auto commit = [&](TablePhase phase) -> Result<> {
        TableState state = entry->state;
        state.phase = phase;
        state.applied = now.position;
        if (t.open) {
            state.part.order = t.order;
            state.part.records = records;
        }
        if (!open) GW_CHECK(applier_->begin(Applier::Mode::fast));
        // A table joins the common position, so that position must be the one that it has reached: both in
        // one transaction, or a restart from an older position would apply the difference twice.
        const bool joins =
            phase == TablePhase::joined && pending_order_ > applied_order_ && GW_RULE("join.position");
        if (changes != 0) GW_FAILPOINT("catchup.before_commit");
        GW_CHECK(applier_->commit(joins ? pending_ : std::nullopt, {state}));
        GW_FAILPOINT("catchup.committed");
        if (joins) set_applied(pending_, pending_order_);
        open = false;
        aborted_ = 0;
        entry->state = state;
        p_.book.change(name, [&](TableEntry& e) { e.state.part = state.part; });
        done = std::max(done, now.order_end);
        take_results();
        const auto after = p_.book.find(name);
        left = !after || after->state.phase == TablePhase::suspended;
        changes = 0;
        return keep_shapes();
    };
    // Is the next record of the table in already? A change of shape cut the transaction behind it.
    const auto met = [&] {
        const TablePart& part = entry->state.part;
        if (part.order != t.order || records >= part.records) return false;
        ++records;
        return true;
    };
    // The open group is void: once more from its first record, row by row; an error when that was tried.
    const auto again = [&](const Error& why) -> Result<> {
        applier_->abort();
        open = false;
        undo_shapes();
        const bool as_it_was = comes_again(why);
        if (!as_it_was && (why.retry != Retry::never || careful_until > t.order)) return std::unexpected(why);
        if (const auto before = p_.book.find(name)) {
            entry->schema = before->schema;
            entry->state.part = before->state.part;
        }
        if (!as_it_was) careful_until = t.order + 1;
        now = start;
        t = {};
        t.done_before = true;
        changes = records = 0;
        seen_.clear();
        defined.clear();
        return {};
    };
    // A transaction is open, and the applier knows the table as the relation has it.
    const auto ready = [&](std::uint32_t id) -> Result<> {
        const bool alone = p_.target.ddl_commits();
        const auto begin = [&]() -> Result<> {
            if (std::exchange(open, true)) return {};
            careful_ = t.by_image || t.order < careful_until;
            return applier_->begin(t.by_image                ? Applier::Mode::converging
                                   : t.order < careful_until ? Applier::Mode::careful
                                                             : Applier::Mode::fast);
        };
        if (!alone || defined[id]) GW_CHECK(begin());
        if (std::exchange(defined[id], true)) return {};
        Relation relation = *p_.log.relation(id);
        if (alone && open && !fits(entry->schema, relation)) {
            GW_CHECK(commit(TablePhase::loaded));
            if (left) return {};
        }
        group_open_ = !alone;  // a change of shape joins this transaction
        auto shaped = reshape(*entry, relation);
        relation.name = name;
        group_open_ = false;
        const auto after = p_.book.find(name);
        if (!after || after->state.phase == TablePhase::suspended) {
            applier_->abort();  // it waits for a reload or for a person now
            undo_shapes();
            again_without_table_ = false;
            seen_.clear();
            left = true;
            return {};
        }
        entry->state.part = after->state.part;
        GW_CHECK(std::move(shaped));
        GW_CHECK(begin());
        return applier_->define(relation, entry->schema);
    };
    // Conflicts of a whole group show when it commits, so the last commit is tried again carefully like any
    // other.
    while (!left) {
        Result<> outcome;
        if (at.chunk > place_.chunk || (at.chunk == place_.chunk && at.offset >= place_.offset)) {
            // what came before the main cursor's place is in: from here on the table goes with the others
            outcome = commit(TablePhase::joined);
            if (outcome) break;
            GW_CHECK(again(outcome.error()));
            continue;
        }
        const ChunkRef chunk = GW_TRY(p_.log.read(at.chunk, 0ms, {}));
        if (!chunk) return fail(ErrorCode::internal, "the log is shorter than its reader");
        RecordReader reader(chunk->data.view());
        reader.seek(at.offset);
        Record r;
        while (outcome && !left && (at.chunk < place_.chunk || reader.position() < place_.offset) &&
               reader.next(r)) {
            at.offset = reader.position();
            if (r.kind == RecordKind::begin) {
                t = {};
                t.open = true;
                records = 0;
                t.order = r.order;
                t.begin = r;
                t.begin.list = t.begin.raw = {};
                const Contained c = p_.source.contains(entry->state.mark, t.begin);
                t.done_before = r.order < done || c == Contained::yes;
                t.by_image = c == Contained::by_image;
                for (ByteReader in(r.list); !in.at_end();) t.aborted.insert(in.le<std::uint32_t>());
            } else if (r.kind == RecordKind::commit || r.kind == RecordKind::keepalive) {
                t.open = false;
                if (r.order > now.order_end) {
                    now.order_end = r.order;
                    now.position.token = std::string(r.position);
                }
                if (open && (changes >= kGroupChanges || t.by_image)) {
                    outcome = commit(TablePhase::loaded);
                    if (outcome) start = now;
                }
            } else if (r.kind == RecordKind::insert || r.kind == RecordKind::update ||
                       r.kind == RecordKind::remove) {
                const auto known = mine.find(r.relation);
                if (known == mine.end()) {
                    const auto relation = p_.log.relation(r.relation);
                    const auto meant = relation ? entry_of(*relation) : std::nullopt;
                    mine[r.relation] = meant && meant->schema.name == name;
                }
                if (!mine[r.relation] || t.done_before || (r.xid != 0 && t.aborted.contains(r.xid))) continue;
                if (met()) continue;
                outcome = ready(r.relation);
                if (left) break;
                if (outcome)
                    outcome =
                        t.by_image ? apply_by_image(*p_.log.relation(r.relation), r) : applier_->apply(r);
                GW_FAILPOINT("catchup.change");
                ++changes;
                ++records;
                auto& k = seen_[name];
                if (r.kind == RecordKind::insert) ++k.inserts;
                if (r.kind == RecordKind::update) ++k.updates;
                if (r.kind == RecordKind::remove) ++k.deletes;
            } else if (r.kind == RecordKind::truncate && !t.done_before) {
                for (ByteReader in(r.list); outcome && !left && !in.at_end();) {
                    const auto id = in.le<std::uint32_t>();
                    const auto relation = p_.log.relation(id);
                    const auto meant = relation ? entry_of(*relation) : std::nullopt;
                    if (!meant || meant->schema.name != name || (r.xid != 0 && t.aborted.contains(r.xid)))
                        continue;
                    if (p_.settings.fail_on_truncation_ddl) {
                        applier_->abort();
                        return truncation(name);
                    }
                    if (!p_.settings.handle_truncated || met()) continue;
                    ++seen_[name].ddls;
                    outcome = ready(id);
                    if (left || !outcome) break;
                    ByteBuffer buffer;
                    RecordWriter(buffer).truncate(r.xid, r.flags, {id});
                    RecordReader single(buffer.view());
                    Record only;
                    if (single.next(only)) outcome = applier_->apply(only);
                    ++changes;
                    ++records;
                }
            }
        }
        if (reader.failed()) return fail(ErrorCode::data_loss, "a chunk of the change log is damaged");
        if (!outcome)
            GW_CHECK(again(outcome.error()));
        else if (at.chunk < place_.chunk)
            at = {at.chunk + 1, 0};
    }
    if (left) return settle(kDurableEvery);
    p_.book.change(name, [&](TableEntry& e) {
        e.state.phase = TablePhase::joined;
        e.schema = entry->schema;
    });
    if (p_.shapes_changed) p_.shapes_changed();
    p_.task_log.info(Component::target_apply, fmt::format("table {} has caught up", name.text()));
    return settle(kDurableEvery);
}

// ---------------------------------------------------------------------------------------------- idle

Result<> ApplyLoop::save_idle_position() {
    if (!pending_ || pending_order_ <= applied_order_) return settle(0ms);
    GW_CHECK(applier_->begin(Applier::Mode::fast));
    if (auto saved = applier_->commit(pending_, {}); !saved) return saved;
    set_applied(pending_, pending_order_);
    start_group_here();
    take_results();
    return settle(0ms);
}

// Is it to be asked whether it is time to stop, though there is more to read?
bool ApplyLoop::asks_to_stop() const {
    return (stop_rule_.server_time_us || stop_rule_.after_load || stop_rule_.after_cached_changes) &&
           p_.clock.steady() - stop_asked_at_ >= kAskToStopEvery;
}

// At a boundary: is it time to stop?
Result<bool> ApplyLoop::idle_stop() {
    const std::int64_t now_us = p_.progress.now_us();
    if (stop_rule_.server_time_us && now_us > *stop_rule_.server_time_us) {
        stopping_ = StopCause::server_time;
        return true;
    }
    const bool all_joined = p_.book.count(TablePhase::waiting) + p_.book.count(TablePhase::loading) +
                                p_.book.count(TablePhase::loaded) ==
                            0;
    const bool all_loaded = p_.book.count(TablePhase::waiting) + p_.book.count(TablePhase::loading) == 0;
    if (stop_rule_.after_load && all_loaded) {
        stopping_ = StopCause::after_load;
        return true;
    }
    if (stop_rule_.after_cached_changes && all_joined && !cut_) {
        const Position end = GW_TRY(p_.source.committed_end());
        cut_ = GW_TRY(p_.source.order(end));
    }
    if (cut_ && std::max(applied_order_, pending_order_) >= *cut_) {
        stopping_ = StopCause::cached_changes;
        return true;
    }
    if (stop_rule_.commit_time_us && now_us > *stop_rule_.commit_time_us && !idle_end_ &&
        p_.clock.steady() - asked_at_ > kAskSourceEvery) {
        asked_at_ = p_.clock.steady();
        const auto health = GW_TRY(p_.source.health());
        if (health.clock_us > *stop_rule_.commit_time_us + 1'000'000) {
            const Position end = GW_TRY(p_.source.committed_end());
            idle_end_ = GW_TRY(p_.source.order(end));
        }
    }
    if (idle_end_ && std::max(applied_order_, pending_order_) >= *idle_end_) {
        stopping_ = StopCause::commit_time;
        return true;
    }
    return false;
}

// What follows has at least this order.
Result<> ApplyLoop::wait_paused(std::uint64_t order, std::stop_token stop) {
    GW_CHECK(save_idle_position());
    while (!stop.stop_requested()) {
        const std::uint64_t until = pause_order_;
        if (order < until) break;
        paused_for_ = until;
        p_.clock.sleep(2ms, stop);
    }
    paused_for_ = kNoPause;
    return {};
}

// The target changes rows of one with those of the other. At two places of the log, the rows that it meets
// are others than the source met.
bool ApplyLoop::stands() {
    if (const auto version = p_.book.version(); version != bound_version_) {
        bound_version_ = version;
        bound_unfinished_ = std::ranges::any_of(p_.book.all(), [](const TableEntry& e) {
            const auto phase = e.state.phase;
            const bool reload = phase == TablePhase::suspended && e.reload && !e.nameless &&
                                GW_RULE("apply.bound_reload_waits");
            return !e.schema.bound_to.empty() &&
                   (phase == TablePhase::waiting || phase == TablePhase::loading ||
                    phase == TablePhase::loaded || reload);
        });
    }
    return bound_unfinished_ && GW_RULE("apply.bound_tables_wait");
}

bool ApplyLoop::attention(std::stop_token stop) const {
    return stop.stop_requested() || boundary_work_waits_ || asks_to_stop() || p_.book.version() != obeyed_ ||
           (p_.book.version() != book_version_ && may_join() && p_.book.count(TablePhase::loaded) != 0);
}

// ---------------------------------------------------------------------------------------------- the loop

// By which the target has its tables: a rename may have gone through unheard.
void ApplyLoop::take_names(const Ledger& ledger) {
    std::vector<TableEntry> renamed;
    for (const auto& t : ledger.tables) {
        auto entry = t.source_id != 0 ? p_.book.find_id(t.source_id) : std::nullopt;
        if (!entry || std::ranges::any_of(ledger.tables, [&](const TableState& other) {
                return other.source_id == t.source_id && other.name == entry->schema.name;
            }))
            continue;
        p_.book.remove(entry->schema.name);
        p_.progress.rename_table(entry->schema.name, t.name);
        entry->schema.name = entry->state.name = t.name;
        renamed.push_back(std::move(*entry));
    }
    for (auto& entry : renamed) p_.book.put(std::move(entry));
}

Result<> ApplyLoop::reconnected(const Ledger& ledger) {
    if (!begun_) return {};
    const std::uint64_t before = applied_order_;
    const auto known = ledger.applied ? ledger.applied : applied_;  // a commit may have gone through unheard
    set_applied(known, known ? GW_TRY(p_.source.order(*known)) : 0);
    // What lies between may be released here. A new start reads it again, or finds that the source has
    // forgotten it.
    if (applied_order_ < before && GW_RULE("reconnect.coverage"))
        return fail(
            ErrorCode::unavailable,
            fmt::format("the target has come back at {} and had applied more before", applied_->token),
            Retry::from_checkpoint);
    applier_.reset();
    undo_shapes();
    take_names(ledger);
    const auto settled = [](TablePhase p) { return p == TablePhase::loaded || p == TablePhase::joined; };
    std::vector<std::pair<TableName, std::string>> suspended;
    for (const auto& t : ledger.tables)
        p_.book.change(t.name, [&](TableEntry& e) {
            if (e.state.generation == t.generation) e.state.part = t.part;
            if (t.phase == TablePhase::suspended && settled(e.state.phase)) {
                // by a group whose commit went through unheard
                e.state.phase = t.phase;
                e.state.reason = t.reason;
                e.reload = t.reason.ends_with(kLoadedAnew);
                suspended.emplace_back(t.name, t.reason);
            }
            if (!settled(e.state.phase) || !settled(t.phase)) return;
            e.state.phase = t.phase;
            e.state.applied = t.applied;
        });
    for (const auto& [name, reason] : suspended)
        p_.progress.table(name, [&](TableReport& r) {
            r.state = "Table error";
            r.detail = reason;
        });
    group_open_ = again_without_table_ = false;
    careful_until_ = 0;
    views_.clear();
    rewind();
    // The cursor goes back: no table joins before it has reached the common position again.
    seen_order_ = GW_TRY(p_.source.order(log_start_));
    book_version_ = 0;
    return {};
}

Result<StopCause> ApplyLoop::run(std::stop_token stop) {
    stop_ = stop;
    auto cause = apply_log(stop);
    if (cause || !std::exchange(unfinished_, false)) return cause;
    // the transaction comes again; what was cut off before it is known
    if (auto e = p_.log.error()) return std::unexpected(std::move(*e));
    rewind();
    GW_CHECK(settle(0ms));
    return StopCause::asked;
}

Result<StopCause> ApplyLoop::apply_log(std::stop_token stop) {
    p_.target.asks([&source = p_.source](const TableName& name) { return source.describe(name); });
    applier_ = GW_TRY(p_.target.open_applier(p_.settings.conflicts));
    if (!begun_) {
        if (applied_) set_applied(applied_, GW_TRY(p_.source.order(*applied_)));
        seen_order_ = GW_TRY(p_.source.order(log_start_));
        pending_ = applied_;
        pending_order_ = applied_order_;
        place_ = {};
        start_group_here();
        saved_at_ = stop_asked_at_ = p_.clock.steady();
        begun_ = true;
    }
    ChangeLog::Waiting waiting(p_.log);
    while (true) {
        if (boundary()) {
            if (boundary_work_waits_) do_boundary_work();
            if (p_.book.version() != book_version_ && !stop_rule_.after_load && may_join()) {
                // taken before: a table that becomes `loaded` meanwhile must be seen in the next round
                book_version_ = p_.book.version();
                GW_CHECK(join_loaded());
            }
            if (p_.book.version() != obeyed_) judge_views();
            if (stop.stop_requested()) {
                GW_FAILPOINT("stop.seen");
                GW_CHECK(save_idle_position());
                return StopCause::asked;
            }
            if (later_waits_) GW_CHECK(act_on_catalogue());
            if (const auto seen = std::max(applied_order_, pending_order_); seen >= pause_order_)
                GW_CHECK(wait_paused(seen, stop));
            const bool standing = may_join() && stands();
            waiting.set(standing);  // what it stands for, a load, needs the source to be read on
            if (standing) {
                if (auto e = p_.log.error()) return std::unexpected(std::move(*e));
                if (GW_TRY(idle_stop())) {
                    GW_CHECK(save_idle_position());
                    return *stopping_;
                }
                p_.clock.sleep(5ms, stop);
                continue;
            }
            if (asks_to_stop()) {
                stop_asked_at_ = p_.clock.steady();
                if (GW_TRY(idle_stop())) {
                    GW_CHECK(save_idle_position());
                    return *stopping_;
                }
            }
        }
        const bool wait = !group_open_ || transaction_.open;
        ChunkRef chunk = GW_TRY(p_.log.read(place_.chunk, wait ? 50ms : 0ms, stop));
        if (!chunk) {
            if (transaction_.open) {
                if (const bool ended = p_.log.closed(); ended || stop.stop_requested()) {
                    // the rest of the transaction comes again, or may be far away: give it back
                    applier_->abort();
                    if (auto e = p_.log.error(); e && ended) return std::unexpected(std::move(*e));
                    GW_FAILPOINT("stop.seen");
                    group_open_ = false;
                    transaction_ = {};
                    pending_ = applied_;
                    pending_order_ = applied_order_;
                    GW_CHECK(settle(0ms));
                    return StopCause::asked;
                }
                continue;
            }
            if (group_open_) {
                if (auto done = commit_group(); !done) GW_CHECK(recover_group(done.error()));
                continue;
            }
            if (p_.log.closed()) {
                if (auto e = p_.log.error()) return std::unexpected(std::move(*e));
                GW_FAILPOINT("stop.seen");
                GW_CHECK(save_idle_position());
                return StopCause::asked;
            }
            if (p_.clock.steady() - saved_at_ >= kSaveIdleEvery) {
                saved_at_ = p_.clock.steady();
                GW_CHECK(save_idle_position());
            }
            if (GW_TRY(idle_stop())) {
                GW_CHECK(save_idle_position());
                return *stopping_;
            }
            continue;
        }
        RecordReader reader(chunk->data.view());
        reader.seek(place_.offset);
        Record r;
        bool rewound = false;
        while (reader.next(r)) {
            if (r.kind == RecordKind::begin && r.order >= pause_order_) {
                if (auto done = commit_group(); !done) {
                    GW_CHECK(recover_group(done.error()));
                    rewound = true;
                    break;
                }
                GW_CHECK(wait_paused(r.order, stop));
            }
            if (r.kind == RecordKind::begin && r.order >= applied_order_ && stands()) {
                seen_order_ = std::max(seen_order_, applied_order_);
                if (auto done = commit_group(); !done) {
                    GW_CHECK(recover_group(done.error()));
                    rewound = true;
                }
                break;
            }
            // never beyond a stop position
            if (r.kind == RecordKind::begin && r.order >= applied_order_ &&
                ((stop_rule_.commit_time_us && r.commit_time_us > *stop_rule_.commit_time_us) ||
                 (cut_ && r.order >= *cut_))) {
                stopping_ = cut_ && r.order >= *cut_ ? StopCause::cached_changes : StopCause::commit_time;
                if (auto done = commit_group(); !done) {
                    GW_CHECK(recover_group(done.error()));
                    rewound = true;
                    break;
                }
                GW_CHECK(save_idle_position());
                return *stopping_;
            }
            place_.offset = reader.position();
            auto outcome = record(r);
            if (outcome && r.kind == RecordKind::commit && group_open_ &&
                (group_changes_ >= kGroupChanges || applier_->buffered_bytes() > kGroupBufferedBytes))
                outcome = commit_group();
            if (!outcome) {
                GW_CHECK(recover_group(outcome.error()));
                rewound = true;
                break;
            }
            // something waits for a boundary: a loaded table, a pause, a stop
            if (r.kind == RecordKind::commit && attention(stop)) {
                if (auto done = commit_group(); !done) {
                    GW_CHECK(recover_group(done.error()));
                    rewound = true;
                }
                break;
            }
        }
        if (rewound) continue;
        if (reader.failed()) return fail(ErrorCode::data_loss, "a chunk of the change log is damaged");
        if (place_.offset == chunk->data.size()) {
            ++place_.chunk;
            place_.offset = 0;
            if (boundary()) start_group_here();
            p_.log.passed(place_.chunk);
            if (boundary()) GW_CHECK(settle(kDurableEvery));
        }
    }
}

}  // namespace godwit::engine
