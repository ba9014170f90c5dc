#include "metering/readings/sampler.h"

#include <algorithm>
#include <array>
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

std::int64_t windowStart(std::int64_t utcMicros) {
  const auto rest = utcMicros % kWindowMicros;
  return utcMicros - (rest < 0 ? rest + kWindowMicros : rest);
}

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

// Until their window is sealed, changes of state carry their moment in the key: each is a row, at that moment.
constexpr char kMomentMark = '@';

void placeMoment(UsageRow& row) {
  const auto mark = row.note.rfind(kMomentMark);
  if (mark == std::string::npos) return;
  row.from = std::strtoll(row.note.c_str() + mark + 1, nullptr, 10);
  row.to = row.from + 1;
  row.note.resize(mark);
}

}  // namespace

Sampler::Sampler(Spool& spool, std::string bootId, const SigningKey& key, SpoolState state)
    : spool_(spool), bootId_(std::move(bootId)), key_(key), state_(std::move(state)) {
  for (const auto& [tenant, counters] : state_.networks) {
    if (counters.groupInode == 0) unknownGroups_.insert(tenant);
  }
}

Result<std::unique_ptr<Sampler>> Sampler::open(Spool& spool, std::string bootId, const SigningKey& key) {
  auto state = spool.load();
  if (!state) return state.error();
  return std::unique_ptr<Sampler>(new Sampler(spool, std::move(bootId), key, std::move(state).value()));
}

void Sampler::take(const std::string& tenantId, const std::string& appId, const std::string& instanceId,
                   const Amounts& amounts) {
  for (const auto& amount : amounts) {
    combine(state_.amounts, {tenantId, appId, instanceId, amount.meter, amount.note}, amount.quantity);
  }
}

TenantCounters& Sampler::countersOf(const std::string& tenantId) {
  auto& network = state_.networks[tenantId];
  // Links and counters of an earlier boot are gone; these began at zero.
  if (network.bootId != bootId_) network = TenantCounters{bootId_, {}, 0, 0, 0};
  return network;
}

void Sampler::fold(const std::string& name, Running& running) {
  const auto& group = *running.state;
  for (std::size_t i = 0; i < kAmounts; ++i) {
    if (running.added[i] == 0) continue;
    combine(state_.amounts, {group.tenantId, group.appId, group.instanceId, static_cast<Meter>(i), ""},
            std::exchange(running.added[i], 0));
  }
  take(group.tenantId, group.appId, group.instanceId, std::exchange(running.gaps, {}));
  touched_.insert(name);
}

Status Sampler::committed(Status done) {
  if (!done) return done;
  sealed_.clear();
  touched_.clear();
  return done;
}

Status Sampler::commitTouched() {
  return committed(spool_.commit(state_, bootId_, sealed_, &touched_));
}

Status Sampler::commitAll() {
  for (auto& [name, running] : running_) fold(name, running);
  auto done = committed(spool_.commit(state_, bootId_, sealed_));
  if (done && youngSampled_) young_.clear();
  return done;
}

void Sampler::noteState(const GroupState& group, const std::string& previous, const std::string& current,
                        std::int64_t utcMicros) {
  auto note = lifecycleNote("instance", previous, current) + kMomentMark + std::to_string(utcMicros);
  combine(state_.amounts, {group.tenantId, group.appId, group.instanceId, Meter::instanceState, std::move(note)}, 1);
}

void Sampler::closeGroup(const GroupState& group, Moment at) {
  noteState(group, "running", "lost", at.utcMicros);
  const bool restarted = group.bootId != bootId_;
  const auto micros =
      restarted ? at.utcMicros - group.lastUtcMicros : microsBetween(group.progress.last.bootNanos, at.bootNanos);
  take(group.tenantId, group.appId, group.instanceId,
       {{Meter::gap, gapMillis(micros), restarted ? gap::kRestarted : gap::kVanished}});
}

Status Sampler::add(const Subject& subject, const GroupDescriptors& descriptors, Origin origin, Moment at) {
  auto reader = CgroupReader::open(descriptors);
  if (!reader) return reader.error();
  const auto first = reader->read();
  if (!first) return Error{first.error().stage, first.error().operation, subject.group, first.error().code};
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);

  auto found = state_.groups.find(subject.group);
  if (found != state_.groups.end() &&
      (found->second.bootId != bootId_ || found->second.cgroupInode != subject.cgroupInode)) {
    if (isOpen(found->second)) closeGroup(found->second, at);
    state_.groups.erase(found);
    found = state_.groups.end();
  }
  if (found == state_.groups.end()) {
    GroupState group{subject.tenantId,    subject.appId,      subject.instanceId,   bootId_,
                     subject.cgroupInode, subject.allocation, bornAt(at.bootNanos), at.utcMicros};
    if (origin == Origin::recovered && spool_.past() == Spool::Past::none) {
      // What it used before may be in the ledger already: a gap, for counting it again would be worse.
      group.progress.last = *first;
      group.progress.last.bootNanos = at.bootNanos;
      unknownPast_.insert(subject.tenantId);
      unknownGroups_.insert(subject.tenantId);
      take(subject.tenantId, subject.appId, subject.instanceId, {{Meter::gap, 1, gap::kUnknownPast}});
    }
    noteState(group, "", runningState(group), at.utcMicros);
    found = state_.groups.emplace(subject.group, std::move(group)).first;
  }
  auto& state = found->second;
  if (state.finished) {
    // It is over since its last reading: only what its counters missed then is still to be counted.
    state.progress.last.bootNanos = at.bootNanos;
    state.progress.last.memoryBytes = 0;
    state.progress.last.diskBytes = 0;
  }
  if (state.closedUtcMicros != 0 && !state.finished) noteState(state, "lost", runningState(state), at.utcMicros);
  state.closedUtcMicros = 0;
  if (const auto known = running_.find(subject.group); known != running_.end()) fold(subject.group, known->second);
  const auto turn = static_cast<unsigned>(running_.size() % kFullEvery);  // not all of them at once
  running_.insert_or_assign(subject.group, Running{std::move(reader).value(), &state, turn});
  touched_.insert(subject.group);
  young_.insert(subject.group);
  youngSampled_ = false;
  return commitTouched();
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
    group = missing && old ? state_.groups.erase(group) : std::next(group);
  }
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  return commitAll();
}

bool Sampler::readGroup(Running& running, Moment at, Reason reason) {
  auto& group = *running.state;
  const bool full = reason == Reason::last || running.turn++ % kFullEvery == 0;
  const auto read = running.reader.read(full ? CgroupReader::Depth::full : CgroupReader::Depth::usual);
  Reading reading = read ? *read : Reading{};
  reading.bootNanos = std::min(at.bootNanos, running.endNanos);
  const auto before = group.progress.last.bootNanos;
  for (auto& amount : advance(group.progress, reading, group.allocation)) {
    if (amount.meter != Meter::gap) {
      auto& held = running.added[static_cast<std::size_t>(amount.meter)];
      held = combined(amount.meter, held, amount.quantity);
    } else if (read || reason != Reason::last) {
      running.gaps.push_back(std::move(amount));
    }
  }
  if (!read && reason == Reason::last) {
    running.gaps.push_back({Meter::gap, gapMillis(microsBetween(before, at.bootNanos)), gap::kUnreadable});
  }
  group.lastUtcMicros = at.utcMicros;
  return read.ok();
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
  fold(group, found->second);
  auto& state = *found->second.state;
  if (!state.finished)
    noteState(state, "running", "ended", at.utcMicros - microsBetween(found->second.endNanos, at.bootNanos));
  running_.erase(found);
  state.closedUtcMicros = at.utcMicros;
  state.finished = true;
  return commitTouched();
}

void Sampler::forget(const std::string& group) {
  const auto state = state_.groups.find(group);
  if (state == state_.groups.end() || !state->second.finished) return;
  state_.groups.erase(state);
  touched_.insert(group);
}

void Sampler::noteClockStep(Moment at) {
  const auto offset = offsetOf(at);
  const auto step = state_.clock.bootId == bootId_ ? offset - state_.clock.offsetMicros : 0;
  state_.clock = {bootId_, offset};
  if (std::abs(step) < kClockStepMicros) return;
  std::set<std::string> tenants;
  for (const auto& [name, group] : state_.groups) tenants.insert(group.tenantId);
  for (const auto& tenant : tenants) take(tenant, "", "", {{Meter::gap, 1, clockStepNote(step)}});
}

std::size_t Sampler::sample(Moment at) {
  std::size_t unread = 0;
  for (auto& [name, running] : running_) {
    if (!readGroup(running, at, Reason::periodic)) ++unread;
  }
  youngSampled_ = true;
  return unread;
}

void Sampler::tenantGroup(const std::string& tenantId, std::uint64_t inode, std::uint64_t cpuNanos, Moment at) {
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  const bool unknownPast = unknownGroups_.erase(tenantId) > 0;
  auto& counters = countersOf(tenantId);
  // A group that is new to us was made since: all of it counts, but for those from before this spool.
  if (counters.groupInode != inode) {
    counters.groupCpu = counters.groupInode == 0 && unknownPast ? cpuNanos : 0;
    counters.groupInode = inode;
  }
  if (cpuNanos > counters.groupCpu) {
    groupsTaken_ += cpuNanos - counters.groupCpu;
    take(tenantId, "", "", {{Meter::groupCpu, cpuNanos - counters.groupCpu, ""}});
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
    if (now > *last) take(chain, "", "", {{meter, now - *last, ""}});
    *last = std::max(*last, now);
  }
}

void Sampler::network(const std::string& tenantId, const TrafficCounters& bytes, Moment at) {
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  auto& network = countersOf(tenantId);
  if (unknownPast_.erase(tenantId) > 0 && network.lastBootNanos == 0) network.bytes = bytes;
  const auto since = network.lastBootNanos == 0 ? at.bootNanos : network.lastBootNanos;
  const auto millis = static_cast<std::uint64_t>(microsBetween(since, at.bootNanos)) / 1000U;
  take(tenantId, "", "", advanceNetwork(network.bytes, bytes, millis));
  network.lastBootNanos = at.bootNanos;
}

void Sampler::forgetTenant(const std::string& tenantId) {
  state_.networks.erase(tenantId);
  leaving_.insert(tenantId);
}

Sampler::Segments::iterator Sampler::seal(Segments::iterator segment) {
  sealed_.push_back(sealRow(key_, spool_.source(), segment->first, segment->second));
  return state_.segments.erase(segment);
}

std::size_t Sampler::sealEnded(std::size_t most) {
  std::size_t count = 0;
  for (auto segment = state_.segments.begin(); segment != state_.segments.end() && count < most;) {
    if (hourOf(segment->second.from) == hourOf(state_.windowFrom)) {
      ++segment;
      continue;
    }
    segment = seal(segment);
    ++count;
  }
  return count;
}

std::size_t Sampler::closeWindow(std::int64_t to) {
  std::size_t rows = 0;
  for (const auto& [key, quantity] : state_.amounts) {
    if (quantity == 0) continue;
    sealed_.push_back({key.tenantId, key.appId, key.instanceId, key.meter, quantity, state_.windowFrom, to, key.note});
    if (key.meter == Meter::instanceState) placeMoment(sealed_.back());
    const auto segment = state_.segments.try_emplace(key.tenantId).first;
    cover(sha_, segment->second, sealed_.back());
    if (segment->second.rows == kMostSealed) seal(segment);
    ++rows;
  }
  state_.amounts.clear();
  for (const auto& tenant : std::exchange(leaving_, {})) {
    if (const auto segment = state_.segments.find(tenant); segment != state_.segments.end()) seal(segment);
  }
  return rows;
}

Result<std::size_t> Sampler::flush(Moment at, Flush when) {
  noteClockStep(at);
  if (state_.windowFrom == 0) state_.windowFrom = windowStart(at.utcMicros);
  const auto from = state_.windowFrom;
  const auto boundary = windowStart(from) + kWindowMicros;
  const bool steppedBack = at.utcMicros < from;
  if (when == Flush::whenDue && at.utcMicros < boundary && !steppedBack) {
    const bool grown = !young_.empty() && youngSampled_;
    if (sealEnded(kSealsAtOnce) == 0 && !grown) return std::size_t{0};
    if (grown) {
      for (const auto& name : young_) {
        if (const auto found = running_.find(name); found != running_.end()) fold(name, found->second);
      }
    }
    if (auto done = commitTouched(); !done) return done.error();
    if (grown) young_.clear();
    return std::size_t{0};
  }

  auto to = when == Flush::all ? std::max(at.utcMicros, from + 1) : windowStart(at.utcMicros);
  if (steppedBack) to = boundary;
  for (auto& [name, running] : running_) fold(name, running);
  // What is still to be signed of earlier hours stands before this window's rows: it does not cover them.
  sealEnded(SIZE_MAX);
  const auto rows = closeWindow(to);
  state_.windowFrom = steppedBack ? windowStart(at.utcMicros) : to;
  sealEnded(kSealsAtOnce);
  if (auto done = commitAll(); !done) return done.error();
  return rows;
}

Result<Reading> Sampler::look(const std::string& group) {
  const auto found = running_.find(group);
  if (found == running_.end()) return Error{"metering", "look at", group, ENOENT};
  return found->second.reader.read();
}

const Reading* Sampler::last(const std::string& group) const {
  const auto found = state_.groups.find(group);
  return found == state_.groups.end() ? nullptr : &found->second.progress.last;
}

}  // namespace cloister::metering
