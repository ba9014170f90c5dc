// DiskWatch: says once that an instance's disk is full, and again only after there was room meanwhile.
//
// Threads: not shared. Failures: none; a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/model/node_protocol.h"
#include "sandbox/base/streams.h"

namespace cloister::node {

class DiskWatch {
 public:
  // What there is to say of the upper's free space now: "its disk of 64 MiB is full".
  [[nodiscard]] std::optional<std::string> look(const streams::Space& space, const model::InstanceLimits& limits);

 private:
  bool full_ = false;
};

}  // namespace cloister::node
