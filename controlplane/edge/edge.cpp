#include "controlplane/edge/edge.h"

#include <Poco/Net/NetException.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Timespan.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "sandbox/base/files.h"
#include "sandbox/base/identity.h"

namespace cloister::edge {
namespace {

// HAProxy takes a command line, and a payload, of one buffer (16 KiB) at most.
constexpr std::size_t kMaxLine = 12'000;

// Nobody listens on the socket: HAProxy is not running.
class Away : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

bool blank(const std::string& text) {
  return text.find_first_not_of(" \r\n") == std::string::npos;
}

std::string textOf(const std::map<std::string, std::string>& entries) {
  std::string text;
  for (const auto& [key, value] : entries) text.append(key).append(" ").append(value).append("\n");
  return text;
}

void writeFile(const std::string& path, const std::string& text) {
  if (const auto written = files::replace(path, text, 0644); !written)
    throw std::runtime_error(written.error().message());
}

}  // namespace

EdgeMap::EdgeMap(Options options) : options_(std::move(options)) {}

bool EdgeMap::apply(const Routes& routes) {
  const std::lock_guard guard(mutex_);
  const auto wanted = mapsOf(routes);
  lastError_.clear();
  bool good = true;
  try {
    synchronise(wanted);
  } catch (const Away& away) {
    live_.reset();
    lastError_ = away.what();
  } catch (const Poco::Exception& error) {
    live_.reset();
    lastError_ = error.displayText();
    good = false;
  } catch (const std::exception& error) {
    live_.reset();
    lastError_ = error.what();
    good = false;
  }
  try {
    if (written_ != wanted) writeFiles(wanted);
  } catch (const std::exception& error) {
    lastError_ = error.what();
    good = false;
  }
  return good;
}

std::string EdgeMap::lastError() const {
  const std::lock_guard guard(mutex_);
  return lastError_;
}

EdgeMap::Maps EdgeMap::mapsOf(const Routes& routes) {
  Maps maps;
  for (const auto& [host, route] : routes) {
    const auto& backends = route.backends;
    maps.hosts[host] = std::to_string(backends.size()) + ":" + route.app + ":" + route.tenant + ":" +
                       (route.absence == Absence::suspended ? "suspended" : "none");
    for (std::size_t slot = 0; slot < backends.size(); ++slot) {
      maps.slots[host + "#" + std::to_string(slot)] =
          formatIpv4(backends[slot].address) + ":" + std::to_string(backends[slot].port);
    }
  }
  return maps;
}

std::string EdgeMap::fileOf(const char* name) const {
  return options_.mapDirectory + "/" + name;
}

void EdgeMap::writeFiles(const Maps& maps) {
  written_.reset();
  if (const auto made = files::makeDirectories(options_.mapDirectory); !made) {
    throw std::runtime_error(made.error().message());
  }
  writeFile(fileOf("slots.map"), textOf(maps.slots));
  writeFile(fileOf("hosts.map"), textOf(maps.hosts));
  written_ = maps;
}

void EdgeMap::synchronise(const Maps& wanted) {
  auto process = processId();
  if (process != liveProcess_) {
    live_.reset();
    written_.reset();  // it may have started from other files than ours
  }
  if (!live_) live_ = Maps{show(fileOf("hosts.map")), show(fileOf("slots.map"))};
  if (*live_ != wanted) change(*live_, wanted);
  live_ = wanted;
  liveProcess_ = std::move(process);
}

void EdgeMap::change(const Maps& from, const Maps& to) {
  // What goes away stays beside the new until no host's count leads there.
  auto both = to.slots;
  both.insert(from.slots.begin(), from.slots.end());
  update(fileOf("slots.map"), from.slots, both);
  update(fileOf("hosts.map"), from.hosts, to.hosts);
  update(fileOf("slots.map"), both, to.slots);
}

void EdgeMap::update(const std::string& file, const Entries& from, const Entries& to) {
  std::vector<std::string> commands;
  for (const auto& [key, value] : to) {
    const auto found = from.find(key);
    if (found == from.end()) {
      commands.push_back("add map " + file + " " + key + " " + value);
    } else if (found->second != value) {
      commands.push_back("set map " + file + " " + key + " " + value);
    }
  }
  for (const auto& [key, value] : from) {
    if (!to.contains(key)) commands.push_back("del map " + file + " " + key);
  }
  if (commands.size() >= options_.bulk) {
    replace(file, to);
  } else {
    run(commands);
  }
}

void EdgeMap::replace(const std::string& file, const Entries& entries) {
  const auto answer = ask("prepare map " + file);
  const auto colon = answer.rfind(':');
  if (!answer.starts_with("New version created") || colon == std::string::npos) {
    throw std::runtime_error("haproxy: prepare map: " + answer);
  }
  std::string version = answer.substr(colon + 1);
  std::erase_if(version, [](char c) { return c < '0' || c > '9'; });
  const std::string head = "add map @" + version + " " + file + " <<\n";
  std::string payload;
  const auto send = [&] {
    if (payload.empty()) return;
    if (const auto refused = ask(head + payload); !blank(refused))
      throw std::runtime_error("haproxy: add map: " + refused);
    payload.clear();
  };
  for (const auto& [key, value] : entries) {
    if (payload.size() + key.size() + value.size() + 2 > kMaxLine) send();
    payload.append(key).append(" ").append(value).append("\n");
  }
  send();
  if (const auto refused = ask("commit map @" + version + " " + file); !blank(refused)) {
    throw std::runtime_error("haproxy: commit map: " + refused);
  }
}

EdgeMap::Entries EdgeMap::show(const std::string& file) {
  std::istringstream lines(ask("show map " + file));
  Entries entries;
  std::vector<std::string> twice;
  for (std::string line; std::getline(lines, line);) {
    if (blank(line)) continue;
    std::istringstream words(line);
    std::string reference;
    std::string key;
    std::string value;
    if (!(words >> reference >> key >> value) || !reference.starts_with("0x")) {
      throw std::runtime_error("haproxy: show map: " + line);
    }
    if (!entries.emplace(key, value).second) twice.push_back(key);
  }
  // A key that somebody added twice answers with either value: it is made new.
  for (const auto& key : twice) {
    if (entries.erase(key) > 0) run({"del map " + file + " " + key});
  }
  return entries;
}

std::string EdgeMap::processId() {
  std::istringstream lines(ask("show info"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Pid: ")) return line.substr(5);
  }
  throw std::runtime_error("haproxy: show info names no process");
}

void EdgeMap::run(const std::vector<std::string>& commands) {
  std::string line;
  const auto send = [&] {
    if (line.empty()) return;
    if (const auto refused = ask(line); !blank(refused)) throw std::runtime_error("haproxy: " + refused);
    line.clear();
  };
  for (const auto& command : commands) {
    if (line.size() + command.size() + 1 > kMaxLine) send();
    line += (line.empty() ? "" : ";") + command;
  }
  send();
}

std::string EdgeMap::ask(const std::string& line) {
  using Poco::Net::SocketAddress;
  const Poco::Timespan timeout(static_cast<Poco::Timespan::TimeDiff>(options_.timeoutMillis) * 1000);
  Poco::Net::StreamSocket socket;
  try {
    socket.connect(SocketAddress(SocketAddress::UNIX_LOCAL, options_.socket), timeout);
  } catch (const Poco::Exception& error) {
    if (error.code() == ENOENT || error.code() == ECONNREFUSED)
      throw Away("haproxy is not running on " + options_.socket);
    throw;
  }
  socket.setReceiveTimeout(timeout);
  socket.setSendTimeout(timeout);
  const std::string command = line + "\n";
  for (std::size_t sent = 0; sent < command.size();) {
    const int count = socket.sendBytes(command.data() + sent, static_cast<int>(command.size() - sent));
    if (count <= 0) throw std::runtime_error("haproxy: the runtime socket takes no command");
    sent += static_cast<std::size_t>(count);
  }
  std::string answer;
  std::array<char, 16'384> buffer{};
  for (;;) {
    const int count = socket.receiveBytes(buffer.data(), static_cast<int>(buffer.size()));
    if (count <= 0) return answer;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

void ensureMapFiles(const std::string& mapDirectory) {
  if (const auto made = files::makeDirectories(mapDirectory); !made) throw std::runtime_error(made.error().message());
  for (const char* name : {"/hosts.map", "/slots.map"}) {
    const auto path = mapDirectory + name;
    if (!std::filesystem::exists(path)) writeFile(path, "");
  }
}

}  // namespace cloister::edge
