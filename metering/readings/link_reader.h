// LinkReader: received and sent bytes of the host ends of the instances' links, all in one netlink dump.
//
// Directions are turned round: what the host end sends, the tenant receives. veth counts whole offloaded packets
// without the headers of each segment, up to about 4 % under the wire. Threads: one thread uses a reader at a time.
// Failures: Error from the dump; a link that is not there has no entry.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "sandbox/base/result.h"

namespace cloister::metering {

struct LinkBytes {
  std::uint64_t index = 0;  // the link's identity
  std::uint64_t in = 0;
  std::uint64_t out = 0;
};

class LinkReader {
 public:
  // Reads all links now.
  [[nodiscard]] Status refresh();
  // Reads one: a last reading must not cost a dump. A link that is gone loses its entry.
  [[nodiscard]] Status refresh(const std::string& name);
  [[nodiscard]] std::optional<LinkBytes> find(const std::string& name) const;

 private:
  std::unordered_map<std::string, LinkBytes> links_;
};

}  // namespace cloister::metering
