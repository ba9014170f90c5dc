// A cgroup made of ordinary files, from one literal, and scratch directories: what the metering tests stand on.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "metering/base/signing.h"
#include "metering/readings/cgroup_reader.h"
#include "sandbox/base/files.h"

namespace cloister::metering {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-metering-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// What a host of the tests seals its readings with.
inline SigningKey hostKey() {
  return SigningKey::fromSeed(std::string(32, 'h')).value();
}

// Writes in place: a descriptor that is kept open sees the new text, as the kernel's files do.
inline void writeFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  ASSERT_TRUE(file.good()) << path;
}

class FakeGroup {
 public:
  explicit FakeGroup(std::string path) : path_(std::move(path)) { std::filesystem::create_directories(path_); }
  FakeGroup& put(const std::string& name, const std::string& text) {
    writeFile(path_ + "/" + name, text);
    return *this;
  }
  void drop(const std::string& name) { std::filesystem::remove(path_ + "/" + name); }
  // CPU microseconds and memory bytes as a v2 group shows them.
  FakeGroup& unified(std::uint64_t cpuMicros, std::uint64_t memory) {
    put("cpu.stat", "usage_usec " + std::to_string(cpuMicros) + "\nuser_usec 1\nsystem_usec 1\n");
    return put("memory.current", std::to_string(memory) + "\n");
  }
  [[nodiscard]] GroupDescriptors descriptors(launcher::DescriptorKind kind = launcher::DescriptorKind::unified) const {
    GroupDescriptors list;
    auto directory = files::openDirectory(path_);
    EXPECT_TRUE(directory.ok());
    list.emplace_back(kind, std::move(directory).value());
    return list;
  }

 private:
  std::string path_;
};

}  // namespace cloister::metering
