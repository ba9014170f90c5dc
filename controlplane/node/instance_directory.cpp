#include "controlplane/node/instance_directory.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <sstream>

#include "controlplane/node/exception_text.h"
#include "controlplane/node/sealed_file.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"
#include "sandbox/base/identity.h"
#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostSpecBytes = 64UL << 20U;

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || text.empty() || value < 0) return std::nullopt;
  return value;
}

const char* stateName(AttemptState state) {
  switch (state) {
    case AttemptState::launched:
      return "launched";
    case AttemptState::ready:
      return "ready";
    case AttemptState::ended:
      return "ended";
  }
  return "ended";
}

}  // namespace

std::string format(const Attempt& attempt) {
  return std::to_string(attempt.number) + " " + attempt.bootId + " " + stateName(attempt.state) + "\n";
}

std::optional<Attempt> parseAttempt(const std::string& text) {
  std::istringstream in(text);
  std::string count;
  std::string state;
  std::string rest;
  Attempt attempt;
  if (!(in >> count >> attempt.bootId >> state) || in >> rest) return std::nullopt;
  const auto value = number(count);
  if (!value) return std::nullopt;
  attempt.number = *value;
  for (const auto known : {AttemptState::launched, AttemptState::ready, AttemptState::ended}) {
    if (state != stateName(known)) continue;
    attempt.state = known;
    return attempt;
  }
  return std::nullopt;
}

std::string containerId(const std::string& instance, std::int64_t attempt) {
  return instance + "-" + std::to_string(attempt);
}

std::optional<ContainerName> parseContainerId(const std::string& id) {
  const auto hyphen = id.rfind('-');
  if (hyphen == std::string::npos || hyphen == 0) return std::nullopt;
  const auto attempt = number(std::string_view(id).substr(hyphen + 1));
  if (!attempt || *attempt == 0 || id[hyphen + 1] == '0') return std::nullopt;
  return ContainerName{id.substr(0, hyphen), *attempt};
}

std::string parseStatus(const std::string& text) {
  const auto lastLine = text.rfind('\n', text.size() < 2 ? std::string::npos : text.size() - 2);
  std::istringstream in(lastLine == std::string::npos ? text : text.substr(lastLine + 1));
  std::string kind;
  std::string count;
  in >> kind >> count;
  const auto value = number(count);
  if ((kind != "exit" && kind != "signal") || !value || *value > 255) return {};
  return kind + " " + count;
}

CallSet parseCalls(const std::string& text) {
  CallSet calls;
  std::istringstream in(text);
  std::string kind;
  std::string count;
  while (in >> kind >> count) {
    const auto value = number(count);
    if (kind == "call" && value && *value < kMostCalls) calls.set(static_cast<std::size_t>(*value));
  }
  return calls;
}

InstanceDirectory::InstanceDirectory(const std::string& instances, const std::string& id)
    : path_(instances + "/" + id) {}

std::string InstanceDirectory::keyFile() const {
  return fs::path(path_).parent_path().parent_path() / "state.key";
}

Status InstanceDirectory::prepare(const InstanceSpec& spec) const {
  if (auto made = files::makeDirectories(logs(), 0700); !made) return made;
  for (const auto& fifo : {out(), err()}) {
    if (auto made = streams::makeFifo(fifo, 0666); !made) return made;
  }
  return write(spec);
}

Status InstanceDirectory::write(const InstanceSpec& spec) const {
  model::NodeWork work;
  work.nodeId = "local";  // a document without it is refused
  work.tenants.push_back(spec.tenant);
  work.instances.push_back(spec.instance);
  return writeSealed(path_ + "/spec.json", model::toJson(work), keyFile());
}

std::optional<InstanceSpec> InstanceDirectory::spec() const {
  auto text = readSealed(path_ + "/spec.json", kMostSpecBytes, keyFile());
  if (!text) {
    if (text.error().code != ENOENT) spdlog::error("{}", text.error().message());
    return std::nullopt;
  }
  try {
    auto work = model::nodeWorkFromJson(text.value());
    if (work.tenants.size() != 1 || work.instances.size() != 1) return std::nullopt;
    return InstanceSpec{std::move(work.tenants[0]), std::move(work.instances[0])};
  } catch (const std::exception& error) {
    spdlog::error("{}/spec.json: {}", path_, textOf(error));
    return std::nullopt;
  }
}

Status InstanceDirectory::record(const Attempt& attempt) const {
  const std::string fresh = path_ + "/attempt.new";
  auto fd = streams::createFile(fresh, 0600);
  if (!fd) return fd.error();
  if (auto done = files::writeAll(fd->get(), format(attempt)); !done) return done;
  std::error_code code;
  fs::rename(fresh, path_ + "/attempt", code);
  if (code) return Error{"instance", "rename", fresh, code.value()};
  return {};
}

std::optional<Attempt> InstanceDirectory::attempt() const {
  auto text = files::read(path_ + "/attempt", 256);
  return text ? parseAttempt(text.value()) : std::nullopt;
}

Result<UniqueFd> InstanceDirectory::newStatus() const {
  std::error_code code;
  fs::remove(path_ + "/status", code);  // a late writer of an earlier attempt keeps its own file
  return streams::createFile(path_ + "/status", 0600);
}

std::string InstanceDirectory::status() const {
  auto text = files::read(path_ + "/status", kMostStatusBytes);
  return text ? parseStatus(text.value()) : std::string();
}

std::optional<std::int64_t> InstanceDirectory::endedAt() const {
  if (status().empty()) return std::nullopt;
  std::error_code code;
  const auto at = fs::last_write_time(path_ + "/status", code);
  if (code) return std::nullopt;
  const auto ago = std::chrono::duration_cast<std::chrono::microseconds>(fs::file_time_type::clock::now() - at);
  return counters::utcMicros() - ago.count();
}

CallSet InstanceDirectory::calls() const {
  auto text = files::read(path_ + "/status", kMostStatusBytes);
  return text ? parseCalls(text.value()) : CallSet();
}

void InstanceDirectory::markStopped() const {
  // Its logs stay for a while, and need to know whose they are; what it was given is nobody's business any more.
  if (auto last = spec(); last && !last->instance.environment.empty()) {
    last->instance.environment.clear();
    if (auto done = write(*last); !done) spdlog::warn("{}", done.error().message());
  }
  if (auto done = streams::createFile(path_ + "/stopped", 0600); !done && done.error().code != ENOENT) {
    spdlog::warn("{}", done.error().message());
  }
}

void InstanceDirectory::unmarkStopped() const {
  std::error_code code;
  fs::remove(path_ + "/stopped", code);
}

std::optional<std::int64_t> InstanceDirectory::stoppedSeconds() const {
  std::error_code code;
  const auto at = fs::last_write_time(path_ + "/stopped", code);
  if (code) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - at).count();
}

std::uint64_t InstanceDirectory::logBytes() const {
  std::uint64_t sum = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(logs(), code)) {
    if (const auto size = entry.file_size(code); !code) sum += size;
  }
  return sum;
}

std::vector<std::string> logsBeyond(std::vector<StoppedLogs> stopped, std::uint64_t most) {
  std::sort(stopped.begin(), stopped.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  std::map<std::string, std::uint64_t> kept;
  std::vector<std::string> beyond;
  for (const auto& logs : stopped) {
    auto& sum = kept[logs.tenantId];
    sum += logs.bytes;
    if (sum > most) beyond.push_back(logs.instance);
  }
  return beyond;
}

void InstanceDirectory::destroy() const {
  std::error_code code;
  fs::remove_all(path_, code);
  if (code) spdlog::warn("{}: not deleted: {}", path_, code.message());
}

std::vector<std::string> listInstances(const std::string& instances) {
  std::vector<std::string> ids;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(instances, code)) {
    auto id = entry.path().filename().string();
    if (validInstanceId(id)) ids.push_back(std::move(id));
  }
  return ids;
}

Adoptions decideAdoptions(const std::map<std::string, Kept>& kept, const std::vector<Alive>& alive,
                          const std::string& bootId) {
  Adoptions decided;
  std::map<std::string, const Alive*> byName;
  for (const auto& container : alive) byName[container.container] = &container;
  for (const auto& [id, known] : kept) {
    Adoption adoption;
    const bool thisBoot = known.attempt && known.attempt->bootId == bootId;
    if (known.attempt) {
      adoption.attempt = known.attempt->number;
      adoption.state = known.attempt->state;
    }
    const std::string name = containerId(id, adoption.attempt);
    const auto found = byName.find(name);
    if (found != byName.end()) {
      adoption.container = name;
      adoption.fate = found->second->running ? Fate::adopt : Fate::finish;
      adoption.reason = known.status.empty() ? "ended while the node was away" : known.status;
      byName.erase(found);
    } else if (known.stopped) {
      adoption.fate = Fate::leaveStopped;
    } else if (thisBoot && adoption.state != AttemptState::ended) {
      adoption.fate = Fate::ended;
      adoption.reason = known.status.empty() ? "ended while the node was away" : known.status;
    }
    decided.instances.emplace(id, std::move(adoption));
  }
  for (const auto& container : alive) {
    if (byName.contains(container.container)) decided.unknown.push_back(container.container);
  }
  return decided;
}

}  // namespace cloister::node
