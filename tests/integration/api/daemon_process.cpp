#include "daemon_process.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/String.h>
#include <Poco/Thread.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "http_client.h"

namespace cloister::testing {
namespace {

constexpr unsigned kNobody = 65534;

std::uint16_t freePort() {
  const Poco::Net::ServerSocket socket(Poco::Net::SocketAddress("127.0.0.1", 0));
  return socket.address().port();
}

std::string contents(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return Poco::trim(out.str());
}

std::string makeDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cloister-api-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  if (geteuid() == 0 && chown(pattern.c_str(), kNobody, kNobody) != 0) throw std::runtime_error("chown " + pattern);
  return pattern;
}

}  // namespace

DaemonProcess::DaemonProcess(const std::string& toml)
    : directory_(makeDirectory()), port_(freePort()), metricsPort_(freePort()) {
  std::ofstream(directory_ + "/cloisterd.toml")
      << "state = \"" << directory_ << "/state\"\nrun = \"" << directory_ << "/run\"\n"
      << "listen = \"127.0.0.1:" << port_ << "\"\nmetrics_listen = \"127.0.0.1:" << metricsPort_ << "\"\n"
      << "settle_seconds = 0\n"
      << toml << "\n";
  std::ofstream(directory_ + "/base.erofs") << "a base image, as far as cloisterd looks at it";
  const auto boot = launch({"bootstrap", "--admin-token-file", directory_ + "/admin", "--node-token-file",
                            directory_ + "/node", "--base-image", directory_ + "/base.erofs"});
  if (boot.wait() != 0) throw std::runtime_error("bootstrap failed: " + log());
  try {
    start();
  } catch (...) {
    // No destructor runs for what was not constructed.
    if (alive()) kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
    throw;
  }
}

DaemonProcess::~DaemonProcess() {
  if (process_) kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Poco::ProcessHandle DaemonProcess::launch(const std::vector<std::string>& arguments) const {
  // A shell only to send the output to a file; exec keeps the process id. A test that crashes takes the daemon along.
  std::string command = "exec setpriv --pdeathsig KILL ";
  if (geteuid() == 0) command += "--reuid 65534 --regid 65534 --clear-groups ";
  command += CLOISTERD;
  command += " --config " + directory_ + "/cloisterd.toml";
  for (const auto& argument : arguments) command += " " + argument;
  command += " >>" + directory_ + "/log 2>&1";
  return Poco::Process::launch("/bin/sh", {"-c", command});
}

void DaemonProcess::start() {
  process_ = std::make_unique<Poco::ProcessHandle>(launch({}));
  for (int i = 0; i < 400; ++i) {
    try {
      if (HttpClient(port_, "").send("GET", "/readyz").status == 200) return;
    } catch (const Poco::Exception&) {
      Poco::Thread::sleep(25);
    }
    if (!alive()) break;
  }
  throw std::runtime_error("cloisterd does not serve: " + log());
}

bool DaemonProcess::alive() const {
  if (!process_) return false;
  // One that ended has its id until it is waited for, which is not done here.
  siginfo_t ended{};
  return ::waitid(P_PID, static_cast<id_t>(process_->id()), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0;
}

void DaemonProcess::kill() {
  ::kill(process_->id(), SIGKILL);
  (void)process_->wait();
  process_.reset();
}

void DaemonProcess::terminate() {
  ::kill(process_->id(), SIGTERM);
  (void)process_->wait();
  process_.reset();
}

std::string DaemonProcess::adminToken() const {
  return contents(directory_ + "/admin");
}
std::string DaemonProcess::nodeToken() const {
  return contents(directory_ + "/node");
}
std::string DaemonProcess::log() const {
  return contents(directory_ + "/log");
}

}  // namespace cloister::testing
