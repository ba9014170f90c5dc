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

void sortByTime(std::vector<std::string>& lines) {
  std::vector<std::pair<model::Micros, std::string>> timed;
  timed.reserve(lines.size());
  for (auto& line : lines) {
    const auto at = timeOf(line);
    timed.emplace_back(at, std::move(line));
  }
  std::stable_sort(timed.begin(), timed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < timed.size(); ++i) lines[i] = std::move(timed[i].second);
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
  std::vector<std::string> lines;
  for (const auto& [id, reader] : readers_) {
    auto some = recentLines(*reader, session_.since, session_.lines);
    lines.insert(lines.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  if (readers_.size() > 1) sortByTime(lines);
  return lines;
}

std::vector<std::string> LogSession::more() {
  std::vector<std::string> lines;
  std::size_t sources = 0;
  for (const auto& [id, reader] : readers_) {
    auto some = reader->next();
    if (!some.empty()) ++sources;
    lines.insert(lines.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  if (sources > 1) sortByTime(lines);
  return lines;
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
