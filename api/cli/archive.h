// A source directory as a .tar.gz, the same bytes for the same tree.
//
// Entries are sorted, belong to root, keep their permission bits (set-id and sticky bits are dropped), their symbolic
// links (never followed) and their modification times in whole seconds. Ignored files (ignore.h) are left out; sockets,
// FIFOs and devices are skipped and counted.
//
// Threads: none shared. Failures: std::runtime_error naming the file; the caller drops the half-written archive.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace cloister::cli {

struct CloseFile {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

struct Archive {
  File file;  // unlinked temporary file, positioned at its start
  std::uint64_t size = 0;
  std::uint64_t entries = 0;
  std::uint64_t skipped = 0;    // sockets, FIFOs, devices
  bool modulesLeftOut = false;  // a node_modules was ignored
};

[[nodiscard]] Archive packDirectory(const std::filesystem::path& directory);

// A DNS label from a directory's name as it is typed: "My Shop_2" -> "my-shop-2". Empty when nothing of it can stay.
[[nodiscard]] std::string appNameFor(const std::filesystem::path& directory);

}  // namespace cloister::cli
