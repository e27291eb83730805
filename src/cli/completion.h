#pragma once
// Shell completion scripts for a tree of sub-commands.

#include <string>
#include <vector>

namespace godwit::cli {

struct CommandWords {
    std::vector<std::string> path;   // {"task", "watch"}; empty: the program itself
    std::vector<std::string> words;  // sub-commands and options that may follow
};

// shell: bash, zsh or fish; else an empty text
[[nodiscard]] std::string completion_script(const std::string& shell,
                                            const std::vector<CommandWords>& commands);

}  // namespace godwit::cli
