#include "controlplane/node/log_session.h"

#include <algorithm>
#include <array>

#include "controlplane/node/instance_directory.h"
#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

constexpr int kFollowPause = 100;  // milliseconds
constexpr int kDiscoverEvery = 10;

model::Micros timeOf(const std::string& line) {
  try {
    return model::logLineFromJson(line).at;
  } catch (const std::exception&) {
    return 0;
  }
}

// Merges what several logs hold by time. The lines of each keep their order, also when the clock was set back
// meanwhile.
std::vector<std::string> merged(std::vector<std::vector<std::string>> logs) {
  if (logs.size() == 1) return std::move(logs.front());
  std::vector<std::pair<model::Micros, std::string>> timed;
  for (auto& log : logs) {
    model::Micros latest = 0;
    for (auto& line : log) {
      latest = std::max(latest, timeOf(line));
      timed.emplace_back(latest, std::move(line));
    }
  }
  std::stable_sort(timed.begin(), timed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> lines;
  lines.reserve(timed.size());
  for (auto& [at, line] : timed) lines.push_back(std::move(line));
  return lines;
}

}  // namespace

LogSession::LogSession(std::string instances, const model::Session& session)
    : instances_(std::move(instances)), session_(session) {}

void LogSession::discover() {
  for (const auto& id : listInstances(instances_)) {
    if (readers_.contains(id) || foreign_.contains(id)) continue;
    const InstanceDirectory directory(instances_, id);
    const auto spec = directory.spec();
    if (!spec) continue;
    const auto& instance = spec->instance;
    const bool ours = instance.appId == session_.appId && instance.tenantId == session_.tenantId &&
                      (session_.process.empty() || instance.process == session_.process);
    if (ours) {
      readers_.emplace(id, std::make_unique<LogReader>(directory.logs()));
    } else {
      foreign_.emplace(id, true);
    }
  }
}

std::vector<std::string> LogSession::recent() {
  discover();
  std::vector<std::vector<std::string>> logs;
  for (const auto& [id, reader] : readers_) logs.push_back(recentLines(*reader, session_.since, session_.lines));
  return merged(std::move(logs));
}

std::vector<std::string> LogSession::more() {
  std::vector<std::vector<std::string>> logs;
  for (const auto& [id, reader] : readers_) {
    if (auto lines = reader->next(); !lines.empty()) logs.push_back(std::move(lines));
  }
  return merged(std::move(logs));
}

void LogSession::run(SessionChannel& channel, const std::atomic<bool>& stopping) {
  for (const auto& line : recent()) {
    if (!channel.send(Channel::output, line)) return;
  }
  for (int round = 1; session_.follow && channel.open() && !stopping; ++round) {
    std::array<streams::Watched, 1> watched{{{channel.fd()}}};
    if (channel.buffered()) {
      (void)channel.receive();
    } else if (auto done = streams::waitAny(watched, kFollowPause); done && watched[0].readable) {
      (void)channel.receive();
    }
    if (round % kDiscoverEvery == 0) discover();
    for (const auto& line : more()) channel.send(Channel::output, line);
  }
  channel.send(Channel::control, exitMessage(0));
}

}  // namespace cloister::node
