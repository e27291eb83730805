#include "engine/reload_list.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/files.h"

namespace godwit::engine {
namespace {

constexpr std::uint32_t kFormat = 1;

bool holds(const auto& names, const TableName& name) { return std::ranges::find(names, name) != names.end(); }

}  // namespace

std::vector<TableName> ReloadList::restore() {
    const std::lock_guard lock(mutex_);
    asked_.clear();
    const auto text = read_summed_file(file_);
    if (!text) return {};
    ByteReader in(as_bytes(*text));
    if (in.le<std::uint32_t>() != kFormat) return {};
    for (auto n = in.le<std::uint32_t>(); n > 0 && !in.failed(); --n) {
        TableName name;
        name.schema = get_string(in);
        name.table = get_string(in);
        asked_.insert(std::move(name));
    }
    if (in.failed()) asked_.clear();
    for (const auto& name : asked_) queue_.push_back(name);
    return {asked_.begin(), asked_.end()};
}

Result<> ReloadList::forget() {
    const std::lock_guard lock(mutex_);
    asked_.clear();
    queue_.clear();
    return save();
}

Result<> ReloadList::ask(const std::vector<TableName>& tables) {
    const std::lock_guard lock(mutex_);
    const auto before = asked_;
    asked_.insert(tables.begin(), tables.end());
    if (auto saved = save(); !saved) {
        asked_ = before;
        return saved;
    }
    queue_.insert(queue_.end(), tables.begin(), tables.end());
    wanted_.notify_all();
    return {};
}

void ReloadList::add(const TableName& table) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(table);
    wanted_.notify_all();
}

std::optional<TableName> ReloadList::take(std::chrono::milliseconds wait, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!wanted_.wait_for(lock, stop, wait, [&] { return !queue_.empty(); })) return {};
    if (stop.stop_requested()) return {};
    TableName name = std::move(queue_.front());
    queue_.pop_front();
    return name;
}

void ReloadList::taken(const std::vector<TableName>& tables) {
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_, [&](const TableName& name) { return holds(tables, name); });
}

Result<> ReloadList::begun(const std::vector<TableName>& tables) {
    const std::lock_guard lock(mutex_);
    std::size_t gone = 0;
    for (const auto& name : tables)
        // asked for once more since it was taken: that is another reload
        if (!holds(queue_, name)) gone += asked_.erase(name);
    return gone == 0 ? Result<>{} : save();
}

Result<> ReloadList::save() {
    std::error_code ignored;
    if (asked_.empty() && !std::filesystem::exists(file_, ignored)) return {};
    ByteBuffer body;
    body.put_le(kFormat);
    body.put_le(static_cast<std::uint32_t>(asked_.size()));
    for (const auto& name : asked_) {
        put_string(body, name.schema);
        put_string(body, name.table);
    }
    return write_summed_file(file_, as_text(body.view()), true);
}

}  // namespace godwit::engine
