#include "controlplane/builds/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "controlplane/builds/manifest.h"
#include "controlplane/builds/source_links.h"
#include "controlplane/builds/tree_digest.h"
#include "sandbox/base/quantity.h"
#include "sandbox/base/utf8.h"

namespace cloister::builds {
namespace {

constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMostShown = 200;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

// A name that may hold anything, fit for an error message.
std::string printable(std::string_view name) {
  return utf8::shortened(utf8::printable(utf8::cut(name, kMostShown)), kMostShown);
}

std::vector<std::string_view> safeComponents(const char* path) {
  const std::string_view name = path == nullptr ? std::string_view() : std::string_view(path);
  if (name.empty()) throw ArchiveError("archive_bad_entry", "", "an entry has no name");
  if (name.size() > kMaxPath) throw ArchiveError("archive_bad_entry", printable(name), "the name is too long");
  if (name.front() == '/') throw ArchiveError("archive_unsafe_path", printable(name), "is an absolute path");
  auto parts = pathParts(name);
  for (const auto part : parts) {
    if (part == "..") throw ArchiveError("archive_unsafe_path", printable(name), "leads out of the tree (\"..\")");
    if (part.size() > 255) throw ArchiveError("archive_bad_entry", printable(name), "a part of the name is too long");
  }
  return parts;
}

// Where it leads is judged when all entries are known (SourceLinks).
void checkSymlink(const std::string& name, const char* target) {
  const std::string_view text = target == nullptr ? std::string_view() : std::string_view(target);
  if (text.empty() || text.size() > kMaxPath) throw ArchiveError("archive_unsafe_link", name, "the link has no target");
  if (text.front() == '/')
    throw ArchiveError("archive_unsafe_link", name, "links to the absolute path " + printable(text));
}

void checkEntry(archive_entry* entry, const std::string& name) {
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
      checkSymlink(name, archive_entry_symlink(entry));
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
    if (const auto link = links_.leavingTree()) {
      throw ArchiveError("archive_unsafe_link", printable(link->name),
                         "links out of the tree: " + printable(link->target));
    }
    contents_.treeDigest = tree_.finish();
    return std::move(contents_);
  }

 private:
  void look(archive_entry* entry) {
    const char* path = archive_entry_pathname(entry);
    const auto parts = safeComponents(path);
    const auto name = printable(path);
    checkEntry(entry, name);
    checkParents(parts, name);
    if (const char* target = archive_entry_hardlink(entry)) {
      const auto linked = safeComponents(target);
      checkParents(linked, name);
      // A second name of a symbolic link is one too, and leads elsewhere from its own place.
      if (const auto leads = links_.targetOf(linked)) links_.add(parts, *leads);
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      links_.add(parts, archive_entry_symlink(entry));
    }
    // What an entry itself takes: its header and its name.
    const auto overhead = 512 + std::string_view(path).size();
    checkSize(overhead);
    contents_.unpackedBytes += overhead;
    // A hole-filled file would be large on disk only: what the header says counts, too.
    if (archive_entry_size(entry) > 0) checkSize(static_cast<std::uint64_t>(archive_entry_size(entry)));
    tree_.begin(describe(entry, parts));
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

  static TreeEntry describe(archive_entry* entry, const std::vector<std::string_view>& parts) {
    TreeEntry out{.path = joined(parts, parts.size()), .mode = archive_entry_perm(entry)};
    if (archive_entry_size(entry) > 0) out.size = static_cast<std::uint64_t>(archive_entry_size(entry));
    if (const char* target = archive_entry_hardlink(entry)) {
      const auto to = safeComponents(target);
      out.kind = TreeEntry::Kind::hardLink;
      out.target = joined(to, to.size());
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      out.kind = TreeEntry::Kind::symlink;
      out.target = archive_entry_symlink(entry);
    } else if (archive_entry_filetype(entry) == AE_IFDIR) {
      out.kind = TreeEntry::Kind::directory;
    }
    return out;
  }

  static std::string joined(const std::vector<std::string_view>& parts, std::size_t count) {
    std::string path;
    for (std::size_t i = 0; i < count; ++i) path.append(parts[i]).append("/");
    return path;
  }

  void checkParents(const std::vector<std::string_view>& parts, const std::string& name) const {
    if (links_.behind(parts)) throw ArchiveError("archive_unsafe_path", name, "lies behind a symbolic link");
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
      tree_.data(static_cast<std::uint64_t>(offset), {static_cast<const char*>(block), size});
      if (keep != nullptr && keep->size() <= kMaxManifestBytes) keep->append(static_cast<const char*>(block), size);
    }
  }

  void checkSize(std::uint64_t more) const {
    const auto total = contents_.unpackedBytes + more;
    if (more > limits_.unpackedBytes || total > limits_.unpackedBytes) {
      throw ArchiveError("archive_too_large", "",
                         "unpacks to more than " + humanBytes(static_cast<double>(limits_.unpackedBytes)));
    }
  }

  archive* reader_;
  ArchiveLimits limits_;
  ArchiveContents contents_;
  SourceLinks links_;
  TreeDigest tree_;
};

Reader makeReader() {
  Reader reader(archive_read_new());
  if (!reader) throw std::bad_alloc();
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_gzip(reader.get());
  return reader;
}

ArchiveContents inspect(const Reader& reader, const ArchiveLimits& limits) {
  try {
    return Inspection(reader.get(), limits).run();
  } catch (const SourceLinks::TooMany& error) {
    throw ArchiveError("archive_too_many_entries", "", error.what());
  }
}

}  // namespace

ArchiveContents inspectArchive(const std::string& path, const ArchiveLimits& limits) {
  const auto reader = makeReader();
  if (archive_read_open_filename(reader.get(), path.c_str(), 64UL * 1024) != ARCHIVE_OK) badFormat(reader.get());
  return inspect(reader, limits);
}

ArchiveContents inspectArchiveBytes(std::string_view bytes, const ArchiveLimits& limits) {
  const auto reader = makeReader();
  if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) badFormat(reader.get());
  return inspect(reader, limits);
}

}  // namespace cloister::builds
