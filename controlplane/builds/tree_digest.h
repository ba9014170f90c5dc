// TreeDigest: one digest for the tree that a source archive unpacks to, whatever packed it.
//
//   TreeDigest tree;
//   tree.begin({.path = "bin/run", .kind = TreeEntry::Kind::file, .mode = 0755});
//   tree.data(0, bytes);
//   const std::string digest = tree.finish();
//
// What counts: each entry's path, kind, permission bits, content or link target. What does not: the order of entries,
// times, owners, compression, padding. An archive that has a path twice is digested in its own order: there it matters
// which came last.
// Threads: a value of one thread. Failures: none.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace cloister::builds {

struct TreeEntry {
  enum class Kind { file, directory, symlink, hardLink };
  std::string path;  // without "." and empty parts
  Kind kind = Kind::file;
  std::uint32_t mode = 0;
  std::string target{};    // of a link
  std::uint64_t size = 0;  // of a file, holes included
};

class TreeDigest {
 public:
  TreeDigest();
  ~TreeDigest();
  TreeDigest(const TreeDigest&) = delete;
  TreeDigest& operator=(const TreeDigest&) = delete;

  void begin(const TreeEntry& entry);
  // Content of the entry that was begun last. A hole is what no call covers.
  void data(std::uint64_t offset, std::string_view bytes);
  // Lower-case hexadecimal.
  [[nodiscard]] std::string finish();

 private:
  struct Hash;
  void end();

  std::unique_ptr<Hash> content_;
  std::string path_;
  std::string head_;
  std::string extents_;  // where a hole ends
  std::uint64_t next_ = 0;
  bool open_ = false;
  bool repeated_ = false;
  std::map<std::string, std::string> entries_;  // digests of path and of the rest: their size is bounded, paths' is not
  std::unique_ptr<Hash> inOrder_;
};

}  // namespace cloister::builds
