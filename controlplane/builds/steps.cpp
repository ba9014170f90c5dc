#include "controlplane/builds/steps.h"

#include <archive.h>
#include <archive_entry.h>
#include <fnmatch.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "controlplane/builds/manifest.h"
#include "controlplane/builds/package_command.h"
#include "controlplane/builds/tree_digest.h"

namespace cloister::builds {
namespace {

constexpr std::uint64_t kMostBytes = 256ULL << 20U;
constexpr time_t kMoment = 946'684'800;  // every file's time, so that the same files are the same archive

struct Pattern {
  std::string text;
  std::string field;
  bool found = false;
};

struct Group {
  std::uint32_t commands = 0;
  std::vector<Pattern> patterns;
};

std::vector<Group> groupsOf(const model::Manifest& manifest) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < manifest.buildCommands.size(); ++i) {
    const auto declared = manifest.buildFiles.find(i);
    if (declared == manifest.buildFiles.end() && !onlyInstallsPackages(manifest.buildCommands[i])) break;
    std::vector<Pattern> patterns;
    if (declared != manifest.buildFiles.end()) {
      for (const auto& text : declared->second) {
        patterns.push_back({text, "build.commands[" + std::to_string(i) + "].files"});
      }
    }
    if (groups.empty() || !patterns.empty()) {
      if (groups.size() == kMostSteps) {
        throw ManifestError("build.commands[" + std::to_string(i) + "].files",
                            "at most " + std::to_string(kMostSteps) + " commands may add files");
      }
      groups.push_back({0, std::move(patterns)});
    }
    ++groups.back().commands;
  }
  return groups;
}

// "a/b/c" is matched by a pattern for itself or for a directory that it lies in.
bool matches(const Pattern& pattern, const std::string& path) {
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    if (::fnmatch(pattern.text.c_str(), path.substr(0, end).c_str(), FNM_PATHNAME) == 0) return true;
    if (end == std::string::npos) return false;
  }
}

std::string normal(const char* path) {
  std::string out;
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

struct FreeReader {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};

// Whether a read gave something. The archive was judged when it came, so a fault now is the disk's.
bool more(archive* reader, int code) {
  if (code == ARCHIVE_EOF) return false;
  if (code >= ARCHIVE_WARN) return true;
  const char* text = archive_error_string(reader);
  throw std::runtime_error(std::string("files of build commands: ") + (text == nullptr ? "not read" : text));
}

// One step's files on their way into a blob.
class Part {
 public:
  explicit Part(BlobStore& blobs) : blob_(blobs, kMostBytes), writer_(archive_write_new()) {
    if (!writer_) throw std::bad_alloc();
    archive_write_set_format_pax_restricted(writer_.get());
    archive_write_add_filter_gzip(writer_.get());
    archive_write_set_filter_option(writer_.get(), "gzip", "compression-level", "1");
    archive_write_set_filter_option(writer_.get(), "gzip", "timestamp", nullptr);
    const auto write = [](archive*, void* self, const void* bytes, std::size_t size) -> la_ssize_t {
      auto& part = *static_cast<Part*>(self);
      try {
        part.blob_.append({static_cast<const char*>(bytes), size});
      } catch (...) {  // there are frames of C between us and who can take it
        part.failure_ = std::current_exception();
        return -1;
      }
      return static_cast<la_ssize_t>(size);
    };
    check(archive_write_open(writer_.get(), this, nullptr, write, nullptr));
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  void begin(archive_entry* entry, const std::string& path) {
    TreeEntry described{.path = path, .mode = archive_entry_perm(entry)};
    if (archive_entry_size(entry) > 0) described.size = static_cast<std::uint64_t>(archive_entry_size(entry));
    if (archive_entry_filetype(entry) == AE_IFDIR) described.kind = TreeEntry::Kind::directory;
    if (archive_entry_filetype(entry) == AE_IFLNK) {
      described.kind = TreeEntry::Kind::symlink;
      described.target = archive_entry_symlink(entry);
    }
    tree_.begin(described);
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_uname(entry, nullptr);
    archive_entry_set_gname(entry, nullptr);
    archive_entry_set_mtime(entry, kMoment, 0);
    archive_entry_unset_atime(entry);
    archive_entry_unset_ctime(entry);
    archive_entry_xattr_clear(entry);
    archive_entry_sparse_clear(entry);
    check(archive_write_header(writer_.get(), entry));
    any_ = true;
  }
  void data(std::uint64_t offset, std::string_view bytes) {
    tree_.data(offset, bytes);
    if (archive_write_data(writer_.get(), bytes.data(), bytes.size()) < 0) check(ARCHIVE_FATAL);
  }
  void finish(model::BuildStep& step, std::vector<Blob>& parts) {
    step.treeDigest = tree_.finish();
    if (!any_) return;
    check(archive_write_close(writer_.get()));
    parts.push_back(blob_.commit());
    step.sourceDigest = parts.back().digest;
  }

 private:
  void check(int code) const {
    if (failure_) std::rethrow_exception(failure_);
    if (code >= ARCHIVE_WARN) return;
    const char* text = archive_error_string(writer_.get());
    throw std::runtime_error(std::string("files of a build command: ") + (text == nullptr ? "not written" : text));
  }

  BlobStore::Writer blob_;
  TreeDigest tree_;
  std::exception_ptr failure_;
  std::unique_ptr<archive, FreeWriter> writer_;  // before what it writes into
  bool any_ = false;
};

class Planning {
 public:
  Planning(std::vector<Group> groups, BlobStore& blobs) : groups_(std::move(groups)) {
    for (std::size_t i = 0; i < groups_.size(); ++i) parts_.push_back(std::make_unique<Part>(blobs));
  }

  void run(archive* reader) {
    archive_entry* entry = nullptr;
    while (more(reader, archive_read_next_header(reader, &entry))) {
      const auto path = normal(archive_entry_pathname(entry));
      const auto group = groupOf(path);
      if (!group) continue;
      if (archive_entry_hardlink(entry) != nullptr) {
        throw ManifestError(field_, "\"" + path + "\" is a hard link; name a file that is none");
      }
      auto& part = *parts_[*group];
      part.begin(entry, path);
      copy(reader, part);
    }
  }

  std::vector<model::BuildStep> finish(std::vector<Blob>& parts) {
    std::vector<model::BuildStep> steps;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      for (const auto& pattern : groups_[i].patterns) {
        if (pattern.found || pattern.text.find_first_of("*?[") != std::string::npos) continue;
        throw ManifestError(pattern.field, "\"" + pattern.text + "\" is not in the source");
      }
      auto& step = steps.emplace_back();
      step.commands = groups_[i].commands;
      parts_[i]->finish(step, parts);
    }
    return steps;
  }

 private:
  // The first step that wants it; later ones find it there.
  std::optional<std::size_t> groupOf(const std::string& path) {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      for (auto& pattern : groups_[i].patterns) {
        if (path.empty() || !matches(pattern, path)) continue;
        pattern.found = true;
        field_ = pattern.field;
        if (!first) first = i;
      }
    }
    return first;
  }

  void copy(archive* reader, Part& part) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    std::uint64_t at = 0;
    while (more(reader, archive_read_data_block(reader, &block, &size, &offset))) {
      const auto from = static_cast<std::uint64_t>(offset);
      bytes_ += from + size - at;
      if (bytes_ > kMostBytes) throw ManifestError(field_, "are larger than 256 MiB together");
      for (static const std::string zeros(64UL * 1024, '\0'); at < from;) {
        const auto hole = std::min<std::uint64_t>(from - at, zeros.size());
        part.data(at, std::string_view(zeros).substr(0, hole));
        at += hole;
      }
      part.data(at, {static_cast<const char*>(block), size});
      at += size;
    }
  }

  std::vector<Group> groups_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::string field_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::vector<model::BuildStep> planSteps(const model::Manifest& manifest, const std::string& archive, BlobStore& blobs,
                                        std::vector<Blob>& parts) {
  auto groups = groupsOf(manifest);
  if (groups.empty()) return {};
  Planning planning(std::move(groups), blobs);
  const std::unique_ptr<struct archive, FreeReader> reader(archive_read_new());
  if (!reader) throw std::bad_alloc();
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_gzip(reader.get());
  if (archive_read_open_filename(reader.get(), archive.c_str(), 64UL * 1024) != ARCHIVE_OK) {
    throw std::runtime_error("files of build commands: the source cannot be read again");
  }
  planning.run(reader.get());
  return planning.finish(parts);
}

}  // namespace cloister::builds
