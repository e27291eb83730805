#include "cli/completion.h"

#include <fmt/format.h>

namespace godwit::cli {
namespace {

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const auto& p : parts) out += (out.empty() ? "" : " ") + p;
    return out;
}

// The words that may follow, by the sub-commands typed so far.
std::string cases(const std::vector<CommandWords>& commands) {
    std::string out;
    for (const auto& c : commands)
        out += fmt::format("        \"{}\") words=\"{}\" ;;\n", joined(c.path), joined(c.words));
    return out;
}

constexpr const char* kBash = R"sh(# bash completion for godwit:  source <(godwit completion bash)
_godwit() {{
    local path="" word words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case " {} " in *" $path${{path:+ }}$word|"*) path="$path${{path:+ }}$word" ;; esac
    done
    case "$path" in
{}    esac
    local current=${{COMP_WORDS[COMP_CWORD]}}
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    case "${{COMP_WORDS[COMP_CWORD-1]}}" in -f|--file) COMPREPLY=($(compgen -f -- "$current")) ;; esac
}}
complete -F _godwit godwit
)sh";

}  // namespace

std::string completion_script(const std::string& shell, const std::vector<CommandWords>& commands) {
    if (shell == "bash" || shell == "zsh") {
        std::string paths;
        for (const auto& c : commands)
            if (!c.path.empty()) paths += (paths.empty() ? "" : " ") + joined(c.path) + "|";
        std::string script = fmt::format(kBash, paths, cases(commands));
        if (shell == "bash") return script;
        return "# zsh completion for godwit:  source <(godwit completion zsh)\n"
               "autoload -U +X bashcompinit && bashcompinit\n" +
               script.substr(script.find('\n') + 1);
    }
    if (shell == "fish") {
        std::string out =
            "# fish completion for godwit:  godwit completion fish | source\ncomplete -c godwit -f\n";
        for (const auto& c : commands) {
            std::string condition =
                c.path.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + c.path[0];
            for (std::size_t i = 1; i < c.path.size(); ++i)
                condition += "; and __fish_seen_subcommand_from " + c.path[i];
            for (const auto& word : c.words) {
                if (word.starts_with("--")) {
                    out += fmt::format("complete -c godwit -n '{}' -l {}\n", condition, word.substr(2));
                } else if (!word.starts_with("-")) {
                    out += fmt::format("complete -c godwit -n '{}' -a {}\n", condition, word);
                }
            }
        }
        return out;
    }
    return "";
}

}  // namespace godwit::cli
