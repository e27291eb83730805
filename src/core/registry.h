#pragma once
// Which engines there are. Filled by app/wiring.cc, the one file that names them.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "core/endpoint.h"
#include "core/source.h"
#include "core/target.h"

namespace godwit {

// What a source or target may use of its task.
struct TaskContext {
    std::string task_id;      // last part of the ARN, lower case
    std::string task_folder;  // the task's own folder
    std::string program;      // path of this program, for helper processes
    Clock* clock = nullptr;
    Log* log = nullptr;
};

// What a connection test or a schema refresh learnt.
struct ProbeResult {
    ServerTraits traits;
    std::vector<std::string> schemas;
};

struct EndpointKind {
    std::vector<std::string> engine_names;  // "postgres", "aurora-postgresql"
    std::string display_name;
    bool supports_cdc = true;
    Result<std::unique_ptr<Source>> (*source)(const EndpointConfig&, const TaskContext&) = nullptr;
    Result<std::unique_ptr<Target>> (*target)(const EndpointConfig&, const TaskContext&) = nullptr;
    // Short, bounded by the connect timeout. The error is what the user reads in LastFailureMessage.
    Result<ProbeResult> (*probe)(const EndpointConfig&) = nullptr;
    // Is this text (CdcStartPosition; CdcStartTime as YYYY-MM-DDTHH:MM:SS) a place where a log of this engine
    // can be entered? Asks no server. nullptr: known only when the task starts.
    Result<> (*check_position)(const std::string& native) = nullptr;
    // Body of the helper process that outlives a task (keeper): reads its orders from stdin.
    int (*keeper)(int argc, char** argv) = nullptr;
};

class EndpointRegistry {
public:
    void add(EndpointKind kind) { kinds_.push_back(std::move(kind)); }
    // nullptr: no such engine is built in
    [[nodiscard]] const EndpointKind* find(std::string_view engine_name) const {
        for (const auto& kind : kinds_)
            for (const auto& n : kind.engine_names)
                if (n == engine_name) return &kind;
        return nullptr;
    }
    [[nodiscard]] const std::vector<EndpointKind>& kinds() const { return kinds_; }

private:
    std::vector<EndpointKind> kinds_;
};

}  // namespace godwit
