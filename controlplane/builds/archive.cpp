#include "controlplane/builds/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "controlplane/builds/manifest.h"

namespace cloister::builds {
namespace {

constexpr std::size_t kMaxPath = 4096;
constexpr std::uint64_t kRatioFrom = 16ULL << 20U;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

// A name that may hold anything, fit for an error message.
std::string printable(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 200)) text += (c >= ' ' && c < '\x7f') ? c : '?';
  if (name.size() > 200) text += "...";
  return text;
}

// Path components without "." and empty ones. `depth` counts from the root of the tree.
std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto part = path.substr(0, end);
    if (!part.empty() && part != ".") parts.push_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

std::vector<std::string_view> safeComponents(const char* path) {
  const std::string_view name = path == nullptr ? std::string_view() : std::string_view(path);
  if (name.empty()) throw ArchiveError("archive_bad_entry", "", "an entry has no name");
  if (name.size() > kMaxPath) throw ArchiveError("archive_bad_entry", printable(name), "the name is too long");
  if (name.front() == '/') throw ArchiveError("archive_unsafe_path", printable(name), "is an absolute path");
  auto parts = components(name);
  for (const auto part : parts) {
    if (part == "..") throw ArchiveError("archive_unsafe_path", printable(name), "leads out of the tree (\"..\")");
    if (part.size() > 255) throw ArchiveError("archive_bad_entry", printable(name), "a part of the name is too long");
  }
  return parts;
}

// A target may climb first and then descend; ".." behind a name could climb from wherever that name leads. With no
// entry behind a link (checkParents), this keeps every chain of links inside the tree.
void checkSymlink(const std::string& name, std::size_t depth, const char* target) {
  const std::string_view text = target == nullptr ? std::string_view() : std::string_view(target);
  if (text.empty() || text.size() > kMaxPath) throw ArchiveError("archive_unsafe_link", name, "the link has no target");
  if (text.front() == '/')
    throw ArchiveError("archive_unsafe_link", name, "links to the absolute path " + printable(text));
  bool descended = false;
  for (const auto part : components(text)) {
    if (part != "..") {
      descended = true;
    } else if (depth == 0 || descended) {
      throw ArchiveError("archive_unsafe_link", name, "links out of the tree: " + printable(text));
    } else {
      --depth;
    }
  }
}

void checkEntry(archive_entry* entry, const std::vector<std::string_view>& parts, const std::string& name) {
  if (const char* target = archive_entry_hardlink(entry)) {
    try {
      (void)safeComponents(target);
    } catch (const ArchiveError&) {
      throw ArchiveError("archive_unsafe_link", name, "hard-links out of the tree: " + printable(target));
    }
    return;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
    case AE_IFDIR:
      break;
    case AE_IFLNK:
      checkSymlink(name, parts.empty() ? 0 : parts.size() - 1, archive_entry_symlink(entry));
      break;
    case AE_IFBLK:
    case AE_IFCHR:
      throw ArchiveError("archive_bad_entry", name, "is a device");
    case AE_IFIFO:
      throw ArchiveError("archive_bad_entry", name, "is a FIFO");
    default:
      throw ArchiveError("archive_bad_entry", name, "is no file, directory or link");
  }
}

[[noreturn]] void badFormat(archive* reader) {
  const char* text = archive_error_string(reader);
  throw ArchiveError("archive_bad_format", "",
                     std::string("is not a whole .tar or .tar.gz: ") + (text == nullptr ? "unreadable" : text));
}

class Inspection {
 public:
  Inspection(archive* reader, const ArchiveLimits& limits) : reader_(reader), limits_(limits) {}

  ArchiveContents run() {
    archive_entry* entry = nullptr;
    for (;;) {
      const int code = archive_read_next_header(reader_, &entry);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) badFormat(reader_);
      if (++contents_.entries > limits_.entries) {
        throw ArchiveError("archive_too_many_entries", "",
                           "has more than " + std::to_string(limits_.entries) + " entries");
      }
      look(entry);
    }
    if (contents_.entries == 0) throw ArchiveError("archive_empty", "", "has no entries");
    return std::move(contents_);
  }

 private:
  void look(archive_entry* entry) {
    const char* path = archive_entry_pathname(entry);
    const auto parts = safeComponents(path);
    const auto name = printable(path);
    checkEntry(entry, parts, name);
    checkParents(parts, name);
    if (const char* target = archive_entry_hardlink(entry)) checkParents(safeComponents(target), name);
    if (archive_entry_filetype(entry) == AE_IFLNK) links_.insert(joined(parts, parts.size()));
    // What an entry itself takes: its header and its name.
    const auto overhead = 512 + std::string_view(path).size();
    checkSize(overhead);
    contents_.unpackedBytes += overhead;
    // A hole-filled file would be large on disk only: what the header says counts, too.
    if (archive_entry_size(entry) > 0) checkSize(static_cast<std::uint64_t>(archive_entry_size(entry)));
    const bool atRoot = parts.size() == 1;
    const bool plain = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr;
    if (atRoot && parts[0] == "cloister.toml") {
      contents_.manifest = text(plain, name);
    } else if (atRoot && parts[0] == "Procfile") {
      contents_.procfile = text(plain, name);
    } else {
      consume(nullptr);
    }
  }

  static std::string joined(const std::vector<std::string_view>& parts, std::size_t count) {
    std::string path;
    for (std::size_t i = 0; i < count; ++i) path.append(parts[i]).append("/");
    return path;
  }

  void checkParents(const std::vector<std::string_view>& parts, const std::string& name) const {
    if (links_.empty()) return;
    for (std::size_t count = 1; count < parts.size(); ++count) {
      if (links_.contains(joined(parts, count)))
        throw ArchiveError("archive_unsafe_path", name, "lies behind a symbolic link");
    }
  }

  std::string text(bool plain, const std::string& name) {
    if (!plain) throw ArchiveError("archive_bad_entry", name, "must be a plain file");
    std::string bytes;
    consume(&bytes);
    if (bytes.size() > kMaxManifestBytes) throw ArchiveError("archive_bad_entry", name, "is larger than 64 KiB");
    return bytes;
  }

  // Reads an entry's data through: only that proves the archive whole, and counts what is really in it.
  void consume(std::string* keep) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    for (;;) {
      const int code = archive_read_data_block(reader_, &block, &size, &offset);
      if (code == ARCHIVE_EOF) return;
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) badFormat(reader_);
      checkSize(size);
      contents_.unpackedBytes += size;
      if (keep != nullptr && keep->size() <= kMaxManifestBytes) keep->append(static_cast<const char*>(block), size);
    }
  }

  void checkSize(std::uint64_t more) const {
    const auto total = contents_.unpackedBytes + more;
    if (more > limits_.unpackedBytes || total > limits_.unpackedBytes) {
      throw ArchiveError("archive_too_large", "",
                         "unpacks to more than " + std::to_string(limits_.unpackedBytes >> 20U) + " MiB");
    }
    const auto packed = static_cast<std::uint64_t>(std::max<la_int64_t>(archive_filter_bytes(reader_, -1), 1));
    if (total > kRatioFrom && total / packed > limits_.ratio) {
      throw ArchiveError("archive_too_large", "",
                         "unpacks to more than " + std::to_string(limits_.ratio) + " times its size");
    }
  }

  archive* reader_;
  ArchiveLimits limits_;
  ArchiveContents contents_;
  std::unordered_set<std::string> links_;
};

}  // namespace

ArchiveContents inspectArchive(const std::string& path, const ArchiveLimits& limits) {
  const Reader reader(archive_read_new());
  if (!reader) throw std::bad_alloc();
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_gzip(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), 64UL * 1024) != ARCHIVE_OK) badFormat(reader.get());
  return Inspection(reader.get(), limits).run();
}

}  // namespace cloister::builds
