// Programs that a benchmark runs and times.
//
// Threads: reentrant. Failures: Ended::code 127 when the program cannot be started; 128 + N when signal N ended it.
#pragma once

#include <string>
#include <vector>

namespace cloister::bench {

struct Ended {
  int code = 127;
  double cpuMillis = 0;  // its own and its children's, as far as they were waited for
};
// Output goes to /dev/null.
[[nodiscard]] Ended runCommand(const std::vector<std::string>& command);
// The first line that the command writes to stderr, for saying why it does not work here.
[[nodiscard]] std::string complaintOf(const std::vector<std::string>& command);
// As a shell command. Throws std::runtime_error when it fails.
void shell(const std::string& command);
// The program's path, or empty.
[[nodiscard]] std::string findProgram(const std::string& name);
// `words` as execve(2) wants them; they must outlive the result.
[[nodiscard]] std::vector<char*> pointers(std::vector<std::string>& words);

}  // namespace cloister::bench
