#include "controlplane/node/meter_loop.h"

#include <spdlog/spdlog.h>

#include <optional>
#include <utility>

#include "sandbox/base/counters.h"
#include "sandbox/base/process.h"
#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPause{1};
constexpr int kNetworkEvery = 5;  // readings

void warn(const char* what, const Error& error) {
  spdlog::warn("metering: {}: {}", what, error.message());
}

// Of the boot clock; 0: its init has ended, and perhaps another process has the number.
std::uint64_t bornNanos(const sandbox::Container& container) {
  const int pidfd = container.descriptor(launcher::DescriptorKind::pid);
  if (pidfd < 0) return 0;
  const auto start = process::startNanos(static_cast<pid_t>(container.launched.pid));
  return start && !streams::ended(pidfd) ? *start : 0;
}

metering::GroupDescriptors takeGroups(sandbox::Container& container) {
  using launcher::DescriptorKind;
  metering::GroupDescriptors groups;
  for (auto& [kind, fd] : container.descriptors) {
    if (kind == DescriptorKind::pid || kind == DescriptorKind::netns || kind == DescriptorKind::terminal) continue;
    // Others want the upper too, to say that it is full: where there is no second descriptor, metering goes first.
    auto copy = kind == DescriptorKind::upper ? counters::duplicate(fd.get()) : Result<UniqueFd>(UniqueFd());
    groups.emplace_back(kind, copy && *copy ? std::move(copy).value() : std::move(fd));
  }
  std::erase_if(container.descriptors, [](const auto& held) { return !held.second; });
  return groups;
}

}  // namespace

MeterLoop::MeterLoop(Launcher& launcher, std::unique_ptr<metering::Spool> spool,
                     std::unique_ptr<metering::Sampler> sampler)
    : launcher_(launcher), spool_(std::move(spool)), sampler_(std::move(sampler)) {}

Result<std::unique_ptr<MeterLoop>> MeterLoop::open(const std::string& spool, const std::string& source,
                                                   const std::string& bootId, const metering::SigningKey& key,
                                                   Launcher& launcher) {
  auto opened = metering::Spool::open(spool, source);
  if (!opened) return opened.error();
  auto sampler = metering::Sampler::open(*opened.value(), bootId, key);
  if (!sampler) return sampler.error();
  return std::unique_ptr<MeterLoop>(new MeterLoop(launcher, std::move(opened).value(), std::move(sampler).value()));
}

MeterLoop::~MeterLoop() {
  stop();
}

Status MeterLoop::add(sandbox::Container& container, const Metered& whose, metering::Origin origin) {
  metering::Subject subject;
  subject.group = container.launched.instance;
  subject.tenantId = whose.tenantId;
  subject.appId = whose.appId;
  subject.instanceId = whose.instanceId;
  subject.cgroupInode = container.launched.cgroupInode;
  subject.allocation.memoryBytes = whose.memoryBytes;
  if (origin == metering::Origin::recovered) subject.bornNanos = bornNanos(container);
  const std::lock_guard lock(mutex_);
  return sampler_->add(subject, takeGroups(container), origin, metering::now());
}

void MeterLoop::start() {
  {
    const std::lock_guard lock(mutex_);
    if (auto done = sampler_->closeMissing(metering::now()); !done) warn("close missing", done.error());
  }
  thread_ = std::thread([this] { run(); });
}

Status MeterLoop::finish(const std::string& container) {
  const std::lock_guard lock(mutex_);
  return sampler_->finish(container, metering::now());
}

void MeterLoop::ended(const std::string& container, std::int64_t utcMicros) {
  const std::lock_guard lock(mutex_);
  sampler_->ended(container, utcMicros, metering::now());
}

void MeterLoop::forget(const std::string& container) {
  const std::lock_guard lock(mutex_);
  sampler_->forget(container);
}

MeterLoop::LimitHits MeterLoop::limitHits(const std::string& container) {
  const std::lock_guard lock(mutex_);
  const auto* before = sampler_->last(container);
  const auto now = sampler_->look(container);
  if (before == nullptr || !now) return {};
  return {now->oomKills.value_or(0), before->oomKills.value_or(0), now->pidsRefused.value_or(0)};
}

void MeterLoop::setTenants(const std::map<TenantIndex, std::string>& tenants) {
  const std::lock_guard lock(mutex_);
  for (const auto& [index, id] : tenants) {
    auto& known = tenants_[index];
    if (!known.empty() && known != id) sampler_->forgetTenant(known);
    known = id;
  }
}

Status MeterLoop::removeTenant(TenantIndex tenant, const std::function<Status()>& remove) {
  const std::lock_guard turn(tenantsMutex_);
  if (auto read = readNetwork(); !read) return read;
  readGroups();
  {
    const std::lock_guard lock(mutex_);
    if (auto done = sampler_->store(); !done) return done;
  }
  if (auto done = remove(); !done) return done;
  const std::lock_guard lock(mutex_);
  if (const auto known = tenants_.find(tenant); known != tenants_.end()) {
    sampler_->forgetTenant(known->second);
    tenants_.erase(known);
  }
  return {};
}

void MeterLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  if (auto done = sampler_->flush(metering::now(), metering::Flush::all); !done) warn("flush", done.error());
}

Status MeterLoop::readNetwork() {
  auto usage = launcher_.networkUsage();  // outside the other mutex: a slow launcher must not hold up a final reading
  if (!usage) {
    spdlog::debug("network usage: {}", usage.error().message());
    return usage.error();
  }
  const std::lock_guard lock(mutex_);
  const auto at = metering::now();
  for (const auto& item : usage.value()) {
    const auto tenant = tenants_.find(item.tenant);
    if (tenant == tenants_.end()) continue;
    sampler_->network(tenant->second,
                      {item.externalReceivedBytes, item.externalSentBytes, item.internalReceivedBytes,
                       item.internalSentBytes, item.droppedPackets},
                      at);
  }
  return {};
}

void MeterLoop::readGroups() {
  if (!groupCpu_) return;
  const auto groups = groupCpu_();
  const std::lock_guard lock(mutex_);
  const auto at = metering::now();
  for (const auto& group : groups.tenants) sampler_->tenantGroup(group.tenantId, group.inode, group.nanos, at);
  if (groups.host) sampler_->host(*groups.host, at);
}

void MeterLoop::readTenants() {
  const std::lock_guard turn(tenantsMutex_);
  (void)readNetwork();
  readGroups();
}

void MeterLoop::run() {
  auto next = Clock::now();
  std::optional<std::int64_t> window;
  for (int round = 0;; ++round) {
    if (round % kNetworkEvery == 0) {
      const std::lock_guard turn(tenantsMutex_);
      (void)readNetwork();  // counters wait for the next time
    }
    std::unique_lock lock(mutex_);
    auto at = metering::now();
    while (window != metering::windowStart(at.utcMicros)) {
      window = metering::windowStart(at.utcMicros);
      lock.unlock();
      {
        const std::lock_guard turn(tenantsMutex_);
        readGroups();
      }
      lock.lock();
      at = metering::now();
    }
    const std::size_t failed = sampler_->sample(at);
    if (failed > 0) spdlog::debug("metering: {} groups not read", failed);
    if (auto done = sampler_->flush(at); !done) warn("flush", done.error());
    next = std::max(next + kPause, Clock::now());
    if (wake_.wait_until(lock, next, [this] { return stopping_; })) return;
  }
}

}  // namespace cloister::node
