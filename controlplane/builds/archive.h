// Looks through an uploaded source archive (.tar, .tar.gz) before anything is kept of it or unpacked.
//
// It is a hostile input: names may not be absolute or have a ".." component, links may not lead out of the tree
// (source_links.h), only files, directories and links are taken, and count and unpacked size are bounded: the sum of
// bytes, whatever they pack to. Names are bytes, as on any Unix; those that are shown are made printable. Nothing is
// written to disk.
// Threads: reentrant. Failures: ArchiveError (API: 422, or 413 for "archive_too_large").
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace cloister::builds {

// Codes: "archive_bad_format", "archive_empty", "archive_unsafe_path", "archive_unsafe_link", "archive_bad_entry",
// "archive_too_many_entries", "archive_too_large".
class ArchiveError : public std::runtime_error {
 public:
  ArchiveError(std::string code, std::string entry, const std::string& detail)
      : std::runtime_error(entry.empty() ? detail : "\"" + entry + "\": " + detail),
        code_(std::move(code)),
        entry_(std::move(entry)),
        detail_(detail) {}
  [[nodiscard]] const std::string& code() const { return code_; }
  [[nodiscard]] const std::string& entry() const { return entry_; }  // printable
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  std::string code_;
  std::string entry_;
  std::string detail_;
};

struct ArchiveLimits {
  std::uint64_t entries = 200'000;
  std::uint64_t unpackedBytes = 2ULL << 30U;
};

struct ArchiveContents {
  std::optional<std::string> manifest;  // cloister.toml at the root
  std::optional<std::string> procfile;  // Procfile at the root
  std::uint64_t entries = 0;
  std::uint64_t unpackedBytes = 0;
  std::string treeDigest;  // tree_digest.h
};

[[nodiscard]] ArchiveContents inspectArchive(const std::string& path, const ArchiveLimits& limits = {});
// The same of bytes in memory.
[[nodiscard]] ArchiveContents inspectArchiveBytes(std::string_view bytes, const ArchiveLimits& limits = {});

}  // namespace cloister::builds
