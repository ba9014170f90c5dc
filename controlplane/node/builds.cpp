#include "controlplane/node/builds.h"

#include <spdlog/spdlog.h>

#include <filesystem>

#include "controlplane/node/exception_text.h"
#include "sandbox/base/files.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

std::optional<model::BuildReport> keptResult(const std::string& directory) {
  auto text = files::read(directory + "/result.json");
  if (!text) return std::nullopt;
  try {
    auto status = model::nodeStatusFromJson(text.value());
    if (status.builds.size() == 1) return status.builds[0];
  } catch (const std::exception& error) {
    spdlog::warn("{}/result.json: {}", directory, textOf(error));
  }
  return std::nullopt;
}

}  // namespace

Builds::Builds(std::string directory, Runtime& runtime, const Server& server, std::function<void()> changed)
    : directory_(std::move(directory)), runtime_(runtime), server_(server), changed_(std::move(changed)) {
  for (unsigned i = 0; i < kAtOnce; ++i) threads_.emplace_back([this] { work(); });
}

Builds::~Builds() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [id, entry] : entries_) entry->cancelled = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Builds::apply(const model::NodeWork& work, Authority authority) {
  std::map<std::string, const model::DesiredTenant*> tenants;
  for (const auto& tenant : work.tenants) tenants[tenant.id] = &tenant;
  const std::lock_guard lock(mutex_);
  std::set<std::string> named;
  for (const auto& item : work.refused) named.insert(item.id);
  for (const auto& build : work.builds) {
    const auto tenant = tenants.find(build.tenantId);
    if (tenant == tenants.end() || !validInstanceId(build.id)) {
      spdlog::error("build {}: no such tenant, or no good id", build.id);
      continue;
    }
    named.insert(build.id);
    if (entries_.contains(build.id)) continue;
    auto entry = std::make_shared<Entry>();
    entry->task = {build, *tenant->second};
    entry->report.id = build.id;
    entry->report.state = model::BuildState::queued;
    entries_[build.id] = entry;
    if (auto kept = keptResult(directoryOf(build.id))) {
      entry->report = *kept;
      entry->ended = true;
    } else {
      queue_.push_back(entry);
      wake_.notify_one();
    }
  }
  if (authority == Authority::full) {
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (named.contains(it->first)) {
        ++it;
        continue;
      }
      it->second->cancelled = true;
      std::erase(queue_, it->second);
      if (it->second->ended || it->second->report.state == model::BuildState::queued) {
        std::error_code code;
        fs::remove_all(directoryOf(it->first), code);
        it = entries_.erase(it);
      } else {
        ++it;  // its thread ends it; the next work forgets it
      }
    }
  }
}

std::vector<model::BuildReport> Builds::reports() {
  const std::lock_guard lock(mutex_);
  std::vector<model::BuildReport> reports;
  for (const auto& [id, entry] : entries_) reports.push_back(entry->report);
  return reports;
}

bool Builds::uses(const std::string& tenantId) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    if (!entry->ended && entry->task.build.tenantId == tenantId) return true;
  }
  return false;
}

void Builds::finish(const std::shared_ptr<Entry>& entry, model::BuildReport report) {
  const std::string directory = directoryOf(report.id);
  std::error_code code;
  if (entry->cancelled) {
    fs::remove_all(directory, code);
  } else {
    model::NodeStatus kept;
    kept.nodeId = "local";  // a document without it is refused
    kept.builds.push_back(report);
    if (auto done = files::replace(directory + "/result.json", model::toJson(kept), 0600); !done) {
      spdlog::warn("{}", done.error().message());
    }
    for (const char* file : {"source", "slug", "status"}) fs::remove(directory + "/" + file, code);
  }
  const std::lock_guard lock(mutex_);
  entry->report = std::move(report);
  entry->ended = true;
}

void Builds::work() {
  for (;;) {
    std::shared_ptr<Entry> entry;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      entry = queue_.front();
      queue_.pop_front();
      entry->report.state = model::BuildState::running;
    }
    changed_();
    spdlog::info("build {} begins", entry->task.build.id);
    model::BuildReport report;
    try {
      BuildJob job(entry->task, directoryOf(entry->task.build.id), runtime_, server_, entry->cancelled);
      report = job.run();
    } catch (const std::exception& error) {
      report.failure = {"build_internal", textOf(error)};
    }
    report.id = entry->task.build.id;
    if (entry->cancelled) {
      report.state = model::BuildState::cancelled;
    } else {
      report.state = report.failure.failed() ? model::BuildState::failed : model::BuildState::succeeded;
    }
    spdlog::info("build {}: {} {} {}", report.id, model::name(report.state), report.failure.code,
                 utf8::printable(report.failure.detail));
    finish(entry, std::move(report));
    changed_();
  }
}

}  // namespace cloister::node
