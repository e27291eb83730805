#pragma once
// Body of a task process (core/task.h says what is agreed with the control plane).

namespace godwit::app {

// argv after "task-process": --folder DIR. 0 stopped, 1 failed, 2 wrong use.
int run_task_process(int argc, char** argv);

}  // namespace godwit::app
