// godwit: one program with sub-commands. `serve` is the service, `task-process` and `keeper` are started by
// it, everything else is the command line client.

#include <cstdio>
#include <string_view>

#include "app/serve.h"
#include "app/task_process.h"
#include "app/wiring.h"
#include "cli/cli.h"

int main(int argc, char** argv) {
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "serve") return godwit::app::serve(argc - 2, argv + 2);
    if (command == "task-process") return godwit::app::run_task_process(argc - 2, argv + 2);
    if (command == "keeper" && argc > 2) {
        godwit::EndpointRegistry registry;
        godwit::app::add_all(registry);
        const auto* kind = registry.find(argv[2]);
        if (kind != nullptr && kind->keeper != nullptr) return kind->keeper(argc - 3, argv + 3);
        std::fprintf(stderr, "godwit keeper: no engine named %s keeps snapshots\n", argv[2]);
        return 2;
    }
    return godwit::cli::run(argc, argv);
}
