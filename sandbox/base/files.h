// Small files by directory descriptor: kernel interface files, atomically replaced state files, resolved paths.
//
// Threads: all functions are reentrant. Failures: Error{stage "files", operation, path, errno}.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::files {

// Where openat2(2) may lead. `beneath` refuses to leave the directory, `inRoot` treats it as "/". Both refuse magic
// links; `noSymlinks` refuses every symbolic link on the way, also a last one.
enum class Resolve { anywhere, beneath, inRoot, noSymlinks };

// openat2(2), O_CLOEXEC always added; `mode` counts only with O_CREAT. Falls back to openat(2) only for `anywhere`.
[[nodiscard]] Result<UniqueFd> openAt(int dir, std::string_view path, int flags, Resolve resolve = Resolve::anywhere,
                                      mode_t mode = 0);
[[nodiscard]] Result<UniqueFd> openDirectory(std::string_view path);

// The whole file, at most `limit` bytes (EFBIG beyond).
[[nodiscard]] Result<std::string> read(int dir, std::string_view path, std::size_t limit = 1U << 20U);
[[nodiscard]] Result<std::string> read(std::string_view path, std::size_t limit = 1U << 20U);

// What a directory holds, without "." and "..", in the kernel's order.
[[nodiscard]] Result<std::vector<std::string>> names(std::string_view directory);

// One write(2) to an existing kernel interface file. No creation, no truncation.
[[nodiscard]] Status writeControl(int dir, std::string_view path, std::string_view text);
[[nodiscard]] Status writeControl(std::string_view path, std::string_view text);

// Write a temporary beside `path`, fsync it, rename it over, fsync the directory.
[[nodiscard]] Status replace(std::string_view path, std::string_view text, mode_t mode = 0644);

// mkdir -p with `mode` for what is missing. An existing directory stays as it is.
[[nodiscard]] Status makeDirectories(std::string_view path, mode_t mode = 0755);

// All of `data`, over short writes and EINTR.
[[nodiscard]] Status writeAll(int fd, std::string_view data);

}  // namespace cloister::files
