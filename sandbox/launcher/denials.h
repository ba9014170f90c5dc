// Denials: what AppArmor refused to tenants' processes, read from the kernel's log.
//
// The log is the kernel's own words about hostile programs: names and paths in it are theirs. A record counts only if
// it is AppArmor's, whole, and about a profile of a tenant's (policy::tenantOfProfile); anything else is somebody
// else's business. Threads: not shared. Failures: open() fails where the kernel does not let its log be read. The
// kernel itself limits how many records a second it writes, so a tenant who provokes denials loses their own.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::launcher {

// One record of /dev/kmsg, "priority,sequence,time,flags[,...];text\n[ KEY=value\n...]". Empty: no denial of a
// tenant's.
[[nodiscard]] std::optional<Denial> parseDenial(std::string_view record);

class Denials {
 public:
  // Precondition: CAP_SYSLOG, or a kernel that shows its log to all; it is not needed afterwards.
  [[nodiscard]] static Result<Denials> open();
  // Those with a sequence above `since`, oldest first, at most kMostDenials. What came in earlier than kKept denials
  // ago is gone.
  [[nodiscard]] DenialsReply after(std::uint64_t since);

 private:
  static constexpr std::size_t kKept = 256;
  explicit Denials(UniqueFd log) : log_(std::move(log)) {}
  void readLog();

  UniqueFd log_;
  std::deque<Denial> kept_;
};

}  // namespace cloister::launcher
