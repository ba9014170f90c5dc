// What runs inside a build container, and how the node knows how far it came.
//
// The script unpacks the archive from its stdin into /app, runs each command in a shell of its own (so a broken one
// cannot swallow the next), and gives /app and the home directory to the app's user: in a build of steps only what is
// not the user's yet, for a file whose owner is set again is a file copied out of the layer below. Before each step it
// prints a mark, kMarkStart + nonce + ":" + step + newline; StepFilter takes the marks out of the output and puts "$
// command" in their place. A build that forges marks deceives only its own log. Threads and failures: pure values;
// buildScript() refuses a command with a NUL byte (empty optional).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "sandbox/base/streams.h"

namespace cloister::node {

[[nodiscard]] std::string shellQuoted(std::string_view text);
// What one container of a build does: commands that follow each other, and the files that come before them.
struct BuildPart {
  std::size_t first = 0;
  std::size_t count = 0;
  bool source = true;    // an archive comes in
  bool stepped = false;  // the build has more parts: what came before is in the layers below
};
[[nodiscard]] std::optional<std::string> buildScript(const std::vector<std::string>& commands, const std::string& nonce,
                                                     const BuildPart& part);
[[nodiscard]] std::vector<std::string> buildEnvironment(const model::DesiredBuild& build);
// "the build's memory of 128 MiB is used up", and by which files of its writable layer, where those are in memory.
[[nodiscard]] std::string memoryUsedUp(std::uint64_t limit, const std::optional<streams::Space>& upper);

class StepFilter {
 public:
  StepFilter(std::vector<std::string> commands, const std::string& nonce);
  // The output to show for these bytes; what may yet become a mark is kept back.
  [[nodiscard]] std::string feed(std::string_view bytes);
  // What was kept back, at the end.
  [[nodiscard]] std::string end();
  // The step that was begun last: 0 unpacking, 1 the first command, commands + 1 the hand-over; -1 none.
  [[nodiscard]] int step() const { return step_; }
  // "command 2 `npm ci` exited with 1"
  [[nodiscard]] std::string failureOf(const std::string& status) const;

 private:
  void begin(int step, std::string& shown);
  // Text with the line ends of a log: CR LF is one, and so is the CR with which a progress bar begins its line anew.
  void show(std::string_view text, std::string& shown);

  std::vector<std::string> commands_;
  std::string mark_;
  std::string held_;
  bool lineOpen_ = false;
  bool afterReturn_ = false;
  int step_ = -1;
};

}  // namespace cloister::node
