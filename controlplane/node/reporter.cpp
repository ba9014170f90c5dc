#include "controlplane/node/reporter.h"

#include <Poco/Exception.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "controlplane/node/exception_text.h"
#include "metering/base/batch_json.h"

namespace cloister::node {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kInterval{5};
constexpr std::chrono::seconds kAfterFailure{1};
constexpr std::chrono::milliseconds kGather{10};  // changes that come together go out together
constexpr std::chrono::seconds kUsageEvery{2};
constexpr std::chrono::seconds kPostureEvery{60};
constexpr std::chrono::seconds kDenialsEvery{2};
constexpr int kConflict = 409;

const char* stateName(launcher::CheckState state) {
  switch (state) {
    case launcher::CheckState::enforced:
      return "enforced";
    case launcher::CheckState::absent:
      return "absent";
    case launcher::CheckState::off:
      return "off";
  }
  return "absent";
}

}  // namespace

Reporter::Reporter(const Server& server, Launcher& launcher, metering::Spool& spool, Told told, Pressures pressures)
    : server_(server),
      launcher_(launcher),
      spool_(spool),
      told_(std::move(told)),
      pressures_(std::move(pressures)),
      denials_(launcher) {}

Reporter::~Reporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Reporter::start() {
  thread_ = std::thread([this] { run(); });
}

void Reporter::update(model::NodeStatus status, std::uint64_t version) {
  {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
    version_ = version;
    changed_ = true;
  }
  wake_.notify_all();
}

void Reporter::event(model::EventReport event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    if (events_.size() > kMaxEvents) events_.pop_front();
    changed_ = true;
  }
  wake_.notify_all();
}

void Reporter::refreshPosture() {
  auto asked = launcher_.posture();
  if (!asked) return;
  std::vector<model::PostureCheck> checks;
  for (const auto& check : asked.value()) checks.push_back({check.name, stateName(check.state), check.reason});
  const std::lock_guard lock(mutex_);
  posture_ = std::move(checks);
}

bool Reporter::postStatus() {
  model::NodeStatus status;
  std::uint64_t version = 0;
  {
    const std::lock_guard lock(mutex_);
    if (version_ == 0) return true;
    status = status_;
    status.posture = posture_;
    status.events.assign(events_.begin(), events_.end());
    version = version_;
    changed_ = false;
  }
  status.pressures = pressures_();
  try {
    server_.postStatus(model::toJson(status));
  } catch (const Poco::Exception& error) {
    spdlog::debug("status: {}", error.displayText());
    return false;
  } catch (const std::exception& error) {
    spdlog::warn("status: {}", textOf(error));
    return false;
  }
  {
    const std::lock_guard lock(mutex_);
    const auto sent = std::min(status.events.size(), events_.size());
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(sent));
  }
  told_(version);
  return true;
}

void Reporter::postUsage() {
  auto pending = spool_.pending();
  if (!pending) {
    spdlog::warn("usage: {}", pending.error().message());
    return;
  }
  for (const auto& batch : pending.value()) {
    std::uint64_t sequence = batch.sequence;
    try {
      sequence = server_.postUsage(metering::toJson(batch));
    } catch (const ServerRefused& error) {
      // The ledger has this sequence with other content and has noted so: another node of our name, or a spool that is
      // older than it should be. The rows are nobody else's, so they go again under sequences of their own, and those
      // behind them with them: seals rest on the order.
      if (error.status() != kConflict) throw;
      spdlog::error("usage batch {} refused: {}", batch.sequence, textOf(error));
      if (auto done = spool_.renumber(batch.sequence); !done) spdlog::warn("usage: {}", done.error().message());
      return;
    }
    if (sequence != batch.sequence) return;
    if (auto done = spool_.acknowledge(sequence); !done) spdlog::warn("usage: {}", done.error().message());
  }
}

void Reporter::run() {
  auto statusAt = Clock::now();
  auto usageAt = Clock::now();
  auto postureAt = Clock::now();
  auto denialsAt = Clock::now();
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto next = std::min(statusAt, usageAt);
      wake_.wait_until(lock, next, [this] { return stopping_ || changed_; });
      if (stopping_) return;
      if (changed_) {
        wake_.wait_for(lock, kGather, [this] { return stopping_; });
        statusAt = Clock::now();
      }
    }
    if (Clock::now() >= postureAt) {
      refreshPosture();
      postureAt = Clock::now() + kPostureEvery;
    }
    if (Clock::now() >= denialsAt) {
      for (auto& denial : denials_.poll()) event(std::move(denial));
      denialsAt = Clock::now() + kDenialsEvery;
    }
    if (Clock::now() >= statusAt) {
      const bool good = postStatus();
      statusAt = Clock::now() + (good ? kInterval : kAfterFailure);
      if (!good) {
        std::unique_lock lock(mutex_);
        changed_ = false;  // the next try comes by its time, with all changes
      }
    }
    if (Clock::now() < usageAt) continue;
    usageAt = Clock::now() + kUsageEvery;
    try {
      postUsage();
    } catch (const Poco::Exception& error) {
      spdlog::debug("usage: {}", error.displayText());
    } catch (const std::exception& error) {
      spdlog::warn("usage: {}", textOf(error));
    }
  }
}

}  // namespace cloister::node
