// Pressure: how long a group's processes waited for CPU, memory or I/O (PSI), as the kernel has summed it up.
//
// "some": at least one of them waited; "full": all that could have run did. Format: Documentation/accounting/psi.rst.
// Threads: pure functions and reads. Failures: a file that is missing or of another shape gives nothing; a kernel
// booted with psi=0 has none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::metering {

struct Stall {
  std::string resource;  // "cpu", "memory", "io"
  std::string kind;      // "some", "full"
  std::uint64_t micros = 0;
  friend bool operator==(const Stall&, const Stall&) = default;
};

// `text` of <resource>.pressure.
[[nodiscard]] std::vector<Stall> parsePressure(std::string_view resource, std::string_view text);
// Of a cgroup directory of the unified hierarchy.
[[nodiscard]] std::vector<Stall> readPressure(int directory);

}  // namespace cloister::metering
