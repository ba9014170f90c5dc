#include "sandbox/launcher/containers.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>

#include "policy/model/answered_calls.h"
#include "policy/model/apparmor.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/files.h"
#include "sandbox/base/process.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "launch";

}  // namespace

Answer finish(Outcome outcome) {
  if (auto* answer = std::get_if<Answer>(&outcome)) return std::move(*answer);
  Pending& pending = *std::get<std::unique_ptr<Pending>>(outcome);
  for (;;) {
    const auto wait = pending.wait();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(wait.until - Pending::Clock::now()).count();
    pollfd watched{wait.descriptor, wait.events, 0};
    (void)::poll(&watched, 1, static_cast<int>(std::max<decltype(left)>(left, 0)));
    if (auto answer = pending.advance()) return std::move(*answer);
  }
}

Result<std::unique_ptr<Containers>> Containers::create(Parts parts) {
  std::unique_ptr<Containers> containers(new Containers(std::move(parts)));
  for (const auto confinement : {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze}) {
    auto filter = policy::compile(policy::profileFor(confinement));
    if (!filter) return filter.error();
    containers->filters_[confinement] = {policy::withAnsweredCalls(*filter), std::move(*filter)};
  }
  if (auto made = files::makeDirectories(containers->parts_.records, 0700); !made) return made.error();
  return containers;
}

void addGroups(Reply<Launched>& reply, cgroups::Group& group) {
  for (auto& [kind, directory] : group.directories) {
    reply.values.descriptors.push_back(kind);
    reply.descriptors.push_back(std::move(directory));
  }
}

Status Containers::writeRecord(const std::string& instance, const Record& record) {
  const std::string path = parts_.records + "/" + instance;
  auto file = files::openAt(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, files::Resolve::anywhere, 0600);
  if (!file) return file.error();
  return files::writeAll(file->get(), std::to_string(record.tenant) + " " + std::to_string(record.address) + "\n");
}

Result<Containers::Record> Containers::readRecord(const std::string& instance) const {
  auto text = files::read(parts_.records + "/" + instance);
  if (!text) return text.error();
  // Made before anything else of a launch, in one write: one that is empty is all there is of it.
  if (text->empty()) return Error{"record", "read", instance, ENOENT};
  Record record;
  const char* end = text->data() + text->size();
  const auto tenant = std::from_chars(text->data(), end, record.tenant);
  if (tenant.ec != std::errc{} || tenant.ptr == end) return Error{"record", "parse", instance, EPROTO};
  const auto address = std::from_chars(tenant.ptr + 1, end, record.address);
  if (address.ec != std::errc{} || !validTenant(record.tenant)) return Error{"record", "parse", instance, EPROTO};
  return record;
}

Result<std::string> Containers::profileOf(Confinement confinement, TenantIndex tenant) {
  if (parts_.appArmor == nullptr) return std::string();
  if (auto loaded = parts_.appArmor->ensure(tenant); !loaded) return loaded.error();
  return policy::appArmorProfileName(confinement, tenant);
}

Result<pid_t> Containers::findInit(TenantIndex tenant, const std::string& instance) {
  auto pids = parts_.groups->processes(tenant, instance);
  if (!pids) return pids.error();
  const auto found = std::find_if(pids->begin(), pids->end(), process::isNamespaceInit);
  if (found == pids->end()) return Error{std::string(kStage), "find init", instance, ESRCH};
  return *found;
}

Result<UniqueFd> Containers::openInit(TenantIndex tenant, const std::string& instance) {
  auto init = findInit(tenant, instance);
  if (!init) return init.error();
  auto target = process::openPidfd(*init);
  if (!target) return target;
  // The number may have been given to a stranger between the two calls; a member of the group it is not, then.
  if (auto again = findInit(tenant, instance); !again || *again != *init) {
    return Error{std::string(kStage), "find init", instance, ESRCH};
  }
  return target;
}

Status Containers::signal(const SignalRequest& request) {
  if (auto good = check(request); !good) return good;
  auto record = readRecord(request.instance);
  if (!record) return record.error();
  switch (request.target) {
    case SignalTarget::group:
      return parts_.groups->kill(record->tenant, request.instance);
    case SignalTarget::freeze:
      return parts_.groups->setMotion(record->tenant, request.instance, cgroups::Motion::frozen);
    case SignalTarget::thaw:
      return parts_.groups->setMotion(record->tenant, request.instance, cgroups::Motion::running);
    case SignalTarget::init:
      break;
  }
  auto init = openInit(record->tenant, request.instance);
  if (!init) return init.error();
  return process::sendSignal(init->get(), static_cast<int>(request.signal));
}

Result<std::vector<Reply<Launched>>> Containers::recover() {
  auto found = parts_.groups->scan();
  if (!found) return found.error();
  std::vector<Reply<Launched>> list;
  for (const auto& [tenant, instance] : *found) {
    auto group = parts_.groups->openInstance(tenant, instance);
    if (!group) continue;
    Reply<Launched> reply;
    reply.values.instance = instance;
    reply.values.tenant = tenant;
    reply.values.cgroupInode = group->inode;
    addGroups(reply, *group);
    addInit(reply, tenant, instance);
    list.push_back(std::move(reply));
  }
  return list;
}

void Containers::addInit(Reply<Launched>& reply, TenantIndex tenant, const std::string& instance) {
  auto init = findInit(tenant, instance);
  if (!init) return;
  auto pidfd = process::openPidfd(*init);
  if (!pidfd) return;
  const auto add = [&reply](DescriptorKind kind, UniqueFd descriptor) {
    reply.values.descriptors.push_back(kind);
    reply.descriptors.push_back(std::move(descriptor));
  };
  reply.values.pid = static_cast<std::uint32_t>(*init);
  add(DescriptorKind::pid, std::move(*pidfd));
  auto netns = files::openAt(AT_FDCWD, process::procPath(*init, "ns/net"), O_RDONLY);
  if (netns) add(DescriptorKind::netns, std::move(*netns));
  auto upper = files::openAt(AT_FDCWD, process::procPath(*init, "root"), O_PATH | O_DIRECTORY);
  if (upper) add(DescriptorKind::upper, std::move(*upper));
}

}  // namespace cloister::launcher
