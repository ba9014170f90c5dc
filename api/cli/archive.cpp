#include "api/cli/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "api/cli/ignore.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

std::int64_t modifiedSeconds(const fs::path& path) {
  const auto time = std::chrono::file_clock::to_sys(fs::last_write_time(path));
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

class Packer {
 public:
  explicit Packer(std::FILE* file) : writer_(archive_write_new()) {
    if (!writer_) throw std::bad_alloc();
    check(archive_write_add_filter_gzip(writer_.get()), "archive");
    // Without the time of packing in its header the archive of an unchanged tree keeps its digest.
    check(archive_write_set_filter_option(writer_.get(), "gzip", "timestamp", nullptr), "archive");
    check(archive_write_set_format_gnutar(writer_.get()), "archive");
    check(archive_write_open_FILE(writer_.get(), file), "archive");
  }

  void addDirectory(const fs::path& directory, const std::string& relative) {
    const std::size_t outer = rules_.size();
    rules_.enter(directory, relative);
    std::vector<fs::path> children;
    for (const fs::directory_entry& child : fs::directory_iterator(directory)) children.push_back(child.path());
    std::sort(children.begin(), children.end());
    for (const fs::path& child : children) {
      const std::string name = child.filename().string();
      add(child, relative.empty() ? name : relative + "/" + name);
    }
    rules_.leave(outer);
  }

  void finish() { check(archive_write_close(writer_.get()), "archive"); }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] std::uint64_t skipped() const { return skipped_; }
  [[nodiscard]] bool modulesLeftOut() const { return modulesLeftOut_; }

 private:
  void add(const fs::path& path, const std::string& relative) {
    const fs::file_status status = fs::symlink_status(path);
    const bool directory = fs::is_directory(status);
    if (rules_.ignored(relative, directory ? EntryKind::directory : EntryKind::file)) {
      if (directory && path.filename() == "node_modules") modulesLeftOut_ = true;
      return;
    }
    if (!directory && !fs::is_regular_file(status) && !fs::is_symlink(status)) {
      ++skipped_;
      return;
    }
    const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
    if (!entry) throw std::bad_alloc();
    archive_entry_set_pathname(entry.get(), relative.c_str());
    archive_entry_set_uid(entry.get(), 0);
    archive_entry_set_gid(entry.get(), 0);
    archive_entry_set_perm(entry.get(), static_cast<mode_t>(status.permissions() & fs::perms::all));
    if (fs::is_symlink(status)) {
      archive_entry_set_filetype(entry.get(), AE_IFLNK);
      archive_entry_set_symlink(entry.get(), fs::read_symlink(path).c_str());
      writeHeader(entry.get(), path);
    } else if (directory) {
      archive_entry_set_filetype(entry.get(), AE_IFDIR);
      archive_entry_set_mtime(entry.get(), modifiedSeconds(path), 0);
      writeHeader(entry.get(), path);
      addDirectory(path, relative);
    } else {
      archive_entry_set_filetype(entry.get(), AE_IFREG);
      archive_entry_set_mtime(entry.get(), modifiedSeconds(path), 0);
      addFile(entry.get(), path);
    }
  }

  void addFile(archive_entry* entry, const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
      throw std::runtime_error(
          fmt::format("cannot read {}: {}", path.string(), std::generic_category().message(errno)));
    const std::uintmax_t size = fs::file_size(path);
    archive_entry_set_size(entry, static_cast<la_int64_t>(size));
    writeHeader(entry, path);
    std::uintmax_t copied = 0;
    std::array<char, 65536> buffer{};
    while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
      const auto count = static_cast<std::size_t>(in.gcount());
      copied += count;
      if (copied > size || archive_write_data(writer_.get(), buffer.data(), count) < 0) break;
    }
    if (copied != size) throw std::runtime_error(path.string() + " changed while it was read");
  }

  void writeHeader(archive_entry* entry, const fs::path& path) {
    check(archive_write_header(writer_.get(), entry), path.string());
    ++entries_;
  }

  void check(int result, const std::string& subject) const {
    if (result == ARCHIVE_OK) return;
    const char* reason = archive_error_string(writer_.get());
    throw std::runtime_error(fmt::format("cannot pack {}: {}", subject, reason == nullptr ? "unknown" : reason));
  }

  std::unique_ptr<archive, FreeWriter> writer_;
  IgnoreRules rules_;
  std::uint64_t entries_ = 0;
  std::uint64_t skipped_ = 0;
  bool modulesLeftOut_ = false;
};

}  // namespace

Archive packDirectory(const fs::path& directory) {
  if (!fs::is_directory(directory)) throw std::runtime_error(directory.string() + " is not a directory");
  Archive result;
  result.file.reset(std::tmpfile());
  if (!result.file) {
    throw std::runtime_error("cannot create a temporary file: " + std::generic_category().message(errno));
  }
  Packer packer(result.file.get());
  packer.addDirectory(directory, {});
  packer.finish();
  if (std::fseek(result.file.get(), 0, SEEK_END) != 0) throw std::runtime_error("cannot measure the archive");
  result.size = static_cast<std::uint64_t>(std::ftell(result.file.get()));
  std::rewind(result.file.get());
  result.entries = packer.entries();
  result.skipped = packer.skipped();
  result.modulesLeftOut = packer.modulesLeftOut();
  return result;
}

std::string appNameFor(const fs::path& directory) {
  // As it is typed: of a link it is the link's name that counts.
  fs::path full = fs::absolute(directory).lexically_normal();
  if (full.filename().empty()) full = full.parent_path();
  std::string label;
  for (const char c : full.filename().string()) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (letter || digit) {
      label += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    } else if (!label.empty() && label.back() != '-') {
      label += '-';
    }
  }
  constexpr std::size_t kLongestLabel = 63;
  label.resize(std::min(label.size(), kLongestLabel));
  while (!label.empty() && label.back() == '-') label.pop_back();
  return label;
}

}  // namespace cloister::cli
