#include "controlplane/node/work_source.h"

#include <Poco/Exception.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "controlplane/node/exception_text.h"
#include "controlplane/node/sealed_file.h"

namespace cloister::node {
namespace {

constexpr int kFirstPause = 500;
constexpr int kLongestPause = 15'000;
constexpr std::size_t kMaxWork = 64UL << 20U;

std::string keyFile(const std::string& path) {
  return std::filesystem::path(path).parent_path() / "state.key";
}

}  // namespace

Authority authorityOf(const model::NodeWork& work) {
  // An item that could not be read and has no name either may be any: nothing is stopped on such a word.
  const bool nameless = std::any_of(work.refused.begin(), work.refused.end(),
                                    [](const model::RefusedItem& item) { return item.id.empty(); });
  return work.certified && !nameless ? Authority::full : Authority::startOnly;
}

std::vector<std::string> stopsOf(const std::set<std::string>& known, const model::NodeWork& work) {
  std::vector<std::string> stops;
  if (authorityOf(work) != Authority::full) return stops;
  std::set<std::string> wanted;
  for (const auto& instance : work.instances) {
    if (instance.desired == model::DesiredState::run) wanted.insert(instance.id);
  }
  for (const auto& item : work.refused) wanted.insert(item.id);  // it is named, and how it should be is not known
  std::set_difference(known.begin(), known.end(), wanted.begin(), wanted.end(), std::back_inserter(stops));
  return stops;
}

std::optional<model::NodeWork> loadWork(const std::string& path) {
  auto text = readSealed(path, kMaxWork, keyFile(path));
  if (!text) return std::nullopt;
  try {
    auto work = model::nodeWorkFromJson(text.value());
    work.certified = false;
    return work;
  } catch (const std::exception& error) {
    spdlog::error("{}: kept work does not decode: {}", path, textOf(error));
    return std::nullopt;
  }
}

void storeWork(const std::string& path, const model::NodeWork& work) {
  if (!work.certified) return;
  model::NodeWork kept = work;
  kept.sessions.clear();
  if (auto done = writeSealed(path, model::toJson(kept), keyFile(path)); !done) {
    spdlog::error("work not kept: {}", done.error().message());
  }
}

WorkSource::WorkSource(const Server& server, std::string path) : server_(server), path_(std::move(path)) {}

WorkSource::~WorkSource() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void WorkSource::start(Arrived arrived) {
  thread_ = std::thread([this, arrived = std::move(arrived)] { run(arrived); });
}

bool WorkSource::pause(int milliseconds) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return stopping_; });
  return !stopping_;
}

void WorkSource::run(const Arrived& arrived) {
  std::int64_t revision = -1;
  int rest = kFirstPause;
  while (pause(0)) {
    try {
      auto work = server_.desired(revision);
      if (!connected_.exchange(true)) spdlog::info("server reached");
      rest = kFirstPause;
      if (!work) continue;
      revision = work->revision;
      storeWork(path_, *work);
      arrived(std::move(*work));
    } catch (const Poco::Exception& error) {
      if (connected_.exchange(false)) spdlog::warn("server away: {}", error.displayText());
      revision = -1;  // a server that begins anew may count from below
      if (!pause(rest)) return;
      rest = std::min(rest * 2, kLongestPause);
    } catch (const std::exception& error) {
      spdlog::warn("desired state: {}", textOf(error));
      connected_ = false;
      if (!pause(rest)) return;
      rest = std::min(rest * 2, kLongestPause);
    }
  }
}

}  // namespace cloister::node
