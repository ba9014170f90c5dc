#include "metering/base/lifecycle.h"

#include <algorithm>
#include <utility>

#include "metering/base/calendar.h"

namespace cloister::metering {
namespace {

constexpr std::string_view kArrow = " -> ";

std::string orDash(const std::string& text) {
  return text.empty() ? "-" : text;
}
std::string orEmpty(std::string text) {
  return text == "-" ? std::string() : text;
}

}  // namespace

std::string lifecycleNote(const std::string& what, const std::string& previous, const std::string& current) {
  return what + ' ' + orDash(previous) + std::string(kArrow) + orDash(current);
}

UsageRow rowOf(const LifecycleEvent& event) {
  UsageRow row;
  row.tenantId = event.tenantId;
  row.meter = Meter::lifecycle;
  row.quantity = 1;
  row.from = event.at;
  row.to = event.at + 1;
  row.note = lifecycleNote(event.what, event.previous, event.current);
  return row;
}

UsageBatch controlPlaneBatch(std::uint64_t sequence, std::vector<UsageRow> rows) {
  return {kControlPlane, sequence, "", std::move(rows)};
}

std::optional<LifecycleEvent> parseLifecycle(const std::string& note) {
  const auto blank = note.find(' ');
  const auto arrow = note.find(kArrow);
  if (blank == std::string::npos || arrow == std::string::npos || arrow <= blank) return std::nullopt;
  LifecycleEvent event;
  event.what = note.substr(0, blank);
  event.previous = orEmpty(note.substr(blank + 1, arrow - blank - 1));
  event.current = orEmpty(note.substr(arrow + kArrow.size()));
  return event;
}

std::vector<UsageRow> imageStorageRows(const std::string& tenantId, std::uint64_t bytes, std::int64_t from,
                                       std::int64_t to) {
  std::vector<UsageRow> rows;
  if (bytes == 0) return rows;
  while (from < to) {
    const auto end = std::min(to, hourOf(from) + kHour);
    UsageRow row;
    row.tenantId = tenantId;
    row.meter = Meter::imageStorage;
    row.quantity = bytes * static_cast<std::uint64_t>((end - from) / kMilli);
    row.from = from;
    row.to = end;
    rows.push_back(std::move(row));
    from = end;
  }
  return rows;
}

}  // namespace cloister::metering
