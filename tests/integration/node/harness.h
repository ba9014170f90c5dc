// NodeTest: a real cloister-launcher and a real, unprivileged cloister-node in a network namespace, a cgroup root and
// directories of their own, against a FakeServer; the base image is busybox and mkfs.erofs.
//
// Threads: one test at a time. Failures: gtest assertions; SetUp() says by name what this machine lacks.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/unique_fd.h"
#include "tests/integration/node/fake_server.h"

namespace cloister::test {

class NodeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void startLauncher();
  void startNode();
  void endProcess(pid_t& process, int signal);
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }

  // Work with the one tenant.
  [[nodiscard]] model::NodeWork work() const;
  [[nodiscard]] model::DesiredInstance instance(const std::string& id, const std::string& command,
                                                std::uint32_t host) const;
  [[nodiscard]] model::DesiredBuild build(const std::string& id, std::vector<std::string> commands,
                                          std::uint32_t host) const;
  [[nodiscard]] model::Session session(const std::string& id, model::SessionKind kind) const;
  // Runs `script` in an empty directory, packs `directory` of it and gives it to the server; its digest.
  [[nodiscard]] std::string sourceOf(const std::string& script, const std::string& directory) const;
  // Lines of an instance's log, of one stream.
  [[nodiscard]] std::vector<std::string> logLines(const std::string& id, const std::string& stream) const;
  // Names of the containers' groups that exist.
  [[nodiscard]] std::vector<std::string> containers() const;
  [[nodiscard]] std::string nodeLog() const;

  std::string directory_;
  std::string cgroupRoot_;
  std::string base_;    // digest
  std::string source_;  // digest
  pid_t launcher_ = -1;
  pid_t node_ = -1;
  int looks_ = 0;
  UniqueFd netns_;
  std::unique_ptr<FakeServer> server_;
};

}  // namespace cloister::test
