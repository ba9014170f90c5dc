// A file of secret bytes that a process makes for itself at its first start, such as a key.
//
// Threads: reentrant; two processes at once are not expected. Failures: Error{stage "secret file", operation, path,
// errno}: EPERM when others than its owner may read it, EBADMSG when its size is not that of `fresh`.
#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::files {

// The file's bytes; made of `fresh`, mode 0600, durable on return, when it is not there.
[[nodiscard]] Result<std::string> secretFile(const std::string& path, std::string_view fresh);

}  // namespace cloister::files
