// What the sampler does when a window is over: rows of the sums, and seals over the rows.
#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "metering/base/calendar.h"
#include "metering/readings/sampler.h"

namespace cloister::metering {
namespace {

void placeMoment(UsageRow& row, char momentMark) {
  const auto mark = row.note.rfind(momentMark);
  if (mark == std::string::npos) return;
  row.from = std::strtoll(row.note.c_str() + mark + 1, nullptr, 10);
  row.to = row.from + 1;
  row.note.resize(mark);
}

// Sums of one instance or, with neither app nor instance, of a tenant's network and own group.
struct Summed {
  const std::string* tenantId;
  const std::string* appId;
  const std::string* instanceId;
  Sums* sums;
};

const std::string kNone;

}  // namespace

void Sampler::seal(const std::string& tenantId) {
  const auto segment = state_.segments.find(tenantId);
  if (segment == state_.segments.end()) return;
  sealed_.add(sealRow(key_, spool_.source(), tenantId, segment->second));
  state_.segments.erase(segment);
}

std::size_t Sampler::sealEnded(std::size_t most) {
  const auto hour = hourOf(state_.windowFrom);
  if (hour == onlyHour_) return 0;
  std::vector<std::string> ended;
  for (const auto& [tenantId, segment] : state_.segments.all()) {
    if (hourOf(segment.from) == hour) continue;
    if (ended.size() == most) break;
    ended.push_back(tenantId);
  }
  for (const auto& tenantId : ended) seal(tenantId);
  if (ended.size() < most) onlyHour_ = hour;
  return ended.size();
}

void Sampler::closeRow(const UsageRow& row) {
  auto& segment = state_.segments.change(row.tenantId);
  cover(sha_, segment, row, sealed_.add(row));
  if (hourOf(segment.from) != onlyHour_) onlyHour_ = INT64_MIN;
  if (segment.rows == kMostSealed) seal(row.tenantId);
}

std::size_t Sampler::closeWindow(std::int64_t to) {
  // By tenant, as amounts are: rows of one chain stand together.
  std::vector<Summed> summed;
  for (auto& [name, group] : state_.groups) {
    if (!group.sums.empty())
      summed.push_back({&group.owner.tenantId, &group.owner.appId, &group.owner.instanceId, &group.sums});
  }
  for (auto& [tenantId, counters] : state_.networks) {
    if (!counters.sums.empty()) summed.push_back({&tenantId, &kNone, &kNone, &counters.sums});
  }
  std::sort(summed.begin(), summed.end(), [](const Summed& a, const Summed& b) {
    return std::tie(*a.tenantId, *a.appId, *a.instanceId) < std::tie(*b.tenantId, *b.appId, *b.instanceId);
  });

  std::size_t rows = 0;
  UsageRow row;
  auto amount = state_.amounts.all().begin();
  const auto amountsBefore = [&](const std::string* tenantId) {
    for (; amount != state_.amounts.all().end(); ++amount, ++rows) {
      const auto& [key, quantity] = *amount;
      const auto& [tenant, app, instance] = key.owner;
      if (tenantId != nullptr && tenant >= *tenantId) return;
      row = {tenant, app, instance, key.meter, quantity, state_.windowFrom, to, key.note};
      if (key.meter == Meter::instanceState) placeMoment(row, kMomentMark);
      closeRow(row);
    }
  };
  for (const auto& one : summed) {
    amountsBefore(one.tenantId);
    row = {*one.tenantId, *one.appId, *one.instanceId, Meter::cpu, 0, state_.windowFrom, to, ""};
    one.sums->each([&](Meter meter, std::uint64_t quantity) {
      row.meter = meter;
      row.quantity = quantity;
      closeRow(row);
      ++rows;
    });
    *one.sums = {};
  }
  amountsBefore(nullptr);
  state_.amounts.clear();
  for (const auto& tenantId : std::exchange(leaving_, {})) seal(tenantId);
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
        if (running_.contains(name)) state_.groups.change(name);
      }
    }
    if (auto done = commit(); !done) return done.error();
    if (grown) young_.clear();
    return std::size_t{0};
  }

  auto to = when == Flush::all ? std::max(at.utcMicros, from + 1) : windowStart(at.utcMicros);
  if (steppedBack) to = boundary;
  // What is still to be signed of earlier hours stands before this window's rows: it does not cover them.
  sealEnded(SIZE_MAX);
  const auto rows = closeWindow(to);
  state_.windowFrom = steppedBack ? windowStart(at.utcMicros) : to;
  sealEnded(kSealsAtOnce);
  if (auto done = commitAll(); !done) return done.error();
  return rows;
}

}  // namespace cloister::metering
