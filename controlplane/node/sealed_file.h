// Sealed files: what the node keeps of tenants' environments, encrypted with a key that is made at first use and lies
// beside them (state.key, mode 0600). A copy of the files alone, in a backup or on a disk that was thrown away, says
// nothing; whoever is root on the host reads them, as the memory of the processes.
//
// A file of an earlier version, which is JSON in the clear, is read all the same.
// Threads: reentrant. Failures: Error of the file operation, or EBADMSG for bytes that this key did not seal.
#pragma once

#include <cstddef>
#include <string>

#include "sandbox/base/result.h"

namespace cloister::node {

// `keyFile` is made when it is missing; the file is replaced at once or not at all, mode 0600.
[[nodiscard]] Status writeSealed(const std::string& path, const std::string& text, const std::string& keyFile);
[[nodiscard]] Result<std::string> readSealed(const std::string& path, std::size_t most, const std::string& keyFile);

}  // namespace cloister::node
