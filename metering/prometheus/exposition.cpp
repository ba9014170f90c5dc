#include "metering/prometheus/exposition.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "metering/prometheus/text.h"
#include "sandbox/base/counters.h"

namespace cloister::metering {
namespace {

constexpr std::int64_t kFreshMicros = 60'000'000;
constexpr std::int64_t kMinuteMicros = 60'000'000;
constexpr std::int64_t kReconciledMinutes = 60;

bool isJudged(std::int64_t minute, std::int64_t now) {
  return minute <= now && now - minute < kReconciledMinutes;
}

std::string escaped(std::string_view value) {
  std::string text;
  appendLabelValue(text, value);
  return text;
}

// From the quote that ends the tenant to the blank before the value.
std::string pressureLabels(const std::string& node, const Stall& stall) {
  return R"(",node=")" + escaped(node) + R"(",resource=")" + escaped(stall.resource) + R"(",kind=")" +
         escaped(stall.kind) + "\"} ";
}

std::uint64_t perMilli(std::uint64_t integral, std::int64_t from, std::int64_t to) {
  const auto millis = static_cast<std::uint64_t>(std::max<std::int64_t>((to - from) / 1000, 1));
  return integral / millis + (integral % millis >= (millis + 1) / 2 ? 1 : 0);
}

}  // namespace

Exposition::Exposition(const Ledger& ledger) : Exposition(ledger, counters::utcMicros) {}
Exposition::Exposition(const Ledger& ledger, Clock clock, std::size_t mostSeries)
    : ledger_(ledger), clock_(std::move(clock)), mostSeries_(mostSeries) {}

Exposition::Tenant& Exposition::tenant(const std::string& id) {
  const auto [entry, fresh] = tenants_.try_emplace(id);
  if (fresh) entry->second.label = escaped(id);
  return entry->second;
}

Exposition::Reconciled& Exposition::reconciled(const std::string& node, std::int64_t minute, std::int64_t window) {
  auto& minutes = reconciled_[node];
  if (minutes.empty() || (minutes.back().minute != minute && minutes.back().window != window)) {
    std::erase_if(minutes, [minute](const Reconciled& sums) { return !isJudged(sums.minute, minute); });
    minutes.push_back({minute, window, 0, 0, 0});
  }
  minutes.back().window = window;
  return minutes.back();
}

void Exposition::observe(const UsageBatch& batch) {
  const std::lock_guard lock(mutex_);
  const auto at = clock_();
  for (const auto& row : batch.rows) {
    // Of an hour, or of a moment: no use of anything.
    if (row.meter == Meter::seal || row.meter == Meter::instanceState) continue;
    const bool ofHost = isHostChain(row.tenantId);
    if (row.meter == Meter::cpu || row.meter == Meter::groupCpu) {
      auto& sums = reconciled(batch.source, at / kMinuteMicros, row.to);
      auto& sum = row.meter == Meter::cpu ? sums.instances : ofHost ? sums.all : sums.groups;
      sum += row.quantity;
    }
    if (ofHost) continue;
    auto& known = tenant(row.tenantId);
    auto& window = known.windows[batch.source];
    if (row.to < window.to && window.to <= at) continue;
    // A window may come in several batches: the same end adds up, another begins anew.
    if (row.to != window.to) window = Window{row.from, row.to, at, 0, 0, 0};
    if (row.meter == Meter::memoryByteSeconds) window.memory += row.quantity;
    if (row.meter == Meter::diskByteSeconds) window.disk += row.quantity;
    if (row.meter == Meter::instanceSeconds) window.instances += row.quantity;
  }
}

void Exposition::countBadSeals(std::uint64_t seals) {
  const std::lock_guard lock(mutex_);
  badSeals_ += seals;
}

void Exposition::setLive(const std::string& tenantId, const LiveLevels& levels) {
  const std::lock_guard lock(mutex_);
  auto& known = tenant(tenantId);
  known.live = levels;
  known.liveAt = clock_();
}

void Exposition::setPlan(const std::string& tenantId, const std::string& plan) {
  const std::lock_guard lock(mutex_);
  tenant(tenantId).plan = escaped(plan);
}

void Exposition::setPressure(const std::string& node, const std::string& tenantId, const Stall& stall) {
  const std::lock_guard lock(mutex_);
  tenant(tenantId).pressures[pressureLabels(node, stall)] = {stall.micros, clock_()};
}

void Exposition::forget(const std::string& tenantId) {
  const std::lock_guard lock(mutex_);
  tenants_.erase(tenantId);
}

std::vector<std::string> Exposition::tenants() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  ids.reserve(tenants_.size());
  for (const auto& [id, known] : tenants_) ids.push_back(id);
  return ids;
}

LiveLevels Exposition::levelsAt(const Tenant& tenant, std::int64_t at) {
  LiveLevels levels;
  if (tenant.liveAt != 0 && at - tenant.liveAt <= kFreshMicros) return tenant.live;
  for (const auto& [source, window] : tenant.windows) {
    if (at - window.to > kFreshMicros || std::abs(at - window.seen) > kFreshMicros) continue;
    levels.memoryBytes += perMilli(window.memory, window.from, window.to);
    levels.diskBytes += perMilli(window.disk, window.from, window.to);
    levels.instances += perMilli(window.instances, window.from, window.to);
  }
  return levels;
}

void Exposition::addLive(TenantPage& page, const Tenant& tenant, const Totals& totals) const {
  TenantPage::Row row;
  row.tenant = page.keep(tenant.label);
  row.plan = page.keep(tenant.plan);
  row.totals = &totals;
  row.live = true;
  row.levels = levelsAt(tenant, page.at);
  row.firstWait = page.waits.size();
  for (const auto& [labels, waited] : tenant.pressures) {
    if (page.at - waited.at <= kFreshMicros) page.waits.push_back({page.keep(labels), waited.micros});
  }
  row.waits = page.waits.size() - row.firstWait;
  page.add(row, mostSeries_);
}

TenantPage Exposition::page() const {
  TenantPage page;
  page.at = clock_();
  page.known = ledger_.known();
  if (!page.known) return page;
  page.totals = ledger_.totals();
  page.health = ledger_.health(page.at);
  std::unordered_map<std::string_view, const Totals*> totals;
  totals.reserve(page.totals.size());
  for (const auto& one : page.totals) totals.emplace(one.tenantId, &one.totals);

  const std::lock_guard lock(mutex_);
  page.badSeals = badSeals_;
  const auto over = [](Quantity metered, Quantity counted) -> std::optional<double> {
    if (counted == 0) return std::nullopt;
    return (approximate(metered) - approximate(counted)) / approximate(counted);
  };
  for (const auto& [node, minutes] : reconciled_) {
    Reconciled sums;
    for (const auto& part : minutes) {
      if (!isJudged(part.minute, page.at / kMinuteMicros)) continue;
      sums.instances += part.instances;
      sums.groups += part.groups;
      sums.all += part.all;
    }
    page.hosts[node].againstGroups = over(sums.instances, sums.groups);
    page.hosts[node].againstHost = over(sums.instances, sums.all);
  }
  page.rows.reserve(std::max(tenants_.size(), page.totals.size()));
  for (const auto& [id, tenant] : tenants_) {
    const auto found = totals.find(id);
    addLive(page, tenant, found == totals.end() ? TenantPage::kNothing : *found->second);
    if (found != totals.end()) totals.erase(found);
  }
  for (const auto& one : page.totals) {
    if (totals.count(one.tenantId) == 0) continue;
    if (isHostChain(one.tenantId)) {
      page.hosts[hostOfChain(one.tenantId)].totals = &one.totals;
      continue;
    }
    TenantPage::Row row;
    row.tenant = page.keep(escaped(one.tenantId));
    row.totals = &one.totals;
    row.firstWait = page.waits.size();
    page.add(row, mostSeries_);
  }
  return page;
}

}  // namespace cloister::metering
