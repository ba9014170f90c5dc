#include "metering/base/lifecycle.h"

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

UsageBatch batchOf(const LifecycleEvent& event) {
  UsageBatch batch;
  batch.source = kControlPlane;
  batch.sequence = event.number;
  UsageRow row;
  row.tenantId = event.tenantId;
  row.meter = Meter::lifecycle;
  row.quantity = 1;
  row.from = event.at;
  row.to = event.at + 1;
  row.note = lifecycleNote(event.what, event.previous, event.current);
  batch.rows.push_back(std::move(row));
  return batch;
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

}  // namespace cloister::metering
