#include "engine/apply_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "engine/schema_changes.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t kGroupChanges =
    10000;  // source transactions join up to here while there is a backlog
constexpr std::size_t kGroupBufferedBytes = 16U << 20;
constexpr auto kSaveIdleEvery = 1s;
constexpr auto kAskSourceEvery = 1s;
constexpr auto kDurableEvery = 500ms;  // where commits do not wait for the target's disk

}  // namespace

// ---------------------------------------------------------------------------------------------- groups

Result<> ApplyLoop::open_group() {
    if (group_open_) return {};
    const bool careful = transaction_.order < careful_until_;
    GW_CHECK(applier_->begin(careful ? Applier::Mode::careful : Applier::Mode::fast));
    group_open_ = true;
    return {};
}

Result<> ApplyLoop::commit_group() {
    if (!group_open_) return {};
    if (group_transactions_ > 1) GW_FAILPOINT("apply.group");
    GW_CHECK(applier_->commit(pending_, {}));
    group_open_ = false;
    applied_ = pending_;
    applied_order_ = pending_order_;
    take_results();
    const auto now_us = p_.progress.now_us();
    p_.progress.update([&](TaskReport& r) {
        r.transactions_applied += group_transactions_;
        if (pending_time_us_ != 0) r.lag_ms = std::max<std::int64_t>(0, (now_us - pending_time_us_) / 1000);
        r.applied_position = applied_->token;
    });
    group_changes_ = group_transactions_ = 0;
    group_start_ = place_;
    saved_at_ = p_.clock.steady();
    GW_CHECK(keep_shapes());
    return settle(kDurableEvery);
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
        p_.book.put(std::move(*entry));
    }
    views_.clear();
}

// The group is void on the target. Again from its first record, row by row where needed.
Result<> ApplyLoop::recover_group(const Error& why) {
    applier_->abort();
    group_open_ = false;
    undo_shapes();
    // lost sessions, full disks, deadlocks are not the rows' fault
    if (why.retry != Retry::never || why.code == ErrorCode::cancelled || why.code == ErrorCode::internal)
        return std::unexpected(why);
    if (std::exchange(again_without_table_, false)) {
        place_ = group_start_;
        transaction_ = {};
        pending_ = applied_;
        pending_order_ = applied_order_;
        group_changes_ = group_transactions_ = 0;
        seen_.clear();
        return {};
    }
    const std::uint64_t until = std::max(transaction_.open ? transaction_.order + 1 : 0, pending_order_);
    if (careful_until_ >= until) return std::unexpected(why);  // it failed in careful mode as well
    p_.task_log.info(Component::target_apply,
                     fmt::format("a group of changes is applied again row by row: {}", why.text()));
    careful_until_ = until;
    place_ = group_start_;
    transaction_ = {};
    pending_ = applied_;
    pending_order_ = applied_order_;
    group_changes_ = group_transactions_ = 0;
    seen_.clear();
    return {};
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
    if (same_shape(entry.schema, relation) && same_order(entry.schema, relation)) return {};
    Result<TableSchema> now;
    for (const auto& name : {entry.schema.name, relation.name}) {
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
        if (now != nullptr) entry.schema = *now;
    } else if (plan.kind == ReshapePlan::Kind::changes) {
        GW_CHECK(open_group());
        for (auto c : plan.changes) {
            p_.task_log.info(Component::target_apply, fmt::format("table {}: {}", name.text(), describe(c)));
            c.binary = p_.binary;
            auto done = applier_->change_schema(c);
            // the stream starts again in text; what came in binary cannot be trusted
            if (!done && done.error().code == ErrorCode::unsupported &&
                done.error().retry == Retry::from_checkpoint)
                GW_CHECK(p_.target.set_phase(name, TablePhase::suspended,
                                             fmt::format("{}: {}", done.error().message, kLoadedAnew)));
            if (!done) return suspend_for_shape(name, done.error());
        }
        seen_[name].ddls += plan.changes.size();
        entry.schema = plan.after;
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
    p_.book.change(name, [&](TableEntry& e) {
        if (plan.kind == ReshapePlan::Kind::changes) reshaped_.emplace_back(name, e);
        e.schema = entry.schema;
    });
    return {};
}

// A statement that the target refuses costs the table, not the task: it is suspended and the group comes
// again without it. Always an error, which leads to recover_group().
Result<> ApplyLoop::suspend_for_shape(const TableName& name, const Error& why) {
    // rows before it in the group failed, not the statement
    if (why.retry != Retry::never || why.code == ErrorCode::conflict) return std::unexpected(why);
    const std::string reason = "a change of its shape cannot be replayed: " + why.text();
    p_.task_log.error(Component::tables_manager,
                      fmt::format("table {} is suspended: {}", name.text(), reason));
    GW_CHECK(p_.target.set_phase(name, TablePhase::suspended, reason));
    p_.book.change(name, [&](TableEntry& e) {
        e.state.phase = TablePhase::suspended;
        e.state.reason = reason;
    });
    p_.progress.table(name, [&](TableReport& t) {
        t.state = "Table error";
        t.detail = reason;
    });
    views_.clear();
    again_without_table_ = true;
    return fail(ErrorCode::aborted, reason);
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
    GW_CHECK(open_group());
    if (auto done = applier_->change_schema(c); !done) {
        auto suspended = suspend_for_shape(from, done.error());
        return own_group && !transaction_.open ? recover_group(suspended.error()) : suspended;
    }
    reshaped_.emplace_back(to, *entry);
    p_.book.remove(from);
    entry->schema.name = entry->state.name = to;
    p_.book.put(*entry);
    p_.progress.rename_table(from, to);
    for (auto& [id, v] : views_)
        if (v.name == from) {
            v.name = to;
            v.defined = false;
        }
    return own_group && !transaction_.open ? commit_group() : Result<>{};
}

// Names that stand in each other's way pass through a third; all in one transaction.
Result<> ApplyLoop::rename_all(std::vector<std::pair<TableName, TableName>> names) {
    std::erase_if(names, [&](const auto& n) { return n.first == n.second || !p_.book.find(n.first); });
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
    auto done = follow(*entry, plan_from_catalogue(entry->schema, *now), &*now);
    if (done && group_open_) done = commit_group();
    if (!done) return recover_group(done.error());
    if (p_.shapes_changed) p_.shapes_changed();
    return {};
}

Result<> ApplyLoop::drop(const CatalogueChange& change) {
    const TableName& name = change.table;
    const auto entry = p_.book.find(name);
    if (!entry || (change.source_id != 0 && entry->schema.source_id != change.source_id)) return {};
    p_.progress.table(name, [](TableReport& t) { t.state = "Table does not exist"; });
    if (p_.settings.handle_dropped && entry->state.phase == TablePhase::joined) {
        SchemaChange c;
        c.kind = SchemaChange::Kind::drop_table;
        c.table = name;
        p_.task_log.info(Component::target_apply, fmt::format("table {}: DROP TABLE", name.text()));
        GW_CHECK(open_group());
        if (auto done = applier_->change_schema(c); !done)
            return recover_group(suspend_for_shape(name, done.error()).error());
        p_.progress.table(name, [](TableReport& t) { ++t.ddls, ++t.applied_ddls; });
        GW_CHECK(commit_group());
    }
    p_.book.remove(name);
    std::erase_if(views_, [&](const auto& v) { return v.second.name == name; });
    return {};
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

Result<> ApplyLoop::change(const Record& r) {
    if (transaction_.done_before) return {};
    View& v = view(r.relation);
    if (!v.apply) return {};
    if (r.xid != 0 && transaction_.aborted.contains(r.xid)) return {};
    if (v.mark_open) {
        if (p_.source.contains(v.mark, transaction_.begin)) return {};
        // the mark only matters for transactions that committed around it
        v.mark_open = !p_.source.passed(v.mark, applied_.value_or(Position{}));
    }
    GW_CHECK(open_group());
    GW_CHECK(define(v));
    if (!v.apply) return {};  // its new shape suspended it
    auto& k = seen_[v.name];
    if (r.kind == RecordKind::insert) ++k.inserts;
    if (r.kind == RecordKind::update) ++k.updates;
    if (r.kind == RecordKind::remove) ++k.deletes;
    ++group_changes_;
    return applier_->apply(r);
}

Result<> ApplyLoop::truncate(const Record& r) {
    if (transaction_.done_before) return {};
    if (r.xid != 0 && transaction_.aborted.contains(r.xid)) return {};
    std::vector<std::uint32_t> relations;
    for (ByteReader in(r.list); !in.at_end();) {
        const auto id = in.le<std::uint32_t>();
        View& v = view(id);
        if (!v.apply || (v.mark_open && p_.source.contains(v.mark, transaction_.begin))) continue;
        ++seen_[v.name].ddls;
        if (p_.settings.fail_on_truncation_ddl)
            return fail(ErrorCode::failed_precondition, "table " + v.relation->name.text() +
                                                            " was truncated at the source and "
                                                            "ApplyErrorFailOnTruncationDdl is set");
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
    return applier_->apply(mine);
}

// ---------------------------------------------------------------------------------------------- catching up

Result<> ApplyLoop::join_loaded() {
    for (const auto& name : p_.book.in_phase(TablePhase::loaded)) GW_CHECK(catch_up(name));
    // relations are judged anew: phases have changed
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
    return {};
}

// Applies the changes of one loaded table that wait in the log before the main cursor's place.
Result<> ApplyLoop::catch_up(const TableName& name) {
    auto entry = p_.book.find(name);
    if (!entry) return {};
    std::uint64_t done = 0;
    if (!entry->state.applied.empty()) done = GW_TRY(p_.source.order(entry->state.applied));
    // What comes before the first begin belongs to a transaction that had committed when the hold began: the
    // snapshot, taken later, contains it.
    Transaction t;
    t.done_before = true;
    bool open = false;
    std::uint64_t changes = 0, careful_until = 0;
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
        if (!open) GW_CHECK(applier_->begin(Applier::Mode::fast));
        // A table joins the common position, so that position must be the one that it has reached: both in
        // one transaction, or a restart from an older position would apply the difference twice.
        const bool joins =
            phase == TablePhase::joined && pending_order_ > applied_order_ && GW_RULE("join.position");
        if (changes != 0) GW_FAILPOINT("catchup.before_commit");
        GW_CHECK(applier_->commit(joins ? pending_ : std::nullopt, {state}));
        GW_FAILPOINT("catchup.committed");
        if (joins) {
            applied_ = pending_;
            applied_order_ = pending_order_;
        }
        open = false;
        entry->state = state;
        take_results();
        changes = 0;
        return keep_shapes();
    };
    // The open group is void: once more from its first record, row by row; an error when that was tried.
    const auto again = [&](const Error& why) -> Result<> {
        applier_->abort();
        open = false;
        undo_shapes();
        if (why.retry != Retry::never || careful_until > t.order) return std::unexpected(why);
        if (const auto before = p_.book.find(name)) entry->schema = before->schema;
        careful_until = t.order + 1;
        now = start;
        t = {};
        t.done_before = true;
        changes = 0;
        seen_.clear();
        defined.clear();
        return {};
    };
    // Conflicts of a whole group show when it commits, so the last commit is tried again carefully like any
    // other.
    while (true) {
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
        while (outcome && (at.chunk < place_.chunk || reader.position() < place_.offset) && reader.next(r)) {
            at.offset = reader.position();
            if (r.kind == RecordKind::begin) {
                t = {};
                t.order = r.order;
                t.begin = r;
                t.begin.list = t.begin.raw = {};
                t.done_before = r.order < done || p_.source.contains(entry->state.mark, t.begin);
                for (ByteReader in(r.list); !in.at_end();) t.aborted.insert(in.le<std::uint32_t>());
            } else if (r.kind == RecordKind::commit || r.kind == RecordKind::keepalive) {
                if (r.order > now.order_end) {
                    now.order_end = r.order;
                    now.position.token = std::string(r.position);
                }
                if (open && changes >= kGroupChanges) {
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
                if (!open) {
                    outcome = applier_->begin(t.order < careful_until ? Applier::Mode::careful
                                                                      : Applier::Mode::fast);
                    open = true;
                }
                if (outcome && !defined[r.relation]) {
                    group_open_ = true;  // a change of shape joins this transaction
                    Relation relation = *p_.log.relation(r.relation);
                    outcome = reshape(*entry, relation);
                    relation.name = name;
                    group_open_ = false;
                    if (const auto after = p_.book.find(name);
                        !after || after->state.phase == TablePhase::suspended) {
                        applier_->abort();  // it waits for a reload or for a person now
                        undo_shapes();
                        again_without_table_ = false;
                        seen_.clear();
                        return {};
                    }
                    if (outcome) outcome = applier_->define(relation, entry->schema);
                    defined[r.relation] = true;
                }
                if (outcome) outcome = applier_->apply(r);
                GW_FAILPOINT("catchup.change");
                ++changes;
                auto& k = seen_[name];
                if (r.kind == RecordKind::insert) ++k.inserts;
                if (r.kind == RecordKind::update) ++k.updates;
                if (r.kind == RecordKind::remove) ++k.deletes;
            } else if (r.kind == RecordKind::truncate && !t.done_before && p_.settings.handle_truncated) {
                for (ByteReader in(r.list); !in.at_end();) {
                    const auto id = in.le<std::uint32_t>();
                    const auto relation = p_.log.relation(id);
                    const auto meant = relation ? entry_of(*relation) : std::nullopt;
                    if (!meant || meant->schema.name != name || (r.xid != 0 && t.aborted.contains(r.xid)))
                        continue;
                    if (!open) outcome = applier_->begin(Applier::Mode::fast);
                    open = true;
                    Relation known = *relation;
                    known.name = name;
                    if (outcome) outcome = applier_->define(known, entry->schema);
                    ByteBuffer buffer;
                    RecordWriter(buffer).truncate(r.xid, r.flags, {id});
                    RecordReader single(buffer.view());
                    Record only;
                    if (outcome && single.next(only)) outcome = applier_->apply(only);
                    ++changes;
                    ++seen_[name].ddls;
                }
            }
        }
        if (reader.failed()) return fail(ErrorCode::data_loss, "a chunk of the change log is damaged");
        if (!outcome)
            GW_CHECK(again(outcome.error()));
        else if (at.chunk < place_.chunk)
            at = {at.chunk + 1, 0};
    }
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
    applied_ = pending_;
    applied_order_ = pending_order_;
    group_start_ = place_;
    take_results();
    p_.progress.update([&](TaskReport& r) { r.applied_position = applied_->token; });
    return settle(0ms);
}

// At a boundary with nothing to read: is it time to stop?
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
        const auto health = GW_TRY(p_.source.health());
        cut_ = GW_TRY(p_.source.order(health.log_end));
    }
    if (cut_ && std::max(applied_order_, pending_order_) >= *cut_) {
        stopping_ = StopCause::cached_changes;
        return true;
    }
    if (stop_rule_.commit_time_us && now_us > *stop_rule_.commit_time_us && !idle_end_ &&
        p_.clock.steady() - asked_at_ > kAskSourceEvery) {
        asked_at_ = p_.clock.steady();
        const auto health = GW_TRY(p_.source.health());
        if (health.clock_us > *stop_rule_.commit_time_us + 1'000'000)
            idle_end_ = GW_TRY(p_.source.order(health.log_end));
    }
    if (idle_end_ && std::max(applied_order_, pending_order_) >= *idle_end_) {
        stopping_ = StopCause::commit_time;
        return true;
    }
    return false;
}

Result<> ApplyLoop::wait_paused(std::stop_token stop) {
    GW_CHECK(save_idle_position());
    paused_ = true;
    while (pause_order_ != kNoPause && !stop.stop_requested()) p_.clock.sleep(2ms, stop);
    paused_ = false;
    return {};
}

bool ApplyLoop::attention(std::stop_token stop) const {
    return stop.stop_requested() ||
           (p_.book.version() != book_version_ && may_join() && p_.book.count(TablePhase::loaded) != 0);
}

// ---------------------------------------------------------------------------------------------- the loop

Result<> ApplyLoop::reconnected(const Ledger& ledger) {
    if (!begun_) return {};
    const std::uint64_t before = applied_order_;
    if (ledger.applied) applied_ = ledger.applied;  // a commit may have gone through unheard
    applied_order_ = applied_ ? GW_TRY(p_.source.order(*applied_)) : 0;
    // What lies between may be released here. A new start reads it again, or finds that the source has
    // forgotten it.
    if (applied_order_ < before && GW_RULE("reconnect.coverage"))
        return fail(
            ErrorCode::unavailable,
            fmt::format("the target has come back at {} and had applied more before", applied_->token),
            Retry::from_checkpoint);
    for (const auto& t : ledger.tables)
        p_.book.change(t.name, [&](TableEntry& e) {
            const auto settled = [](TablePhase p) {
                return p == TablePhase::loaded || p == TablePhase::joined;
            };
            if (!settled(e.state.phase) || !settled(t.phase)) return;
            e.state.phase = t.phase;
            e.state.applied = t.applied;
        });
    applier_.reset();
    undo_shapes();
    group_open_ = again_without_table_ = false;
    group_changes_ = group_transactions_ = 0;
    careful_until_ = 0;
    transaction_ = {};
    views_.clear();
    seen_.clear();
    pending_ = applied_;
    pending_order_ = applied_order_;
    // The cursor goes back: no table joins before it has reached the common position again.
    seen_order_ = GW_TRY(p_.source.order(log_start_));
    place_ = group_start_;
    book_version_ = 0;
    return {};
}

Result<StopCause> ApplyLoop::run(std::stop_token stop) {
    applier_ = GW_TRY(p_.target.open_applier(p_.settings.conflicts));
    if (!begun_) {
        if (applied_) applied_order_ = GW_TRY(p_.source.order(*applied_));
        seen_order_ = GW_TRY(p_.source.order(log_start_));
        pending_ = applied_;
        pending_order_ = applied_order_;
        place_ = group_start_ = {};
        begun_ = true;
    }
    while (true) {
        if (boundary()) {
            if (p_.book.version() != book_version_ && !stop_rule_.after_load && may_join()) {
                // taken before: a table that becomes `loaded` meanwhile must be seen in the next round
                book_version_ = p_.book.version();
                GW_CHECK(join_loaded());
            }
            if (stop.stop_requested()) {
                GW_FAILPOINT("stop.seen");
                GW_CHECK(save_idle_position());
                return StopCause::asked;
            }
            if (later_waits_) GW_CHECK(act_on_catalogue());
            if (std::max(applied_order_, pending_order_) >= pause_order_) GW_CHECK(wait_paused(stop));
        }
        const bool wait = !group_open_ || transaction_.open;
        ChunkRef chunk = GW_TRY(p_.log.read(place_.chunk, wait ? 50ms : 0ms, stop));
        if (!chunk) {
            if (transaction_.open) {
                if (p_.log.closed()) {
                    applier_->abort();
                    if (auto e = p_.log.error()) return std::unexpected(std::move(*e));
                    GW_CHECK(settle(0ms));
                    return StopCause::asked;  // the rest of the transaction comes again
                }
                if (stop.stop_requested()) {  // its end may be far away: give it back
                    applier_->abort();
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
                GW_CHECK(wait_paused(stop));
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
            if (boundary()) group_start_ = place_;
            p_.log.passed(place_.chunk);
            if (boundary()) GW_CHECK(settle(kDurableEvery));
        }
    }
}

}  // namespace godwit::engine
