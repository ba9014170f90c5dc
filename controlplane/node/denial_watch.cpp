#include "controlplane/node/denial_watch.h"

#include <algorithm>

namespace cloister::node {

std::string denialText(const launcher::Denial& denial) {
  std::string text = denial.operation;
  if (!denial.target.empty()) text += " " + denial.target;
  if (!denial.program.empty()) text += ", by " + denial.program;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

void DenialWatch::know(std::map<TenantIndex, std::string> tenants) {
  const std::lock_guard lock(mutex_);
  tenants_ = std::move(tenants);
}

std::vector<model::EventReport> DenialWatch::poll() {
  std::vector<model::EventReport> events;
  for (;;) {
    const auto denials = launcher_.denials(seen_);
    if (!denials) return events;
    if (denials->empty()) break;
    seen_ = denials->back().sequence;
    if (first_) continue;
    const std::lock_guard lock(mutex_);
    for (const auto& denial : *denials) {
      const auto tenant = tenants_.find(denial.tenant);
      if (tenant != tenants_.end()) events.push_back({tenant->second, "", "apparmor.denied", denialText(denial)});
    }
    if (denials->size() < launcher::kMostDenials) break;
  }
  first_ = false;
  return events;
}

}  // namespace cloister::node
