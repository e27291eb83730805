#pragma once
// Starting a task process, and one request over its control socket.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "base/files.h"
#include "base/result.h"

namespace godwit::control {

// `program task-process --folder FOLDER`, a session of its own, with `input` on standard input and its output
// appended to FOLDER/process.log. It inherits neither files nor signal settings nor the server's access keys.
[[nodiscard]] Result<ProcessId> spawn_task(const std::string& program, const std::filesystem::path& folder,
                                           const std::string& input);
// The process of the last spawn_task() on this folder, when it lives.
[[nodiscard]] std::optional<ProcessId> spawned(const std::filesystem::path& folder);
// false: the folder's status.json was written before the last spawn_task()
[[nodiscard]] bool status_is_of_last_spawn(const std::filesystem::path& folder);

// One line out, one line back.
[[nodiscard]] Result<std::string> ask_socket(const std::filesystem::path& socket, const std::string& request,
                                             std::chrono::milliseconds timeout);

}  // namespace godwit::control
