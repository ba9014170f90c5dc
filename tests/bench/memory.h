// What processes keep in memory, as the kernel shares it out (PSS), and what the machine has left.
//
// Threads: reentrant. Failures: a process that has ended counts as nothing.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cloister::bench {

[[nodiscard]] double pssKib(pid_t pid);
[[nodiscard]] double availableKib();  // MemAvailable
[[nodiscard]] std::size_t descriptorsOf(pid_t pid);
[[nodiscard]] std::size_t threadsOf(pid_t pid);
// Processes below the control group `root`, by the name of the program.
[[nodiscard]] std::vector<pid_t> processesNamed(const std::string& root, const std::string& name);

}  // namespace cloister::bench
