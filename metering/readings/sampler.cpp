#include "metering/readings/sampler.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <tuple>
#include <utility>

#include "metering/base/calendar.h"
#include "metering/base/lifecycle.h"
#include "metering/readings/clock_step.h"

namespace cloister::metering {
namespace {

// How long a group that was missing may come back.
constexpr std::int64_t kRemembered = 86'400'000'000;

// A gap shorter than a millisecond still is a row.
std::uint64_t gapMillis(std::int64_t micros) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(micros / 1000, 1));
}

std::int64_t microsBetween(std::uint64_t from, std::uint64_t to) {
  return to > from ? static_cast<std::int64_t>((to - from) / 1000) : 0;
}

// Neither over nor given up: should it be missing, what it used since its last reading is too.
bool isOpen(const GroupState& group) {
  return group.closedUtcMicros == 0 && !group.finished;
}

std::int64_t offsetOf(Moment at) {
  return at.utcMicros - static_cast<std::int64_t>(at.bootNanos / 1000);
}

// The state of a running instance, with the limit that it is billed by.
std::string runningState(const GroupState& group) {
  return "running/" + std::to_string(group.allocation.memoryBytes);
}

// Brings what is needed soon from memory while the kernel has the processor: for many groups it was long ago.
template <typename T>
void prefetch(const T* what) {
  for (std::size_t at = 0; at < sizeof(T); at += 64) __builtin_prefetch(reinterpret_cast<const char*>(what) + at);
}

}  // namespace

Sampler::Sampler(Spool& spool, std::string bootId, const SigningKey& key, SpoolState state)
    : spool_(spool), bootId_(std::move(bootId)), key_(key), state_(std::move(state)) {}

Result<std::unique_ptr<Sampler>> Sampler::open(Spool& spool, std::string bootId, const SigningKey& key) {
  auto state = spool.load();
  if (!state) return state.error();
  return std::unique_ptr<Sampler>(new Sampler(spool, std::move(bootId), key, std::move(state).value()));
}

void Sampler::take(const AmountKey& key, std::uint64_t quantity) {
  auto& held = state_.amounts.change(key);
  held = combined(key.meter, held, quantity);
}

void Sampler::takeGaps(const Owner& owner, const Gaps& gaps) {
  for (const auto& gap : gaps) take({owner, Meter::gap, gap.note}, gap.milliseconds);
}

void Sampler::takeSums(const Owner& owner, const Sums& sums) {
  sums.each([&](Meter meter, std::uint64_t quantity) { take({owner, meter, ""}, quantity); });
}

Sampler::Groups::Iterator Sampler::eraseGroup(Groups::Iterator group) {
  takeSums(group->second.owner, group->second.sums);
  return state_.groups.erase(group);
}

Sampler::Networks::Iterator Sampler::eraseCounters(Networks::Iterator tenant) {
  takeSums({tenant->first}, tenant->second.sums);
  return state_.networks.erase(tenant);
}

TenantCounters& Sampler::countersOf(const std::string& tenantId) {
  const auto found = state_.networks.find(tenantId);
  if (found != state_.networks.end() && found->second.bootId == bootId_) return found->second;
  // Links and counters of an earlier boot are gone; these began at zero.
  auto& network = state_.networks.change(tenantId);
  network = TenantCounters{bootId_, {}, 0, 0, 0, network.sums, false, false};
  return network;
}

Status Sampler::commit() {
  auto done = spool_.commit(state_, bootId_, sealed_);
  if (!done) return done;
  sealed_.clear();
  state_.stored();
  return done;
}

Status Sampler::commitAll() {
  state_.groups.changeAll();
  state_.networks.changeAll();
  auto done = commit();
  if (done && youngSampled_) young_.clear();
  return done;
}

void Sampler::noteState(const GroupState& group, const std::string& previous, const std::string& current,
                        std::int64_t utcMicros) {
  auto note = lifecycleNote("instance", previous, current) + kMomentMark + std::to_string(utcMicros);
  take({group.owner, Meter::instanceState, std::move(note)}, 1);
}

void Sampler::closeGroup(const GroupState& group, Moment at) {
  noteState(group, "running", "lost", at.utcMicros);
  const bool restarted = group.bootId != bootId_;
  const auto micros =
      restarted ? at.utcMicros - group.lastUtcMicros : microsBetween(group.progress.last.bootNanos, at.bootNanos);
  take({group.owner, Meter::gap, restarted ? gap::kRestarted : gap::kVanished}, gapMillis(micros));
}

Result<Reading> Sampler::read(Running& running, CgroupReader::Depth depth) {
  if (running.reader) return running.reader->read(depth);
  auto opened = CgroupReader::open(running.directories);
  if (!opened) return opened.error();
  auto reading = opened->read();
  if (!reading) return reading;
  running.reader = std::move(opened).value();
  running.directories.clear();
  return reading;
}

Status Sampler::add(const Subject& subject, GroupDescriptors descriptors, Origin origin, Moment at) {
  const auto turn = static_cast<unsigned>(running_.size() % kFullEvery);  // not all of them at once
  Running added{std::nullopt, std::move(descriptors), nullptr, nullptr, turn};
  const auto first = read(added, CgroupReader::Depth::full);
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);

  auto found = state_.groups.find(subject.group);
  if (found != state_.groups.end() &&
      (found->second.bootId != bootId_ || found->second.cgroupInode != subject.cgroupInode)) {
    if (isOpen(found->second)) closeGroup(found->second, at);
    eraseGroup(found);
    found = state_.groups.end();
  }
  const bool isNew = found == state_.groups.end();
  auto& state = state_.groups.change(subject.group);
  if (isNew) {
    auto born = subject.bornNanos == 0 ? at.bootNanos : std::min(subject.bornNanos, at.bootNanos);
    if (origin == Origin::recovered && spool_.past() == Spool::Past::none) born = at.bootNanos;
    state = {{subject.tenantId, subject.appId, subject.instanceId},
             bootId_,
             subject.cgroupInode,
             subject.allocation,
             bornAt(born),
             at.utcMicros};
    if (origin == Origin::recovered && spool_.past() == Spool::Past::none) {
      // What it used before may be in the ledger already: a gap, for counting it again would be worse.
      state.progress.last = first ? *first : Reading{};
      state.progress.last.bootNanos = at.bootNanos;
      auto& counters = countersOf(subject.tenantId);
      counters.trafficBefore = counters.lastBootNanos == 0;
      counters.groupBefore = counters.groupInode == 0;
      state_.networks.change(subject.tenantId);
      take({state.owner, Meter::gap, gap::kUnknownPast}, 1);
    } else if (origin == Origin::recovered && subject.bornNanos == 0) {
      take({state.owner, Meter::gap, gap::kUnknownBirth}, 1);
    }
    noteState(state, "", runningState(state), at.utcMicros - microsBetween(born, at.bootNanos));
  }
  if (state.finished) {
    // It is over since its last reading: only what its counters missed then is still to be counted.
    state.progress.last.bootNanos = at.bootNanos;
    state.progress.last.memoryBytes = 0;
    state.progress.last.diskBytes = 0;
    state.progress.memoryAway = state.progress.diskAway = false;
  }
  if (state.closedUtcMicros != 0 && !state.finished) noteState(state, "lost", runningState(state), at.utcMicros);
  state.closedUtcMicros = 0;
  added.state = &state;
  const auto running = running_.insert_or_assign(subject.group, std::move(added)).first;
  running->second.name = &running->first;
  order_.clear();
  young_.insert(subject.group);
  youngSampled_ = false;
  auto done = commit();
  if (done && !first) return Error{first.error().stage, first.error().operation, subject.group, first.error().code};
  return done;
}

Status Sampler::closeMissing(Moment at) {
  for (auto group = state_.groups.begin(); group != state_.groups.end();) {
    auto& state = group->second;
    const bool missing = !running_.contains(group->first);
    if (missing && isOpen(state)) {
      closeGroup(state, at);
      state.closedUtcMicros = at.utcMicros;
    }
    const bool old = state.bootId != bootId_ || std::abs(at.utcMicros - state.closedUtcMicros) > kRemembered;
    group = missing && old ? eraseGroup(group) : std::next(group);
  }
  // Counters of an earlier boot are gone, and perhaps their tenants with them.
  for (auto tenant = state_.networks.begin(); tenant != state_.networks.end();) {
    tenant = tenant->second.bootId != bootId_ ? eraseCounters(tenant) : std::next(tenant);
  }
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  return commitAll();
}

bool Sampler::readGroup(Running& running, Moment at, Reason reason) {
  auto& group = *running.state;
  using Depth = CgroupReader::Depth;
  const auto periodic = running.turn++ % kFullEvery == 0 ? Depth::due : Depth::usual;
  const auto now = read(running, reason == Reason::last ? Depth::full : periodic);
  Reading reading = now ? *now : Reading{};
  reading.bootNanos = std::min(at.bootNanos, running.endNanos);
  const auto before = group.progress.last.bootNanos;
  auto gaps = advance(group.progress, reading, group.allocation, group.sums);
  if (!now) {
    gaps = {
        {gapMillis(microsBetween(before, at.bootNanos)), reason == Reason::last ? gap::kUnreadable : gap::kNotRead}};
  }
  group.lastUtcMicros = at.utcMicros;
  if (!gaps.empty()) {
    takeGaps(group.owner, gaps);
    state_.groups.change(*running.name);
  }
  return now.ok();
}

void Sampler::ended(const std::string& group, std::int64_t utcMicros, Moment at) {
  const auto found = running_.find(group);
  if (found == running_.end() || utcMicros > at.utcMicros) return;
  const auto ago = static_cast<std::uint64_t>(at.utcMicros - utcMicros);
  const auto last = found->second.state->progress.last.bootNanos;
  const auto since = at.bootNanos > last ? (at.bootNanos - last) / 1000 : 0;
  found->second.endNanos = at.bootNanos - std::min(ago, since) * 1000;
}

Status Sampler::finish(const std::string& group, Moment at) {
  const auto found = running_.find(group);
  if (found == running_.end()) return {};
  readGroup(found->second, at, Reason::last);
  auto& state = state_.groups.change(group);
  if (!state.finished)
    noteState(state, "running", "ended", at.utcMicros - microsBetween(found->second.endNanos, at.bootNanos));
  running_.erase(found);
  order_.clear();
  state.closedUtcMicros = at.utcMicros;
  state.finished = true;
  return commit();
}

void Sampler::forget(const std::string& group) {
  const auto state = state_.groups.find(group);
  if (state != state_.groups.end() && state->second.finished) eraseGroup(state);
}

void Sampler::noteClockStep(Moment at) {
  const auto offset = offsetOf(at);
  const auto step = state_.clock.bootId == bootId_ ? offset - state_.clock.offsetMicros : 0;
  state_.clock = {bootId_, offset};
  if (std::abs(step) < kClockStepMicros) return;
  std::set<std::string> tenants;
  for (const auto& [name, group] : state_.groups.all()) tenants.insert(group.owner.tenantId);
  for (const auto& tenant : tenants) take({{tenant}, Meter::gap, clockStepNote(step)}, 1);
}

std::size_t Sampler::sample(Moment at) {
  std::size_t unread = 0;
  if (order_.empty()) {
    for (auto& [name, running] : running_) order_.push_back(&running);
  }
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (i + 1 < order_.size()) prefetch(order_[i + 1]->state);
    if (i + 2 < order_.size()) prefetch(order_[i + 2]);
    if (!readGroup(*order_[i], at, Reason::periodic)) ++unread;
  }
  youngSampled_ = true;
  return unread;
}

void Sampler::tenantGroup(const std::string& tenantId, std::uint64_t inode, std::uint64_t cpuNanos, Moment at) {
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  auto& counters = countersOf(tenantId);
  // A group that is new to us was made since: all of it counts, but for those from before this spool.
  if (counters.groupInode != inode) {
    counters.groupCpu = std::exchange(counters.groupBefore, false) ? cpuNanos : 0;
    counters.groupInode = inode;
    state_.networks.change(tenantId);
  }
  if (cpuNanos > counters.groupCpu) {
    groupsTaken_ += cpuNanos - counters.groupCpu;
    counters.sums.add(Meter::groupCpu, cpuNanos - counters.groupCpu);
  }
  counters.groupCpu = cpuNanos;
}

void Sampler::host(const HostCpu& cpu, Moment at) {
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  auto& known = state_.host;
  const auto taken = std::exchange(groupsTaken_, 0);
  if (known.bootId.empty()) {
    // Of before the first look, only what its tenants' rows already have counts.
    known = {bootId_, cpu.groupsInode, cpu.groupsNanos - std::min(taken, cpu.groupsNanos), cpu.totalNanos};
  } else if (known.bootId != bootId_) {
    known = {bootId_, cpu.groupsInode, 0, 0};
  } else if (known.groupsInode != cpu.groupsInode) {
    known.groupsInode = cpu.groupsInode;
    known.groupsNanos = 0;
  }
  const auto chain = hostChain(spool_.source());
  for (const auto& [meter, last, now] : {std::tuple{Meter::groupCpu, &known.groupsNanos, cpu.groupsNanos},
                                         {Meter::hostCpu, &known.totalNanos, cpu.totalNanos}}) {
    if (now > *last) take({{chain}, meter, ""}, now - *last);
    *last = std::max(*last, now);
  }
}

void Sampler::network(const std::string& tenantId, const TrafficCounters& bytes, Moment at) {
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  auto& network = countersOf(tenantId);
  if (std::exchange(network.trafficBefore, false)) {
    network.bytes = bytes;
    state_.networks.change(tenantId);
  }
  const auto since = network.lastBootNanos == 0 ? at.bootNanos : network.lastBootNanos;
  const auto millis = static_cast<std::uint64_t>(microsBetween(since, at.bootNanos)) / 1000U;
  const auto gaps = advanceNetwork(network.bytes, bytes, millis, network.sums);
  network.lastBootNanos = at.bootNanos;
  if (gaps.empty()) return;
  takeGaps({tenantId}, gaps);
  state_.networks.change(tenantId);
}

void Sampler::forgetTenant(const std::string& tenantId) {
  if (const auto found = state_.networks.find(tenantId); found != state_.networks.end()) eraseCounters(found);
  leaving_.insert(tenantId);
}

Result<Reading> Sampler::look(const std::string& group) {
  const auto found = running_.find(group);
  if (found == running_.end()) return Error{"metering", "look at", group, ENOENT};
  return read(found->second, CgroupReader::Depth::full);
}

const Reading* Sampler::last(const std::string& group) const {
  const auto found = state_.groups.all().find(group);
  return found == state_.groups.all().end() ? nullptr : &found->second.progress.last;
}

}  // namespace cloister::metering
