// DaemonProcess: a cloisterd of one test, with its state in a temporary directory and ports that were free a moment
// ago.
//
// Threads: one. Failures: std::runtime_error; the destructor ends the process and removes the directory.
#pragma once

#include <Poco/Process.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cloister::testing {

class DaemonProcess {
 public:
  // `toml` is added to the configuration.
  explicit DaemonProcess(const std::string& toml = {});
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  void kill();       // SIGKILL
  void terminate();  // SIGTERM; waits for the end
  void start();      // again, with the same state; waits until it is ready
  [[nodiscard]] bool alive() const;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::uint16_t metricsPort() const { return metricsPort_; }
  [[nodiscard]] std::string nodeSocket() const { return directory_ + "/run/cloisterd/node-api.sock"; }
  [[nodiscard]] std::string adminToken() const;
  [[nodiscard]] std::string nodeToken() const;
  [[nodiscard]] std::string log() const;
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  [[nodiscard]] Poco::ProcessHandle launch(const std::vector<std::string>& arguments) const;
  std::string directory_;
  std::uint16_t port_ = 0;
  std::uint16_t metricsPort_ = 0;
  std::unique_ptr<Poco::ProcessHandle> process_;
};

}  // namespace cloister::testing
